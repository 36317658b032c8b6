"""ROAD, remove and debias (Rong, Leemann, Borisov, Kasneci, Kasneci 2022): remove pixels by imputation.

Pixels replaced by a fixed color leak information through the shape of the mask. Here each removed pixel becomes the
weighted mean of its neighbors, which may be removed themselves: one sparse linear system.
"""

from collections.abc import Sequence

import numpy as np

from npgrad._outputs import takes_any_target
from npgrad._parallel.batches import batches
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import generator, generators, not_negative, one_of
from npgrad.evaluation._checks import begin, check_fractions, counts_of, pixel_map, target_probabilities
from npgrad.evaluation.pixels import importance_order
from npgrad.model import Model

NEIGHBORS = {  # (down, across): weight; the paper gives edges twice the weight of corners
    (down, across): (1 / 6 if 0 in (down, across) else 1 / 12)
    for down in (-1, 0, 1)
    for across in (-1, 0, 1)
    if (down, across) != (0, 0)
}
ORDERS = {"most": (1,), "least": (-1,), "both": (1, -1)}  # signs: 1 for most important first


@takes_any_target
def road(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    fractions: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    order: str = "both",
    noise: float = 0.01,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Compute the target's mean softmax probability after pixels were removed by noisy linear imputation.

    Rong et al. 2022. (The paper uses the accuracy over a data set instead of one image's probability.)

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
        The fractions of pixels to remove, each > 0 and < 1; the probability is averaged over them.
    order : {"both", "most", "least"}
        "most": the most important pixels are removed first, and lower is better. "least": the least important first,
        and higher is better. "both": least - most, from -1 to 1; higher is better, and a random attribution scores 0
        on average.
    noise : float, default 0.01
        The standard deviation of the noise added to each imputed element, in units of x.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the noise. It is in the same state for every image of a batch,
        so that an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).

    Returns
    -------
    ndarray (N,)
        The score of each image's attribution.
    """
    check_fractions(fractions)
    one_of(order, "order", ORDERS)
    not_negative(noise, "noise")
    rng = generator(rng)
    x, _, targets, size = begin(model, x, target, batch_size)
    n, _, height, width = x.shape
    rngs = generators(rng, n)
    ranks = importance_order(pixel_map(attribution, (n, height, width))).argsort(axis=1)
    counts = counts_of(fractions, height * width)
    after = np.empty((n, len(ORDERS[order]), len(counts)))
    for part in batches(after.size, size, progress):
        copies = []
        for i, direction, k in zip(*np.unravel_index(part, after.shape), strict=True):
            rank = ranks[i] if ORDERS[order][direction] == 1 else ranks[i].size - 1 - ranks[i]
            copies.append(impute(x[i], rank.reshape(height, width) < counts[k], noise, rngs[i]))
        after.flat[part] = target_probabilities(
            model, model(np.stack(copies)), targets[part // after[0].size]
        )
    mean = after.mean(axis=2)
    return mean[:, 1] - mean[:, 0] if order == "both" else mean[:, 0]


def impute(image: Array, removed: Array, noise: float = 0.01, rng: Rng = 0) -> Array:
    """Replace each removed pixel by the weighted mean of its neighbors, plus noise.

    Direct neighbors have twice the weight of diagonal ones; neighbors outside the image do not count. The noise keeps
    the smoothness from marking the removed pixels.

    Parameters
    ----------
    image : ndarray (C, H, W)
        One image.
    removed : ndarray of bool (H, W)
        The pixels to replace; at least one must remain.
    noise : float, default 0.01
        The standard deviation of the normal noise.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the noise.

    Returns
    -------
    ndarray (C, H, W)
    """
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    rng = generator(rng)
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(removed.sum())  # numbers the unknowns
    here = np.argwhere(removed)
    rows, columns, values = [], [], []
    known = np.zeros((len(here), len(image)))
    share = np.zeros(len(here))  # sum of the weights of the neighbors inside the image
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
