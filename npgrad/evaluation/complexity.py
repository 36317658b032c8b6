"""Is an attribution short enough to be understood?"""

import numpy as np

from npgrad._typing import Array
from npgrad.evaluation._checks import expect_attribution


def sparseness(attribution: Array) -> Array:
    """Compute the Gini index of the absolute attribution: 0 if all elements are equal, near 1 if one has everything.

    Chalasani, Chen, Chowdhury, Jha, Wu 2020, after Hurley, Rickard 2009: with the d absolute values sorted
    in ascending order, G = 1 - 2 * sum over k of a_k / |a|_1 * (d - k + 1/2) / d. Every element is a feature, as in
    the paper: the channels of a pixel are not summed. (Quantus adds 1e-7 to each value first.)

    Parameters
    ----------
    attribution : ndarray (N, C, H, W) or (N, H, W)
        The attribution of each image.

    Returns
    -------
    ndarray (N,)
        Values from 0 to 1 - 1/d; 0 where all are 0.

    Examples
    --------
    >>> attribution = np.zeros((2, 2, 2))
    >>> attribution[0], attribution[1, 0, 0] = 1, 5
    >>> sparseness(attribution).tolist()
    [0.0, 0.75]
    """
    a = np.sort(np.abs(expect_attribution(attribution)).reshape(len(attribution), -1), axis=1)
    largest = a[:, -1:]  # divided by it first, so that the sum of the smallest numbers is not 0
    a = a / np.where(largest == 0, 1, largest)
    d, total = a.shape[1], a.sum(axis=1)
    # the formula with its two terms as one fraction: exactly 0 where all are equal
    return a @ (2 * np.arange(1, d + 1) - d - 1) / (d * np.where(total == 0, 1, total))
