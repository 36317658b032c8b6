"""The measures of an explanation of one image, as a table: what each is, and how it is computed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from npgrad._typing import Array
from npgrad.evaluation.axioms import completeness, sensitivity_n
from npgrad.evaluation.complexity import sparseness
from npgrad.evaluation.faithfulness import infidelity, sensitivity_max
from npgrad.evaluation.information import aic_auc, sic_auc
from npgrad.evaluation.localization import best_iou, energy_inside, pointing_game, top_k_intersection
from npgrad.evaluation.pixels import deletion_auc, insertion_auc, selectivity
from npgrad.evaluation.random_logit import random_logit
from npgrad.evaluation.randomization import randomization
from npgrad.evaluation.road import road
from npgrad.model import Model


@dataclass(frozen=True)
class Case:
    """One method's explanation of one image, as the measures take it.

    Parameters
    ----------
    method : callable
        A function (model, x, target) that repeats the method: maps (N, H, W) of importance.
    model : Model
        The network.
    x : ndarray (1, C, H, W)
        The image.
    target : int
        The target class, or the index of an output of the last layer.
    attribution, maps : ndarray
        The raw attribution, and its importance (1, H, W).
    mask : ndarray (H, W) of bool or None
        Where the object is.
    steps, samples, rng : int
        As for `measure_method`.
    unit : float
        What 1 is in the values of `x` for a network with ImageNet's std.
    """

    method: Callable[..., Array]
    model: Model
    x: Array
    target: int
    attribution: Array
    maps: Array
    mask: Array | None
    steps: int
    samples: int
    rng: int
    unit: float

    @property
    def of_pixels(self) -> bool:
        """Whether the attribution has a value for every element of the image."""
        return self.attribution.shape == self.x.shape

    @property
    def has_others(self) -> bool:
        """Whether the network has other classes than the target."""
        return self.model.has_classes and self.model.num_classes > 1


@dataclass(frozen=True)
class Measure:
    """A measure of explanations.

    Parameters
    ----------
    text : str
        What it is, in a phrase, and which values are good.
    of : callable
        A function of a `Case`: an array (1,), or None where the measure does not apply.
    function : str
        The name of the function in `npgrad.evaluation`.
    usual : bool
        Whether it is measured if nothing else is asked for.
    masked : bool
        Whether it needs a mask.
    repeats : bool
        Whether it runs the method again.
    """

    text: str
    of: Callable[[Case], Any]
    function: str
    usual: bool = False
    masked: bool = False
    repeats: bool = False


def _infidelity(case):
    options = {"n_samples": 4 * case.samples, "noise": 0.2 * case.unit, "normalize": True, "rng": case.rng}
    return (
        infidelity(case.model, case.x, case.attribution, case.target, **options) if case.of_pixels else None
    )


def _sensitivity(case):
    options = {"n_samples": case.samples, "radius": 0.02 * case.unit, "rng": case.rng}
    return sensitivity_max(case.method, case.model, case.x, case.target, **options)


def _randomized(case):
    every = [".".join(key.split(".")[:-1]) for key in reversed(list(case.model.parameters()))]
    layers = list(dict.fromkeys(every))[-1:]
    found = randomization(case.model, case.x, case.method, case.target, layers=layers, rng=case.rng)
    return found.spearman[-1]


def _completeness(case):
    return completeness(case.model, case.x, case.attribution, case.target) if case.of_pixels else None


def _sensitivity_n(case):
    options = {"n_samples": max(4 * case.samples, 2), "rng": case.rng}
    return sensitivity_n(case.model, case.x, _sums(case), case.target, **options)


def _random_logit(case):
    if not case.has_others:
        return None
    return random_logit(case.model, case.x, case.method, case.target, rng=case.rng)


def _sums(case):
    return case.attribution if case.of_pixels else case.maps


def _of_maps(function, **fixed):
    """A measure of the maps of importance; fixed: its further arguments, as functions of the case."""

    def of(case):
        options = {key: value(case) for key, value in fixed.items()}
        return function(case.model, case.x, case.maps, case.target, **options)

    return of


MEASURES = {
    "deletion": Measure(
        "probability of the class while the most important pixels are removed, as an area (lower is better)",
        _of_maps(deletion_auc, n_steps=lambda case: case.steps), "deletion_auc", usual=True,
    ),
    "insertion": Measure(
        "the same while they are added to the blurred image (higher is better)",
        _of_maps(insertion_auc, n_steps=lambda case: case.steps), "insertion_auc", usual=True,
    ),
    "road": Measure(
        "like deletion with imputed pixels: least important first minus most important first (higher is better)",
        _of_maps(road, fractions=lambda case: (0.2, 0.5, 0.8), noise=lambda case: 0.01 * case.unit,
                 rng=lambda case: case.rng), "road", usual=True,
    ),
    "infidelity": Measure(
        "how badly it predicts the effect of small changes on the score (lower is better; for pixels)",
        _infidelity, "infidelity", usual=True,
    ),
    "sensitivity": Measure(
        "how much it changes for small changes of the image (lower is better)",
        _sensitivity, "sensitivity_max", usual=True, repeats=True,
    ),
    "randomized": Measure(
        "rank correlation with the attribution of a network with random weights (closer to 0 is better)",
        _randomized, "randomization", usual=True, repeats=True,
    ),
    "completeness": Measure(
        "how far its sum is from the change of the score from a gray image to this one (lower is better; for pixels)",
        _completeness, "completeness",
    ),
    "sensitivity_n": Measure(
        "correlation of its sum over random pixels with the drop of the score without them (higher is better)",
        _sensitivity_n, "sensitivity_n",
    ),
    "selectivity": Measure(
        "score while the most important patches of 8 px are removed, as an area (lower is better)",
        _of_maps(selectivity), "selectivity",
    ),
    "sic": Measure(
        "probability over the information in the image while the most important pixels appear (higher is better)",
        _of_maps(sic_auc, rng=lambda case: case.rng), "sic_auc",
    ),
    "aic": Measure(
        "the same with 1 where the class is the network's answer, otherwise 0 (higher is better)",
        lambda case: _of_maps(aic_auc, rng=lambda case: case.rng)(case) if case.model.has_classes else None, "aic_auc",
    ),
    "sparseness": Measure(
        "how few elements have most of it, from 0 to 1: the Gini index",
        lambda case: sparseness(_sums(case)), "sparseness",
    ),
    "random_logit": Measure(
        "similarity with the attribution of a random other class (closer to 0 is better)",
        _random_logit, "random_logit", repeats=True,
    ),
    "pointing": Measure(
        "1 if its maximum is inside the mask, otherwise 0",
        lambda case: pointing_game(case.maps, case.mask), "pointing_game", usual=True, masked=True,
    ),
    "energy": Measure(
        "share of its positive part inside the mask",
        lambda case: energy_inside(case.maps, case.mask), "energy_inside", usual=True, masked=True,
    ),
    "iou": Measure(
        "overlap of the mask and the map above its best threshold",
        lambda case: best_iou(case.maps, case.mask), "best_iou", masked=True,
    ),
    "top_k": Measure(
        "share of as many of the most important pixels as the mask has that are inside it",
        lambda case: top_k_intersection(case.maps, case.mask), "top_k_intersection", masked=True,
    ),
}  # fmt: skip
"""The measures, each with a phrase and its function of a `Case`."""
