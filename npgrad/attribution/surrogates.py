"""LIME and Kernel SHAP: a linear model fitted to the scores of images whose segments are switched on and off.

An image is cut into M segments. A coalition z in {0, 1}^M selects the segments that are kept (1); the others are
replaced by the baseline. A linear model of z is fitted to the scores of many coalitions, and every element of a segment
gets the segment's coefficient.
"""

import warnings
from itertools import product
from math import comb

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import not_negative, one_of, positive_number
from npgrad._validate import whole_number as whole
from npgrad.attribution._coalitions import Segmented
from npgrad.errors import level_outside
from npgrad.model import Model

ENUMERATED = 10  # with at most this many segments Kernel SHAP scores every coalition


@explains_scores
def lime(
    model: Model,
    x: Array,
    target: Target = None,
    mask: Array | None = None,
    n_samples: int = 200,
    baseline: float | Array | None = 0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    distance: str = "cosine",
    kernel_width: float = 1.0,
    penalty: str = "lasso",
    alpha: float = 0.01,
) -> Array:
    """Fit a sparse linear model of the score near the image, whose coefficients are the attributions.

    Ribeiro, Singh, Guestrin 2016, equation 1. In each of the `n_samples` coalitions every segment is on or off with
    probability 1/2. A perturbed image at distance D from x has the weight exp(-D^2 / (2 kernel_width^2)). The defaults
    are Captum's, except for n_samples and mask.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, as ``model.preprocess`` returns them, or other inputs of a network.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    mask : ndarray of int or None
        The segment of each element, broadcast to x, for example `grid`. None: about 50 superpixels of each image, or
        each element of what is not an image.
    n_samples : int, default 200
        Number of coalitions per image.
    baseline : None, float or ndarray, default 0
        The values of a segment that is off, broadcast to x. None: 0, the mean color.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the coalitions. It is in the same state for every image of a
        batch, so that an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.
    distance : {"cosine", "euclidean"}
        The distance of a perturbed image: 1 - the cosine of the angle between the images as vectors, or the norm of
        their difference.
    kernel_width : float, default 1.0
        Width of the kernel that turns distances into weights.
    penalty : {"lasso", "ridge"}
        As scikit-learn defines them. Lasso adds alpha times the sum of absolute coefficients to half the weighted
        mean of squared errors, ridge adds alpha times the sum of squared coefficients to the weighted sum of squared
        errors.
    alpha : float, default 0.01
        Strength of the penalty.

    Returns
    -------
    ndarray (N, C, H, W) or (N, ...)
        At each element the coefficient of its segment.
    """
    one_of(distance, "distance", _DISTANCES)
    one_of(penalty, "penalty", _PENALTIES)
    positive_number(kernel_width, "kernel_width")
    not_negative(alpha, "alpha")
    n_samples = whole(n_samples, "n_samples")
    segmented = Segmented(model, x, target, mask, baseline, rng, batch_size)
    coalitions = [rng.random((n_samples, m)) < 0.5 for rng, m in segmented.rngs_and_counts]

    def away(image, copies):  # minus the logarithm of the weight, which itself can be 0 for all copies
        return (_DISTANCES[distance](image, copies) / kernel_width) ** 2 / 2

    scored = segmented.scores(coalitions, progress, away)
    _warn_if_narrow(np.stack([far for _, far in scored]), kernel_width)
    fit = _PENALTIES[penalty]
    return segmented.spread([fit(z, f, far, alpha) for z, (f, far) in zip(coalitions, scored, strict=True)])


