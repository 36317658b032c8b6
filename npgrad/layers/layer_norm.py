"""Layer normalization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Rng, Window
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL
from npgrad.layers.standardizing import Standardizing


@dataclass(frozen=True, eq=False)
class LayerNorm(Standardizing):
    """Standardize each image over its last axes, or each pixel over its channels (Ba, Kiros, Hinton 2016, section 3).

        y = weight * (x - mean) / sqrt(var + eps) + bias

    Parameters
    ----------
    weight, bias : ndarray of the shape of the last axes of x, bias also None
        With `channels`, (C,).
    eps : float, default 1e-5
        Added to the variance.
    channels : bool, default False
        Whether a block is the channels of one pixel of x (N, C, H, W), as in ConvNeXt (Liu et al. 2022).
    """

    weight: Array
    bias: Array | None = None
    eps: float = 1e-5
    channels: bool = False

    def __post_init__(self):
        if self.weight is None:
            raise InputError("LayerNorm weight: expected an array, found None")
        self.set_arrays((1,) if self.channels else (1, 2, 3))

    @classmethod
    def init(
        cls, *normalized_shape: int, eps: float = 1e-5, channels: bool = False, rng: Rng = None
    ) -> LayerNorm:
        """weight 1, bias 0; `rng` is not used."""
        return cls(
            np.ones(normalized_shape, np.float32), np.zeros(normalized_shape, np.float32), eps, channels
        )

    def receptive_field(self) -> Window | None:
        return PIXEL if self.channels else None

    def blocks(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        shape = self.weight.shape
        found = x.shape[1:2] if self.channels else x.shape[x.ndim - len(shape) :]
        if x.ndim <= len(shape) or found != shape:
            where = "channels" if self.channels else "last axes"
            raise InputError(f"LayerNorm expects {where} {shape}, found an array of shape {x.shape}")
        return x, (1,) if self.channels else tuple(range(x.ndim - len(shape), x.ndim))

    def spread(self, values: Array, x: Array) -> Array:
        return values.reshape(-1, *(1,) * (x.ndim - 2)) if self.channels else values
