"""LIME and Kernel SHAP: a linear model, fitted to how the score answers when pieces are switched off.

An image is cut into M pieces. A coalition z in {0, 1}^M says which pieces stay (1); the others are replaced
by the baseline. The score of many coalitions is asked for, and a linear model of z is fitted to the answers:
its coefficient for a piece is what the method gives to every element of the piece.
"""

from itertools import product
from math import comb

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._targets import scores
from npgrad._validate import full_baseline, generator, not_negative, whole_number
from npgrad.attribution._copies import begin
from npgrad.attribution.segments import feature_maps
from npgrad.errors import InputError

ENUMERATED = 10  # with at most so many pieces Kernel SHAP asks for every coalition


def lime(
    model,
    x,
    target=None,
    mask=None,
    n_samples=200,
    baseline=0,
    rng=0,
    batch_size=None,
    progress=None,
    distance="cosine",
    kernel_width=1.0,
    penalty="lasso",
    alpha=0.01,
):
    """A sparse linear model of the score near the image (Ribeiro, Singh, Guestrin 2016, equation 1).

    Of the shape of x (N, C, H, W): at each element the coefficient of its piece. In each of the `n_samples`
    coalitions every piece is on or off by the toss of a coin. A perturbed image at distance D from x counts
    with the weight exp(-D^2 / (2 kernel_width^2)). The defaults are Captum's, but for n_samples and mask.

    mask: whole numbers that broadcast to x, one a piece, such as `segments.grid` gives; None cuts each
    image into about 50 superpixels. baseline: what stands for a piece that is off, a number or an array
    that broadcasts to x. rng: a Generator or a seed. batch_size: copies at once (None: as memory allows).
    progress: called with (copies done, copies in all).
    distance: "cosine" (1 - cosine of the angle between the images as vectors) or "euclidean".
    penalty: "lasso" (alpha times the sum of absolute coefficients, added to half the weighted mean of squared
    errors) or "ridge" (alpha times the sum of squared coefficients, added to the weighted sum of squared
    errors): scikit-learn's definitions.
    """
    if distance not in _DISTANCES:
        raise InputError(f"distance: expected one of {', '.join(_DISTANCES)}; found {distance!r}")
    if penalty not in _PENALTIES:
        raise InputError(f"penalty: expected one of {', '.join(_PENALTIES)}; found {penalty!r}")
    if not not_negative(kernel_width, "kernel_width") > 0:
        raise InputError(f"kernel_width: expected more than 0, found {kernel_width}")
    not_negative(alpha, "alpha")
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    asked = _Pieces(model, x, target, mask, baseline, batch_size)
    coalitions = [rng.random((n_samples, m)) < 0.5 for m in asked.counts]

    def similarity(image, copies):
        return np.exp(-(_DISTANCES[distance](image, copies) ** 2) / (2 * kernel_width**2))

    answers = asked.answers(coalitions, progress, similarity)
    fit = _PENALTIES[penalty]
    return asked.spread([fit(z, *answer, alpha) for z, answer in zip(coalitions, answers, strict=True)])


def kernel_shap(
    model, x, target=None, mask=None, n_samples=200, baseline=0, rng=0, batch_size=None, progress=None
):
    """The pieces' Shapley values, as the solution of a weighted regression (Lundberg, Lee 2017, theorem 2).

    Of the shape of x (N, C, H, W): at each element the value of its piece. Over the pieces they sum to
    F(x) - F(baseline), exactly. With M <= 10 pieces, or where all 2^M - 2 coalitions are no more than
    `n_samples`, every coalition is asked for and the values are exact. Else `n_samples` are drawn, a size k
    with probability proportional to (M-1) / (k (M-k)) and then a coalition of that size, each followed by its
    complement (Covert, Lee 2021), which makes the estimate less noisy.

    mask, baseline, rng, batch_size, progress: as for `lime`.
    """
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    asked = _Pieces(model, x, target, mask, baseline, batch_size)
    drawn = [_shapley_coalitions(m, n_samples, rng) for m in asked.counts]
    coalitions = [_with_ends(z) for z, _ in drawn]
    answers = asked.answers(coalitions, progress)
    values = []
    for (z, weights), (f, _) in zip(drawn, answers, strict=True):
        values.append(_shapley_regression(z, f[2:], weights, empty=f[0], full=f[1]))
    return asked.spread(values)


