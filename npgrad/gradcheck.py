"""Gradient checking: compare a gradient with the change of the output for small steps of the input.

There are three kinds of steps, all in float64:

    complex step          imag f(x + i*h) / h            with h = 1e-20; accurate to rounding, since nothing
                                                         is subtracted (Squire, Trapp 1998)
    centered difference   (f(x + h) - f(x - h)) / (2*h)  with h = 1e-6; accurate to about 1e-9, for functions
                                                         that do not accept complex numbers
    Richardson            centered differences with      with h = 1e-2, 1e-2/4, ...; each estimates its error, and
                          steps h, h/4, ... at h -> 0    the best of them is taken

The complex step works since f(x + i*h) = f(x) + i*h*f'(x) - h^2*f''(x)/2 - ..., and its imaginary part is h*f'(x) up
to h^3. Neither is meaningful at a kink (ReLU at 0, equal maxima in a window), where a function has several slopes and a
gradient is one of them by convention. An entry at a kink cannot be judged; then its array is checked at a random point
close by as well, where a wrong gradient shows. Check at random inputs and with nonzero biases: flat images, and a bias
of 0 after inactive units, put the next ReLU exactly at its kink.

The code may be anyone's (`_code.py`); how a wrong gradient is wrong is found by comparing it with what common mistakes
would give (`_diagnosis.py`, `_explanations.py`).
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from npgrad._code import Code
from npgrad._diagnosis import diagnosed, of_another_shape
from npgrad._slopes import NOISE, STEADY, STEPS, Network, Point
from npgrad._typing import Array, Rng
from npgrad._verdicts import KINK, GradientCheck, Row
from npgrad._verdicts import entry as _entry
from npgrad._verdicts import size as _size
from npgrad.errors import InputError
from npgrad.layers import Layer
from npgrad.model import Model

__all__ = ["KINK", "TOLERANCES", "GradientCheck", "Row", "check_layers", "gradcheck"]

TOLERANCES = {"complex": 1e-12, "centered": 1e-6, "richardson": 1e-6}
ROUNDED = 1e-9  # the tolerance of a complex step through code that npgrad does not know
NEGLIGIBLE = {"complex": 1e-9, "centered": 1e-6, "richardson": 1e-6}  # of the largest gradient of all arrays
DRAWS = 3  # of the upstream gradient
VAGUE = 1e-2  # a slope with a larger estimated error, relatively, says nothing


def gradcheck(
    subject: Any,
    x: Array | Sequence[Array],
    method: str | None = None,
    entries: int | None = None,
    tolerance: float | None = None,
    training: bool = False,
    rng: Rng = 0,
    *,
    backward: Callable[..., Any] | None = None,
    parameters: Mapping[str, Any] | Sequence[str] | None = None,
    to: Callable[[Array], Any] | None = None,
) -> GradientCheck:
    """Check hand-written gradients, npgrad's or anyone's, and say how a wrong one is wrong.

    With complex steps, an array with more than `entries` elements is also moved as a whole, in a random direction, so
    that no wrong entry is missed; a wrong one is then located by bisection. Code that is not npgrad's is checked with
    three random upstream gradients.

    Parameters
    ----------
    subject : Layer, Model, callable or object
        What to check. Of a layer or model, the sum of random * output is differentiated with respect to x and every
        parameter. Code that is not npgrad's has one of these forms:

        - with `backward`, a function ``forward(x, *parameters) -> (output, cache)``;
        - a function ``(x, *parameters) -> (value, gradients)``, such as a loss;
        - an object with methods ``forward(x)``, which returns the output or (output, cache), and ``backward(dy)`` or
          ``backward(dy, cache)``;
        - with `to`, any of the first two on another library's arrays; or a function of tensors that have a backward
          of their own, or a class with a method ``apply``, such as torch.autograd.Function.
    x : ndarray, or tuple of ndarray for several inputs
        Where to check; computed in float64.
    method : {"complex", "centered", "richardson"} or None, default None
        Complex step, centered difference with a step of 1e-6, or centered differences with steps from 1e-2 down,
        extrapolated with an estimate of their error. None: the complex step, or, in code that is not npgrad's (also
        as a `npgrad.course.ByHand`) and does not take complex numbers or drops the imaginary part, "richardson".
    entries : int or None, default None
        How many entries of each array are checked one by one. None: 50; in code that is not npgrad's, 500.
    tolerance : float or None
        The largest relative error that passes. None: 1e-12 for complex steps (1e-9 in code that is not npgrad's), 1e-6
        for others.
    training : bool, default False
        Check the layers in training mode, with one fixed dropout mask.
    rng : numpy.random.Generator or int, default 0
        Of the upstream gradients and the entries. NumPy's global generator is set to the same state before each
        forward pass of code that is not npgrad's, and restored.
    backward : callable or None
        ``backward(dy, cache)``; it returns the gradients in the order of (x, *parameters), or {name: gradient}, where
        the name may begin with "d" or "grad_".
    parameters : dict, sequence of str or None
        {name: further argument of forward}; what is not an array of floating-point numbers is a constant. Of an
        object, the names of its attributes, or of the entries of its dictionary ``params``; their gradients are
        returned by backward after that of x, or are in the object's ``dW``, ``grad_W``, ``W_grad`` or ``grads["W"]``.
    to : callable or None
        Converts an ndarray to the array or tensor that the code takes, such as torch.from_numpy.

    Returns
    -------
    GradientCheck
        Its rows have the diagnoses, each tested to 1e-6: a factor or sign, a transposed, flipped or permuted gradient,
        a missing sum over a broadcast axis, a missing branch of a fork, some channels only, a stale cache, rounding to
        float32, samples taken as independent, and others.

    Raises
    ------
    InputError
        For an unknown method, or code in none of these forms.

    Examples
    --------
    >>> from npgrad.layers import Conv2d
    >>> bool(gradcheck(Conv2d.init(3, 4, 3), np.random.default_rng(1).normal(size=(2, 3, 5, 5))))
    True
    >>> def forward(x, w):
    ...     return x @ w, (x, w)
    >>> def backward(dy, cache):
    ...     x, w = cache
    ...     return dy @ w.T, x.T @ dy / len(x)
    >>> x, w = np.random.default_rng(1).normal(size=(2, 4, 4))
    >>> print(gradcheck(forward, x, backward=backward, parameters={"w": w}).diagnosis)
    w: is 0.25 times the right one (1 / the batch size, 1 / the number of columns)
    """
    if method not in (None, *STEPS):
        raise InputError(f"method: expected one of {', '.join(STEPS)}; found {method!r}")
    rng = np.random.default_rng(rng).spawn(1)[0]  # not the caller's stream, from which x may have been drawn
    x = tuple(map(_floating, x)) if isinstance(x, (tuple, list)) else _floating(x)
    if own := isinstance(subject, (Layer, Model)):
        layer = subject.network if isinstance(subject, Model) else subject
        function = Network(layer, x, training, rng)
    else:
        function = Code(subject, x, backward, parameters, to, rng)
        if not function.deterministic:
            return GradientCheck((), method or "", 0.0, tuple(sorted(function.notes)), deterministic=False)
    known = own and function.takes_complex
    if method is None and not known:
        somewhere = Point(function, function.arrays, "complex").beside(rng)
        method = "complex" if somewhere.takes_complex() else "richardson"
    method = method or "complex"
    if tolerance is None:
        tolerance = TOLERANCES[method] if known or method != "complex" else ROUNDED
    entries = entries or (50 if own else 500)
    draws = [function.dy]
    if not own and not function.pairs:
        draws += [rng.standard_normal(function.shape) for _ in range(DRAWS - 1)]
    rows: dict[str, Row] = {}
    for function.dy in draws:
        for row in _check_point(Point(function, function.arrays, method), entries, tolerance, rng):
            if row.name not in rows or _worse(row, rows[row.name]):
                rows[row.name] = row
    found = GradientCheck(tuple(rows.values()), method, tolerance)
    if found.wrong:
        found = diagnosed(found, function, draws, rng)
    return dataclasses.replace(found, notes=tuple(sorted(getattr(function, "notes", ()))))


def _check_point(point, entries, tolerance, rng):
    """A Row for each array; an array at kinks is checked beside them as well."""
    beside = None
    for name in point.arrays:
        row = _check_array(point, name, entries, tolerance, rng)
        if row.kinks and not (row.judged and row.error > tolerance):
            beside = beside or point.beside(rng)
            other = _check_array(beside, name, entries, tolerance, rng)
            if other.judged and other.error > tolerance:
                row = dataclasses.replace(other, beside=True)
        yield row


def _worse(row, other):
    return (row.judged, _size(row)) > (other.judged, _size(other))


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
        return of_another_shape(point, name)
    scale = np.abs(gradient).max() or 1.0
    every = np.arange(array.size)
    chosen = every if array.size <= entries else rng.choice(every, entries, replace=False)
    blocked = None
    if point.method != "centered" and len(chosen) < array.size:
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
    expected, bend, uncertainty = point.slope(name, step)
    found = float(point.gradients[name].ravel()[entry])
    index = tuple(map(int, np.unravel_index(entry, array.shape)))
    row = Row(name, array.shape, 1, index, found, expected, 0.0, uncertainty=uncertainty)
    difference, largest = abs(found - expected), max(scale, abs(expected))
    if difference > tolerance * largest and uncertainty > VAGUE * largest:
        return dataclasses.replace(
            row, kink=f"{_entry(row)} (differences do not converge)", error=difference / largest
        )
    difference = difference if np.isnan(difference) else max(difference - 2 * uncertainty, 0.0)
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


def _floating(x):
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind == "f" else x
