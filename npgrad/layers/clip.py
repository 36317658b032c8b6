"""Rectifiers with a ceiling."""

from dataclasses import dataclass

import numpy as np

from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer
from npgrad.layers.relu import ReLU


@dataclass(frozen=True)
class Clip(Layer):
    """y = min(max(x, low), high), element by element; any shape. None is no bound.

    Between the bounds x moves y one for one, elsewhere it does not: dx = dy where low < x < high, else 0. On a
    bound the derivative is taken as 0.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self):
        low, high = self._bounds()
        if not low <= high:
            raise InputError(f"Clip: expected low <= high, found {self.low} and {self.high}")

    def receptive_field(self):
        return PIXEL

    def forward(self, x):
        low, high = self._bounds()
        y = np.where(x.real > low, x, x.dtype.type(max(low, np.finfo(x.dtype).min)))
        return np.where(x.real < high, y, x.dtype.type(min(high, np.finfo(x.dtype).max))), x

    def backward(self, dy, x):
        low, high = self._bounds()
        return dy * ((x.real > low) & (x.real < high))

    def _bounds(self):
        low = -np.inf if self.low is None else self.low
        return low, np.inf if self.high is None else self.high


@dataclass(frozen=True)
class ReLU6(ReLU):
    """y = min(max(x, 0), 6), element by element; any shape: a ReLU with a ceiling (Howard et al. 2017).

    dx = dy where 0 < x < 6, else 0. Rules for ReLU hold for it, too.
    """

    def forward(self, x):
        y = np.minimum(super().forward(x)[0], np.array(6, x.dtype))
        return y, y

    def backward(self, dy, y):
        return dy * ((y > 0) & (y < 6))
