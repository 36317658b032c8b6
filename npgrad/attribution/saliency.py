"""Saliency: how much the score would change with each pixel (Simonyan, Vedaldi, Zisserman 2014)."""

import numpy as np

from npgrad.attribution._common import score_gradients


def saliency(model, x, target=None):
    """|d score / d x|, of the shape of x (N, C, H, W).

    The score is the raw logit of each image's target class (None: its top class), not its softmax, which
    another class can move. Reduce over channels as you like; the paper takes the maximum.
    """
    _, _, gradients = score_gradients(model, x, target)
    return np.abs(gradients["input"])
