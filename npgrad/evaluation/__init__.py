"""How good is an explanation: does it say what the network does, is it steady, does it point at the thing.

All take raw attributions and give one number a picture, an array (N,).
"""

from npgrad.evaluation.faithfulness import infidelity, sensitivity_max
from npgrad.evaluation.localisation import energy_inside, pointing_game
from npgrad.evaluation.pixels import deletion_auc, insertion_auc
from npgrad.evaluation.randomisation import Randomisation, randomisation
from npgrad.evaluation.road import road

__all__ = [
    "Randomisation",
    "deletion_auc",
    "energy_inside",
    "infidelity",
    "insertion_auc",
    "pointing_game",
    "randomisation",
    "road",
    "sensitivity_max",
]
