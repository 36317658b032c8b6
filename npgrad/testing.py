"""Assertions and tables of cases for the tests of anyone's layers and networks, for pytest or any other runner.

Each assertion raises an AssertionError of few lines that name the case, the array and the entry:

    assert_gradients   hand-written gradients are right in every case, by `npgrad.gradcheck`
    assert_equals      an implementation of one's own gives the same as a layer of npgrad
    assert_matches     a network gives what was recorded elsewhere; the first layer that differs is named

`images` and `layer_cases` are the cases, and `image_arrays` draws them, as a strategy of Hypothesis.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from npgrad._cases import images, layer_cases
from npgrad._typing import Array, Path, Rng
from npgrad.errors import InputError
from npgrad.gradcheck import GradientCheck, gradcheck
from npgrad.layers import Layer
from npgrad.model import Model

__all__ = ["assert_equals", "assert_gradients", "assert_matches", "image_arrays", "images", "layer_cases"]

GRADIENT = "grad:"
TOLERANCES = {4: 1e-4, 8: 1e-10}  # of a recording, by the bytes of its numbers


def assert_gradients(subject: Any, cases: Any, **options: Any) -> list[GradientCheck]:
    """Assert that hand-written gradients are right in every case.

    Parameters
    ----------
    subject : Layer, Model, callable or object
        What `npgrad.gradcheck` checks.
    cases : ndarray, sequence of ndarray, or dict
        One input, several, or {name of the case: input}; an input may be a tuple of arrays.
    **options
        Those of `npgrad.gradcheck`, such as `backward` and `parameters`.

    Returns
    -------
    list of GradientCheck
        One for each case. A case in which some array cannot be judged, at a kink, passes.

    Raises
    ------
    AssertionError
        A gradient is wrong, or two calls of forward differ; the message names the case and how the gradient is wrong.
    InputError
        There are no cases.

    Examples
    --------
    >>> from npgrad.layers import ReLU
    >>> assert_gradients(ReLU(), images())[0].verdict
    'right'
    """
    checks = []
    for name, x in _named(cases).items():
        check = gradcheck(subject, x, **options)
        if check.wrong or not check.deterministic:
            raise AssertionError(f"case {name}: {check}")
        checks.append(check)
    return checks


def _named(cases):
    if isinstance(cases, np.ndarray):
        cases = [cases]
    named = dict(cases) if isinstance(cases, Mapping) else {str(i): x for i, x in enumerate(cases)}
    if not named:
        raise InputError("cases: expected at least one input, found none")
    return named


def assert_equals(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    layer: Layer,
    x: Array | Sequence[Array],
    rtol: float = 1e-9,
    rng: Rng = 0,
) -> None:
    """Assert that a forward and a backward give the output and gradients of a layer of npgrad.

    Parameters
    ----------
    forward : callable
        ``forward(x, *parameters) -> (output, cache)``, the parameters in the order of ``layer.arrays()``.
    backward : callable
        ``backward(dy, cache) -> (dx, *gradients of the parameters)``; a single array if there are none.
    layer : Layer
        What is right.
    x : ndarray, or tuple of ndarray for a layer with several inputs
    rtol : float, default 1e-9
        The largest difference that passes, relative to the largest number of each array.
    rng : numpy.random.Generator or int, default 0
        Of the upstream gradient.

    Raises
    ------
    AssertionError
        The first array that differs, with its worst entry.
    """
    several = isinstance(x, (tuple, list))
    inputs = tuple(x) if several else (x,)
    y, cache = layer.forward(tuple(x) if several else x)
    output, own = forward(
        *(np.array(one) for one in inputs), *(np.array(one) for one in layer.arrays().values())
    )
    _assert_close("output", output, y, rtol)
    dy = np.random.default_rng(rng).standard_normal(y.shape)
    dx = layer.backward(dy, cache)
    expected = {f"gradient of x[{i}]": one for i, one in enumerate(dx)} if several else {"gradient of x": dx}
    gradients = layer.parameter_gradients(dy, cache) if layer.arrays() else {}
    expected.update({f"gradient of {name}": gradient for name, gradient in gradients.items()})
    found = backward(dy.copy(), own)
    found = found if isinstance(found, (tuple, list)) else (found,)
    if len(found) != len(expected):
        raise AssertionError(f"backward: expected {len(expected)} gradients, found {len(found)}")
    for (name, right), one in zip(expected.items(), found, strict=True):
        _assert_close(name, one, right, rtol)


def assert_matches(model: Model, recorded: Mapping[str, Array] | Path, rtol: float | None = None) -> None:
    """Assert that a network's activations, and gradients if recorded, are those that were recorded elsewhere.

    Parameters
    ----------
    model : Model
        The network; computed in float64.
    recorded : dict of ndarray, or path of an .npz file
        ``"input"``, the preprocessed images; {layer: output} for any layers; and {"grad:" + layer: gradient of its
        output}, among them that of the last layer, from which backward starts.
    rtol : float or None
        The largest difference that passes, relative to the largest number of each array. None: 1e-4 for a recording in
        float32, 1e-10 in float64.

    Raises
    ------
    AssertionError
        Names the first layer that differs: in forward, or, if none does, in backward.
    InputError
        The recording has no input, or no layer of the network.
    """
    if isinstance(recorded, (str, os.PathLike)):
        with np.load(recorded, allow_pickle=False) as file:
            recorded = {name: file[name] for name in file.files}
    if "input" not in recorded:
        raise InputError("recorded: expected an array 'input', found none")
    x = np.asarray(recorded["input"])
    rtol = TOLERANCES.get(x.dtype.itemsize, 1e-4) if rtol is None else rtol
    tape = model.astype(np.float64).forward(x.astype(np.float64))
    names = [record.name for record in tape]
    keys = [name for name in recorded if name.removeprefix(GRADIENT) != "input"]
    own = {name: tape.resolve(name.removeprefix(GRADIENT)) for name in keys}
    if not own:
        raise InputError("recorded: expected the output of a layer, found none")
    forward = sorted(
        (name for name in own if not name.startswith(GRADIENT)), key=lambda name: names.index(own[name])
    )
    for name in forward:
        _assert_close(f"first layer that differs: {name}, output", tape[own[name]], recorded[name], rtol)
    backward = sorted(
        (name for name in own if name.startswith(GRADIENT)), key=lambda name: -names.index(own[name])
    )
    if f"{GRADIENT}input" in recorded:
        own[f"{GRADIENT}input"] = "input"
        backward.append(f"{GRADIENT}input")
    if not backward:
        return
    if own[backward[0]] != names[-1]:
        raise InputError(f"recorded: expected {GRADIENT}{names[-1]}, where backward starts, found none")
    gradients = tape.backward(recorded[backward[0]], at=tuple(own[name] for name in backward[1:]))
    for name in backward[1:]:
        layer = name.removeprefix(GRADIENT)
        text = f"first layer that differs in backward: {layer}, gradient of its output"
        _assert_close(text, gradients[own[name]], recorded[name], rtol)


def _assert_close(name, found, expected, rtol):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{name}: shape {found.shape}, expected {expected.shape}")
    difference, scale = np.abs(found - expected), np.abs(expected).max(initial=0) or 1.0
    if not difference.max(initial=0) <= rtol * scale:
        worst = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), found.shape)
        where = ", ".join(map(str, worst))
        raise AssertionError(
            f"{name}: [{where}] is {found[worst]:.6g}, expected {expected[worst]:.6g} "
            f"(off by {difference[worst] / scale:.1e} of the largest, tolerance {rtol:.0e})"
        )


def image_arrays(channels: int | None = None, largest: int = 8) -> Any:
    """A strategy of Hypothesis, which must be installed: arrays (N, C, H, W) of many shapes, with ties and zeros.

    Parameters
    ----------
    channels : int or None
        The number of channels. None: 1 to 4.
    largest : int, default 8
        The largest height and width.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of float64 arrays.
    """
    from hypothesis import strategies as st  # only where it is used

    sides, seeds = st.integers(1, largest), st.integers(0, 2**31)
    depths = st.integers(1, 4) if channels is None else st.just(channels)
    shapes = st.tuples(st.integers(1, 3), depths, sides, sides)

    def drawn(shape, seed, tied):
        rng = np.random.default_rng(seed)
        return rng.integers(-2, 3, shape).astype(float) if tied else rng.standard_normal(shape)

    return st.builds(drawn, shapes, seeds, st.booleans())
