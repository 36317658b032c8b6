"""How a target's score compares with the others, for one image."""

import numpy as np

from npgrad import _outputs


def lead(logits, target):
    """The target's score minus the highest other score: logits (1, classes), as `class_logits` returns them."""
    others = np.delete(logits[0], target)
    return float(logits[0, target] - others.max()) if others.size else np.inf


def probability(model, outputs, target):
    """The probability of the target: outputs (1, outputs); None where the outputs are values."""
    return None if not model.has_classes else float(_outputs.probabilities(model, outputs)[0, target])
