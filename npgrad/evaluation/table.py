"""The measures of one method on one image: a row of the table that `npgrad evaluate` prints."""

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from npgrad._typing import Array
from npgrad.attribution import methods
from npgrad.evaluation.measures import MEASURES, Case
from npgrad.model import Model
from npgrad.synthesis.pixels import standardization

RANDOM = "random"


def attribute(name: str, model: Model, x: Array, target: Any, rng: int = 0) -> Array:
    """Compute an attribution with the arguments that the method needs for these images.

    Parameters
    ----------
    name : str
        A key of `npgrad.attribution.methods.METHODS`, or "random" for random values.
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images.
    target : int or callable
        As for the method.
    rng : int, default 0
        The seed of the random values.

    Returns
    -------
    ndarray
    """
    if name == RANDOM:
        return np.random.default_rng(rng).standard_normal(x.shape).astype(x.dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the score of")  # random weights may make a score 0
        return np.asarray(methods.function_of(name)(model, x, target, **methods.defaults(name, model, x)))


def measure_method(
    name: str,
    model: Model,
    x: Array,
    target: Any,
    mask: Array | None = None,
    steps: int = 20,
    samples: int = 5,
    rng: int = 0,
    attribution: Array | None = None,
    repeat: bool = True,
    measures: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Measure how good a method's explanation of one image is.

    Parameters
    ----------
    name : str
        A key of `npgrad.attribution.methods.METHODS`, or "random" for a random map.
    model : Model
        The network; a question that is more than a class is its last layer (`npgrad.targets`).
    x : ndarray (1, C, H, W)
        The preprocessed image.
    target : int
        The class.
    mask : ndarray (H, W) of bool or None
        Where the object is.
    steps : int, default 20
        Steps of deletion and insertion.
    samples : int, default 5
        Random samples for sensitivity; infidelity takes four times as many.
    rng : int, default 0
        The seed of everything random.
    attribution : ndarray or None
        The method's result, if it is there already.
    repeat : bool, default True
        Whether to measure what takes the method several times, such as sensitivity.
    measures : sequence of str or None
        Keys of `MEASURES`. None: the usual ones. Those that need a mask are left out if there is none.

    Returns
    -------
    dict
        "method", a number for each of the measures, or None where it does not apply or has no value, and "seconds".
    """
    unit, _ = standardization(model, x)  # the measures' usual noise is for networks with ImageNet's std
    start = time.perf_counter()
    if attribution is None:
        attribution = attribute(name, model, x, target, rng)
    seconds = time.perf_counter() - start
    maps = methods.importance(name, attribution, x)

    def method(model: Model, x: Array, target: Any) -> Array:
        return methods.importance(name, attribute(name, model, x, target, rng), x)

    case = Case(method, model, x, target, attribution, maps, mask, steps, samples, rng, unit)
    usual = [key for key, measure in MEASURES.items() if measure.usual]
    row: dict[str, Any] = {"method": name}
    for key in usual if measures is None else measures:
        measure = MEASURES[key]
        if measure.masked and mask is None:
            continue
        skipped = measure.repeats and (name == RANDOM or not repeat)
        value = None if skipped else measure.of(case)
        row[key] = None if value is None or np.isnan(value[0]) else float(value[0])
    return {**row, "seconds": float(seconds)}
