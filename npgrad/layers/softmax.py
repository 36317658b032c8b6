"""Softmax: logits to probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache
from npgrad._validate import expect_ndim, is_whole
from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Softmax(Layer):
    """y = exp(x) / sum over classes of exp(x), along axis 1. x, y (N, C) or (N, C, ...).

    dy_i/dx_j = y_i * (1[i = j] - y_j), so dx = y * (dy - sum over classes of dy * y): adding a constant to all logits
    changes nothing, and the sum removes that component of dy.

    Parameters
    ----------
    axis : int or tuple of int, default 1
        The axis of the classes, or the axes that the sum runs over together; 1 or more, so that every image is alone.
    """

    axis: int | tuple[int, ...] = 1

    def __post_init__(self):
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        if not axes or len(set(axes)) < len(axes) or not all(is_whole(axis) and axis >= 1 for axis in axes):
            raise InputError(f"Softmax axis: expected different whole numbers >= 1, found {self.axis!r}")

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 2, 3, 4)
        if np.max(self.axis) >= x.ndim:
            raise InputError(
                f"Softmax along axis {self.axis}: the input has only {x.ndim} axes, shape {x.shape}"
            )
        e = np.exp(x - x.max(axis=self.axis, keepdims=True))  # the same quotient, and exp cannot overflow
        y = e / e.sum(axis=self.axis, keepdims=True)
        return y, y

    def backward(self, dy: Array, y: Cache) -> Array:
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))
