"""Eigen-CAM: the first principal component of a layer's activation, whatever the class."""

import numpy as np

from npgrad._typing import Array, Target
from npgrad.attribution._maps import at_size, map_layer
from npgrad.attribution._surgery import run_to
from npgrad.model import Model


def eigen_cam(
    model: Model, x: Array, target: Target = None, layer: str | None = None, resize: str | None = None
) -> Array:
    """Project the activation of a layer on its first principal direction: (N, h, w), not normalized.

    Muhammad, Yeasin 2020: with A the activation of an image, (h*w, C), not centered, and A = U S V^T, the map is
    A v for the first column v of V. The sign of a singular vector is arbitrary; here it is chosen so that the sum of
    the map is positive. After a ReLU the map then has no negative values, because A^T A has no negative entries, and
    so the entries of its first eigenvector all have the same sign (Perron, Frobenius).

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the map is the same for every class.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the map to the size of the images. None: keep the spatial size of the layer.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
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
