"""Small moves of an image, drawn anew at every step, so that no form can hold on to single pixels.

Images are (N, C, H, W). `affine` is a bilinear resampling: every output pixel is a weighted mean of four input
pixels. So it is linear, y = A x, and its backward is the adjoint, dx = A^T dy: what was gathered with a weight is given
back with the same one.
"""

import numpy as np

from npgrad.errors import InputError


def jitter(x, ox, oy):
    """x moved by ox pixels to the right and oy down; what leaves on one side comes in on the other.

    The way back, and also the backward pass: `jitter(x, -ox, -oy)`.
    """
    return np.roll(_images(x), (oy, ox), axis=(2, 3))


def blur(x, sigma=1.0):
    """x blurred by a Gaussian of `sigma` pixels, down and across; mirrored at its edges."""
    from scipy.ndimage import gaussian_filter1d

    x = _images(x)
    down = gaussian_filter1d(x, sigma, axis=2, output=np.empty_like(x))
    return gaussian_filter1d(down, sigma, axis=3, output=np.empty_like(x))


def affine(x, scale=1.0, angle=0.0, shift=(0.0, 0.0)):
    """x enlarged `scale` times, turned by `angle` degrees counter-clockwise, both about its middle, then moved by
    `shift` = (right, down) pixels: (y, cache), y of the shape of x. Outside of x lies 0, the mean color.
    """
    x = _images(x)
    n, c, h, w = x.shape
    index, weight = _neighbors(h, w, scale, angle, shift)
    weight = weight.astype(x.real.dtype)
    pixels = x.transpose(0, 2, 3, 1).reshape(n, h * w, c)
    y = sum(weight[k, :, None] * pixels[:, index[k]] for k in range(4))
    return y.reshape(n, h, w, c).transpose(0, 3, 1, 2), (index, weight)


def affine_backward(dy, cache):
    """dx of `affine` for the gradient dy: each output pixel's gradient goes to its four neighbors, and adds up."""
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
    """For every output pixel its four neighbors in the input: index (4, h*w) into its pixels, weight (4, h*w)."""
    if not scale > 0:
        raise InputError(f"affine: scale: expected a number > 0, found {scale!r}")
    # From the output back to the input: the inverses of shift, turn and enlargement, about the middle.
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
