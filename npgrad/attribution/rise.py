"""RISE: the mean of random masks, weighted by the scores of the images that they leave."""

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import full_baseline, generators, share, whole_number
from npgrad.attribution._common import expect_images
from npgrad.attribution._copies import begin, scores_of
from npgrad.attribution._maps import part_of
from npgrad.errors import InputError
from npgrad.model import Model

CELLS = 7


@explains_scores
def rise(
    model: Model,
    x: Array,
    target: Target = None,
    n_samples: int = 1000,
    cells: int | None = None,
    probability: float = 0.5,
    center: bool = True,
    baseline: float | Array | None = 0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Average random masks M, each weighted by the score of the image that is kept where the mask is 1.

    With the score F and n masks, this is ::

        sum over M of (F(x * M) - mean F) * M / (n E[M])

    which estimates how much higher the expected score is if the pixel is kept. Petsiuk, Das, Saenko 2018, section 3.1,
    do not subtract the mean of the scores: their map is higher by the mean everywhere, and noisier, the more the higher
    the mean; with ``center=False`` it is theirs. A mask is a grid of `cells` by `cells` random zeros and ones, enlarged
    by bilinear interpolation by ceil(size / cells) px a cell and one cell more than the image, and shifted at random by
    up to a cell (section 3.2). The paper explains probabilities: ``target="prob(tabby)"``.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    n_samples : int, default 1000
        Number of masks. The paper takes 4,000 to 8,000.
    cells : int or None
        Number of cells of a mask vertically and horizontally, at most the shorter side of the image. None: 7, if the
        image is not smaller.
    probability : float, default 0.5
        Probability that a cell is kept, above 0 and at most 1; E[M].
    center : bool, default True
        Whether to subtract the mean score of the masked images from the score of each. False: the paper's formula.
    baseline : None, float or ndarray, default 0
        The values where the mask is 0, broadcast to x. None: 0, the mean color.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the masks. It is in the same state for every image of a batch, so that an
        image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, H, W)
        The maps.

    Raises
    ------
    InputError
        If x, target or an option cannot be used.
    TargetError
        If a target is not a class of the network.
    """
    x = expect_images("rise", x)
    size, every = x.shape[2:], generators(rng, len(x))
    n_samples, probability = whole_number(n_samples, "n_samples"), share(probability, "probability")
    cells = min(CELLS, *size) if cells is None else whole_number(cells, "cells")
    if cells > min(size):
        raise InputError(f"cells: expected at most {min(size)}, the shorter side of the image; found {cells}")
    x, targets, clean, at_once = begin(model, x, target, batch_size, backward=False)
    baseline = full_baseline(baseline, x.shape, x.dtype)
    maps = []
    for i, own in enumerate(every):
        weighted, cover, mean = np.zeros(size), np.zeros(size), 0.0
        for some in batches(n_samples, at_once, part_of(progress, i, len(x))):
            masks = np.stack([_mask(size, cells, probability, own, x.dtype) for _ in some])
            copies = baseline[i] + masks[:, None] * (x[i] - baseline[i])
            found = scores_of(model, copies, np.repeat(targets[i], len(some)), at_once)
            for mask, score in zip(masks, found, strict=True):
                weighted += score * mask
                cover += mask
                mean += float(score) / n_samples
        maps.append((weighted - mean * cover if center else weighted) / (n_samples * probability))
    return np.stack(maps).astype(clean.dtype)


def _mask(size, cells, probability, rng, dtype):
    """One random mask (H, W), values 0..1."""
    kept = (rng.random((cells, cells)) < probability).astype(dtype)
    down, across = (_enlargement(side, cells, rng).astype(dtype) for side in size)
    return down @ kept @ across.T


def _enlargement(side, cells, rng):
    """Bilinear interpolation along one side, shifted at random, as a matrix (side, cells)."""
    step = -(-side // cells)
    pixels = rng.integers(step) + np.arange(side)
    places = np.clip((pixels + 0.5) * cells / (step * (cells + 1)) - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells)))
