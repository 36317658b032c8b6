"""Images resized inside a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Pair
from npgrad._validate import expect_ndim, is_number, one_of, pair
from npgrad.errors import InputError, TooSmall
from npgrad.layers._sides import map_sides
from npgrad.layers.base import Layer

LARGEST_SCALE, LARGEST_SIZE = 64, 4096  # a weights file must not be able to exhaust the memory


@dataclass(frozen=True)
class Upsample(Layer):
    """Resize images, by repeated or linearly interpolated pixels. x (N, C, H, W) -> y (N, C, OH, OW).

    Row j of y is at row (j + 0.5) * H / OH - 0.5 of x, and is a mean of the two nearest rows with weights by distance;
    in mode "nearest" it is row floor(j * H / OH) (PyTorch's rules). These weights are a matrix P (OH, H), and Q for
    columns:

        y  = P @ x @ Q.T
        dx = P.T @ dy @ Q

    Parameters
    ----------
    scale : float, pair of float, or None
        OH = floor(scale * H), and 1 / scale in place of H / OH.
    size : int, pair of int, or None
        (OH, OW); either this or `scale`.
    mode : {"nearest", "bilinear"}, default "nearest"
    align_corners : bool, default False
        Row j of y is at row j * (H - 1) / (OH - 1) of x, so that the corner pixels stay; bilinear only.
    """

    scale: float | tuple[float, float] | None = None
    size: Pair | None = None
    mode: str = "nearest"
    align_corners: bool = False

    def __post_init__(self):
        if (self.scale is None) == (self.size is None):
            raise InputError(f"Upsample: expected a scale or a size, found {self.scale!r} and {self.size!r}")
        one_of(self.mode, "Upsample mode", ("nearest", "bilinear"))
        if self.align_corners and self.mode == "nearest":
            raise InputError("Upsample: align_corners goes with mode bilinear, found nearest")
        if self.size is not None:
            object.__setattr__(self, "size", pair(self.size, "Upsample size"))
            if max(self.size) > LARGEST_SIZE:
                raise InputError(f"Upsample size: expected at most {LARGEST_SIZE}, found {self.size}")
            return
        scale = tuple(self.scale) if isinstance(self.scale, (tuple, list)) else (self.scale, self.scale)
        if len(scale) != 2 or not all(is_number(s) and 0 < s <= LARGEST_SCALE for s in scale):
            raise InputError(
                f"Upsample scale: expected one or two numbers > 0 and <= {LARGEST_SCALE}, found {self.scale!r}"
            )
        object.__setattr__(self, "scale", tuple(map(float, scale)))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 4)
        return map_sides(x, *self._matrices(x.shape, x.real.dtype)), x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        P, Q = self._matrices(shape, dy.real.dtype)
        return map_sides(dy, P.T, Q.T)

    def _matrices(self, shape, dtype):
        sides = shape[2:]
        out = self.size or [int(s * side) for s, side in zip(self.scale, sides, strict=True)]
        if min(out) < 1:
            raise TooSmall(
                f"Upsample: the input is {sides[0]}x{sides[1]} px, too small for scale {self.scale}"
            )
        if max(out) > LARGEST_SIZE:
            raise InputError(f"Upsample: expected an output of at most {LARGEST_SIZE} px a side, found {out}")
        steps = (
            [1 / s for s in self.scale] if self.scale else [i / o for i, o in zip(sides, out, strict=True)]
        )
        return [self._weights(*side).astype(dtype) for side in zip(sides, out, steps, strict=True)]

    def _weights(self, size, count, step):
        """The matrix (count, size) of one side: `step` pixels of x for one of y."""
        j = np.arange(count)
        if self.mode == "nearest":
            below, share = np.floor(j * step + 1e-9), 0 * j  # 3 * (1 / 3) is 1
        else:
            place = j * (size - 1) / max(count - 1, 1) if self.align_corners else (j + 0.5) * step - 0.5
            below = np.floor(np.maximum(place, 0))
            share = np.clip(place - below, 0, 1)
        below = np.minimum(below, size - 1).astype(int)
        weights = np.zeros((count, size))
        np.add.at(weights, (j, below), 1 - share)
        np.add.at(weights, (j, np.minimum(below + 1, size - 1)), share)
        return weights
