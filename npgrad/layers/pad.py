"""A border around images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Border, Cache, Window
from npgrad._validate import border, expect_ndim, is_number, one_of
from npgrad.errors import InputError, TooSmall
from npgrad.layers._sides import map_sides
from npgrad.layers.base import Layer
from npgrad.layers.im2col import borders, channels_first, channels_last, pad


@dataclass(frozen=True)
class Pad(Layer):
    """y = x with a border: x (N, C, H, W) -> y (N, C, top + H + bottom, left + W + right).

    Every pixel of y is a constant or a pixel of x, so each pixel of x receives the sum of dy over its places.

    Parameters
    ----------
    padding : int, pair of int or (top, bottom, left, right)
    mode : {"constant", "reflect", "edge"}, default "constant"
        "reflect" mirrors the image at its outermost pixels, "edge" repeats them.
    value : float, default 0.0
        The constant.
    """

    padding: Border
    mode: str = "constant"
    value: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "padding", border(self.padding, "Pad padding"))
        one_of(self.mode, "Pad mode", ("constant", "reflect", "edge"))
        if not is_number(self.value) or np.isnan(self.value):
            raise InputError(f"Pad value: expected a number, found {self.value!r}")

    def receptive_field(self) -> Window | None:
        return ((1, 1), (1, 1), borders(self.padding)[0]) if self.mode == "constant" else None

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 4)
        if self.mode == "constant":
            return channels_first(pad(channels_last(x), *borders(self.padding), self.value)), x.shape
        rows, columns = self._sources(x.shape)
        return channels_first(channels_last(x)[:, rows[:, None], columns]), x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        (_, _, h, w), (top, left) = shape, borders(self.padding)[0]
        if self.mode == "constant":
            return dy[:, :, top : top + h, left : left + w]
        P, Q = (
            (source[:, None] == np.arange(size)).astype(dy.real.dtype)
            for source, size in zip(self._sources(shape), (h, w), strict=True)
        )
        return map_sides(dy, P.T, Q.T)

    def _sources(self, shape):
        """For each row and each column of y, the one of x that it repeats."""
        sides = list(zip(shape[2:], *borders(self.padding), strict=True))
        if self.mode == "reflect" and any(max(around) >= size for size, *around in sides):
            h, w = shape[2:]
            raise TooSmall(f"Pad: the input is {h}x{w} px, too small to reflect {self.padding} pixels")
        return [np.pad(np.arange(size), around, self.mode) for size, *around in sides]
