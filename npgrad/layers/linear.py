"""Fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Rng
from npgrad._validate import check_bias, expect_ndim, float_array
from npgrad.errors import InputError
from npgrad.layers.base import Layer, he_normal, settled


@dataclass(frozen=True, eq=False)
class Linear(Layer):
    """y = x @ weight.T + bias. x (N, C) -> y (N, F).

        y[n, f]       = sum over c of x[n, c] * weight[f, c], + bias[f]
        dx[n, c]      = sum over f of dy[n, f] * weight[f, c]
        dweight[f, c] = sum over n of dy[n, f] * x[n, c]
        dbias[f]      = sum over n of dy[n, f]

    Parameters
    ----------
    weight, bias : ndarray (F, C), ndarray (F,) or None
    """

    weight: Array
    bias: Array | None = None

    parameter_names = ("weight", "bias")

    def __post_init__(self):
        weight = float_array(self.weight, "Linear weight (F, C)", 2)
        self._freeze("weight", settled(weight))
        if self.bias is not None:
            self._freeze("bias", check_bias(self.bias, "Linear", weight))

    @classmethod
    def init(cls, in_features: int, out_features: int, rng: Rng = 0) -> Linear:
        """He-normal weights, bias 0."""
        return cls(he_normal((out_features, in_features), rng), np.zeros(out_features, np.float32))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 2)
        if x.shape[1] != self.weight.shape[1]:
            raise InputError(f"Linear expects {self.weight.shape[1]} features, found shape {x.shape}")
        y = x @ self.weight.T
        return (y if self.bias is None else y + self.bias), x

    def backward(self, dy: Array, x: Cache) -> Array:
        return dy @ self.weight

    def parameter_gradients(self, dy: Array, x: Cache) -> dict[str, Array]:
        dweight = dy.T @ x
        return {"weight": dweight} if self.bias is None else {"weight": dweight, "bias": dy.sum(axis=0)}
