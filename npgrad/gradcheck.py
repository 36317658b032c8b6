"""Gradient checking: compare a gradient with the change of the output for small steps of the input.

There are two kinds of steps, both in float64:

    complex step          imag f(x + i*h) / h            with h = 1e-20; accurate to rounding, since nothing
                                                         is subtracted (Squire, Trapp 1998)
    centered difference   (f(x + h) - f(x - h)) / (2*h)  with h = 1e-6; accurate to about 1e-9, for functions
                                                         that do not accept complex numbers

The complex step works since f(x + i*h) = f(x) + i*h*f'(x) - h^2*f''(x)/2 - ..., and its imaginary part is h*f'(x) up
to h^3. Neither is meaningful at a kink (ReLU at 0, equal maxima in a window), so check at random inputs and with
nonzero biases: where a new network's units are inactive, a bias of 0 puts the next ReLU exactly at its kink. Where a
centered step crosses a kink, f(x + h) - f(x) and f(x) - f(x - h) differ, and the entry is left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._typing import Array, Rng
from npgrad.errors import InputError
from npgrad.layers import Composite, Layer
from npgrad.layers.composite import Calls
from npgrad.model import Model

STEPS = {"complex": 1e-20, "centered": 1e-6}
TOLERANCES = {"complex": 1e-12, "centered": 1e-6}


@dataclass(frozen=True)
class Row:
    """The check of one array.

    Parameters
    ----------
    name : str
        Name of the array: ``x``, or that of a parameter.
    shape : tuple of int
    checked : int
        Number of entries that were checked one by one.
    index : tuple of int
        The worst entry.
    found, expected : float
        The gradient of that entry, and its value by the step.
    error : float
        abs(found - expected), divided by the largest gradient of the array.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    index: tuple[int, ...]
    found: float
    expected: float
    error: float


@dataclass(frozen=True)
class GradientCheck:
    """The result of a check, which is true if every error is within the tolerance.

    Parameters
    ----------
    rows : tuple of Row
        One for each array.
    method : {"complex", "centered"}
    tolerance : float
        The largest relative error that passes.
    """

    rows: tuple[Row, ...]
    method: str
    tolerance: float

    @property
    def worst(self) -> Row:
        """The row with the largest error."""
        return max(self.rows, key=lambda row: np.inf if np.isnan(row.error) else row.error)

    def __bool__(self) -> bool:
        return all(row.error <= self.tolerance for row in self.rows)

    def __str__(self) -> str:
        row = self.worst
        entry = f"{row.name}[{', '.join(map(str, row.index))}]"
        return (
            f"{'right' if self else 'WRONG'} by {self.method} step: worst entry {entry}: gradient {row.found:.6g}, "
            f"expected {row.expected:.6g} (error {row.error:.1e}, tolerance {self.tolerance:.0e})"
        )


def gradcheck(
    subject: Layer | Model | Callable[[Array], tuple[Any, Array]],
    x: Array | Sequence[Array],
    method: str = "complex",
    entries: int = 50,
    tolerance: float | None = None,
    training: bool = False,
    rng: Rng = 0,
) -> GradientCheck:
    """Check the hand-written gradients of a layer, a model or a loss.

    With complex steps, an array with more than `entries` elements is also moved as a whole, in a random direction, so
    that no wrong entry is missed; a wrong one is then located by bisection.

    Parameters
    ----------
    subject : Layer, Model or callable
        Of a layer or model, the sum of random * output is differentiated with respect to x and every parameter. A
        callable is a loss: x -> (value, gradient).
    x : ndarray, or tuple of ndarray for a layer with several inputs
        Where to check; computed in float64.
    method : {"complex", "centered"}, default "complex"
    entries : int, default 50
        How many entries of each array are checked one by one.
    tolerance : float or None
        The largest relative error that passes. None: 1e-12 for complex steps, 1e-6 for centered differences.
    training : bool, default False
        Check the layers in training mode, with one fixed dropout mask.
    rng : numpy.random.Generator or int, default 0

    Returns
    -------
    GradientCheck

    Raises
    ------
    InputError
        For an unknown method, or a gradient whose shape differs from its array's.

    Examples
    --------
    >>> from npgrad.layers import Conv2d
    >>> bool(gradcheck(Conv2d.init(3, 4, 3), np.random.default_rng(1).normal(size=(2, 3, 5, 5))))
    True
    """
    if method not in STEPS:
        raise InputError(f"method: expected one of {', '.join(STEPS)}; found {method!r}")
    tolerance = TOLERANCES[method] if tolerance is None else tolerance
    rng = np.random.default_rng(rng).spawn(1)[0]  # not the caller's stream, from which x may have been drawn
    x = tuple(map(_float64, x)) if isinstance(x, (tuple, list)) else _float64(x)
    if isinstance(subject, (Layer, Model)):
        arrays, gradients, value = _of_network(subject, x, training, rng)
    else:
        arrays, gradients, value = _of_loss(subject, x)
    rows = []
    for name, array in arrays.items():

        def slope(step, name=name, array=array):
            return _slope(lambda moved: value({**arrays, name: moved}), array, step, method)

        whole = method == "complex"
        rows.append(_check_array(name, array, gradients[name], slope, entries, tolerance, rng, whole))
    return GradientCheck(tuple(rows), method, tolerance)


