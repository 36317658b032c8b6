"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Rng, Window
from npgrad._validate import is_number
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


@dataclass(frozen=True)
class Dropout(Layer):
    """In training mode, set each element to 0 with probability p and divide the others by 1 - p; any shape.

    In inference mode y = x. With mask = 1/(1 - p) where an element is kept and 0 where it is dropped, y = x * mask and
    dx = dy * mask (Srivastava et al. 2014; scaled in training mode, so that inference needs no scaling).

    Parameters
    ----------
    p : float, default 0.5
        The probability of dropping an element, 0 <= p < 1.
    """

    p: float = 0.5

    has_training_mode = True

    def __post_init__(self):
        if not is_number(self.p) or not 0 <= self.p < 1:
            raise InputError(f"Dropout p: expected 0 <= p < 1, found {self.p!r}")

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array, training: bool = False, rng: Rng = None) -> tuple[Array, Cache]:
        """(y, mask); `rng` (a Generator or the seed of one) draws the mask and is required in training mode."""
        if not training:
            return x, None
        if rng is None:
            raise InputError("Dropout in training needs rng=, a numpy Generator or an int seed")
        keep = np.random.default_rng(rng).random(x.shape) >= self.p
        mask = keep.astype(x.dtype) / x.dtype.type(1 - self.p)
        return x * mask, mask

    def backward(self, dy: Array, mask: Cache) -> Array:
        return dy if mask is None else dy * mask
