"""Eigen-CAM and Eigen-Grad-CAM: the first principal component of a layer's activation, or of it times its gradient."""

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Layers, Target
from npgrad.attribution._maps import activation_and_gradient, at_size, map_layer, over_layers
from npgrad.attribution._surgery import run_to
from npgrad.model import Model


@over_layers
def eigen_cam(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    resize: str | None = None,
    centered: bool = False,
) -> Array:
    """Project the activation of a layer on its first principal direction: (N, h, w), not normalized.

    Muhammad, Yeasin 2020: with A the activation of an image, (h*w, C), not centered, and A = U S V^T, the map is
    A v for the first column v of V. The sign of a singular vector is arbitrary; here it is chosen so that the sum of
    the map is positive. After a ReLU the map then has no negative values, because A^T A has no negative entries, and
    so the entries of its first eigenvector all have the same sign (Perron, Frobenius).

    pytorch-grad-cam's code subtracts the mean over the pixels first, and leaves the sign to the decomposition:
    ``centered=True`` does the former, and the sign is then that of the product with the mean over channels.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the map is the same for every class.
    layer : str, sequence of str, or None
        Name of the layer; of several, the mean of their maps, see `grad_cam`. None: the model's default layer for
        activation maps.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the map to the size of the images. None: keep the spatial size of the layer.
    centered : bool, default False
        Whether to subtract each channel's mean over the pixels, as pytorch-grad-cam does.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
    """
    layer = map_layer(model, x, layer)
    activation = run_to(model, x, layer)[layer]
    return at_size(x, np.stack([_project(A, centered) for A in activation]), resize)


@explains_scores
@over_layers
def eigen_grad_cam(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    resize: str | None = None,
    centered: bool = False,
) -> Array:
    """Project activation times gradient of a layer on its first principal direction: (N, h, w), not normalized.

    pytorch-grad-cam's Eigen-CAM with a class: `eigen_cam` of dA * A in place of A.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str, sequence of str, or None
        Name of the layer; of several, the mean of their maps, see `grad_cam`. None: the model's default layer for
        activation maps.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the map to the size of the images. None: keep the spatial size of the layer.
    centered : bool, default False
        Whether to subtract each channel's mean over the pixels, as pytorch-grad-cam does.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
    """
    A, dA = activation_and_gradient(model, x, target, layer)
    return at_size(x, np.stack([_project(one, centered) for one in dA * A]), resize)


def _project(A, centered=False):
    """(C, h, w) -> (h, w)"""
    pixels = A.reshape(len(A), -1).T
    reference = pixels.mean(axis=1) - pixels.mean() if centered else np.ones(len(pixels), A.dtype)
    if centered:
        pixels = pixels - pixels.mean(axis=0)
    v = np.linalg.svd(pixels, full_matrices=False)[2][0]
    projected = pixels @ v
    return (-projected if projected @ reference < 0 else projected).reshape(A.shape[1:])
