"""Sum of several arrays, as at the end of a residual branch."""

from __future__ import annotations

from dataclasses import dataclass

from npgrad._typing import Array, Cache
from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Add(Layer):
    """y = x[0] + x[1] + ...; x is a tuple of arrays of the same shape.

    Each input moves y one for one, so each receives dy: backward returns a tuple.
    """

    def forward(self, x: tuple[Array, ...]) -> tuple[Array, Cache]:
        shapes = {xi.shape for xi in x}
        if len(shapes) != 1:
            raise InputError(f"Add expects arrays of one shape, found {sorted(shapes)}")
        y = x[0] + x[1] if len(x) > 1 else x[0].copy()
        for xi in x[2:]:
            y += xi
        return y, len(x)

    def backward(self, dy: Array, count: Cache) -> tuple[Array, ...]:
        return (dy,) * count
