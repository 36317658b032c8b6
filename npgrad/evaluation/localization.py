"""Does the attribution lie on the thing? For images of which it is known where the thing is."""

import numpy as np

from npgrad._validate import not_negative
from npgrad.evaluation._checks import image_masks, pixel_map


def pointing_game(attribution, mask, tolerance=0):
    """Whether the maximum lies in the mask (Zhang, Lin, Brandt, Shen, Sclaroff 2016): (N,), 1 or 0.

    attribution: (N, C, H, W), its channels summed, or (N, H, W). mask: bools, (H, W) or (N, H, W).
    tolerance: so many pixels beside the mask still count (the paper takes 15). Where several pixels share the
    maximum, the share of them that hit: what a pointer that takes any of them would score on average.
    """
    a = pixel_map(attribution)
    masks = image_masks(mask, a.shape)
    not_negative(tolerance, "tolerance")
    return np.array([_hits(one, inside, tolerance) for one, inside in zip(a, masks, strict=True)])


def energy_inside(attribution, mask):
    """The share of the positive attribution that lies in the mask: (N,), 0 to 1.

    The energy-based pointing game of Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu 2020. 0 where nothing
    is positive. attribution, mask: as for `pointing_game`.
    """
    a = np.maximum(pixel_map(attribution), 0)
    inside = (a * image_masks(mask, a.shape)).sum(axis=(1, 2))
    total = a.sum(axis=(1, 2))
    return inside / np.where(total == 0, 1, total)


def best_iou(attribution, mask):
    """The overlap of the object with the pixels above a threshold, at the best threshold: (N,), 0 to 1.

    Intersection over union of the mask and {attribution >= t}, for the t that makes it largest, each image
    its own: how well the attribution could outline the object (cf. Choe, Oh, Lee, Chun, Akata, Shim 2020,
    section 4). attribution, mask: as for `pointing_game`. A map that is the same everywhere has one
    threshold, and marks the whole image.
    """
    a = pixel_map(attribution)
    masks = image_masks(mask, a.shape)
    return np.array([_best_iou(one.ravel(), inside.ravel()) for one, inside in zip(a, masks, strict=True)])


def _best_iou(a, inside):
    order = np.argsort(-a, kind="stable")
    both, marked = np.cumsum(inside[order]), np.arange(1, a.size + 1)
    iou = both / (marked + inside.sum() - both)
    falls = np.append(np.diff(a[order]) != 0, True)  # equal values pass the threshold together
    return iou[falls].max()


def _hits(a, inside, tolerance):
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~inside)  # each pixel's distance to the mask
    return (away[a == a.max()] <= tolerance).mean()
