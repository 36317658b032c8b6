"""Shapley values of segments: what each adds to the score, averaged over the orders in which they can be added."""

from __future__ import annotations

from math import comb

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import whole_number
from npgrad.attribution._coalitions import Segmented
from npgrad.errors import InputError
from npgrad.model import Model


@explains_scores
def shapley_values(
    model: Model,
    x: Array,
    target: Target = None,
    mask: Array | None = None,
    baseline: float | Array | None = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    max_features: int = 12,
) -> Array:
    """Compute the exact Shapley values of few segments, from the scores of all their coalitions.

    With v(S) the score of the image with the segments S alone, the value of segment j of M is (Shapley 1953) ::

        sum over S without j of |S|! (M - |S| - 1)! / M! * (v(S and j) - v(S))

    which takes 2^M passes per image. The values sum to F(x) - F(baseline).

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
        The segment of each element, broadcast to x, for example `grid`. None: about 9 superpixels of each image, or
        each element of what is not an image.
    baseline : None, float or ndarray, default 0
        The values of a segment that is absent, broadcast to x. None: 0, the mean color.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.
    max_features : int, default 12
        How many segments to accept.

    Returns
    -------
    ndarray (N, C, H, W) or (N, ...)
        At each element the Shapley value of its segment.

    Raises
    ------
    InputError
        An image has more segments than `max_features`, or an argument cannot be used.
    """
    max_features = whole_number(max_features, "max_features")
    segmented = Segmented(model, x, target, mask, baseline, 0, batch_size, n_segments=9)
    counts = [m for _, m in segmented.rngs_and_counts]
    if max(counts) > max_features:
        passes = f"{2 ** max(counts):,}" if max(counts) <= 40 else f"2^{max(counts)}"
        raise InputError(
            f"mask: expected at most {max_features} features (max_features), found {max(counts)}, for which "
            f"{passes} passes of each image are needed"
        )
    scored = segmented.scores([_Subsets(m) for m in counts], progress)
    return segmented.spread([_exact(f, m) for (f, _), m in zip(scored, counts, strict=True)])


@explains_scores
def shapley_value_sampling(
    model: Model,
    x: Array,
    target: Target = None,
    mask: Array | None = None,
    n_samples: int = 25,
    baseline: float | Array | None = 0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Estimate the Shapley values of segments, from random orders in which they are added to the baseline.

    Castro, Gomez, Tejada 2009, as in Captum: the mean over the orders of how much the score rises when the segment is
    added, which takes n_samples * (M - 1) + 2 passes for M segments. The values sum to F(x) - F(baseline).

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
    n_samples : int, default 25
        Number of orders.
    baseline : None, float or ndarray, default 0
        The values of a segment that is absent, broadcast to x. None: 0, the mean color.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the orders. It is in the same state for every image of a
        batch, so that an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, C, H, W) or (N, ...)
        At each element the Shapley value of its segment.

    Raises
    ------
    InputError
        If an argument cannot be used.
    """
    n_samples = whole_number(n_samples, "n_samples")
    segmented = Segmented(model, x, target, mask, baseline, rng, batch_size)
    drawn = [_Orders([own.permutation(m) for _ in range(n_samples)]) for own, m in segmented.rngs_and_counts]
    scored = segmented.scores(drawn, progress)
    return segmented.spread([orders.values(f) for orders, (f, _) in zip(drawn, scored, strict=True)])


class _Subsets:
    """All 2^M coalitions of M segments; row k keeps segment j where bit M - 1 - j of k is 1."""

    def __init__(self, m):
        self._m = m

    def __len__(self):
        return 2**self._m

    def __getitem__(self, rows):
        return (rows[:, None] >> np.arange(self._m)[::-1]) & 1 == 1


class _Orders:
    """The coalitions that orders (K, M) of M segments pass through: none, all, and then each order's in between."""

    def __init__(self, orders):
        self._orders = np.stack(orders)
        self._ranks = self._orders.argsort(axis=1)

    def __len__(self):
        count, m = self._orders.shape
        return 2 + count * (m - 1)

    def __getitem__(self, rows):
        m = self._orders.shape[1]
        order, size = np.divmod(rows - 2, max(m - 1, 1))
        order, size = np.where(rows < 2, 0, order), np.where(rows < 2, rows * m, size + 1)
        return self._ranks[order] < size[:, None]

    def values(self, f):
        """The mean rise of the scores f when each segment is added: (M,)."""
        count = len(self._orders)
        ends = np.broadcast_to(f[:2], (count, 2))
        rises = np.diff(np.concatenate([ends[:, :1], f[2:].reshape(count, -1), ends[:, 1:]], axis=1), axis=1)
        return np.take_along_axis(rises, self._ranks, axis=1).mean(axis=0)


def _exact(f, m):
    """The Shapley values (M,) from the scores f of all coalitions, in the order of `_Subsets`."""
    cube = f.reshape((2,) * m)  # one axis for each segment: absent or present
    sizes = np.indices(cube.shape).sum(axis=0)
    weights = np.array([1 / (m * comb(m - 1, k)) for k in range(m)])
    values = np.empty(m)
    for j in range(m):
        absent, present = np.moveaxis(cube, j, 0)
        values[j] = (weights[np.moveaxis(sizes, j, 0)[0]] * (present - absent)).sum()
    return values
