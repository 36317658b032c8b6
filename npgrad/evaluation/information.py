"""Performance information curves: how much of the image's information the network needs (Kapishnikov et al. 2019).

The image starts as a blurred one, of which a few random pixels are known and the others are interpolated. The most
important pixels become known step by step. What counts is not how many they are but how much information they add,
which is estimated by the size of the image in a compressed file.
"""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from npgrad._asked import is_question
from npgrad._outputs import expect_classes, takes_any_target
from npgrad._parallel.batches import batches
from npgrad._targets import class_logits
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import generator, generators
from npgrad.errors import InputError, level_outside
from npgrad.evaluation._checks import begin, check_fractions, pixel_map, target_probabilities
from npgrad.model import Model

FRACTIONS = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.10, 0.13, 0.21, 0.34, 0.5, 0.75)
KNOWN = 0.01  # fraction of the pixels that the blurred image is interpolated from


@takes_any_target
def sic_auc(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    fractions: Sequence[float] = FRACTIONS,
    monotonous: bool = True,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    return_curve: bool = False,
) -> Array | Any:  # Any: a tuple with return_curve, so that callers need no type check
    """Compute the area under the softmax information curve: higher is better.

    Kapishnikov, Bolukbasi, Viégas, Terry 2019, with the details of the authors' code: 1% of the pixels,
    drawn at random, and the corners are known at the start, and the others are interpolated linearly. Then the given
    fractions of the pixels, those of the highest attribution, become known as well. Both the size of the image as a
    lossless WebP file and the target's probability are scaled so that the blurred image has 0 and the image itself 1,
    and clipped to this range. The area under the probability over the size is computed by the trapezoidal rule.

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
        The fractions of pixels to add, each > 0 and < 1, in ascending order.
    monotonous : bool, default True
        Whether each point of the curve is the highest of the fractions up to it, as in the paper.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the pixels known at the start. It is in the same state for every image of
        a batch, so that an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    return_curve : bool, default False
        Whether to return the curve as well.

    Returns
    -------
    ndarray (N,)
        The areas, from 0 to 1. NaN, with a warning, for an image whose blurred version has a probability or a size that
        is not lower: it has no curve, and the authors leave it out. With ``return_curve=True`` the tuple (areas (N,),
        sizes (N, K + 2), probabilities (N, K + 2)), for K fractions, both scaled, from the blurred image to the image.
    """
    return _area(
        model, x, attribution, target, fractions, monotonous, rng, batch_size, progress, return_curve
    )


def aic_auc(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    fractions: Sequence[float] = FRACTIONS,
    monotonous: bool = True,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    return_curve: bool = False,
) -> Array | Any:  # Any: a tuple with return_curve, so that callers need no type check
    """Compute the area under the accuracy information curve: higher is better.

    As `sic_auc`, with 1 where the target is the network's top class and 0 where it is not, in place of the probability.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image; channels are summed.
    target : int, str, sequence of them, or None
        The class by index or name, for all images or one per image. None: each image's top class.
    fractions : sequence of float
        The fractions of pixels to add, each > 0 and < 1, in ascending order.
    monotonous : bool, default True
        Whether the target stays the top class once it was, as in the paper.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the pixels known at the start. It is in the same state for every image of
        a batch, so that an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    return_curve : bool, default False
        Whether to return the curve as well.

    Returns
    -------
    ndarray (N,)
        The areas, from 0 to 1, and NaN, with a warning, for an image that is not classified as the target, or is so
        when it is blurred; with ``return_curve=True`` as for `sic_auc`.
    """
    expect_classes(model, "aic_auc")
    if target is not None and is_question(model, target):
        raise InputError("aic_auc: expected a class as the target, which is or is not the network's answer")
    return _area(
        model, x, attribution, target, fractions, monotonous, rng, batch_size, progress, return_curve, _hits
    )


def _hits(model, outputs, targets):
    return (class_logits(model, outputs).argmax(axis=1) == targets).astype(np.float64)


