"""ReLU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Window
from npgrad.layers.base import PIXEL, Layer


@dataclass(frozen=True)
class ReLU(Layer):
    """y = max(x, 0), elementwise; any shape.

    A positive x moves y one for one, any other x does not move it: dx = dy where x > 0, else 0.
    At exactly 0 the derivative is taken as 0, as in PyTorch.
    """

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array) -> tuple[Array, Cache]:
        y = np.clip(x, 0, np.inf)  # max(x, 0); NumPy has a faster loop for this than for np.maximum(x, 0)
        return y, y  # y > 0 exactly where x > 0, and the next layer keeps y anyway

    def backward(self, dy: Array, y: Cache) -> Array:
        return dy * (y > 0)
