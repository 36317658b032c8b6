"""Small random transformations of an image between steps, so that no pattern can depend on single pixels.

`affine` is a bilinear resampling: every output pixel is a weighted mean of four input pixels. So it is linear, y = A x,
and its backward is the adjoint, dx = A^T dy: each gradient is added to the same four pixels with the same weights.
"""

from typing import Any

import numpy as np

from npgrad._typing import Array
from npgrad.errors import InputError

__all__ = ["affine", "affine_backward", "blur", "jitter"]


def jitter(x: Array, ox: int, oy: int) -> Array:
    """Shift images cyclically. The inverse, which is also the backward pass, is ``jitter(x, -ox, -oy)``.

    Parameters
    ----------
    x : ndarray (N, C, H, W)
        Images.
    ox, oy : int
        Pixels to the right and down.

    Returns
    -------
    ndarray (N, C, H, W)

    Raises
    ------
    InputError
        If x is not (N, C, H, W).
    """
    return np.roll(_images(x), (oy, ox), axis=(2, 3))


def blur(x: Array, sigma: float = 1.0) -> Array:
    """Blur images with a Gaussian, mirrored at the borders.

    Parameters
    ----------
    x : ndarray (N, C, H, W)
        Images.
    sigma : float, default 1
        Standard deviation in pixels.

    Returns
    -------
    ndarray (N, C, H, W)

    Raises
    ------
    InputError
        If x is not (N, C, H, W).
    """
    from scipy.ndimage import gaussian_filter1d

    x = _images(x)
    down = gaussian_filter1d(x, sigma, axis=2, output=np.empty_like(x))
    return gaussian_filter1d(down, sigma, axis=3, output=np.empty_like(x))


def affine(
    x: Array, scale: float = 1.0, angle: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)
) -> tuple[Array, Any]:
    """Scale and rotate images about their center, then shift them.

    Parameters
    ----------
    x : ndarray (N, C, H, W)
        Images.
    scale : float, default 1
        Magnification, > 0.
    angle : float, default 0
        Degrees counter-clockwise.
    shift : (float, float), default (0, 0)
        Pixels to the right and down.

    Returns
    -------
    y : ndarray (N, C, H, W)
        Outside of x it is 0, the mean color.
    cache : tuple
        For `affine_backward`.

    Raises
    ------
    InputError
        If x is not (N, C, H, W) or the scale is not > 0.
    """
    x = _images(x)
    n, c, h, w = x.shape
    index, weight = _neighbors(h, w, scale, angle, shift)
    weight = weight.astype(x.real.dtype)
    pixels = x.transpose(0, 2, 3, 1).reshape(n, h * w, c)
    y = sum(weight[k, :, None] * pixels[:, index[k]] for k in range(4))
    return y.reshape(n, h, w, c).transpose(0, 3, 1, 2), (index, weight)


def affine_backward(dy: Array, cache: Any) -> Array:
    """Return the gradient of `affine` with respect to x: each output pixel's gradient is added to its four neighbors.

    Parameters
    ----------
    dy : ndarray (N, C, H, W)
        Upstream gradient.
    cache : tuple
        As `affine` returned it.

    Returns
    -------
    ndarray (N, C, H, W)
    """
    index, weight = cache
    n, c, h, w = dy.shape
    pixels = dy.transpose(0, 2, 3, 1).reshape(n, h * w, c)
    dx = np.zeros((n, c, h * w), dy.dtype)
    for i in range(n):
        for j in range(c):
            for k in range(4):
                np.add.at(dx[i, j], index[k], weight[k] * pixels[i, :, j])
    return dx.reshape(n, c, h, w)


def _neighbors(h, w, scale, angle, shift):
    """For every output pixel, its four neighbors in the input: flat indices (4, h*w) and weights (4, h*w)."""
    if not scale > 0:
        raise InputError(f"affine: scale: expected a number > 0, found {scale!r}")
    # From output to input coordinates: the inverses of shift, rotation and scaling about the center.
    right = np.arange(w) - (w - 1) / 2 - shift[0]
    down = (np.arange(h) - (h - 1) / 2 - shift[1])[:, None]
    cos, sin = np.cos(np.deg2rad(angle)) / scale, np.sin(np.deg2rad(angle)) / scale
    column = (cos * right - sin * down + (w - 1) / 2).ravel()
    row = (sin * right + cos * down + (h - 1) / 2).ravel()
    left, top = np.floor(column), np.floor(row)
    index, weight = [], []
    for r in (top, top + 1):
        for q in (left, left + 1):
            inside = (r >= 0) & (r < h) & (q >= 0) & (q < w)
            index.append(np.where(inside, r * w + q, 0).astype(np.intp))
            weight.append(np.where(inside, (1 - abs(row - r)) * (1 - abs(column - q)), 0))
    return np.array(index), np.array(weight)


def _images(x):
    x = np.asarray(x)
    if x.ndim != 4:
        raise InputError(f"x: expected images (N, C, H, W), found shape {x.shape}")
    return x
