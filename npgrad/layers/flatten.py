"""Flatten: images to vectors."""

from __future__ import annotations

from dataclasses import dataclass

from npgrad._typing import Array, Cache
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Flatten(Layer):
    """y[n] = x[n] as one vector, channel by channel. x (N, C, H, W) -> y (N, C*H*W).

    Only the shape changes, so dx is dy in the shape of x.
    """

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return x.reshape(len(x), -1), x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        return dy.reshape(shape)
