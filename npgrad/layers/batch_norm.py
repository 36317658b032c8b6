"""Batch normalization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Rng, Window
from npgrad._validate import expect_ndim, float_array, is_number
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


@dataclass(frozen=True, eq=False)
class BatchNorm2d(Layer):
    """Normalize each channel to mean 0 and variance 1, then scale and shift it. x, y (N, C, H, W) or (N, C).

        xhat = (x - mean) / sqrt(var + eps)
        y    = weight * xhat + bias

    In inference mode mean and var are the running statistics, constants, so dx = dy * weight / sqrt(var + eps).

    In training mode they are those of the batch, over N, H and W, and x moves them, too. With dxhat = dy * weight:

        dx = (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)) / sqrt(var + eps)

    The second term is the effect of x through the mean, the third its effect through the variance (Ioffe, Szegedy
    2015, section 3). Each removes a component of dxhat: what is left has none along 1 and, apart from eps, none along
    xhat, the two directions in which moving x does not change xhat. The parameters get, over N, H and W,

        dweight = sum of dy * xhat
        dbias   = sum of dy

    Parameters
    ----------
    weight, bias, running_mean, running_var : ndarray (C,)
    eps, momentum : float, default 1e-5 and 0.1
        Added to the variance; share of the batch's statistics in the new running statistics.
    """

    weight: Array
    bias: Array
    running_mean: Array
    running_var: Array
    eps: float = 1e-5
    momentum: float = 0.1

    parameter_names = ("weight", "bias")
    buffer_names = ("running_mean", "running_var")
    has_training_mode = True

    def __post_init__(self):
        for name in self.parameter_names + self.buffer_names:
            array = float_array(getattr(self, name), f"BatchNorm2d {name} (C,)", 1)
            if array.shape != np.shape(self.weight):
                raise InputError(
                    f"BatchNorm2d {name}: expected shape {np.shape(self.weight)}, found {array.shape}"
                )
            self._freeze(name, array.copy())
        for name in ("eps", "momentum"):
            number = getattr(self, name)
            if not is_number(number) or not 0 <= number < np.inf:
                raise InputError(f"BatchNorm2d {name}: expected a finite number >= 0, found {number!r}")
        if (self.running_var.real < 0).any():
            raise InputError(
                f"BatchNorm2d running_var: expected variances >= 0, found {self.running_var.real.min():g}"
            )

    @classmethod
    def init(cls, num_features: int, rng: Rng = None) -> BatchNorm2d:
        """weight 1, bias 0, running mean 0 and variance 1; `rng` is not used."""
        zeros, ones = np.zeros(num_features, np.float32), np.ones(num_features, np.float32)
        return cls(ones, zeros, zeros, ones)

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array, training: bool = False, rng: Rng = None) -> tuple[Array, Cache]:
        """The cache is (x, mean, 1/sqrt(var + eps), batch statistics or None in inference mode)."""
        expect_ndim(self, x, 2, 4)
        if x.shape[1] != len(self.weight):
            raise InputError(f"BatchNorm2d expects {len(self.weight)} channels, found shape {x.shape}")
        if training:
            mean = x.mean(axis=_pixels(x))
            centered = x - _channels(mean, x)
            var = (centered * centered).mean(axis=_pixels(x))
            count = x.size // x.shape[1]
            if count < 2:
                raise InputError(
                    f"BatchNorm2d in training needs two values per channel, found shape {x.shape}"
                )
            batch = (mean, var * (count / (count - 1)))  # the running variance is the unbiased one
        else:
            mean, var, batch = self.running_mean, self.running_var, None
        scale = 1 / np.sqrt(var + self.eps)
        slope = self.weight * scale  # y = slope * x + (bias - slope * mean)
        shift = _channels(self.bias - slope * mean, x)
        y = x * _channels(slope, x)
        y = np.add(y, shift, out=None if np.iscomplexobj(shift) else y)
        return y, (x, mean, scale, batch)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x, mean, scale, batch = cache
        if batch is None:
            return dy * _channels(self.weight * scale, x)
        xhat = _normalized(x, mean, scale)
        dxhat = dy * _channels(self.weight, x)
        along_xhat = (dxhat * xhat).mean(axis=_pixels(x))
        dxhat = dxhat - _channels(dxhat.mean(axis=_pixels(x)), x) - xhat * _channels(along_xhat, x)
        return dxhat * _channels(scale, x)

    def parameter_gradients(self, dy: Array, cache: Cache) -> dict[str, Array]:
        x, mean, scale, _ = cache
        return {
            "weight": (dy * _normalized(x, mean, scale)).sum(axis=_pixels(x)),
            "bias": dy.sum(axis=_pixels(x)),
        }

    def new_statistics(self, cache: Cache) -> dict[str, Array]:
        """The running statistics, updated with `momentum`.

        Parameters
        ----------
        cache : tuple
            From `forward`.

        Returns
        -------
        dict of ndarray
            {buffer name: array} after a pass in training mode, else empty.
        """
        *_, batch = cache
        if batch is None:
            return {}
        old = (self.running_mean, self.running_var)
        moved = [(1 - self.momentum) * o + self.momentum * b for o, b in zip(old, batch, strict=True)]
        return dict(zip(self.buffer_names, moved, strict=True))


def _normalized(x, mean, scale):
    """xhat"""
    return (x - _channels(mean, x)) * _channels(scale, x)


def _pixels(x):
    """The axes of one channel's values: all but axis 1."""
    return 0, *range(2, x.ndim)


def _channels(values, x):
    """(C,) -> (C, 1, 1), which broadcasts against x (N, C, H, W); one axis for every axis of x after N."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))
