"""Concatenation along the channels, or another axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache
from npgrad._validate import whole_number
from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Concat(Layer):
    """y = the channels of x[0], then those of x[1], ...; x is a tuple of arrays (N, C_i, ...).

    Nothing is computed, so each input receives its own channels of dy: backward returns a tuple.

    Parameters
    ----------
    axis : int, default 1
        The axis along which the arrays follow each other; 0, that of the images, is not possible.
    """

    axis: int = 1

    def __post_init__(self):
        whole_number(self.axis, "Concat axis", 1)

    def forward(self, x: tuple[Array, ...]) -> tuple[Array, Cache]:
        others = {(*xi.shape[: self.axis], *xi.shape[self.axis + 1 :]) for xi in x}
        if len(others) != 1 or any(xi.ndim <= self.axis for xi in x):
            what = "channels" if self.axis == 1 else f"axis {self.axis}"
            raise InputError(
                f"Concat expects arrays that differ only in {what}, found {[xi.shape for xi in x]}"
            )
        return np.concatenate(x, axis=self.axis), [xi.shape[self.axis] for xi in x]

    def backward(self, dy: Array, sizes: Cache) -> tuple[Array, ...]:
        return tuple(np.split(dy, np.cumsum(sizes)[:-1], axis=self.axis))
