"""The model-randomization sanity check (Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018).

An attribution should change when the network does. One that looks the same after the weights were re-initialized shows
the image, not what the network has learned.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._targets import scores
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import generator
from npgrad.errors import InputError
from npgrad.evaluation._checks import attributed, begin, expect_function
from npgrad.layers.base import he_normal
from npgrad.model import Model


@dataclass(frozen=True)
class Randomization:
    """The similarity of each attribution to the original one, as more and more layers are re-initialized.

    Parameters
    ----------
    layers : tuple of str
        The layer that was re-initialized last, from the top down; the first, "original", is the unchanged network.
    spearman, ssim : ndarray (len(layers), N)
        Rank correlation and structural similarity of the absolute attributions. 1 means equal; 0 is also the value for
        a constant map, which cannot be compared.
    """

    layers: tuple[str, ...]
    spearman: Array
    ssim: Array

    def __str__(self):
        rows = zip(self.layers, self.spearman.mean(axis=1), self.ssim.mean(axis=1), strict=True)
        width = max(12, *(len(name) + 2 for name in self.layers))
        lines = [f"{name:<{width}}{rank:8.3f}{like:6.2f}" for name, rank, like in rows]
        return "\n".join([f"{'layer':<{width}}spearman  ssim", *lines])


@explains_scores
def randomization(
    model: Model,
    x: Array,
    method: Callable[..., Array],
    target: Target = None,
    layers: Sequence[str] | None = None,
    rng: Rng = 0,
    progress: Progress = None,
    **options: Any,
) -> Randomization:
    """Run the cascading randomization test: re-initialize layer after layer, and compare the attributions.

    From the top of the network down, the weights of one more layer are re-initialized (He normal, biases 0; a BatchNorm
    becomes the identity, including its statistics), and method(model, x, targets, **options) is compared with its
    result for the original network. The targets are those of the original network. The model itself is not changed.

    Random weights make the ReLU after the logits, if there is one, output 0 for every second class on average. For an
    image with such a score, the biases of the first re-initialized layer are raised until the score is positive;
    otherwise there would be nothing to compare. The method is then called once for each height of the biases, always
    with all images.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    method : callable
        A function (model, x, target, **options) -> attribution (N, C, H, W) or (N, h, w).
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layers : sequence of str or None
        The layers to re-initialize, in this order; the name of a composite means all its parts. None: the network's
        top-level parts that have weights, from the last to the first.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.
    progress : callable or None
        Called with (done, total), counted in layers.
    **options
        Keyword arguments for the method.

    Returns
    -------
    Randomization

    Raises
    ------
    InputError
        A layer has no weights, or the method does not return attributions.
    """
    rng = generator(rng)
    expect_function(method)
    x, _, targets, _ = begin(model, x, target)
    layers = _top_down(model) if layers is None else [model.resolve(name) for name in layers]
    if not layers:
        raise InputError("layers: expected at least one layer to re-initialize, found none")
    first = magnitude(method, model, x, targets, **options)
    maps, changed = [first], model
    for k, layer in enumerate(layers):
        changed = _reinitialized(changed, layer, rng)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="the score of")  # a map of zeros is compared as such
            warnings.filterwarnings("ignore", message="the input goes up")  # the first call has warned
            heights, found = _heights(changed, layers[0], x, targets), np.empty_like(first)
            for height in np.unique(heights):
                raised = _raised(changed, layers[0], height) if height else changed
                same = heights == height
                found[same] = magnitude(method, raised, x, targets, **options)[same]
            maps.append(found)
        if progress is not None:
            progress(k + 1, len(layers))
    return Randomization(
        ("original", *layers),
        np.array([[spearman(a, b) for a, b in zip(first, one, strict=True)] for one in maps]),
        np.array([[ssim(a, b) for a, b in zip(first, one, strict=True)] for one in maps]),
    )


def spearman(a: Array, b: Array) -> float:
    """Compute the rank correlation of two maps; ties share their mean rank.

    Parameters
    ----------
    a, b : ndarray (H, W)
        The maps.

    Returns
    -------
    float
        From -1 to 1; 0 if one of the maps is constant.
    """
    a, b = _ranks(a), _ranks(b)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return (a * b).sum() / norm if norm else 0.0


def ssim(a: Array, b: Array) -> float:
    """Compute the mean structural similarity of two maps, each divided by its maximum.

    Wang, Bovik, Sheikh, Simoncelli 2004, equation 13: a Gaussian window of 1.5 px, truncated at 5 px, with reflected
    edges, K1 = 0.01, K2 = 0.03.

    Parameters
    ----------
    a, b : ndarray (H, W)
        The maps, not negative.

    Returns
    -------
    float
        At most 1; 0 if one of the maps is constant.
    """
    from scipy import ndimage

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    a, b = a / a.max(), b / b.max()

    def local(values):
        return ndimage.gaussian_filter(values, 1.5, truncate=5 / 1.5)

    ma, mb = local(a), local(b)
    variance = local(a * a) - ma**2 + local(b * b) - mb**2
    covariance = local(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return float(
        ((2 * ma * mb + c1) * (2 * covariance + c2) / ((ma**2 + mb**2 + c1) * (variance + c2))).mean()
    )


def _ranks(values):
    _, place, count = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def magnitude(method, model, x, target, **options):
    """The absolute values of a method's attributions as one map per image, (N, H, W) float64: channels are summed."""
    a = np.abs(attributed(method, model, x, target, **options))
    if a.ndim not in (3, 4):
        raise InputError(f"method: expected attributions (N, C, H, W) or (N, H, W), found shape {a.shape}")
    return a.sum(axis=1) if a.ndim == 4 else a


