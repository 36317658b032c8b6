"""Gaussian smoothing of maps."""

import numpy as np


def smoothed(values, smooth):
    """A map blurred with a Gaussian whose standard deviation is a fraction of the shorter side."""
    sigma = smooth * min(values.shape)
    if sigma == 0:
        return values
    down, across = (_blurring(side, sigma) for side in values.shape)
    return down @ values @ across.T


def _blurring(side, sigma):
    """The matrix (side, side) that blurs a row of pixels with a Gaussian; at its ends the row is reflected.

    The same as scipy.ndimage.gaussian_filter1d, whose import takes longer than computing a saliency map.
    """
    away = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    weight = np.exp(-((away / sigma) ** 2) / 2)
    from_pixel = (np.arange(side)[:, None] + away) % (2 * side)
    from_pixel = np.minimum(from_pixel, 2 * side - 1 - from_pixel)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], from_pixel), weight / weight.sum())
    return matrix
