"""Shared by LayerNorm and GroupNorm: blocks of values brought to mean 0 and variance 1, each by itself."""

from __future__ import annotations

import numpy as np

from npgrad._typing import Array, Cache
from npgrad._validate import float_array, not_negative
from npgrad.errors import InputError
from npgrad.layers.base import Layer


class Standardizing(Layer):
    """Standardize blocks of values of each image, then scale and shift every value.

        xhat = (x - mean) / sqrt(var + eps)
        y    = weight * xhat + bias

    x moves the block's mean and variance, too; as in BatchNorm2d's training mode, with dxhat = dy * weight,

        dx = (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)) / sqrt(var + eps)
    """

    parameter_names = ("weight", "bias")

    def blocks(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """Return x in a shape in which each block is along some axes, and these axes.

        Parameters
        ----------
        x : ndarray

        Returns
        -------
        ndarray, tuple of int
        """
        raise TypeError(f"{type(self).__name__} has no blocks")

    def spread(self, values: Array, x: Array) -> Array:
        """Return weight or bias in a shape that broadcasts against x.

        Parameters
        ----------
        values : ndarray
            The weight or the bias.
        x : ndarray

        Returns
        -------
        ndarray
        """
        raise TypeError(f"{type(self).__name__} spreads no values")

    def set_arrays(self, ndims):
        """Check eps, and weight and bias, which have one shape of `ndims` dimensions or are None."""
        kind = type(self).__name__
        object.__setattr__(self, "eps", not_negative(self.eps, f"{kind} eps"))
        for name, array in self.arrays().items():
            array = float_array(
                array, f"{kind} {name}", np.ndim(array) if np.ndim(array) in ndims else ndims[0]
            )
            if self.weight is None or array.shape != np.shape(self.weight):
                raise InputError(f"{kind} {name}: expected the shape of the weight, found {array.shape}")
            self._freeze(name, array.copy())

    def forward(self, x: Array) -> tuple[Array, Cache]:
        blocks, axes = self.blocks(x)
        centered = blocks - blocks.mean(axis=axes, keepdims=True)
        scale = 1 / np.sqrt((centered * centered).mean(axis=axes, keepdims=True) + self.eps)
        xhat = (centered * scale).reshape(x.shape)
        y = xhat if self.weight is None else xhat * self.spread(self.weight, x)
        return (y if self.bias is None else y + self.spread(self.bias, x)), (xhat, scale)

    def backward(self, dy: Array, cache: Cache) -> Array:
        xhat, scale = cache
        dxhat, axes = self.dxhat(dy)
        xhat, _ = self.blocks(xhat)
        along_xhat = (dxhat * xhat).mean(axis=axes, keepdims=True)
        return ((dxhat - dxhat.mean(axis=axes, keepdims=True) - xhat * along_xhat) * scale).reshape(dy.shape)

    def fixed_scale_backward(self, dy: Array, cache: Cache) -> Array:
        """Return dx for a standard deviation that is taken as a constant.

        Parameters
        ----------
        dy : ndarray
            Upstream gradient.
        cache : Any
            What `forward` returned.

        Returns
        -------
        ndarray
        """
        (dxhat, axes), (_, scale) = self.dxhat(dy), cache
        return ((dxhat - dxhat.mean(axis=axes, keepdims=True)) * scale).reshape(dy.shape)

    def dxhat(self, dy: Array) -> tuple[Array, tuple[int, ...]]:
        """Return dy * weight as blocks, and the axes of a block.

        Parameters
        ----------
        dy : ndarray
            Upstream gradient.

        Returns
        -------
        ndarray, tuple of int
        """
        return self.blocks(dy if self.weight is None else dy * self.spread(self.weight, dy))

    def parameter_gradients(self, dy: Array, cache: Cache) -> dict[str, Array]:
        xhat, _ = cache
        found = {"weight": dy * xhat, "bias": dy}
        return {name: self._gathered(found[name], array) for name, array in self.arrays().items()}

    def _gathered(self, each, array):
        """The sum over all values that share an entry of the parameter."""
        shape = self.spread(array, each).shape
        shape = (1,) * (each.ndim - len(shape)) + shape
        axes = tuple(axis for axis, side in enumerate(shape) if side == 1)
        return each.sum(axis=axes).reshape(array.shape)
