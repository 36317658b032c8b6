"""Does an attribution add up to the score? Over the whole image, and over random parts of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._targets import scores
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import full_baseline, generator, generators, whole_number
from npgrad.evaluation._checks import begin, check_fractions, counts_of, pixel_map
from npgrad.model import Model


@explains_scores
def completeness(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    baseline: float | Array | None = 0,
    batch_size: int | None = None,
) -> Array:
    """Measure how far the attribution is from adding up to the change of the score: 0 is best.

    |sum of the attribution - (F(x) - F(baseline))|, Sundararajan, Taly, Yan 2017, proposition 1, with F the score of
    the target. Integrated gradients and DeepLIFT promise it; a gradient does not.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    baseline : None, float or ndarray, default 0
        The input from which the score changes, broadcast to x; the attribution's own baseline. None: 0, the mean color.
    batch_size : int or None
        Number of images per forward pass. None: as many as fit into 128 MB.

    Returns
    -------
    ndarray (N,)
        The gap of each image, in units of the score.
    """
    x, logits, targets, size = begin(model, x, target, batch_size)
    total = pixel_map(attribution, (len(x), *x.shape[2:])).sum(axis=(1, 2))
    start = full_baseline(baseline, x.shape, x.dtype)
    before = [scores(model, model(start[rows]), targets[rows]) for rows in batches(len(x), size)]
    change = scores(model, logits, targets).astype(np.float64) - np.concatenate(before)
    return np.abs(total - change)


@explains_scores
def sensitivity_n(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    fractions: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 0.8),
    n_samples: int = 100,
    baseline: float | Array | None = 0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    return_curve: bool = False,
) -> Array | Any:  # Any: a tuple with return_curve, so that callers need no type check
    """Correlate the attribution of random sets of n pixels with the drop of the score when they are removed: 1 is best.

    Ancona, Ceolini, Öztireli, Gross 2018: the Pearson correlation, over `n_samples` sets of n pixels drawn
    at random, of the sum of the attribution over the set and F(x) - F(x without the set). (Quantus's SensitivityN
    removes pixels in the order of the attribution instead, each step in addition to the one before.)

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image; channels are summed.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    fractions : sequence of float
        The sizes n of the sets, as fractions of the pixels, each > 0 and < 1; the correlation is averaged over them.
    n_samples : int, default 100
        Number of sets of each size, at least 2.
    baseline : None, float or ndarray, default 0
        The values of removed pixels, broadcast to x. None: 0, the mean color.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the sets. It is in the same state for every image of a batch, so that
        an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    return_curve : bool, default False
        Whether to return the correlation at each size as well.

    Returns
    -------
    ndarray (N,)
        The mean correlation, from -1 to 1. A size at which the sums or the drops are all equal counts as 0. With
        ``return_curve=True`` the tuple (means (N,), fractions (K,), correlations (N, K)).
    """
    check_fractions(fractions)
    n_samples, rng = whole_number(n_samples, "n_samples", 2), generator(rng)
    x, logits, targets, size = begin(model, x, target, batch_size)
    n, _, height, width = x.shape
    a = pixel_map(attribution, (n, height, width)).reshape(n, -1)
    baseline, clean = full_baseline(baseline, x.shape, x.dtype), scores(model, logits, targets)
    rngs, counts = generators(rng, n), counts_of(fractions, a.shape[1])
    predicted, drop = np.empty((2, n, len(counts), n_samples))
    for part in batches(drop.size, size, progress):
        i, k, _ = index = np.unravel_index(part, drop.shape)
        removed = np.zeros((len(part), a.shape[1]), bool)
        for row, image, count in zip(removed, i, np.take(counts, k), strict=True):
            row[rngs[image].choice(len(row), count, replace=False)] = True
        predicted[index] = (removed * a[i]).sum(axis=1)
        copies = np.where(removed.reshape(-1, 1, height, width), baseline[i], x[i])
        drop[index] = clean[i].astype(np.float64) - scores(model, model(copies), targets[i])
    curve = _pearson(predicted, drop)
    mean = curve.mean(axis=1)
    return (mean, np.array(counts) / a.shape[1], curve) if return_curve else mean


def _pearson(a, b):
    """The correlation along the last axis; 0 where a or b is constant, up to rounding."""
    norms = []
    for values in (a, b):
        largest = np.abs(values).max(axis=-1)
        values -= values.mean(axis=-1, keepdims=True)
        norm = np.sqrt((values**2).sum(axis=-1))
        norms.append(np.where(norm > 1e-12 * largest, norm, 0))
    product = norms[0] * norms[1]
    return np.where(product > 0, (a * b).sum(axis=-1), 0) / np.where(product > 0, product, 1)
