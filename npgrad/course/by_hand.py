"""Layers made of a forward and a backward function, such as the homework's, for a network of npgrad."""

from __future__ import annotations

import dataclasses
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._typing import Array, Cache, Rng
from npgrad.errors import InputError
from npgrad.layers.base import Layer, frozen

__all__ = ["ByHand"]

MODE = "mode"
NO_COMPLEX = "found real numbers for complex ones, of which np.zeros(shape) has none; use method='richardson'"
SEEDING = threading.Lock()  # a function seeds NumPy's global generator, which all threads share


class RealOnly(InputError, TypeError):
    """A function does not take complex numbers."""


@dataclass(frozen=True, eq=False, repr=False)
class ByHand(Layer):
    """A layer made of two functions ``forward(x, ...) -> (out, cache)`` and ``backward(dout, cache) -> gradients``.

    It can be a part of `Sequential`, `Residual`, `Graph` or a `Model`, and be trained and explained as any other layer.
    The functions get copies of all arrays, so one that modifies its arguments changes nothing else; results are
    converted to the floating-point type of x.

    Parameters
    ----------
    forward_function : callable
        ``forward(x, *arguments) -> (out, cache)``.
    backward_function : callable
        ``backward(dout, cache)``, which returns dx, or (dx, d1, d2, ...) with a gradient for each array among the
        arguments, in their order.
    arguments : dict, default {}
        {name: argument}, in the order in which forward takes them after x. Arrays of floats are the layer's
        parameters. A dictionary is a set of options: its entry ``"mode"``, if there is one, is set to ``"train"`` or
        ``"test"`` in each pass, and in training there is a ``"seed"``; its arrays are buffers, such as running
        statistics, and are what forward leaves there in training. Anything else is passed as it is.

    Raises
    ------
    InputError
        If an argument cannot be used; in a pass, if a function does not return what is described here.

    Notes
    -----
    `gradcheck` takes complex steps if the functions take complex numbers, and extrapolated differences if they do not:
    arrays made by ``np.zeros(shape)`` cannot hold them, and ``np.var`` is that of absolute values.

    Examples
    --------
    >>> def forward(x, w, b):
    ...     return x @ w + b, (x, w)
    >>> def backward(dout, cache):
    ...     x, w = cache
    ...     return dout @ w.T, x.T @ dout, dout.sum(axis=0)
    >>> layer = ByHand(forward, backward, {"w": np.ones((3, 2)), "b": np.zeros(2)})
    >>> layer(np.ones((1, 3)))
    array([[3., 3.]])
    >>> from npgrad import gradcheck
    >>> bool(gradcheck(layer, np.ones((4, 3))))
    True
    """

    forward_function: Callable[..., Any]
    backward_function: Callable[..., Any]
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name in ("forward_function", "backward_function"):
            if not callable(getattr(self, name)):
                found = type(getattr(self, name)).__name__
                raise InputError(f"ByHand {name}: expected a function, found {found}")
        if not isinstance(self.arguments, Mapping):
            found = type(self.arguments).__name__
            raise InputError(f"ByHand arguments: expected a dict {{name: argument}}, found {found}")
        object.__setattr__(self, "arguments", {key: _settled(value) for key, value in self.arguments.items()})
        names = [*self.parameter_names, *(key for _, key in self._buffers())]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"ByHand arguments: expected one array of each name, found two of {name!r}")

    def __repr__(self):
        shapes = [f"{name} {array.shape}" for name, array in self.arrays().items()]
        return f"ByHand({', '.join([_name(self.forward_function), *shapes])})"

    takes_complex = False  # it may

    @property
    def parameter_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the arguments that are arrays of floats."""
        return tuple(name for name, value in self.arguments.items() if _is_trained(value))

    @property
    def buffer_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the arrays in dictionaries of options."""
        return tuple(key for _, key in self._buffers())

    @property
    def has_training_mode(self) -> bool:  # type: ignore[override]
        """Whether a dictionary of options has a mode."""
        return any(isinstance(value, dict) and MODE in value for value in self.arguments.values())

    def arrays(self, buffers: bool = False) -> dict[str, Array]:
        found = {name: self.arguments[name] for name in self.parameter_names}
        if buffers:
            found |= {key: self.arguments[name][key] for name, key in self._buffers()}
        return found

    def map_arrays(self, function: Callable[[str, Array], Array]) -> Layer:
        new = {}
        for name, value in self.arguments.items():
            if _is_trained(value):
                value = function(name, value)
            elif isinstance(value, dict):
                value = {
                    key: function(key, each) if _is_trained(each) else each for key, each in value.items()
                }
            new[name] = value
        return dataclasses.replace(self, arguments=new)

    def forward(self, x: Array, training: bool = False, rng: Rng = None) -> tuple[Array, Cache]:
        arguments = {name: _copied(value) for name, value in self.arguments.items()}
        seeded = False
        for options in arguments.values():
            if isinstance(options, dict) and MODE in options:
                options[MODE] = "train" if training else "test"
                if training and rng is not None:
                    rng = np.random.default_rng(rng)
                    options["seed"], seeded = int(rng.integers(2**31)), True
        moved = any(map(np.iscomplexobj, (x, *self.arrays().values())))  # a complex step
        dtype = np.result_type(x, np.complex64) if moved else x.dtype
        call = _complex if moved else _seeded if seeded else _called
        found = call(self.forward_function, np.array(x, dtype, order="C"), *arguments.values())
        if not isinstance(found, tuple) or len(found) != 2:
            raise self._unexpected("forward", "(out, cache)", found)
        y = self._as_array("forward", found[0], "out", None, dtype)
        statistics = {key: arguments[name].get(key) for name, key in self._buffers()} if training else {}
        return y, _Pass(found[1], x.shape, statistics)

    def backward(self, dy: Array, cache: Cache) -> Array:
        return self._gradients(dy, cache)[0]

    def parameter_gradients(self, dy: Array, cache: Cache) -> dict[str, Array]:
        return dict(zip(self.parameter_names, self._gradients(dy, cache)[1:], strict=True))

    def new_statistics(self, cache: Cache) -> dict[str, Array]:
        """The buffers that forward left in its options in training.

        Parameters
        ----------
        cache : object
            From `forward`.

        Returns
        -------
        dict of ndarray
            {buffer name: array}; empty after a pass in inference mode.
        """
        old = self.arrays(buffers=True)
        return {
            key: self._as_array("forward", value, f"the option {key!r}", old[key].shape, old[key].dtype)
            for key, value in cache.statistics.items()
        }

    def _gradients(self, dy, cache):
        """(dx, gradients of the parameters), computed once for a dy, which both backward methods ask for."""
        if cache.dy is None or not np.array_equal(cache.dy, dy):
            found = self.backward_function(np.array(dy, order="C"), cache.cache)
            names = self.parameter_names
            expected = ["dx", *(f"d{name}" for name in names)]
            parts = found if isinstance(found, (tuple, list)) else (found,)
            if len(parts) != len(expected):
                raise self._unexpected("backward", f"({', '.join(expected)})", found)
            shapes = [cache.shape, *(self.arguments[name].shape for name in names)]
            cache.gradients = [
                self._as_array("backward", *each, dy.dtype)
                for each in zip(parts, expected, shapes, strict=True)
            ]
            cache.dy = np.array(dy)
        return cache.gradients

    def _buffers(self):
        """(argument, key) of each array in a dictionary of options."""
        return [
            (name, key)
            for name, value in self.arguments.items()
            if isinstance(value, dict)
            for key, each in value.items()
            if _is_trained(each)
        ]

    def _as_array(self, which, value, what, shape, dtype):
        """A result as an array of the right shape and type; InputError if it is none."""
        array = np.asarray(value)
        if array.dtype.kind not in "fciub":
            raise self._unexpected(which, f"{what}, an array of numbers", value)
        if shape is not None and array.shape != shape:
            raise InputError(
                f"{self._function(which)}: expected {what} of shape {shape}, found {array.shape}"
            )
        if array.dtype.kind != "c" and np.dtype(dtype).kind == "c":
            raise RealOnly(f"{self._function(which)}: {NO_COMPLEX}")
        return array.astype(dtype, copy=False)

    def _unexpected(self, which, expected, found):
        kind = f"{len(found)} values" if isinstance(found, (tuple, list)) else type(found).__name__
        return InputError(f"{self._function(which)}: expected {expected}, found {kind}")

    def _function(self, which):
        return _name(getattr(self, f"{which}_function"))


class _Pass:
    """A forward pass: its cache, and the gradients of the last dy."""

    def __init__(self, cache, shape, statistics):
        self.cache, self.shape, self.statistics = cache, shape, statistics
        self.dy, self.gradients = None, None


def _is_trained(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def _settled(value):
    """A copy of an argument that nobody can modify."""
    if isinstance(value, Mapping):
        return {key: _settled(each) for key, each in value.items()}
    return frozen(value.copy()) if isinstance(value, np.ndarray) else value


def _copied(value):
    """A copy that a function may modify."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def _called(function, *arguments):
    return function(*arguments)


def _seeded(function, *arguments):
    """Call a function that may seed NumPy's global generator, whose state is put back."""
    with SEEDING:
        state = np.random.get_state()  # noqa: NPY002
        try:
            return function(*arguments)
        finally:
            np.random.set_state(state)  # noqa: NPY002


def _complex(function, *arguments):
    """Call a function with complex numbers, and see whether it drops their imaginary parts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Casting complex")
        try:
            return _seeded(function, *arguments)
        except np.exceptions.ComplexWarning:
            raise RealOnly(f"{_name(function)}: {NO_COMPLEX}") from None


def _name(function):
    return getattr(function, "__name__", type(function).__name__)
