"""Product of two arrays, such as an image and the gate of each of its channels."""

from __future__ import annotations

from dataclasses import dataclass

from npgrad._typing import Array, Cache
from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Multiply(Layer):
    """y = x[0] * x[1], elementwise; x is a pair of arrays (N, ...) of one shape, or with sides of 1 that are repeated.

    A gate (N, C, 1, 1) multiplies every pixel of a channel (squeeze and excitation: Hu, Shen, Sun 2018). Each input
    moves y by the other, so dx[0] = dy * x[1] and dx[1] = dy * x[0], summed over the places where a value was repeated.
    """

    def forward(self, x: tuple[Array, Array]) -> tuple[Array, Cache]:
        if len(x) != 2:
            raise InputError(f"Multiply expects two arrays, found {len(x)}")
        a, b = (xi.shape for xi in x)
        alike = len(a) == len(b) and all(i == j or 1 in (i, j) for i, j in zip(a[1:], b[1:], strict=True))
        if not alike or a[:1] != b[:1]:
            raise InputError(f"Multiply expects arrays of one shape, or with sides of 1, found {a} and {b}")
        return x[0] * x[1], tuple(x)

    def backward(self, dy: Array, x: Cache) -> tuple[Array, ...]:
        return sum_to(dy * x[1], x[0].shape), sum_to(dy * x[0], x[1].shape)


def sum_to(array, shape):
    """The sum over the axes along which `shape` has 1 and the array more; of this shape."""
    axes = tuple(axis for axis, side in enumerate(shape) if side != array.shape[axis])
    return array.sum(axis=axes, keepdims=True) if axes else array
