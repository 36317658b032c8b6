"""ROAD, remove and debias (Rong, Leemann, Borisov, Kasneci, Kasneci 2022): take pixels away without a trace.

Pixels replaced by a fixed color betray, by the shape they make, what was there. Here a pixel becomes the mean
of its neighbors, which are themselves removed or not: one sparse linear system.
"""

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._validate import generator, not_negative
from npgrad.errors import InputError
from npgrad.evaluation._checks import begin, pixel_map, probabilities
from npgrad.evaluation.pixels import importance_order

NEIGHBORS = {  # (down, across): weight; the paper gives edges twice the weight of corners
    (down, across): (1 / 6 if 0 in (down, across) else 1 / 12)
    for down in (-1, 0, 1)
    for across in (-1, 0, 1)
    if (down, across) != (0, 0)
}
ORDERS = {"most": (1,), "least": (-1,), "both": (1, -1)}


def road(
    model,
    x,
    attribution,
    target=None,
    fractions=(0.1, 0.3, 0.5, 0.7, 0.9),
    order="both",
    noise=0.01,
    rng=0,
    batch_size=None,
    progress=None,
):
    """The target's softmax probability after pixels were removed by noisy linear imputation: (N,).

    order "most": the most important go first; the mean over `fractions` of the probability, lower is better.
    "least": the least important go first, higher is better. "both": least - most, from -1 to 1, where higher
    is better and an attribution at random scores 0 on average. (The paper takes the share of right answers
    over a data set in place of one image's probability.)

    attribution: (N, C, H, W), its channels summed, or (N, H, W). fractions: of the pixels, each over 0 and
    under 1. noise: the standard deviation of what is added to each imputed element, in units of x.
    """
    _check(fractions, order)
    not_negative(noise, "noise")
    rng = generator(rng)
    x, _, targets, size = begin(model, x, target, batch_size)
    n, _, height, width = x.shape
    ranks = importance_order(pixel_map(attribution, (n, height, width))).argsort(axis=1)
    counts = [min(max(round(f * height * width), 1), height * width - 1) for f in fractions]
    after = np.empty((n, len(ORDERS[order]), len(counts)))
    for part in batches(after.size, size, progress):
        copies = []
        for i, way, k in zip(*np.unravel_index(part, after.shape), strict=True):
            rank = ranks[i] if ORDERS[order][way] == 1 else ranks[i].size - 1 - ranks[i]
            copies.append(impute(x[i], rank.reshape(height, width) < counts[k], noise, rng))
        after.flat[part] = probabilities(model(np.stack(copies)), targets[part // after[0].size])
    mean = after.mean(axis=2)
    return mean[:, 1] - mean[:, 0] if order == "both" else mean[:, 0]


def impute(image, removed, noise=0.01, rng=0):
    """An image (C, H, W) in which each removed pixel (bool (H, W)) is the weighted mean of its neighbors.

    Neighbors beside it count twice those at its corners; those outside the image do not count. Then normal
    noise is added to the removed pixels, so that smoothness does not betray them either.
    """
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    rng = np.random.default_rng(rng)
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(removed.sum())  # the unknowns
    here = np.argwhere(removed)
    rows, columns, values = [], [], []
    known = np.zeros((len(here), len(image)))
    share = np.zeros(len(here))  # sum of the weights of the neighbors there are
    for offset, weight in NEIGHBORS.items():
        there = here + offset
        row = np.flatnonzero(((there >= 0) & (there < removed.shape)).all(axis=1))
        at = tuple(there[row].T)
        share[row] += weight
        gone = removed[at]
        rows.append(row[gone])
        columns.append(number[at][gone])
        values.append(np.full(gone.sum(), -weight))
        known[row] += weight * np.where(gone, 0, image[(slice(None), *at)]).T
    unknowns = np.arange(len(here))
    entries = np.concatenate([*values, share])
    place = np.concatenate([*rows, unknowns]), np.concatenate([*columns, unknowns])
    # share * pixel - sum of weight * removed neighbor = sum of weight * known neighbor; symmetric
    matrix = csc_array((entries, place), shape=(len(here), len(here)))
    solution = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(known)
    filled = image.copy()
    filled[:, removed] = (solution + noise * rng.standard_normal(solution.shape)).T
    return filled


def _check(fractions, order):
    if np.ndim(fractions) != 1 or not len(fractions) or not all(0 < f < 1 for f in fractions):
        raise InputError(f"fractions: expected numbers over 0 and under 1, found {fractions!r}")
    if order not in ORDERS:
        raise InputError(f"order: expected one of {', '.join(ORDERS)}; found {order!r}")
