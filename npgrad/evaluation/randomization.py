"""The model-randomization sanity check (Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018).

An explanation of a network should change when the network does. One that looks the same after the weights
were drawn anew shows the image, not what the network learned.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from npgrad._targets import scores
from npgrad._validate import generator
from npgrad.errors import InputError
from npgrad.evaluation._checks import begin, expect_function
from npgrad.layers.base import he_normal


@dataclass(frozen=True)
class Randomization:
    """How like the original each explanation is, as more and more layers are drawn anew.

    layers: what was drawn anew last, from the top down; the first, "original", is the network untouched.
    spearman, ssim: (len(layers), N), rank correlation and structural similarity of the absolute attributions;
    1 is the same, and 0 stands where a map is constant and there is nothing to compare.
    """

    layers: tuple
    spearman: np.ndarray
    ssim: np.ndarray

    def __str__(self):
        rows = zip(self.layers, self.spearman.mean(axis=1), self.ssim.mean(axis=1), strict=True)
        width = max(12, *(len(name) + 2 for name in self.layers))
        lines = [f"{name:<{width}}{rank:8.3f}{like:6.2f}" for name, rank, like in rows]
        return "\n".join([f"{'layer':<{width}}spearman  ssim", *lines])


def randomization(model, x, method, target=None, layers=None, rng=0, progress=None, **options):
    """Cascading randomization : a Randomization; the model itself is untouched.

    From the top of the network down, the weights of one layer more are drawn anew (He normal, biases 0; a BatchNorm
    is the identity again, its statistics included), and method(model, x, targets, **options) is compared with what it
    gave for the original network. The targets stay those of the original.

    layers: the names to go through, in order; a composite's name means all its parts. None: the network's own
    parts that have weights, from the last to the first. Where the score's final ReLU is shut by the random
    weights (every second class, on average), the biases of the layer first drawn are raised until it opens:
    else there would be nothing to compare.
    """
    rng = generator(rng)
    expect_function(method)
    x, _, targets, _ = begin(model, x, target)
    layers = _top_down(model) if layers is None else [model.resolve(name) for name in layers]
    if not layers:
        raise InputError("layers: expected at least one layer to draw anew, found none")
    first = _magnitude(method(model, x, targets, **options))
    maps, changed = [first], model
    for k, layer in enumerate(layers):
        changed = _drawn_anew(changed, layer, rng)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="the score of")  # it is compared as what it is: zeros
            warnings.filterwarnings("ignore", message="the input goes up")  # and this has been said
            changed = _opened(changed, layers[0], x, targets)
            maps.append(_magnitude(method(changed, x, targets, **options)))
        if progress is not None:
            progress(k + 1, len(layers))
    return Randomization(
        ("original", *layers),
        np.array([[spearman(a, b) for a, b in zip(first, one, strict=True)] for one in maps]),
        np.array([[ssim(a, b) for a, b in zip(first, one, strict=True)] for one in maps]),
    )


def spearman(a, b):
    """The rank correlation of two maps; equal values share their mean rank. 0 if one map is constant."""
    a, b = _ranks(a), _ranks(b)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return (a * b).sum() / norm if norm else 0.0


def ssim(a, b):
    """The mean structural similarity of two maps (H, W) of values >= 0, each divided by its maximum.

    Wang, Bovik, Sheikh, Simoncelli 2004, equation 13: a Gaussian window of 1.5 px, cut off at 5 px, edges
    mirrored, K1 = 0.01, K2 = 0.03. 0 if one is constant.
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


def _magnitude(attribution):
    """Absolute values as one map an image, (N, H, W) float64: channels are summed."""
    a = np.abs(np.asarray(attribution, np.float64))
    if a.ndim not in (3, 4):
        raise InputError(f"method: expected attributions (N, C, H, W) or (N, H, W), found shape {a.shape}")
    return a.sum(axis=1) if a.ndim == 4 else a


def _top_down(model):
    """The names of the network's own parts that have parameters, the last first."""
    owners = [name for name in model.network.parts() if _parameters_of(model, name)]
    if not owners:
        raise InputError("layers: no layer of this network has weights that could be drawn anew")
    return owners[::-1]


def _parameters_of(model, layer):
    """What a layer has learned: its parameters, and BatchNorm's statistics."""
    learned = model.network.arrays(buffers=True)
    return {name: array for name, array in learned.items() if name.startswith(f"{layer}.")}


def _drawn_anew(model, layer, rng):
    """A copy of the model in which every weight of this layer is drawn anew."""
    own = _parameters_of(model, layer)
    if not own:
        raise InputError(f"layers: {layer} has no weights that could be drawn anew")
    return model.with_parameters({name: _fresh(name, array, rng) for name, array in own.items()})


def _fresh(name, array, rng):
    if name.endswith(("bias", "running_mean")):
        return np.zeros_like(array)
    if array.ndim == 1:  # BatchNorm's scale and variance
        return np.ones_like(array)
    return he_normal(array.shape, rng, array.dtype)


def _opened(model, top, x, targets):
    """A copy whose top biases are high enough for every target's score not to be 0."""
    biases = {n: a for n, a in _parameters_of(model, top).items() if n.endswith("bias")}
    logits = model(x)
    raised = float(np.abs(logits).max()) or 1.0
    opened = model
    while biases and (scores(logits, targets) == 0).any() and np.isfinite(raised):
        opened = model.with_parameters({n: np.full_like(a, raised) for n, a in biases.items()})
        logits, raised = opened(x), raised * 2
    return opened
