"""Softmax: logits to probabilities, and the logarithm of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache
from npgrad._validate import expect_ndim, is_whole
from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Softmax(Layer):
    """y = exp(x) / sum over classes of exp(x), along an axis. x, y (N, C) or (N, C, ...).

    dy_i/dx_j = y_i * (1[i = j] - y_j), so dx = y * (dy - sum over classes of dy * y): adding a constant to all logits
    changes nothing, and the sum removes that component of dy.

    Parameters
    ----------
    axis : int or tuple of int, default 1
        The axis of the classes, or the axes that the sum runs over together; negative ones count from the last.
    """

    axis: int | tuple[int, ...] = 1

    def __post_init__(self):
        if (
            not self.axes
            or len(set(self.axes)) < len(self.axes)
            or not all(map(is_whole, self.axes))
            or 0 in self.axes
        ):
            raise InputError(
                f"{type(self).__name__} axis: expected different whole numbers, not 0, found {self.axis!r}"
            )

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that the sum runs over."""
        return self.axis if isinstance(self.axis, tuple) else (self.axis,)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        x = self._below_zero(x)
        e = np.exp(x)
        y = e / e.sum(axis=self.axis, keepdims=True)
        return y, y

    def backward(self, dy: Array, y: Cache) -> Array:
        return y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))

    def _below_zero(self, x):
        """x minus its maximum: the same quotient, and exp cannot overflow."""
        expect_ndim(self, x, 2, 3, 4)
        places = {axis % x.ndim for axis in self.axes if -x.ndim <= axis < x.ndim}
        if len(places) < len(self.axes) or 0 in places:
            raise InputError(
                f"{type(self).__name__}: an array of shape {x.shape} has no classes along axis {self.axis}"
            )
        return x - x.max(axis=self.axis, keepdims=True)


@dataclass(frozen=True)
class LogSoftmax(Softmax):
    """y = x - log(sum over classes of exp(x)), along an axis: the logarithm of `Softmax`.

    The sum's logarithm moves with x_j by the probability exp(y_j), so dx = dy - exp(y) * (sum over classes of dy).

    Parameters
    ----------
    axis : int or tuple of int, default 1
        The axis of the classes, or the axes that the sum runs over together; negative ones count from the last.
    """

    def forward(self, x: Array) -> tuple[Array, Cache]:
        x = self._below_zero(x)
        y = x - np.log(np.exp(x).sum(axis=self.axis, keepdims=True))
        return y, y

    def backward(self, dy: Array, y: Cache) -> Array:
        return dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True)