class _Pieces:
    """Images cut into pieces, and the score of their coalitions."""

    def __init__(self, model, x, target, mask, baseline, batch_size):
        self.model = model
        self.x, self.targets, _, self.size = begin(model, x, target, batch_size, backward=False)
        self.maps = feature_maps(mask, self.x)
        self.counts = [int(labels.max()) + 1 for labels in self.maps]
        self.baseline = full_baseline(baseline, self.x.shape, self.x.dtype)

    def copies(self, i, z):
        """Image i with the pieces of each coalition of z (S, M) alone: (S, C, H, W)."""
        copies = np.where(z[:, self.maps[i]], self.x[i], self.baseline[i])
        return np.ascontiguousarray(
            copies
        )  # one copy after the other: sums over one do not depend on the rest

    def answers(self, coalitions, progress, similarity=None):
        """For each image its coalitions' scores and weights, two arrays (S,) in float64."""
        total, done, answers = sum(map(len, coalitions)), 0, []
        for i, z in enumerate(coalitions):
            f, weights = np.empty(len(z)), np.ones(len(z))
            for part in batches(len(z), self.size):
                copies = self.copies(i, z[part])
                f[part] = scores(self.model(copies), np.full(len(part), self.targets[i]))
                if similarity is not None:
                    weights[part] = similarity(self.x[i], copies)
                done += len(part)
                if progress is not None:
                    progress(done, total)
            answers.append((f, weights))
        return answers

    def spread(self, values):
        """Each piece's value at each of its elements: (N, C, H, W)."""
        return np.stack([v[labels] for v, labels in zip(values, self.maps, strict=True)]).astype(self.x.dtype)


def _cosine_distance(image, copies):
    a, b = image.ravel().astype(np.float64), copies.reshape(len(copies), -1).astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
    return 1 - (b * a).sum(axis=1) / np.maximum(
        lengths, 1e-8
    )  # an image that is 0 everywhere is at distance 1


def _euclidean_distance(image, copies):
    return np.linalg.norm((copies.astype(np.float64) - image).reshape(len(copies), -1), axis=1)


def _lasso(z, f, weights, alpha, tolerance=1e-12, rounds=10_000):
    """Coefficients b (M,) that minimize sum of w (f - b0 - z b)^2 / (2 sum of w) + alpha sum |b|.

    One coefficient at a time, each time to its own minimum (coordinate descent; Friedman, Hastie, Tibshirani
    2010, equation 5), until none moves by more than `tolerance` of the largest.
    """
    z, f, weights = _centered(z, f, weights)
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


def _ridge(z, f, weights, alpha):
    """Coefficients b (M,) that minimize sum of w (f - b0 - z b)^2 + alpha sum b^2."""
    total = weights.sum()
    z, f, weights = _centered(z, f, weights)
    gram = (z * weights[:, None]).T @ z + alpha / total * np.eye(z.shape[1])
    return np.linalg.lstsq(gram, z.T @ (weights * f), rcond=None)[0]


def _centered(z, f, weights):
    """z and f less their weighted means, which takes care of the intercept b0; and weights that sum to 1."""
    weights = weights / weights.sum()
    return z - weights @ z, f - weights @ f, weights


_DISTANCES = {"cosine": _cosine_distance, "euclidean": _euclidean_distance}
_PENALTIES = {"lasso": _lasso, "ridge": _ridge}


def _shapley_coalitions(m, n_samples, rng):
    """Coalitions of m pieces, none of them empty or full, and their weights: (S, m) bool, (S,)."""
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
    """z with the empty and the full coalition before it."""
    return np.concatenate([np.zeros((1, z.shape[1]), bool), np.ones((1, z.shape[1]), bool), z])


def _shapley_regression(z, f, weights, empty, full):
    """Values v (M,) that minimize sum of w (f - empty - z v)^2, among those that sum to full - empty.

    Written as v = (full - empty) / M + u with u summing to 0: then what is sought is u, and z u is the same
    when each row of z is taken less its mean. The shortest u that fits is the answer, and it sums to 0.
    """
    mean = (full - empty) / z.shape[1]
    root = np.sqrt(weights)[:, None]
    size = z.sum(axis=1)
    a, b = root * (z - z.mean(axis=1, keepdims=True)), root[:, 0] * (f - empty - size * mean)
    return mean + np.linalg.lstsq(a, b, rcond=None)[0]
