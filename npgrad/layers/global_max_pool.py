"""Max pooling over the whole image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache
from npgrad._validate import expect_ndim
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class GlobalMaxPool2d(Layer):
    """y[n, c] = the maximum of x[n, c] over all pixels. x (N, C, H, W) -> y (N, C).

    Only the largest pixel moves y, so it receives dy; of several equal ones the first in reading order.

    Parameters
    ----------
    keepdims : bool, default False
        Whether y is (N, C, 1, 1).
    """

    keepdims: bool = False

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 4)
        pixels = x.reshape(*x.shape[:2], -1)
        argmax = pixels.argmax(axis=2)[:, :, None]
        y = np.take_along_axis(pixels, argmax, axis=2)
        return (y[..., None] if self.keepdims else y[..., 0]), (x.shape, argmax)

    def backward(self, dy: Array, cache: Cache) -> Array:
        shape, argmax = cache
        dx = np.zeros((*shape[:2], shape[2] * shape[3]), dy.dtype)
        np.put_along_axis(dx, argmax, dy.reshape(argmax.shape), axis=2)
        return dx.reshape(shape)
