"""The usual measures of one method on one image: a row of the table that `npgrad evaluate` prints."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._typing import Array
from npgrad.attribution import methods
from npgrad.evaluation.faithfulness import infidelity, sensitivity_max
from npgrad.evaluation.localization import energy_inside, pointing_game
from npgrad.evaluation.pixels import deletion_auc, insertion_auc
from npgrad.evaluation.randomization import randomization
from npgrad.evaluation.road import road
from npgrad.model import Model
from npgrad.synthesis.pixels import standardization

MEASURES = {
    "deletion": "probability of the class while the most important pixels are removed, as an area (lower is better)",
    "insertion": "the same while they are added to the blurred image (higher is better)",
    "road": "like deletion with imputed pixels: least important first minus most important first (higher is better)",
    "infidelity": "how badly it predicts the effect of small changes on the score (lower is better; for pixels)",
    "sensitivity": "how much it changes for small changes of the image (lower is better)",
    "randomized": "rank correlation with the attribution of a network with random weights (closer to 0 is better)",
    "pointing": "1 if its maximum is inside the mask, otherwise 0",
    "energy": "share of its positive part inside the mask",
}
"""The measures, each in a sentence."""
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
        Whether to measure what takes the method several times: sensitivity and randomization.

    Returns
    -------
    dict
        "method", a number or None for each of `MEASURES` that applies, and "seconds".
    """
    unit, _ = standardization(model, x)  # the measures' usual noise is for networks with ImageNet's std
    start = time.perf_counter()
    if attribution is None:
        attribution = attribute(name, model, x, target, rng)
    seconds = time.perf_counter() - start
    maps = methods.importance(name, attribution, x)
    row = {
        "method": name,
        "deletion": deletion_auc(model, x, maps, target, steps)[0],
        "insertion": insertion_auc(model, x, maps, target, steps)[0],
        "road": road(model, x, maps, target, (0.2, 0.5, 0.8), noise=0.01 * unit, rng=rng)[0],
        "infidelity": None,
        "sensitivity": None,
        "randomized": None,
    }
    if attribution.shape == x.shape:
        options = {"n_samples": 4 * samples, "noise": 0.2 * unit, "normalize": True, "rng": rng}
        row["infidelity"] = infidelity(model, x, attribution, target, **options)[0]
    if name != RANDOM and repeat:

        def method(model: Model, x: Array, target: Any) -> Array:
            return methods.importance(name, attribute(name, model, x, target, rng), x)

        options = {"n_samples": samples, "radius": 0.02 * unit, "rng": rng}
        row["sensitivity"] = sensitivity_max(method, model, x, target, **options)[0]
        row["randomized"] = _randomized(model, x, method, target, rng)
    if mask is not None:
        row["pointing"] = pointing_game(maps, mask)[0]
        row["energy"] = energy_inside(maps, mask)[0]
    row["seconds"] = seconds
    return {
        key: value if isinstance(value, str) or value is None else float(value) for key, value in row.items()
    }


def _randomized(model: Model, x: Array, method: Callable[..., Any], target: Any, rng: int) -> Any:
    every = [".".join(key.split(".")[:-1]) for key in reversed(list(model.parameters()))]
    found = randomization(model, x, method, target, layers=list(dict.fromkeys(every))[-1:], rng=rng)
    return found.spearman[-1, 0]
