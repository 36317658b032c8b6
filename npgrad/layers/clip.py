"""Clip, and ReLU6."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Window
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer
from npgrad.layers.relu import ReLU


@dataclass(frozen=True)
class Clip(Layer):
    """y = min(max(x, low), high), elementwise; any shape.

    Between the bounds x moves y one for one, elsewhere not at all: dx = dy where low < x < high, else 0. At a bound
    the derivative is taken as 0.

    Parameters
    ----------
    low, high : float or None
        None: no bound.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self):
        low, high = self._bounds()
        if not low <= high:
            raise InputError(f"Clip: expected low <= high, found {self.low} and {self.high}")

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array) -> tuple[Array, Cache]:
        low, high = self._bounds()
        if np.iscomplexobj(x):  # NumPy orders complex numbers by their imaginary parts as well
            return np.where(x.real <= low, low, np.where(x.real >= high, high, x)), x
        return np.clip(x, low, high), x

    def backward(self, dy: Array, x: Cache) -> Array:
        low, high = self._bounds()
        return dy * ((x.real > low) & (x.real < high))

    def _bounds(self):
        low = -np.inf if self.low is None else self.low
        return low, np.inf if self.high is None else self.high


@dataclass(frozen=True)
class ReLU6(ReLU):
    """y = min(max(x, 0), 6), elementwise; any shape (Howard et al. 2017).

    dx = dy where 0 < x < 6, else 0. Rules for ReLU apply to it, too.
    """

    def forward(self, x: Array) -> tuple[Array, Cache]:
        y = np.clip(x, 0, 6)
        return y, y

    def backward(self, dy: Array, y: Cache) -> Array:
        return dy * ((y > 0) & (y < 6))
