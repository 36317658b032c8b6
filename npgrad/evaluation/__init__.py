"""Measures of attributions: whether they are faithful to the network, stable, short, and located on the object.

All take raw attributions and return one value per image, an array (N,).
"""

from npgrad.evaluation.axioms import completeness, sensitivity_n
from npgrad.evaluation.complexity import sparseness
from npgrad.evaluation.faithfulness import infidelity, sensitivity_max
from npgrad.evaluation.information import aic_auc, sic_auc
from npgrad.evaluation.known_truth import HeldOut, Score, held_out, sanity_methods, score_method
from npgrad.evaluation.localization import best_iou, energy_inside, pointing_game, top_k_intersection
from npgrad.evaluation.pixels import deletion_auc, insertion_auc, selectivity
from npgrad.evaluation.random_logit import random_logit
from npgrad.evaluation.randomization import Randomization, randomization
from npgrad.evaluation.road import road

__all__ = [
    "HeldOut",
    "Randomization",
    "Score",
    "aic_auc",
    "best_iou",
    "completeness",
    "deletion_auc",
    "energy_inside",
    "held_out",
    "infidelity",
    "insertion_auc",
    "pointing_game",
    "random_logit",
    "randomization",
    "road",
    "sanity_methods",
    "score_method",
    "selectivity",
    "sensitivity_max",
    "sensitivity_n",
    "sic_auc",
    "sparseness",
    "top_k_intersection",
]
