"""Deep feature factorization: the parts that a layer's activations consist of, by non-negative matrix factorization."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from npgrad._typing import Array, Rng
from npgrad._validate import generator, whole_number
from npgrad.attribution._maps import at_size, map_layer
from npgrad.attribution._surgery import run_to
from npgrad.errors import InputError
from npgrad.images.resize import expect_method
from npgrad.model import Model

TINY = np.finfo(np.float32).eps  # in place of denominators that are 0


class Factorization(NamedTuple):
    """The parts of a layer's activations: A is about the sum over k of maps_k * concepts_k.

    Attributes
    ----------
    maps : ndarray (N, K, h, w)
        How much of each concept is at each pixel, not negative; (N, K, H, W) if resized.
    concepts : ndarray (K, C)
        The concepts as vectors of the layer's channels, of length 1, the one that explains most first.
    error : float
        |A - sum over k of maps_k * concepts_k| / |A|, Frobenius norms: 0 if the concepts explain everything.
    """

    maps: Array
    concepts: Array
    error: float


def feature_factorization(
    model: Model,
    x: Array,
    n_components: int = 5,
    layer: str | None = None,
    resize: str | None = None,
    n_steps: int = 200,
    shifted: bool = False,
    rng: Rng = 0,
) -> Factorization:
    """Factorize a layer's activations into concepts, each a vector of channels with a map of where it is.

    Deep feature factorization, Collins, Achanta, Suesstrunk 2018: all pixels of all images are the rows of a matrix A
    (N*h*w, C), and A = H W with non-negative H (N*h*w, K) and W (K, C). The images are factorized together, so that a
    concept is the same part in each of them. |A - H W|^2 is lowered by the multiplicative updates of Lee, Seung 2001,
    theorem 1, which keep every entry's sign:

        H <- H * (A W^T) / (H W W^T),   W <- W * (H^T A) / (H^T H W)

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    n_components : int, default 5
        The number K of concepts.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the maps to the size of the images. None: keep the spatial size of the layer.
    n_steps : int, default 200
        Number of updates.
    shifted : bool, default False
        What to do with negative activations. False: they become 0, as after a ReLU. True: each channel's minimum is
        subtracted, as in pytorch-grad-cam.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the start.

    Returns
    -------
    Factorization

    Raises
    ------
    InputError
        The layer's output is not (N, C, h, w), or an argument cannot be used.
    UnknownName
        There is no such layer.
    """
    k, n_steps, rng = (
        whole_number(n_components, "n_components"),
        whole_number(n_steps, "n_steps"),
        generator(rng),
    )
    if resize is not None:
        expect_method(resize)
    layer = map_layer(model, x, layer)
    y = run_to(model, x, layer)[layer]
    n, channels, height, width = y.shape
    A = y.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    A = A - A.min(axis=0) if shifted else np.maximum(A, 0)
    if k > min(A.shape):
        raise InputError(f"n_components: expected at most {min(A.shape)} for {layer}, found {k}")
    scale = A.max()
    A = A / (scale or 1)  # so that no product over- or underflows
    start = np.sqrt(A.mean() / k)
    H, W = (start * np.abs(rng.standard_normal(shape)) for shape in ((len(A), k), (k, channels)))
    H, W = factorize(A, H, W, n_steps)
    length = np.sqrt((W**2).sum(axis=1))
    H, W = H * length, W / np.where(length == 0, 1, length)[:, None]
    order = np.argsort(-(H**2).sum(axis=0), kind="stable")
    H, W = H[:, order], W[order]
    norm = np.sqrt((A**2).sum())
    error = np.sqrt(((A - H @ W) ** 2).sum()) / norm if norm else 0.0
    maps = (H * scale).reshape(n, height, width, k).transpose(0, 3, 1, 2).astype(y.dtype)
    sized = at_size(x, maps.reshape(n * k, height, width), resize)
    return Factorization(sized.reshape(n, k, *sized.shape[1:]), W.astype(y.dtype), float(error))


def factorize(A: Array, H: Array, W: Array, n_steps: int) -> tuple[Array, Array]:
    """Lower |A - H W|^2 by multiplicative updates of non-negative H and W in turns.

    Parameters
    ----------
    A : ndarray (M, C)
    H : ndarray (M, K)
    W : ndarray (K, C)
    n_steps : int

    Returns
    -------
    H, W : ndarray
    """
    for _ in range(n_steps):
        H = H * (A @ W.T) / _positive(H @ (W @ W.T))
        W = W * (H.T @ A) / _positive((H.T @ H) @ W)
    return H, W


def _positive(denominator):
    return np.where(denominator == 0, TINY, denominator)
