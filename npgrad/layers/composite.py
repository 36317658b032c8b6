"""Layers made of layers.

A composite's forward runs its parts through a tape, by name, and its backward goes back through them in reverse:

    y = tape.run("squeeze", self.squeeze, x)
    dx = tape.back("squeeze", dy)

so the owner of the tape sees every part. A gradient may be None, which means that no gradient arrives here: then no
work is done, and where None meets a gradient it counts as zero (`add`). A part with several inputs returns a tuple of
gradients. Pass their number, since a partial pass may have stopped before that part:

    da, db = tape.back("add", dy, inputs=2)

In backward, `tape` is anything with `back`: the `Calls` of a composite that runs by itself, or a `Walk` over a Tape.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import numpy as np

from npgrad._typing import Array, Cache
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


class Composite(Layer):
    """A layer made of named parts; `forward(x, tape=None)` returns (y, tape), the tape being the cache."""

    def __call__(self, x: Array) -> Array:
        return self.forward(x, Calls(keep=False))[0]

    def parts(self) -> dict[str, Layer]:
        """{name: layer} in execution order."""
        raise TypeError(f"{type(self).__name__} names no parts")

    def with_parts(self, parts: dict[str, Layer]) -> Layer:
        """A copy with other parts.

        Parameters
        ----------
        parts : dict
            {name: layer} with the names of `parts`.

        Returns
        -------
        Layer

        Raises
        ------
        InputError
            If a part that belongs to every layer of this type, such as the ReLUs of a Fire, is another one.
        """
        raise TypeError(f"{type(self).__name__} cannot be put together from parts")

    def parameter_gradients(self, dy: Array, tape: Cache) -> dict[str, Array]:
        """{"part.parameter": gradient}."""
        walk = _Collect(tape)
        self.backward(dy, walk)
        return walk.gradients

    def arrays(self, buffers: bool = False) -> dict[str, Array]:
        return {
            f"{name}.{key}": array
            for name, part in self.parts().items()
            for key, array in part.arrays(buffers).items()
        }

    def map_arrays(self, function: Callable[[str, Array], Array]) -> Layer:
        def inside(name):
            return lambda key, array: function(f"{name}.{key}", array)

        return self.with_parts({name: part.map_arrays(inside(name)) for name, part in self.parts().items()})


def expect_own(layer: Composite, parts: dict[str, Layer], names: tuple[str, ...]) -> None:
    """Raise an InputError if `parts` has others of these names, which the layer would leave out."""
    for name in names:
        if parts[name] != layer.parts()[name]:
            kind = type(layer).__name__
            raise InputError(f"{kind}: expected its own {name}, found {parts[name]!r:.60}; a Graph takes any")


class Calls(dict):
    """The smallest tape, for a composite that runs by itself: {part: (layer, cache)}, or nothing with keep=False.

    `options` are `training` and `rng`, for the parts that have a training mode.
    """

    def __init__(self, keep=True, **options):
        super().__init__()
        self.keep, self.options = keep, options

    def run(self, name, layer, x):
        """Run one part and keep what its backward needs.

        Parameters
        ----------
        name : str
            The part's name, unique within the composite.
        layer : Layer
            The part.
        x : ndarray, or a tuple of them for a layer with several inputs
            Its input.

        Returns
        -------
        ndarray
            Its output.
        """
        if not self.keep and isinstance(layer, Composite):
            return layer.forward(x, Scope(self, name))[0]
        if not self.keep:
            with naming(name):
                return layer(x)
        if isinstance(layer, Composite):
            y, cache = layer.forward(x, Calls(**self.options))
        else:
            y, cache = layer.forward(x, **(self.options if layer.has_training_mode else {}))
        self[name] = (layer, cache)
        return y

    def back(self, name, dy, inputs=1):
        """Backpropagate through one part.

        Parameters
        ----------
        name : str
            The part's name.
        dy : ndarray or None
            The gradient of its output; None: no gradient arrives here.
        inputs : int, default 1
            Its number of inputs.

        Returns
        -------
        ndarray or None, or a tuple of them for a layer with several inputs
            The gradient of its input.
        """
        if dy is None:
            return None if inputs == 1 else (None,) * inputs
        layer, cache = self[name]
        return layer.backward(dy, cache)


class Scope:
    """A tape, or a walk over one, as the parts of a composite see it: their names get the composite's as a prefix."""

    def __init__(self, tape, name):
        self._tape, self._prefix = tape, f"{name}."

    def run(self, name, layer, x):
        """As on the tape."""
        return self._tape.run(self._prefix + name, layer, x)

    def back(self, name, dy, inputs=1):
        """As on the tape or walk."""
        return self._tape.back(self._prefix + name, dy, inputs)

    def __getitem__(self, name):
        """(layer, cache) of a part, as `Calls` has it."""
        record = self._tape.records[self._prefix + name]
        return record.layer, self._tape.cache(record)


class _Collect:
    """Backpropagates through a composite's parts and collects the gradients of their parameters."""

    def __init__(self, calls):
        self.calls, self.gradients = calls, {}

    def back(self, name, dy, inputs=1):
        layer, cache = self.calls[name]
        if dy is None:
            self.gradients.update({f"{name}.{key}": np.zeros_like(a) for key, a in layer.arrays().items()})
            return None if inputs == 1 else (None,) * inputs
        if getattr(type(layer), "parameter_gradients", None) is Composite.parameter_gradients:
            inner = _Collect(cache)
            dx, gradients = layer.backward(dy, inner), inner.gradients
        else:
            dx, gradients = layer.backward(dy, cache), layer.parameter_gradients(dy, cache)
        self.gradients.update({f"{name}.{key}": gradient for key, gradient in gradients.items()})
        return dx


@contextmanager
def naming(name):
    """Prefix errors about unsuitable inputs with the name of the layer."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{name}: {error}") from None


def walk_layers(layer, prefix=""):
    """(name, layer) of every part of a composite, inner parts first."""
    for name, part in layer.parts().items():
        if isinstance(part, Composite):
            yield from walk_layers(part, f"{prefix}{name}.")
        yield prefix + name, part


def in_a_row(*layers):
    """The receptive field of layers in sequence: one step of the second is s1 pixels of the first.

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
    """The sum of the gradients at a fork; None means that no gradient arrives along this branch."""
    total = None
    for gradient in gradients:
        if gradient is not None:
            total = gradient if total is None else total + gradient
    return total
