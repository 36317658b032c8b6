"""Is the attribution located on the object? For images with a mask of the object."""

import numpy as np

from npgrad._typing import Array
from npgrad._validate import not_negative, whole_number
from npgrad.errors import InputError
from npgrad.evaluation._checks import image_masks, pixel_map


def pointing_game(attribution: Array, mask: Array, tolerance: float = 0) -> Array:
    """Test whether the maximum of the attribution is in the mask.

    Zhang, Lin, Brandt, Shen, Sclaroff 2016.

    Parameters
    ----------
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image; channels are summed.
    mask : ndarray of bool (H, W) or (N, H, W)
        The pixels of the object.
    tolerance : float, default 0
        Pixels up to this distance from the mask also count. The paper uses 15.

    Returns
    -------
    ndarray (N,)
        1 for a hit, 0 for a miss. If several pixels share the maximum, the fraction of them that are hits: the
        expected score of one chosen at random.

    Examples
    --------
    >>> attribution, mask = np.zeros((1, 4, 4)), np.zeros((4, 4), bool)
    >>> attribution[0, 1, 2], mask[:2] = 1, True
    >>> pointing_game(attribution, mask).tolist()
    [1.0]
    """
    a = pixel_map(attribution)
    masks = image_masks(mask, a.shape)
    not_negative(tolerance, "tolerance")
    return np.array([_hits(one, inside, tolerance) for one, inside in zip(a, masks, strict=True)])


def energy_inside(attribution: Array, mask: Array) -> Array:
    """Compute the fraction of the positive attribution that is in the mask.

    This is the energy-based pointing game of Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu 2020.

    Parameters
    ----------
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image; channels are summed.
    mask : ndarray of bool (H, W) or (N, H, W)
        The pixels of the object.

    Returns
    -------
    ndarray (N,)
        Values from 0 to 1; 0 if nothing is positive.
    """
    a = np.maximum(pixel_map(attribution), 0)
    inside = (a * image_masks(mask, a.shape)).sum(axis=(1, 2))
    total = a.sum(axis=(1, 2))
    return inside / np.where(total == 0, 1, total)


def best_iou(attribution: Array, mask: Array) -> Array:
    """Compute the intersection over union of the mask and {attribution >= t} at each image's best threshold t.

    It measures how well the attribution could outline the object (cf. Choe, Oh, Lee, Chun, Akata, Shim 2020,
    section 4). A constant map has one threshold, which selects the whole image.

    Parameters
    ----------
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image; channels are summed.
    mask : ndarray of bool (H, W) or (N, H, W)
        The pixels of the object.

    Returns
    -------
    ndarray (N,)
        Values from 0 to 1.
    """
    a = pixel_map(attribution)
    masks = image_masks(mask, a.shape)
    return np.array([_best_iou(one.ravel(), inside.ravel()) for one, inside in zip(a, masks, strict=True)])


def top_k_intersection(attribution: Array, mask: Array, k: int | None = None) -> Array:
    """Compute the fraction of the k most important pixels that are in the mask.

    Theiner, Müller-Budack, Ewerth 2021: |top k and mask| / k. It takes a mask of the object; the top-k intersection of
    Ghorbani, Abid, Zou 2019 compares two attributions with each other. With k the number of pixels of the mask it is
    the relevance rank accuracy of Arras, Osman, Samek 2022.

    Parameters
    ----------
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image; channels are summed.
    mask : ndarray of bool (H, W) or (N, H, W)
        The pixels of the object.
    k : int or None
        The number of pixels. None: each image's number of pixels in the mask. (Quantus takes 1,000.)

    Returns
    -------
    ndarray (N,)
        Values from 0 to 1. Of pixels that share the k-th value, the expected number if they are chosen at random.
    """
    a = pixel_map(attribution)
    masks = image_masks(mask, a.shape)
    if k is not None and whole_number(k, "k") > a[0].size:
        raise InputError(f"k: expected at most the image's {a[0].size} pixels, found {k}")
    return np.array(
        [_top_inside(one, inside, k or inside.sum()) for one, inside in zip(a, masks, strict=True)]
    )


def _top_inside(a, inside, k):
    threshold = np.partition(a, a.size - k, axis=None)[a.size - k]
    above, tied = a > threshold, a == threshold
    return ((above & inside).sum() + (k - above.sum()) * inside[tied].mean()) / k


def _best_iou(a, inside):
    order = np.argsort(-a, kind="stable")
    both, selected = np.cumsum(inside[order]), np.arange(1, a.size + 1)
    iou = both / (selected + inside.sum() - both)
    falls = np.append(np.diff(a[order]) != 0, True)  # equal values pass the threshold together
    return iou[falls].max()


def _hits(a, inside, tolerance):
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~inside)  # each pixel's distance to the mask
    return (away[a == a.max()] <= tolerance).mean()
