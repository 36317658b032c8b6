"""How a target's score compares with the others, for one image."""

import numpy as np


def lead(logits, target):
    """The target's score minus the highest other score: logits (1, classes)."""
    others = np.delete(logits[0], target)
    return float(logits[0, target] - others.max()) if others.size else np.inf


def probability(logits, target):
    """The softmax probability of the target: logits (1, classes)."""
    e = np.exp(logits[0] - logits[0].max())
    return float(e[target] / e.sum())
