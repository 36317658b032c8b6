"""Deletion, insertion and selectivity: remove or insert pixels or patches, the most important first."""

from typing import Any

import numpy as np

from npgrad._outputs import explains_scores, takes_any_target
from npgrad._parallel.batches import batches
from npgrad._targets import scores
from npgrad._typing import Array, Progress, Target
from npgrad._validate import full_baseline, pair, whole_number
from npgrad.errors import InputError
from npgrad.evaluation._checks import begin, pixel_map, target_probabilities
from npgrad.model import Model

BLUR = 5  # px, the standard deviation of the paper's blur, and the radius at which it is truncated


@takes_any_target
def deletion_auc(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    n_steps: int = 50,
    baseline: float | Array | str | None = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    return_curve: bool = False,
) -> Array | Any:  # Any: a tuple with return_curve, so that callers need no type check
    """Compute the area under the target's probability while the most important pixels are removed.

    Petsiuk, Das, Saenko 2018. At step k of 0..n_steps the round(k H W / n_steps) pixels of highest attribution are
    replaced by the baseline, all channels at once, ties in row-major order. The area under the softmax probability over
    the removed fraction, from 0 to 1, is computed by the trapezoidal rule. Lower is better.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, as ``model.preprocess`` returns them, or other inputs of a network.
    attribution : ndarray (N, C, H, W), (N, H, W) or (N, ...)
        The attribution of each image, whose channels are summed; of other inputs, of their shape, and each element
        counts as a pixel.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    n_steps : int, default 50
        Number of steps of the curve.
    baseline : None, float, ndarray or "blur", default 0
        The values of removed pixels, broadcast to x. None: 0, the mean color. "blur": x blurred.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    return_curve : bool, default False
        Whether to return the curve as well.

    Returns
    -------
    ndarray (N,)
        The areas; with ``return_curve=True`` the tuple (areas (N,), fractions (n_steps + 1,),
        probabilities (N, n_steps + 1)).
    """
    return _area(model, x, attribution, target, n_steps, baseline, True, batch_size, progress, return_curve)


@takes_any_target
def insertion_auc(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    n_steps: int = 50,
    baseline: float | Array | str | None = "blur",
    batch_size: int | None = None,
    progress: Progress = None,
    return_curve: bool = False,
) -> Array | Any:  # Any: a tuple with return_curve, so that callers need no type check
    """Compute the area under the target's probability while the most important pixels are inserted.

    As `deletion_auc`, but starting from the baseline and inserting the pixels of x. Higher is better.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, as ``model.preprocess`` returns them, or other inputs of a network.
    attribution : ndarray (N, C, H, W), (N, H, W) or (N, ...)
        The attribution of each image, whose channels are summed; of other inputs, of their shape, and each element
        counts as a pixel.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    n_steps : int, default 50
        Number of steps of the curve.
    baseline : None, float, ndarray or "blur", default "blur"
        The image to start from, broadcast to x. None: 0, the mean color. "blur": x blurred, so that the shape of the
        inserted pixels adds no sharp edges.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    return_curve : bool, default False
        Whether to return the curve as well.

    Returns
    -------
    ndarray (N,)
        The areas; with ``return_curve=True`` as for `deletion_auc`.
    """
    return _area(model, x, attribution, target, n_steps, baseline, False, batch_size, progress, return_curve)


