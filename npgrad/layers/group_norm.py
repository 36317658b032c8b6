"""Group normalization, and instance normalization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Rng
from npgrad._validate import whole_number
from npgrad.errors import InputError
from npgrad.layers.standardizing import Standardizing


@dataclass(frozen=True, eq=False)
class GroupNorm(Standardizing):
    """Standardize each group of channels over all pixels of the image (Wu, He 2018, section 3.2). x, y (N, C, ...).

        y = weight * (x - mean) / sqrt(var + eps) + bias

    With as many groups as channels it is instance normalization (Ulyanov, Vedaldi, Lempitsky 2016). Unlike BatchNorm2d
    it always uses the statistics of the image itself.

    Parameters
    ----------
    groups : int
        The channels are split into this many groups.
    weight, bias : ndarray (C,) or None
    eps : float, default 1e-5
        Added to the variance.
    """

    groups: int
    weight: Array | None = None
    bias: Array | None = None
    eps: float = 1e-5

    def __post_init__(self):
        whole_number(self.groups, "GroupNorm groups")
        self.set_arrays((1,))

    @classmethod
    def init(cls, groups: int, num_channels: int, eps: float = 1e-5, rng: Rng = None) -> GroupNorm:
        """weight 1, bias 0; `rng` is not used."""
        return cls(groups, np.ones(num_channels, np.float32), np.zeros(num_channels, np.float32), eps)

    def blocks(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        channels = x.shape[1] if x.ndim > 1 else 0
        if self.weight is not None and channels != len(self.weight):
            raise InputError(
                f"GroupNorm expects {len(self.weight)} channels, found an array of shape {x.shape}"
            )
        if not channels or channels % self.groups:
            raise InputError(
                f"GroupNorm: groups={self.groups} does not divide the channels of shape {x.shape}"
            )
        return x.reshape(len(x), self.groups, -1), (2,)

    def spread(self, values: Array, x: Array) -> Array:
        return values.reshape(-1, *(1,) * (x.ndim - 2))
