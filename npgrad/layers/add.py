"""Sum of several arrays: where a residual branch comes back."""

from dataclasses import dataclass

from npgrad.errors import InputError
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Add(Layer):
    """y = x[0] + x[1] + ...; x is a tuple of arrays of one shape.

    Each moves y one for one, so each gets dy: backward returns a tuple.
    """

    def forward(self, x):
        shapes = {xi.shape for xi in x}
        if len(shapes) != 1:
            raise InputError(f"Add expects arrays of one shape, found {sorted(shapes)}")
        y = x[0] + x[1] if len(x) > 1 else x[0].copy()
        for xi in x[2:]:
            y += xi
        return y, len(x)

    def backward(self, dy, count):
        return (dy,) * count
