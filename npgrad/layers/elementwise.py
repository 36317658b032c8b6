"""What all elementwise activations share: one function, and its derivative."""

from __future__ import annotations

from npgrad._typing import Array, Cache, Window
from npgrad._validate import expect_ndim, finite_number
from npgrad.layers.base import PIXEL, Layer


class Elementwise(Layer):
    """y = f(x), elementwise; any shape. dx = dy * f'(x)."""

    def function(self, x: Array) -> Array:
        """Return f(x).

        Parameters
        ----------
        x : ndarray

        Returns
        -------
        ndarray
        """
        raise TypeError(f"{type(self).__name__} has no function")

    def slope(self, x: Array) -> Array:
        """Return the derivative f'(x).

        Parameters
        ----------
        x : ndarray

        Returns
        -------
        ndarray
        """
        raise TypeError(f"{type(self).__name__} has no slope")

    def __post_init__(self):
        for name, value in dict(vars(self)).items():
            object.__setattr__(self, name, finite_number(value, f"{type(self).__name__} {name}"))

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, x.ndim)
        return self.function(x).astype(x.dtype, copy=False), x

    def backward(self, dy: Array, x: Cache) -> Array:
        return dy * self.slope(x).astype(x.dtype, copy=False)
