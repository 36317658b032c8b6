"""Gradient checking: compare a gradient with the change of the output for small steps of the input.

There are two kinds of steps, both in float64:

    complex step          imag f(x + i*h) / h            with h = 1e-20; accurate to rounding, since nothing
                                                         is subtracted (Squire, Trapp 1998)
    centered difference   (f(x + h) - f(x - h)) / (2*h)  with h = 1e-6; accurate to about 1e-9, for functions
                                                         that do not accept complex numbers

The complex step works since f(x + i*h) = f(x) + i*h*f'(x) - h^2*f''(x)/2 - ..., and its imaginary part is h*f'(x) up
to h^3. Neither is meaningful at a kink (ReLU at 0, equal maxima in a window), where a function has several slopes and a
gradient is one of them by convention. An entry at a kink cannot be judged; then its array is checked at a random point
close by as well, where a wrong gradient shows. Check at random inputs and with nonzero biases: flat images, and a bias
of 0 after inactive units, put the next ReLU exactly at its kink.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._slopes import NOISE, STEADY, STEPS, Loss, Network, Point
from npgrad._typing import Array, Rng
from npgrad.errors import InputError
from npgrad.layers import Layer
from npgrad.model import Model

KINK = "cannot be judged at a kink"
TOLERANCES = {"complex": 1e-12, "centered": 1e-6}
NEGLIGIBLE = {"complex": 1e-9, "centered": 1e-6}  # of the largest gradient of all arrays


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
        abs(found - expected), divided by the largest gradient of the array, or by how much a relative change of all
        values changes this gradient where that is more, since rounding does the same. 0 in an array whose gradients
        are all zero but for rounding (below 1e-9 of the largest of any array).
    kinks : int, default 0
        How many of the checked entries cannot be judged, since a kink decides their slope; the sum over all entries of
        a large array counts as one. If none can be judged, the worst entry is one of them.
    kink : str, default ""
        An entry that cannot be judged, and the layer that is at a kink, if this is known.
    beside : bool, default False
        Whether found and expected belong to a point beside a kink, 1e-3 of each array's largest value away from x.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    index: tuple[int, ...]
    found: float
    expected: float
    error: float
    kinks: int = 0
    kink: str = ""
    beside: bool = False

    @property
    def judged(self) -> bool:
        """Whether any of the checked entries can be judged."""
        return self.kinks < self.checked


@dataclass(frozen=True)
class GradientCheck:
    """The result of a check, which is true if its verdict is "right".

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
    def verdict(self) -> str:
        """The verdict in words.

        "WRONG" if an entry that can be judged has an error above the tolerance; "cannot be judged at a kink" if
        otherwise some array has no entry that can be judged; else "right".
        """
        if any(row.judged and not row.error <= self.tolerance for row in self.rows):
            return "WRONG"
        return "right" if all(row.judged for row in self.rows) else KINK

    @property
    def worst(self) -> Row:
        """The row with the largest error: of those that can be judged, unless the verdict is that some cannot."""
        judged = self.verdict != KINK
        return max((row for row in self.rows if row.judged == judged), key=_size)

    def __bool__(self) -> bool:
        return self.verdict == "right"

    def __str__(self) -> str:
        row, kinks = self.worst, sum(row.kinks for row in self.rows)
        verdict = f"{self.verdict}{' (found beside it)' if row.beside else ''} by {self.method} step"
        text = (
            f"{verdict}: worst entry {_entry(row)}: gradient {row.found:.6g}, "
            f"expected {row.expected:.6g} (error {row.error:.1e}, tolerance {self.tolerance:.0e})"
        )
        if not kinks:
            return text
        where = row.kink or next(row.kink for row in self.rows if row.kinks)
        checked = sum(row.checked for row in self.rows)
        return f"{text}; {kinks} of {checked} entries {KINK}: {where}"


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
        layer = subject.network if isinstance(subject, Model) else subject
        function = Network(layer, x, training, rng)
    else:
        function = Loss(subject, x)
    point, beside, rows = Point(function, function.arrays, method), None, []
    for name in point.arrays:
        row = _check_array(point, name, entries, tolerance, rng)
        if row.kinks and not (row.judged and row.error > tolerance):
            beside = beside or point.beside(rng)
            other = _check_array(beside, name, entries, tolerance, rng)
            if other.judged and other.error > tolerance:
                row = dataclasses.replace(other, beside=True)
        rows.append(row)
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


def _check_array(point, name, entries, tolerance, rng):
    """Compare single entries, and by complex steps a random direction of a large array as well."""
    array, gradient = point.arrays[name], point.gradients[name]
    if np.shape(gradient) != array.shape:
        raise InputError(f"gradient of {name}: expected shape {array.shape}, found {np.shape(gradient)}")
    scale = np.abs(gradient).max() or 1.0
    every = np.arange(array.size)
    chosen = every if array.size <= entries else rng.choice(every, entries, replace=False)
    blocked = None
    if point.method == "complex" and len(chosen) < array.size:
        suspects, blocked = point.search(name, tolerance * scale * np.sqrt(array.size), rng)
        chosen = np.union1d(chosen, suspects).astype(int)
    checked = [_check_entry(point, name, entry, scale, tolerance) for entry in chosen]
    kinks = [row for row in checked if row.kink]
    worst = max([row for row in checked if not row.kink] or kinks, key=_size)
    where = (
        max(kinks, key=_size).kink if kinks else f"the sum over {name}{_layer(blocked)}" if blocked else ""
    )
    one_more = blocked is not None
    counts = {"checked": len(checked) + one_more, "kinks": len(kinks) + one_more}
    return dataclasses.replace(worst, kink=where, **counts)


def _check_entry(point, name, entry, scale, tolerance):
    """The Row of one entry; its `kink` is the place of the kink that decides the slope, if there is one."""
    array = point.arrays[name]
    step = np.zeros(array.size)
    step[entry] = 1.0
    step = step.reshape(array.shape)
    expected, bend = point.slope(name, step)
    found = float(point.gradients[name].ravel()[entry])
    index = tuple(map(int, np.unravel_index(entry, array.shape)))
    row = Row(name, array.shape, 1, index, found, expected, 0.0)
    difference, largest = abs(found - expected), max(scale, abs(expected))
    if largest < NEGLIGIBLE[point.method] * point.largest:  # zero but for rounding: a bias before BatchNorm
        difference = 0.0
    if difference > tolerance * largest:
        layer = point.kink(name, step, tolerance * largest)
        change = np.inf if layer else point.unsteadiness(name, step, expected)
        if difference <= bend or change > STEADY[point.method] * largest:
            row = dataclasses.replace(row, kink=_entry(row) + _layer(layer))
        else:
            largest = max(largest, change / NOISE[point.method])
    return dataclasses.replace(row, error=difference / largest)


def _layer(name):
    return f" (layer {name})" if name else ""


def _entry(row):
    return f"{row.name}[{', '.join(map(str, row.index))}]"


def _size(row):
    return np.inf if np.isnan(row.error) else row.error


def _float64(x):
    return np.asarray(x).astype(np.float64)
