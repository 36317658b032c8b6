"""Layers made of layers.

A composite's forward runs its parts through a tape, by name, and its backward goes back through them the
same way:

    y = tape.run("squeeze", self.squeeze, x)
    dx = tape.back("squeeze", dy)

so whoever holds the tape sees every part. A gradient may be None: nothing comes down here. Then no work is
done, and where None meets a gradient it counts as zero (`add`). A part that takes several arrays gives back a
tuple of gradients; say how many, for the pass may have stopped before it:

    da, db = tape.back("add", dy, inputs=2)
"""

from contextlib import contextmanager

import numpy as np

from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


class Composite(Layer):
    """A layer made of named parts; `forward(x, tape=None)` returns (y, tape), the tape being the cache."""

    def __call__(self, x):
        return self.forward(x, _Forget())[0]

    def parts(self):
        """{name: layer} in the order of running."""
        raise TypeError(f"{type(self).__name__} names no parts")

    def with_parts(self, parts):
        """A copy made of other parts of the same names."""
        raise TypeError(f"{type(self).__name__} cannot be put together from parts")

    def parameter_gradients(self, dy, tape):
        """{"part.parameter": gradient}, by one walk back."""
        walk = _Collect(tape)
        self.backward(dy, walk)
        return walk.gradients

    def arrays(self, buffers=False):
        return {
            f"{name}.{key}": array
            for name, part in self.parts().items()
            for key, array in part.arrays(buffers).items()
        }

    def map_arrays(self, function):
        def inside(name):
            return lambda key, array: function(f"{name}.{key}", array)

        return self.with_parts({name: part.map_arrays(inside(name)) for name, part in self.parts().items()})


class Calls(dict):
    """The least a composite needs when it runs alone: its parts' caches by name."""

    def run(self, name, layer, x):
        """Run one part and remember what its backward needs."""
        y, cache = layer.forward(x)
        self[name] = (layer, cache)
        return y

    def back(self, name, dy, inputs=1):
        """Back through one part; where nothing comes down, nothing goes on."""
        if dy is None:
            return None if inputs == 1 else (None,) * inputs
        layer, cache = self[name]
        return layer.backward(dy, cache)


class _Forget:
    """Runs parts and keeps nothing."""

    def __init__(self, prefix=""):
        self._prefix = prefix

    def run(self, name, layer, x):
        name = self._prefix + name
        if isinstance(layer, Composite):
            return layer.forward(x, _Forget(f"{name}."))[0]
        with naming(name):
            return layer(x)


@contextmanager
def naming(name):
    """Put a layer's name before what it says of an input that does not fit."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{name}: {error}") from None


class _Collect:
    """Goes back through a composite's parts and notes their parameters' gradients on the way."""

    def __init__(self, calls):
        self.calls, self.gradients = calls, {}

    def back(self, name, dy, inputs=1):
        layer, cache = self.calls[name]
        if dy is None:
            self.gradients.update({f"{name}.{key}": np.zeros_like(a) for key, a in layer.arrays().items()})
            return None if inputs == 1 else (None,) * inputs
        for key, gradient in layer.parameter_gradients(dy, cache).items():
            self.gradients[f"{name}.{key}"] = gradient
        return layer.backward(dy, cache)


def in_a_row(*layers):
    """The receptive field of layers that run one after the other: a step of the second is s1 pixels of the first.

    k = k1 + (k2 - 1) * s1,  s = s1 * s2,  p = p1 + p2 * s1.
    """
    kernel, stride, padding = PIXEL
    for layer in layers:
        field = layer.receptive_field()
        if field is None:
            return None
        kernel = tuple(k + (own - 1) * s for k, own, s in zip(kernel, field[0], stride, strict=True))
        padding = tuple(p + own * s for p, own, s in zip(padding, field[2], stride, strict=True))
        stride = tuple(s * own for s, own in zip(stride, field[1], strict=True))
    return kernel, stride, padding


def add(*gradients):
    """The sum at a fork; None is "nothing comes down this branch"."""
    total = None
    for gradient in gradients:
        if gradient is not None:
            total = gradient if total is None else total + gradient
    return total
