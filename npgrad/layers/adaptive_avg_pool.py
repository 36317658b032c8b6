"""Average pooling to a given output size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Pair
from npgrad._validate import expect_ndim, pair
from npgrad.layers._sides import map_sides
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class AdaptiveAvgPool2d(Layer):
    """Divide an image of any size into OH x OW windows and take their means. x (N, C, H, W) -> y (N, C, OH, OW).

    Window i of a side covers the pixels floor(i * H / OH) to ceil((i + 1) * H / OH) - 1: windows overlap where OH does
    not divide H, and repeat pixels where OH > H (PyTorch's rule). The means along one side are a product with a matrix
    P (OH, H), which has 1/count where a pixel is in a window. For both sides:

        y  = P @ x @ Q.T
        dx = P.T @ dy @ Q

    Parameters
    ----------
    output_size : int or pair of int
        (OH, OW)
    """

    output_size: Pair

    def __post_init__(self):
        object.__setattr__(self, "output_size", pair(self.output_size, "AdaptiveAvgPool2d output_size"))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 4)
        return map_sides(x, *self._matrices(x.shape, x.real.dtype)), x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        P, Q = self._matrices(shape, dy.real.dtype)
        return map_sides(dy, P.T, Q.T)

    def _matrices(self, shape, dtype):
        return [
            _means(size, windows, dtype) for size, windows in zip(shape[2:], self.output_size, strict=True)
        ]


def _means(size, count, dtype):
    """The matrix (count, size) of the means over `count` windows of a side of `size` pixels."""
    i, pixel = np.arange(count)[:, None], np.arange(size)
    inside = (pixel >= i * size // count) & (pixel < -(-(i + 1) * size // count))
    return (inside / inside.sum(axis=1, keepdims=True)).astype(dtype)
