"""Dropout."""

from dataclasses import dataclass

import numpy as np

from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, set each element to 0 with probability `p` and divide the others by 1 - p; any shape.

    Otherwise y = x: explanations are made with dropout off. A kept element is scaled by 1/(1 - p),
    a dropped one does not reach y, so dx = dy * mask with the same mask
    (Srivastava et al. 2014; scaled while training, so that nothing changes afterwards).
    """

    p: float = 0.5

    has_training_mode = True

    def __post_init__(self):
        if not isinstance(self.p, (int, float)) or not 0 <= self.p < 1:
            raise InputError(f"Dropout p: expected 0 <= p < 1, found {self.p!r}")

    def receptive_field(self):
        return PIXEL

    def forward(self, x, training=False, rng=None):
        """`rng` (a Generator or an int seed) draws the mask and is needed in training."""
        if not training:
            return x, None
        if rng is None:
            raise InputError("Dropout in training needs rng=, a numpy Generator or an int seed")
        keep = np.random.default_rng(rng).random(x.shape) >= self.p
        mask = keep.astype(x.dtype) / x.dtype.type(1 - self.p)
        return x * mask, mask

    def backward(self, dy, mask):
        return dy if mask is None else dy * mask