def check_layers(
    model: Model, x: Array, method: str = "complex", entries: int = 5, rng: Rng = 0
) -> Iterator[tuple[str, GradientCheck]]:
    """Check every layer of a model separately, at random inputs of the shapes that it has in a pass of x.

    The activations themselves would be at kinks: after a ReLU, zeros tie in every pooling window.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them; only their shape matters.
    method : {"complex", "centered"}, default "complex"
    entries : int, default 5
        How many entries of each array are checked one by one.
    rng : numpy.random.Generator or int, default 0

    Yields
    ------
    name : str
        The layer's name.
    check : GradientCheck
    """
    rng = np.random.default_rng(rng)
    shapes = {
        record.name: (
            record.layer,
            [a.shape for a in record.x] if isinstance(record.x, tuple) else record.x.shape,
        )
        for record in model.forward(x)
    }
    for name, (layer, shape) in shapes.items():
        several = isinstance(shape, list)
        inputs = tuple(map(rng.standard_normal, shape)) if several else rng.standard_normal(shape)
        yield name, gradcheck(layer, inputs, method, entries, rng=rng)


def _of_network(subject, x, training, rng):
    """The arrays to move, their gradients, and the function of the arrays."""
    layer = subject.network if isinstance(subject, Model) else subject
    layer = layer.map_arrays(lambda name, array: array.astype(np.float64))
    inputs = {f"x[{i}]": xi for i, xi in enumerate(x)} if isinstance(x, tuple) else {"x": x}
    y, cache = _forward(layer, x, training)
    dy = rng.standard_normal(y.shape)
    dx = layer.backward(dy, cache)
    gradients = dict(zip(inputs, dx if isinstance(x, tuple) else (dx,), strict=True))
    gradients.update(layer.parameter_gradients(dy, cache))
    arrays = {**inputs, **layer.arrays()}

    def value(arrays):
        moved = layer.map_arrays(lambda name, array: arrays.get(name, array))
        moved_x = tuple(arrays[name] for name in inputs)
        y, _ = _forward(moved, moved_x if isinstance(x, tuple) else moved_x[0], training)
        return dy * y

    return arrays, gradients, value


def _forward(layer, x, training):
    """(y, cache), in training mode with the same masks every time."""
    options = {"training": training, "rng": 0}
    if isinstance(layer, Composite):
        return layer.forward(x, Calls(**options))
    return layer.forward(x, **options) if layer.has_training_mode else layer.forward(x)


def _of_loss(loss, x):
    _, gradient = loss(x)
    if np.shape(gradient) != x.shape:
        raise InputError(f"gradient of the loss: expected shape {x.shape}, found {np.shape(gradient)}")
    return {"x": x}, {"x": np.asarray(gradient)}, lambda arrays: loss(arrays["x"])[0]


def _slope(value, array, step, method):
    """d (sum of value) / d t of array + t * step at t = 0, and how far it differs before and after."""
    h = STEPS[method]
    if method == "complex":
        return np.imag(value(array + 1j * h * step)).sum() / h, 0.0
    before, at, after = (value(array + t * step) for t in (-h, 0, h))
    # differences first, then the sum: what did not move cancels exactly
    return (after - before).sum() / (2 * h), abs((after - at).sum() - (at - before).sum()) / h


def _check_array(name, array, gradient, slope, entries, tolerance, rng, whole):
    """Compare single entries, and with `whole` a random direction of a large array as well."""
    if np.shape(gradient) != array.shape:
        raise InputError(f"gradient of {name}: expected shape {array.shape}, found {np.shape(gradient)}")
    scale = np.abs(gradient).max() or 1.0
    every = np.arange(array.size)
    chosen = every if array.size <= entries else rng.choice(every, entries, replace=False)
    if whole and len(chosen) < array.size:
        direction = rng.choice((-1.0, 1.0), array.size) * rng.uniform(0.5, 1.5, array.size)

        def mismatch(among):
            step = np.zeros(array.size)
            step[among] = direction[among]
            return abs(slope(step.reshape(array.shape))[0] - (gradient.ravel() * step).sum())

        # rounding grows with the number of entries in the sum
        if not mismatch(every) <= tolerance * scale * np.sqrt(array.size):
            suspects = every
            while len(suspects) > 1:
                halves = np.array_split(suspects, 2)
                suspects = max(halves, key=lambda half: np.nan_to_num(mismatch(half), nan=np.inf))
            chosen = np.union1d(chosen, suspects)

    def row(entry):
        step = np.zeros(array.size)
        step[entry] = 1.0
        expected, bend = map(float, slope(step.reshape(array.shape)))
        found = float(gradient.ravel()[entry])
        index = tuple(map(int, np.unravel_index(entry, array.shape)))
        difference = abs(found - expected)
        error = difference / max(scale, abs(expected))
        kink = error > tolerance and difference <= bend
        return Row(name, array.shape, len(chosen), index, found, expected, error), kink

    checked = [row(entry) for entry in chosen]
    rows = [row for row, kink in checked if not kink] or [row for row, _ in checked]
    return max(rows, key=lambda r: np.inf if np.isnan(r.error) else r.error)


def _float64(x):
    return np.asarray(x).astype(np.float64)
