"""XRAI: segments of an image, ranked by the density of integrated gradients in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Progress, Target
from npgrad._validate import baseline_set, one_of, whole_number
from npgrad.attribution._common import expect_images, gray
from npgrad.attribution._copies import begin
from npgrad.attribution._maps import part_of
from npgrad.attribution._path_mean import mean_gradient
from npgrad.attribution._quadrature import quadrature
from npgrad.attribution.segments import superpixels
from npgrad.errors import InputError
from npgrad.model import Model

SIDE = 224  # px, of the image whose sizes in pixels are DILATION and SMALLEST
DILATION, SMALLEST = 5, 50
CHANNELS = ("max", "sum")


@explains_scores
def xrai(
    model: Model,
    x: Array,
    target: Target = None,
    baseline: float | Array | None = None,
    n_segments: Sequence[int] = (200, 100, 50, 25, 12, 6),
    dilation: int | None = None,
    smallest: int | None = None,
    channels: str = "max",
    n_steps: int = 50,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Give each region the mean of integrated gradients in it, where the regions are added the densest first.

    Kapishnikov, Bolukbasi, Viegas, Terry 2019, algorithm 1. The image is cut into overlapping segments at several
    scales. The map grows from nothing: at every step the segment is added whose pixels that are not yet in the map have
    the highest mean attribution, and these pixels get this mean. The attribution A is the mean of integrated
    gradients over the baselines, by default black and white, so that dark and bright objects count alike.

    The segments are `superpixels`; the authors' code has those of Felzenszwalb and Huttenlocher (2004) at six scales.
    All else, the sizes in pixels included, is as in the authors' code (PAIR saliency).

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    baseline : None, float or ndarray
        A number or an array that broadcasts to one image, or a set (M, C, H, W) of baselines. None: black and white.
    n_segments : sequence of int, default (200, 100, 50, 25, 12, 6)
        The approximate number of segments at each scale; at most one per pixel.
    dilation : int or None
        By how many pixels, the radius of a disk, the segments are enlarged, so that edges are inside. None: 5 px for
        images of 224 px, in proportion to the shorter side.
    smallest : int or None
        A segment that would add fewer pixels is left out; what no segment has added gets its own mean. None: 50 px for
        images of 224 px by 224 px, in proportion to the square of the shorter side, and at least 1.
    channels : {"max", "sum"}, default "max"
        The attribution of a pixel: the maximum of its channels', as in the authors' code, or their sum, with which a
        map sums to F(x) minus the mean score of the baselines.
    n_steps : int, default 50
        Number of integration steps for each baseline, of Gauss-Legendre quadrature.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, H, W)
        The maps; the same value in all pixels that were added together.

    Raises
    ------
    InputError
        If x, target or an option cannot be used.
    TargetError
        If a target is not a class of the network.
    """
    x = expect_images("xrai", x)
    side = min(x.shape[2:])
    one_of(channels, "channels", CHANNELS)
    scales = _scales(n_segments, x[0, 0].size)
    radius = whole_number(round(DILATION * side / SIDE) if dilation is None else dilation, "dilation", 0)
    least = (
        max(1, round(SMALLEST * (side / SIDE) ** 2))
        if smallest is None
        else whole_number(smallest, "smallest")
    )
    nodes, weights = quadrature(n_steps=n_steps)
    x, targets, end, at_once = begin(model, x, target, batch_size)
    if baseline is None:
        baseline = np.concatenate([np.broadcast_to(gray(model, value, x), x[:1].shape) for value in (0, 1)])
    baselines = baseline_set(baseline, x)
    maps = []
    for i, image in enumerate(x):  # one by one: rounding could change the order of the segments
        total = np.zeros(image.shape, end.dtype)
        for k, start in enumerate(baselines):
            part = part_of(part_of(progress, i, len(x)), k, len(baselines))
            integral = mean_gradient(
                model, image[None], start[None], targets[[i]], nodes, weights.astype(end.dtype), at_once, part
            )
            total += (image - start) * integral[0] / len(baselines)
        pixels = total.max(axis=0) if channels == "max" else total.sum(axis=0)
        maps.append(_grown(pixels.astype(np.float64), _segments(image, scales, radius), least))
    return np.stack(maps).astype(end.dtype)


def _scales(n_segments, most):
    """The `n_segments` argument as a list, checked."""
    if not isinstance(n_segments, (list, tuple)) or not n_segments:
        raise InputError(f"n_segments: expected a list of whole numbers, found {n_segments!r:.60}")
    scales = [whole_number(count, "n_segments") for count in n_segments]
    return [min(count, most) for count in scales]


def _segments(image, scales, radius):
    """The segments of all scales, dilated: bool (K, H*W)."""
    from scipy import ndimage

    away = np.arange(-radius, radius + 1)
    disk = away[:, None] ** 2 + away**2 <= radius**2
    found = []
    for count in scales:
        labels = superpixels(image, count)
        found += [ndimage.binary_dilation(labels == label, disk) for label in range(labels.max() + 1)]
    return np.reshape(found, (len(found), -1))


def _grown(attribution, segments, least):
    """The map (H, W): every pixel has the mean attribution of the pixels that were added together with it."""
    flat, result = attribution.ravel(), np.empty(attribution.size)
    rest = np.ones(attribution.size, bool)  # the pixels that are not in the map
    counts, sums = segments.sum(axis=1), np.array([flat[one].sum() for one in segments])
    while (counts >= least).any():
        best = np.argmax(np.where(counts >= least, sums / np.maximum(counts, 1), -np.inf))
        added = np.flatnonzero(segments[best] & rest)
        result[added] = flat[added].mean()
        rest[added] = False
        counts = counts - segments[:, added].sum(axis=1)
        sums = sums - segments[:, added] @ flat[added]
    if rest.any():
        result[rest] = flat[rest].mean()
    return result.reshape(attribution.shape)
