"""Difference of two arrays."""

from __future__ import annotations

from dataclasses import dataclass

from npgrad._typing import Array, Cache
from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Subtract(Layer):
    """y = x[0] - x[1]; x is a pair of arrays of the same shape.

    The first moves y one for one, the second one for minus one: they receive dy and -dy.
    """

    def forward(self, x: tuple[Array, Array]) -> tuple[Array, Cache]:
        if len(x) != 2 or x[0].shape != x[1].shape:
            raise InputError(f"Subtract expects two arrays of one shape, found {[xi.shape for xi in x]}")
        return x[0] - x[1], None

    def backward(self, dy: Array, cache: Cache) -> tuple[Array, Array]:
        return dy, -dy
