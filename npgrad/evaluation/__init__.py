"""Measures of attributions: whether they are faithful to the network, stable, and located on the object.

All take raw attributions and return one value per image, an array (N,).
"""

from npgrad.evaluation.faithfulness import infidelity, sensitivity_max
from npgrad.evaluation.known_truth import HeldOut, Score, held_out, sanity_methods, score_method
from npgrad.evaluation.localization import best_iou, energy_inside, pointing_game
from npgrad.evaluation.pixels import deletion_auc, insertion_auc
from npgrad.evaluation.randomization import Randomization, randomization
from npgrad.evaluation.road import road

__all__ = [
    "HeldOut",
    "Randomization",
    "Score",
    "best_iou",
    "deletion_auc",
    "energy_inside",
    "held_out",
    "infidelity",
    "insertion_auc",
    "pointing_game",
    "randomization",
    "road",
    "sanity_methods",
    "score_method",
    "sensitivity_max",
]
