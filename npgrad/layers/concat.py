"""Concatenation along the channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache
from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Concat(Layer):
    """y = the channels of x[0], then those of x[1], ...; x is a tuple of arrays (N, C_i, ...).

    Nothing is computed, so each input receives its own channels of dy: backward returns a tuple.
    """

    def forward(self, x: tuple[Array, ...]) -> tuple[Array, Cache]:
        shapes = {(xi.shape[0], *xi.shape[2:]) for xi in x}
        if len(shapes) != 1:
            raise InputError(
                f"Concat expects arrays that differ only in channels, found {[xi.shape for xi in x]}"
            )
        return np.concatenate(x, axis=1), [xi.shape[1] for xi in x]

    def backward(self, dy: Array, channels: Cache) -> tuple[Array, ...]:
        return tuple(np.split(dy, np.cumsum(channels)[:-1], axis=1))
