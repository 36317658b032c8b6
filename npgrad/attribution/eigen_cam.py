"""Eigen-CAM: what most of a layer's activation has in common, whatever the class."""

import numpy as np

from npgrad.attribution._maps import at_size, map_layer
from npgrad.attribution._surgery import run_to


def eigen_cam(model, x, target=None, layer=None, resize=None):
    """The activation of a layer projected on its first principal direction: (N, h, w), unscaled.

    Muhammad, Yeasin 2020: with A an image's activation, (h*w, C), not centered, and A = U S V^T, the
    map is A v for the first column v of V. A singular vector has no sign of its own; here the map's sum is
    made positive. After a ReLU no value of the map is then negative, for A^T A has no negative entries and
    so its first eigenvector's are all of one sign (Perron, Frobenius).

    target is not used: the map is the same for every class. layer, resize: as for `grad_cam`.
    """
    layer = map_layer(model, x, layer)
    activation = run_to(model, x, layer)[layer]
    return at_size(x, np.stack([_project(A) for A in activation]), resize)


def _project(A):
    """(C, h, w) -> (h, w)"""
    pixels = A.reshape(len(A), -1).T
    v = np.linalg.svd(pixels, full_matrices=False)[2][0]
    projected = (pixels @ v).reshape(A.shape[1:])
    return -projected if projected.sum() < 0 else projected
