"""Maps of a layer's activation alone, whatever the class: kernel principal components, FEM, and random weights."""

import warnings

import numpy as np

from npgrad._typing import Array, Layers, Rng, Target
from npgrad._validate import generator, not_negative
from npgrad.attribution._maps import at_size, map_layer, over_layers, weighted_sum
from npgrad.attribution._surgery import run_to
from npgrad.errors import InputError, level_outside
from npgrad.model import Model

MOST_PIXELS = 4096
ROUNDING = 1e-14  # of an entry of the kernel matrix


@over_layers
def kpca_cam(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None, resize: str | None = None
) -> Array:
    """Project the activation of a layer on its first principal component with a kernel: (N, h, w), not normalized.

    KPCA-CAM (Karmani et al. 2024): kernel PCA (Schoelkopf, Smola, Mueller 1998) of the h*w pixels, each a vector a of C
    channels, with the sigmoid kernel k(a, b) = tanh(a.b / C + 1) of the centered activation, as in pytorch-grad-cam's
    code. The map is sqrt(l) * u for the first eigenvector u of the centered kernel matrix and its eigenvalue l. The
    sign of u is arbitrary; here it is chosen so that the map grows with the mean over channels.

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

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
    """
    return _mapped(model, x, layer, resize, _kernel_component)


@over_layers
def fem(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    resize: str | None = None,
    k: float = 2.0,
) -> Array:
    """Weight each channel by how often it is unusually active: sum over c of w_c * A_c, (N, h, w).

    The feature explanation method (Fuad et al. 2020) in the form of pytorch-grad-cam's code: w_c is the share of the
    pixels at which channel c exceeds its mean over the pixels by more than k standard deviations.

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
    k : float, default 2.0
        How many standard deviations above its mean a channel is unusually active. Of fewer than 6 pixels, none can be
        more than 2 above.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
    """

    k = not_negative(k, "k")

    def weighted(A):
        bound = A.mean(axis=(1, 2), keepdims=True) + k * A.std(axis=(1, 2), keepdims=True)
        return weighted_sum((bound < A).mean(axis=(1, 2), dtype=A.dtype)[None], A[None])[0]

    maps = _mapped(model, x, layer, resize, weighted)
    if not maps.any(axis=(1, 2)).all():
        warnings.warn(
            f"fem: no activation is more than {k:g} standard deviations above its channel's mean, so the map is 0; "
            "a lower k or a larger layer shows more",
            stacklevel=level_outside(),
        )
    return maps


@over_layers
def random_cam(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    resize: str | None = None,
    rng: Rng = 0,
) -> Array:
    """Weight the channels of a layer at random: what a class activation map shows without any gradient.

    A row for comparison, as in pytorch-grad-cam: the weights are uniform in [-1, 1]. They are the same for every
    image, so that a map does not depend on the batch.

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
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
    """
    layer = map_layer(model, x, layer)
    A = run_to(model, x, layer)[layer]
    weights = generator(rng).uniform(-1, 1, A.shape[1]).astype(A.dtype)
    return at_size(x, weighted_sum(weights[None], A), resize)


def _mapped(model, x, layer, resize, of_one):
    """of_one(A) of each image's activation A (C, h, w)."""
    layer = map_layer(model, x, layer)
    return at_size(x, np.stack([of_one(A) for A in run_to(model, x, layer)[layer]]), resize)


def _kernel_component(A):
    """(C, h, w) -> (h, w)"""
    pixels = A.reshape(len(A), -1).T.astype(np.float64)
    if len(pixels) > MOST_PIXELS:
        raise InputError(
            f"kpca_cam: expected a layer of at most {MOST_PIXELS:,} pixels, whose kernel matrix fits into memory; "
            f"found {len(pixels):,}"
        )
    pixels = pixels - pixels.mean(axis=0)
    K = np.tanh(pixels @ pixels.T / len(A) + 1)
    K = K - K.mean(axis=0) - K.mean(axis=1, keepdims=True) + K.mean()
    values, vectors = np.linalg.eigh(K)
    if values[-1] < ROUNDING * len(K):  # all pixels are alike
        return np.zeros(A.shape[1:], A.dtype)
    component = np.sqrt(values[-1]) * vectors[:, -1]
    mean = pixels.mean(axis=1)
    return (-component if component @ mean < 0 else component).reshape(A.shape[1:]).astype(A.dtype)