def _top_down(model):
    """The names of the network's top-level parts that have parameters, the last first."""
    owners = [name for name in model.network.parts() if _parameters_of(model, name)]
    if not owners:
        raise InputError("layers: no layer of this network has weights that could be re-initialized")
    return owners[::-1]


def _parameters_of(model, layer):
    """The parameters of a layer, and the running statistics of BatchNorm."""
    learned = model.network.arrays(buffers=True)
    return {name: array for name, array in learned.items() if name.startswith(f"{layer}.")}


def _reinitialized(model, layer, rng):
    """A copy of the model with the weights of one layer re-initialized."""
    own = _parameters_of(model, layer)
    if not own:
        raise InputError(f"layers: {layer} has no weights that could be re-initialized")
    return model.with_parameters({name: _fresh(name, array, rng) for name, array in own.items()})


def _fresh(name, array, rng):
    if name.endswith(("bias", "running_mean")):
        return np.zeros_like(array)
    if array.ndim == 1:  # scale and variance of BatchNorm
        return np.ones_like(array)
    return he_normal(array.shape, rng, array.dtype)


def _heights(model, top, x, targets):
    """For each image, how high the biases of the layer `top` must be for its target's score not to be 0: (N,).

    0 where the score is not 0 as it is, or cannot be raised. Heights are powers of two, so that few are different.
    """
    heights, logits = np.zeros(len(x)), model(x)
    for i in np.flatnonzero(scores(model, logits, targets) == 0):
        first = np.ceil(np.log2(np.abs(logits[i]).max() or 1))
        for height in 2.0 ** (first + np.arange(20)):
            opened = _raised(model, top, height)
            if scores(opened, opened(x[i : i + 1]), targets[i : i + 1])[0] != 0:
                heights[i] = height
                break
    return heights


def _raised(model, top, height):
    """A copy with the biases of the layer `top` at this height."""
    biases = {name: array for name, array in _parameters_of(model, top).items() if name.endswith("bias")}
    return model.with_parameters({name: np.full_like(array, height) for name, array in biases.items()})
