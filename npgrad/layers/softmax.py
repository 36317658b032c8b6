"""Softmax: logits to probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache
from npgrad._validate import expect_ndim
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Softmax(Layer):
    """y = exp(x) / sum over classes of exp(x), along axis 1. x, y (N, C) or (N, C, ...).

    dy_i/dx_j = y_i * (1[i = j] - y_j), so dx = y * (dy - sum over classes of dy * y): adding a constant to all logits
    changes nothing, and the sum removes that component of dy.
    """

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 2, 3, 4)
        e = np.exp(x - x.max(axis=1, keepdims=True))  # the same quotient, and exp cannot overflow
        y = e / e.sum(axis=1, keepdims=True)
        return y, y

    def backward(self, dy: Array, y: Cache) -> Array:
        return y * (dy - (dy * y).sum(axis=1, keepdims=True))
