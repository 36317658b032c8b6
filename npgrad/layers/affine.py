"""Constant scale and shift of every channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Window
from npgrad._validate import finite_number, float_array
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


@dataclass(frozen=True, eq=False)
class Affine(Layer):
    """y = scale * x + shift, with constants: a number, or one for each channel. x, y (N, C, ...).

    It normalizes images inside a network: scale = 1 / std and shift = -mean / std. dx = dy * scale; what is trained is
    a BatchNorm2d or a depthwise Conv2d. Arrays are saved as buffers, numbers as options.

    Parameters
    ----------
    scale, shift : float or ndarray (C,), default 1.0 and 0.0
    """

    scale: float | Array = 1.0
    shift: float | Array = 0.0

    def __post_init__(self):
        for name in ("scale", "shift"):
            value = getattr(self, name)
            if np.ndim(value) == 0:
                object.__setattr__(self, name, finite_number(value, f"Affine {name}"))
            else:
                self._freeze(name, float_array(value, f"Affine {name} (C,)", 1).copy())

    @property
    def buffer_names(self):
        """Those of the two that are arrays."""
        return tuple(name for name in ("scale", "shift") if isinstance(getattr(self, name), np.ndarray))

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return x * self._per_channel("scale", x) + self._per_channel("shift", x), None

    def backward(self, dy: Array, cache: Cache) -> Array:
        return dy * self._per_channel("scale", dy)

    def _per_channel(self, name, x):
        values = getattr(self, name)
        if not isinstance(values, np.ndarray):
            return values
        if x.ndim < 2 or len(values) != x.shape[1]:
            raise InputError(f"Affine expects {len(values)} channels, found an array of shape {x.shape}")
        return values.reshape(-1, *(1,) * (x.ndim - 2))
