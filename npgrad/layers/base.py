"""The base class of all layers.

    y, cache = layer.forward(x)                      # cache: what backward needs of the forward pass
    dx = layer.backward(dy, cache)                   # dy = d loss / d y   ->   dx = d loss / d x
    grads = layer.parameter_gradients(dy, cache)     # {"weight": d loss / d weight, ...}

A layer holds its weights and nothing else. What a pass computed is in the cache, so any number of passes can
exist at once. Layers are frozen dataclasses; `dataclasses.replace(layer, ...)` makes a changed copy. The gradient of
the loss with respect to a value has that value's name with a `d` in front: `dy` is the upstream gradient.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._typing import Array, Cache, Rng, Window
from npgrad._validate import is_whole
from npgrad.errors import InputError

PIXEL: Window = ((1, 1), (1, 1), (0, 0))  # the receptive field of an elementwise layer


class Layer:
    """A function with a hand-written derivative: the base class of all layers."""

    parameter_names: tuple[str, ...] = ()  # trained arrays
    buffer_names: tuple[str, ...] = ()  # arrays saved with them (BatchNorm's running statistics)
    has_training_mode = False  # whether forward takes training= and rng=
    takes_complex = True  # whether forward is known to take complex numbers, for complex steps

    @classmethod
    def init(cls, *sizes: Any, rng: Rng = 0, **options: Any) -> Layer:
        """A freshly initialized layer: weights He-normal, biases 0, normalization the identity.

        Parameters
        ----------
        *sizes, **options
            The arguments of PyTorch's constructor of this layer, in_channels and out_channels first.
        rng : numpy.random.Generator or int, default 0
            The random generator, or its seed, for the weights.

        Returns
        -------
        Layer
        """
        raise TypeError(f"{cls.__name__} has no init: it has no parameters of its own")

    def __call__(self, x: Any) -> Array:
        """The output y; nothing of the pass is kept."""
        return self.forward(x)[0]

    def forward(self, x: Any) -> tuple[Array, Cache]:
        """The output and the cache for backward.

        Parameters
        ----------
        x : ndarray (N, ...), or a tuple of them for a layer with several inputs

        Returns
        -------
        y : ndarray (N, ...)
        cache : object
        """
        raise TypeError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Any, cache: Cache) -> Any:
        """The gradient with respect to the input, by the chain rule.

        Parameters
        ----------
        dy : ndarray
            The upstream gradient, of the shape of y.
        cache : object
            From `forward`.

        Returns
        -------
        dx : ndarray of the shape of x, or a tuple of them for a layer with several inputs
        """
        raise TypeError(f"{type(self).__name__} has no backward")

    def parameter_gradients(self, dy: Array, cache: Cache) -> dict[str, Array]:
        """The gradients with respect to the parameters.

        Parameters
        ----------
        dy : ndarray
            The upstream gradient, of the shape of y.
        cache : object
            From `forward`.

        Returns
        -------
        dict of ndarray
            {parameter name: gradient}; empty for a layer without parameters.
        """
        return {}

    def receptive_field(self) -> Window | None:
        """(size, stride, padding at the top and left) of the windows that single outputs depend on.

        None: an output depends on the whole image, or this is not known.
        """

    def arrays(self, buffers: bool = False) -> dict[str, Array]:
        """The parameters by name.

        Parameters
        ----------
        buffers : bool, default False
            Include the arrays that are saved but not trained.

        Returns
        -------
        dict of ndarray
        """
        names = self.parameter_names + (self.buffer_names if buffers else ())
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def map_arrays(self, function: Callable[[str, Array], Array]) -> Layer:
        """A copy with changed arrays.

        Parameters
        ----------
        function : callable
            (name, array) -> the new array, for every parameter and buffer.

        Returns
        -------
        Layer
        """
        new = {name: function(name, array) for name, array in self.arrays(buffers=True).items()}
        return dataclasses.replace(self, **new) if new else self

    def _freeze(self, name, array):
        """Set a field of this frozen dataclass to a view of `array`, which becomes read-only."""
        object.__setattr__(self, name, frozen(array).view())


def frozen(array):
    """The array, from now on read-only with everything whose memory it shows: so a layer need not copy it."""
    for owner in _owners(array):
        if isinstance(owner, np.ndarray):
            owner.flags.writeable = False
    return array


def settled(array):
    """The array if it is in C order and nobody can write to it, else a copy."""
    fixed = all(
        not owner.flags.writeable if isinstance(owner, np.ndarray) else isinstance(owner, bytes)
        for owner in _owners(array)
    )
    return array if fixed and array.flags.c_contiguous else np.array(array, order="C")


def _owners(array):
    """The array, and everything whose memory it shows."""
    while array is not None:
        if isinstance(array, memoryview):
            array = array.obj
        else:
            yield array
            array = getattr(array, "base", None)


def zeros(shape):
    """Weights 0, in the order in which a layer keeps them; what is never written takes no memory."""
    if len(shape) != 4:
        return frozen(np.zeros(shape, np.float32))
    filters, channels, height, width = shape
    return frozen(np.zeros((height, width, channels, filters), np.float32).transpose(3, 2, 0, 1))


def he_normal(shape, rng=0, dtype=np.float32):
    """Weights of `shape` (F, C, KH, KW) or (F, C), normal with variance 2 / fan_in.

    With this variance, the activations of a deep ReLU network keep their scale from layer to layer
    (He, Zhang, Ren, Sun 2015, equation 10).
    """
    if not all(is_whole(side) and side >= 1 for side in shape):
        raise InputError(f"weights of shape {tuple(shape)}: expected whole numbers >= 1")
    fan_in = int(np.prod(shape[1:]))
    draw = np.random.default_rng(rng).standard_normal(shape)
    return (draw * np.sqrt(2 / fan_in)).astype(dtype)
