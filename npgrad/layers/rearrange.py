"""Layers that only move values: permuted axes, other shapes, parts, shuffled channels.

Nothing is computed, so dx is dy moved back. The batch is always the first axis and stays whole. `Rearrangement` has one
row in the rules of DeepLIFT and of LRP for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Window
from npgrad._validate import is_whole, whole_number
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


class Rearrangement(Layer):
    """y has values of x at other places; each is used at most once."""

    def _whole_numbers(self, name, smallest):
        """Check a field that is a sequence of whole numbers >= `smallest`."""
        values = getattr(self, name)
        numbers = isinstance(values, (tuple, list)) and all(is_whole(v) and v >= smallest for v in values)
        if not numbers or not values:
            kind = type(self).__name__
            raise InputError(f"{kind} {name}: expected whole numbers >= {smallest}, found {values!r:.60}")
        object.__setattr__(self, name, tuple(map(int, values)))


@dataclass(frozen=True)
class Permute(Rearrangement):
    """y = x with its axes in another order: axis i of y is axis axes[i] of x.

    Parameters
    ----------
    axes : tuple of int
        All axes, with the batch first: (0, 2, 3, 1) is (N, C, H, W) -> (N, H, W, C).
    """

    axes: tuple[int, ...]

    def __post_init__(self):
        self._whole_numbers("axes", 0)
        if self.axes[0] != 0 or sorted(self.axes) != list(range(len(self.axes))):
            raise InputError(
                f"Permute axes: expected 0 and then the other axes in any order, found {self.axes}"
            )

    def forward(self, x: Array) -> tuple[Array, Cache]:
        if x.ndim != len(self.axes):
            raise InputError(
                f"Permute expects {len(self.axes)} dimensions, found an array of shape {x.shape}"
            )
        return x.transpose(self.axes), None

    def backward(self, dy: Array, cache: Cache) -> Array:
        return dy.transpose(np.argsort(self.axes))


@dataclass(frozen=True)
class Reshape(Rearrangement):
    """y[n] = x[n] in another shape, read in the order of its axes.

    Parameters
    ----------
    shape : tuple of int
        The shape of one image of y, without the batch; one side may be -1, which is what is left.
    """

    shape: tuple[int, ...]

    def __post_init__(self):
        self._whole_numbers("shape", -1)
        if 0 in self.shape or self.shape.count(-1) > 1:
            raise InputError(f"Reshape shape: expected sides >= 1 and at most one -1, found {self.shape}")

    def forward(self, x: Array) -> tuple[Array, Cache]:
        size, known = math.prod(x.shape[1:]), math.prod(side for side in self.shape if side != -1)
        if size % known or (size != known and -1 not in self.shape):
            raise InputError(f"Reshape: an image of shape {x.shape[1:]} has no shape {self.shape}")
        shape = [size // known if side == -1 else side for side in self.shape]
        return x.reshape(len(x), *shape), x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        return dy.reshape(shape)


@dataclass(frozen=True)
class Slice(Rearrangement):
    """y = x[start:stop:step] along an axis; the other values of x receive 0.

    Parameters
    ----------
    axis : int
        1 for channels, 2 and 3 for rows and columns.
    start, stop : int or None
        As in Python: negative ones count from the end, None is the end.
    step : int, default 1
        -1 reverses, such as BGR to RGB.
    """

    axis: int
    start: int | None = None
    stop: int | None = None
    step: int = 1

    def __post_init__(self):
        whole_number(self.axis, "Slice axis")
        for name in ("start", "stop", "step"):
            value = getattr(self, name)
            if not is_whole(value) and (value is not None or name == "step") or (name, value) == ("step", 0):
                raise InputError(f"Slice {name}: expected a whole number, found {value!r}")

    def receptive_field(self) -> Window | None:
        return PIXEL if self.axis == 1 else None

    def forward(self, x: Array) -> tuple[Array, Cache]:
        y = x[self._part] if x.ndim > self.axis else x[:0]
        if y.size == 0:
            raise InputError(f"Slice: an array of shape {x.shape} has nothing at {self}")
        return y, x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        dx = np.zeros(shape, dy.dtype)
        dx[self._part] = dy
        return dx

    @property
    def _part(self):
        return (slice(None),) * self.axis + (slice(self.start, self.stop, self.step),)


@dataclass(frozen=True)
class ChannelShuffle(Rearrangement):
    """Channels dealt out: the first of every group, then the second of every group, and so on. x, y (N, C, ...).

    So a convolution with groups sees channels of all groups of the one before (Zhang et al. 2018, section 3.1).

    Parameters
    ----------
    groups : int
    """

    groups: int

    def __post_init__(self):
        whole_number(self.groups, "ChannelShuffle groups")

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array) -> tuple[Array, Cache]:
        if x.ndim < 2 or x.shape[1] % self.groups:
            raise InputError(
                f"ChannelShuffle: groups={self.groups} does not divide the channels of shape {x.shape}"
            )
        return _dealt(x, self.groups), None

    def backward(self, dy: Array, cache: Cache) -> Array:
        return _dealt(dy, dy.shape[1] // self.groups)


def _dealt(x, groups):
    n, c, *size = x.shape
    return x.reshape(n, groups, c // groups, *size).swapaxes(1, 2).reshape(x.shape)


@dataclass(frozen=True)
class Squeeze(Rearrangement):
    """y = x without axes of side 1: (N, C, 1, 1) -> (N, C).

    Parameters
    ----------
    axes : tuple of int, default (2, 3)
        Not the batch, 0.
    """

    axes: tuple[int, ...] = (2, 3)

    def __post_init__(self):
        self._whole_numbers("axes", 1)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        if max(self.axes) >= x.ndim or any(x.shape[axis] != 1 for axis in self.axes):
            raise InputError(
                f"Squeeze expects sides of 1 at axes {self.axes}, found an array of shape {x.shape}"
            )
        return x.squeeze(tuple(set(self.axes))), x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        return dy.reshape(shape)