def _area(
    model, x, attribution, target, fractions, monotonous, rng, batch_size, progress, return_curve,
    performance=target_probabilities,
):  # fmt: skip
    """The area under `performance` over the size of the compressed images."""
    check_fractions(fractions)
    if list(fractions) != sorted(fractions):
        raise InputError(f"fractions: expected them in ascending order, found {fractions!r}")
    rng = generator(rng)
    x, _, targets, size = begin(model, x, target, batch_size)
    n, _, height, width = x.shape
    a = pixel_map(attribution, (n, height, width))
    known = np.stack([_few(height, width, one) for one in generators(rng, n)])
    sizes, curve = np.empty((2, n, len(fractions) + 2))
    for part in batches(curve.size, size, progress):
        copies = []
        for i, k in zip(*np.unravel_index(part, curve.shape), strict=True):
            if k <= len(fractions):
                more = a[i] >= np.quantile(a[i], 1 - fractions[k - 1]) if k else False
                copies.append(interpolated(x[i], known[i] | more))
            else:
                copies.append(x[i])
        copies = np.stack(copies)
        sizes.flat[part] = [compressed_size(image) for image in model.deprocess(copies)]
        curve.flat[part] = performance(model, model(copies), targets[part // curve.shape[1]])
    sizes, curve = _from_0_to_1(sizes), _from_0_to_1(curve)
    _warn_of(np.isnan(sizes + curve).any(axis=1))
    if monotonous:
        curve[:, :-1] = np.maximum.accumulate(curve[:, :-1], axis=1)
    order = np.argsort(sizes, axis=1, kind="stable")
    along, height = (np.take_along_axis(values, order, axis=1) for values in (sizes, curve))
    area = (np.diff(along, axis=1) * (height[:, 1:] + height[:, :-1]) / 2).sum(axis=1)
    return (area, sizes, curve) if return_curve else area


def _few(height, width, rng):
    """The pixels that are known at the start: bool (H, W)."""
    known = np.zeros((height, width), bool)
    known.flat[rng.choice(known.size, int(KNOWN * known.size), replace=False)] = True
    known[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    return known


def interpolated(image: Array, known: Array) -> Array:
    """Interpolate the unknown pixels of an image linearly, in the Delaunay triangles of the known ones.

    Parameters
    ----------
    image : ndarray (C, H, W)
        One image.
    known : ndarray of bool (H, W)
        The pixels that keep their values; the corners must be among them.

    Returns
    -------
    ndarray (C, H, W)
        In the image's dtype.
    """
    from scipy.interpolate import LinearNDInterpolator

    if known.all() or min(known.shape) == 1:
        return np.where(known, image, image[:, known].mean(axis=1)[:, None, None])
    surface = LinearNDInterpolator(np.argwhere(known), image[:, known].T)
    filled = image.copy()
    values = surface(np.argwhere(~known)).T
    mean = image.mean(axis=(1, 2))[:, None]  # on the border rounding may put a pixel outside every triangle
    filled[:, ~known] = np.where(np.isnan(values), mean, values)
    return filled


def compressed_size(image: Array) -> int:
    """Compute how many bytes an image takes as a lossless WebP file.

    Parameters
    ----------
    image : ndarray (H, W, 3), uint8
        One image.

    Returns
    -------
    int
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="webp", lossless=True, quality=100)
    return buffer.tell()


def _from_0_to_1(values):
    """Each row scaled so that its first is 0 and its last is 1, and clipped; NaN where the last is not higher."""
    first, last = values[:, :1], values[:, -1:]
    rises = last > first
    return np.where(rises, np.clip((values - first) / np.where(rises, last - first, 1), 0, 1), np.nan)


def _warn_of(without):
    if without.any():
        images = ", ".join(map(str, np.flatnonzero(without)[:5]))
        warnings.warn(
            f"no information curve for image {images}: blurred, its score or its size in a file is not lower",
            stacklevel=level_outside(),
        )