@explains_scores
def kernel_shap(
    model: Model,
    x: Array,
    target: Target = None,
    mask: Array | None = None,
    n_samples: int = 200,
    baseline: float | Array | None = 0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Compute the Shapley values of the segments as the solution of a weighted regression.

    Lundberg, Lee 2017, theorem 2. The values of the segments sum to F(x) - F(baseline), exactly. With M <= 10
    segments, or if all 2^M - 2 coalitions are no more than `n_samples`, every coalition is scored and the values are
    exact. Otherwise `n_samples` coalitions are drawn: a size k with probability proportional to (M-1) / (k (M-k)),
    then a coalition of that size, each followed by its complement (Covert, Lee 2021), which reduces the variance.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, as ``model.preprocess`` returns them, or other inputs of a network.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    mask : ndarray of int or None
        The segment of each element, broadcast to x, for example `grid`. None: about 50 superpixels of each image, or
        each element of what is not an image.
    n_samples : int, default 200
        Number of coalitions per image, unless all of them are scored.
    baseline : None, float or ndarray, default 0
        The values of a segment that is off, broadcast to x. None: 0, the mean color.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the coalitions. It is in the same state for every image of a
        batch, so that an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, C, H, W) or (N, ...)
        At each element the Shapley value of its segment.
    """
    n_samples = whole(n_samples, "n_samples")
    segmented = Segmented(model, x, target, mask, baseline, rng, batch_size)
    drawn = [_shapley_coalitions(m, n_samples, rng) for rng, m in segmented.rngs_and_counts]
    coalitions = [_with_ends(z) for z, _ in drawn]
    scored = segmented.scores(coalitions, progress)
    values = []
    for (z, weights), (f, _) in zip(drawn, scored, strict=True):
        values.append(_shapley_regression(z, f[2:], weights, empty=f[0], full=f[1]))
    return segmented.spread(values)


def _warn_if_narrow(far, kernel_width):
    """Warn if for some image nearly all weight is on one copy, which leaves nothing to fit. far: (N, S)."""
    weights = np.exp(far.min(axis=1, keepdims=True) - far)
    share = (1 / weights.sum(axis=1)).max()  # the largest weight is 1
    if share > 0.99 and far.shape[1] > 1:
        near, away = kernel_width * np.sqrt(2 * far.min()), kernel_width * np.sqrt(2 * far.max())
        warnings.warn(
            f"kernel_width: {kernel_width:g} is small for distances of {near:.3g} to {away:.3g}: one copy has "
            f"{share:.0%} of the weight, so there is little to fit",
            stacklevel=level_outside(),
        )


def _cosine_distance(image, copies):
    a, b = image.ravel().astype(np.float64), copies.reshape(len(copies), -1).astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
    # An image that is 0 everywhere is at distance 1.
    return 1 - (b * a).sum(axis=1) / np.maximum(lengths, 1e-8)


def _euclidean_distance(image, copies):
    return np.linalg.norm((copies.astype(np.float64) - image).reshape(len(copies), -1), axis=1)


def _lasso(z, f, far, alpha, tolerance=1e-12, rounds=10_000):
    """Coefficients b (M,) that minimize sum of w (f - b0 - z b)^2 / (2 sum of w) + alpha sum |b|, w = exp(-far).

    Coordinate descent (Friedman, Hastie, Tibshirani 2010, equation 5), until no coefficient changes by more than
    `tolerance` times the largest.
    """
    z, f, weights = _centered(z, f, far)
    gram, slope = (z * weights[:, None]).T @ z, z.T @ (weights * f)
    b = np.zeros(len(gram))
    for _ in range(rounds):
        before = b.copy()
        for j in np.flatnonzero(np.diag(gram) > 0):
            rest = slope[j] - gram[j] @ b + gram[j, j] * b[j]
            b[j] = np.sign(rest) * max(abs(rest) - alpha, 0) / gram[j, j]
        if np.abs(b - before).max() <= tolerance * np.abs(b).max():
            break
    return b + 0.0  # no -0


def _ridge(z, f, far, alpha):
    """Coefficients b (M,) that minimize sum of w (f - b0 - z b)^2 + alpha sum b^2, w = exp(-far)."""
    total = np.exp(-far).sum()
    share = (
        total / (total + alpha) if alpha else 1.0
    )  # of the weights; the penalty has the rest, also if total is 0
    z, f, weights = _centered(z, f, far)
    gram = share * (z * weights[:, None]).T @ z + (1 - share) * np.eye(z.shape[1])
    return np.linalg.lstsq(gram, share * z.T @ (weights * f), rcond=None)[0]


def _centered(z, f, far):
    """z and f minus their weighted means, which eliminates the intercept b0; and weights that sum to 1."""
    weights = np.exp(far.min() - far)
    weights = weights / weights.sum()
    return z - weights @ z, f - weights @ f, weights


_DISTANCES = {"cosine": _cosine_distance, "euclidean": _euclidean_distance}
_PENALTIES = {"lasso": _lasso, "ridge": _ridge}


def _shapley_coalitions(m, n_samples, rng):
    """Coalitions of m segments, none of them empty or full, and their weights: (S, m) bool, (S,)."""
    if m == 1:
        return np.zeros((0, 1), bool), np.zeros(0)
    if m <= ENUMERATED or 2**m - 2 <= n_samples:
        z = np.array(list(product([False, True], repeat=m)))[1:-1]
        return z, np.array([(m - 1) / (comb(m, k) * k * (m - k)) for k in z.sum(axis=1).tolist()])
    sizes = np.arange(1, m)
    chances = (m - 1) / (sizes * (m - sizes))
    k = rng.choice(sizes, size=(n_samples + 1) // 2, p=chances / chances.sum())
    rank = rng.random((len(k), m)).argsort(axis=1).argsort(axis=1)
    half = rank < k[:, None]
    pairs = np.stack([half, ~half], axis=1).reshape(-1, m)[:n_samples]
    return pairs, np.ones(n_samples)


def _with_ends(z):
    """z preceded by the empty and the full coalition."""
    return np.concatenate([np.zeros((1, z.shape[1]), bool), np.ones((1, z.shape[1]), bool), z])


def _shapley_regression(z, f, weights, empty, full):
    """Values v (M,) that minimize sum of w (f - empty - z v)^2, among those that sum to full - empty.

    Written as v = (full - empty) / M + u, where u sums to 0, so that z u does not change if each row of z is centered.
    The least-squares u of minimum norm then sums to 0 by itself.
    """
    mean = (full - empty) / z.shape[1]
    root = np.sqrt(weights)[:, None]
    size = z.sum(axis=1)
    a, b = root * (z - z.mean(axis=1, keepdims=True)), root[:, 0] * (f - empty - size * mean)
    return mean + np.linalg.lstsq(a, b, rcond=None)[0]