@explains_scores
def selectivity(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    window: int | tuple[int, int] = 8,
    baseline: float | Array | str | None = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    return_curve: bool = False,
) -> Array | Any:  # Any: a tuple with return_curve, so that callers need no type check
    """Compute the area under the target's score while patches are removed, those with the highest sum first.

    Montavon, Samek, Müller 2018, section "Explanation selectivity". The image is cut into patches from its top left
    corner on, the last ones of a row or column smaller if the size does not divide it; ties are in row-major order. The
    area under the score over the removed fraction of the patches, from 0 to 1, is computed by the trapezoidal rule.
    Lower is better.

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
    window : int or (int, int), default 8
        The size of a patch in pixels: the side of a square, or (h, w).
    baseline : None, float, ndarray or "blur", default 0
        The values of removed patches, broadcast to x. None: 0, the mean color. "blur": x blurred.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    return_curve : bool, default False
        Whether to return the curve as well.

    Returns
    -------
    ndarray (N,)
        The areas, in units of the score; with ``return_curve=True`` the tuple (areas (N,), fractions (K + 1,),
        scores (N, K + 1)), for K patches.
    """
    tall, wide = pair(window, "window")
    x, _, targets, size = begin(model, x, target, batch_size)
    n, _, height, width = x.shape
    if tall > height or wide > width:
        raise InputError(f"window: expected at most the image ({height}, {width}), found {window!r}")
    a, substitute = pixel_map(attribution, (n, height, width)), _substitute(x, baseline)
    down, across = np.arange(0, height, tall), np.arange(0, width, wide)
    sums = np.add.reduceat(np.add.reduceat(a, down, axis=1), across, axis=2)
    rank = importance_order(sums).argsort(axis=1).reshape(sums.shape)
    rank = rank.repeat(tall, axis=1).repeat(wide, axis=2)[:, None, :height, :width]
    curve = np.empty((n, sums[0].size + 1))
    for part in batches(curve.size, size, progress):
        i, k = np.unravel_index(part, curve.shape)
        copies = np.where(rank[i] < k[:, None, None, None], substitute[i], x[i])
        curve[i, k] = scores(model, model(copies), targets[i])
    area = (curve[:, 1:] + curve[:, :-1]).mean(axis=1) / 2
    return (area, np.linspace(0, 1, curve.shape[1]), curve) if return_curve else area


def importance_order(attribution: Array) -> Array:
    """Sort the pixels of each image from the most to the least important, ties in row-major order.

    Parameters
    ----------
    attribution : ndarray (N, H, W)
        One value per pixel.

    Returns
    -------
    ndarray of int (N, H*W)
        Indices into the flattened images.
    """
    return np.argsort(-attribution.reshape(len(attribution), -1), axis=1, kind="stable")


def blurred(x: Array) -> Array:
    """Blur images with a Gaussian of 5 px, truncated at 5 px, with reflected edges.

    Parameters
    ----------
    x : ndarray (N, C, H, W)
        Images.

    Returns
    -------
    ndarray (N, C, H, W)
    """
    from scipy import ndimage

    return ndimage.gaussian_filter(x, (0, 0, BLUR, BLUR), truncate=1)


def _substitute(x, baseline):
    if isinstance(baseline, str):
        if baseline != "blur":
            raise InputError(f"baseline: expected a number, an array or 'blur'; found {baseline!r}")
        if x.ndim != 4:
            raise InputError(
                f"baseline: expected a number or an array for inputs of shape {x.shape}, not 'blur'"
            )
        return blurred(x)
    return full_baseline(baseline, x.shape, x.dtype)


def _area(model, x, attribution, target, n_steps, baseline, deleting, batch_size, progress, return_curve):
    """The area under the probability while the most important pixels change, from x to the baseline or vice versa."""
    whole_number(n_steps, "n_steps")
    x, _, targets, size = begin(model, x, target, batch_size, images=False)
    places = x.shape[2:] if x.ndim == 4 else x.shape[1:]
    n, pixels = len(x), int(np.prod(places))
    order = importance_order(pixel_map(attribution, (n, *places)))
    rank = order.argsort(axis=1).reshape(n, *(1,) * (x.ndim == 4), *places)
    substitute = _substitute(x, baseline)
    before, after = (x, substitute) if deleting else (substitute, x)
    counts = np.rint(np.arange(n_steps + 1) * pixels / n_steps).astype(int)
    curve = np.empty((n, n_steps + 1))
    for part in batches(curve.size, size, progress):
        i, k = np.unravel_index(part, curve.shape)
        changed = rank[i] < counts[k].reshape(-1, *(1,) * (x.ndim - 1))
        curve[i, k] = target_probabilities(model, model(np.where(changed, after[i], before[i])), targets[i])
    fractions = counts / pixels
    area = ((curve[:, 1:] + curve[:, :-1]) / 2 * np.diff(fractions)).sum(axis=1)
    return (area, fractions, curve) if return_curve else area
