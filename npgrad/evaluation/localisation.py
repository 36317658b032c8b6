"""Does the attribution lie on the thing? For pictures of which it is known where the thing is."""

import numpy as np

from npgrad.attribution.copies import not_negative
from npgrad.evaluation.checks import picture_masks, pixel_map


def pointing_game(attribution, mask, tolerance=0):
    """Whether the maximum lies in the mask (Zhang, Lin, Brandt, Shen, Sclaroff 2016): (N,), 1 or 0.

    attribution: (N, C, H, W), its channels summed, or (N, H, W). mask: bools, (H, W) or (N, H, W).
    tolerance: so many pixels beside the mask still count (the paper takes 15). Where several pixels share the
    maximum, the share of them that hit: what a pointer that takes any of them would score on average.
    """
    a = pixel_map(attribution)
    masks = picture_masks(mask, a.shape)
    not_negative(tolerance, "tolerance")
    return np.array([_hits(one, inside, tolerance) for one, inside in zip(a, masks, strict=True)])


def energy_inside(attribution, mask):
    """The share of the positive attribution that lies in the mask: (N,), 0 to 1.

    The energy-based pointing game of Wang, Wang, Du, Yang, Zhang, Ding, Mardziel, Hu 2020. 0 where nothing
    is positive. attribution, mask: as for `pointing_game`.
    """
    a = np.maximum(pixel_map(attribution), 0)
    inside = (a * picture_masks(mask, a.shape)).sum(axis=(1, 2))
    total = a.sum(axis=(1, 2))
    return inside / np.where(total == 0, 1, total)


def _hits(a, inside, tolerance):
    from scipy import ndimage

    away = ndimage.distance_transform_edt(~inside)  # each pixel's distance to the mask
    return (away[a == a.max()] <= tolerance).mean()
