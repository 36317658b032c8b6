"""A row of the table of layers to test: a layer with its input's shape and the same function in torch.

case.layer()    the npgrad layer, in float64, with random weights and biases
case.inputs()   its random inputs, a tuple of arrays (one, but for layers with several inputs, such as Add)
case.torch      f(x, p) -> y in torch; p is {parameter or buffer name: tensor}
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest


@dataclass(frozen=True)
class Case:
    id: str
    make: Callable  # generator -> layer
    torch: Callable
    shapes: tuple | list  # one shape, or the list of them for a layer that takes a tuple of arrays
    options: dict = field(default_factory=dict)  # what forward gets besides x

    def layer(self):
        return self.make(np.random.default_rng(1))

    def inputs(self, seed=2):
        rng = np.random.default_rng(seed)
        return tuple(rng.normal(size=shape) for shape in (self.shapes if self.many else [self.shapes]))

    @property
    def many(self):
        return isinstance(self.shapes, list)

    @property
    def batch(self):
        return self.shapes[0][0] if self.many else self.shapes[0]

    def pack(self, xs):
        """The inputs as the layer takes them."""
        return tuple(xs) if self.many else xs[0]


def plain(id, layer, function, shapes, **options):
    """A layer without parameters."""
    return Case(id, lambda rng: layer, lambda x, p: function(x), shapes, options)


def over(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def tied_inputs(case):
    """Whole numbers from -2 to 2: most windows tie, and one number in five is exactly 0."""
    rng = np.random.default_rng(5)
    return tuple(rng.integers(-2, 3, x.shape).astype(float) for x in case.inputs())
