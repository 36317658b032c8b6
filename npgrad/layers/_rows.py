"""Convolution at stride 1 row by row: gathers KW pixels of the width instead of KH * KW of the window, in few rows.

A window is KH runs of KW adjacent pixels, and the run that starts at a pixel is in KH windows. So im2col along the
width alone makes a matrix KH times as small, `runs`, in which the windows' first rows, their second rows, ... are
contiguous blocks of lines, one line of pixels apart:

    y = runs[0:OH] @ W[0] + runs[1:OH+1] @ W[1] + ...        W[i]: the weights of the windows' row i, (KW*C, F)

The input gradient of a convolution at stride 1 is a convolution, too: pixel p has been multiplied by weight[k] for the
output at p - k, so dx[p] = sum over k of dy[p - k] * weight[k]. That is dy, padded, with the kernel flipped and its
channels and filters exchanged.
"""

import numpy as np

from npgrad._blas import product
from npgrad.layers.im2col import borders, pad

PIECE = 1 << 18  # numbers of `runs` at once: they stay in the cache of a core


def by_rows(layer, image, W, out, y):
    """y (1, OH*OW, F)-like as y = columns @ W."""
    convolve(
        image, W[0].reshape(*layer.kernel_size, -1, W.shape[2]), out, layer.dilation, y.reshape(*out, -1)
    )


def by_rows_input_gradient(layer, dy, W, out, dx):
    """dx is the convolution of dy with the flipped kernel."""
    kernel = W[0].reshape(*layer.kernel_size, -1, W.shape[2])
    flipped = np.ascontiguousarray(kernel[::-1, ::-1].transpose(0, 1, 3, 2))
    dimage, dy = inside_and_padded(layer, dy.reshape(*out, -1), dx)
    convolve(dy, flipped, dimage.shape[:2], layer.dilation, dimage)


def inside_and_padded(layer, dy, dx):
    """The part of dx inside the padding, and dy (OH, OW, F) with the padding from which it follows."""
    (top, left), (bottom, right) = borders(layer.padding)
    down, across = ((k - 1) * d for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
    before, after = (down - top, across - left), (down - bottom, across - right)
    return dx[top : dx.shape[0] - bottom, left : dx.shape[1] - right], pad(dy[None], before, after)[0]


def convolve(image, kernel, out, dilation, y):
    """y (OH, OW, F) = the convolution of a padded image (H, W, C) with kernel (KH, KW, C, F)."""
    (kh, kw, c, f), (oh, ow), (down, across) = kernel.shape, out, dilation
    high, wide, deep = image.strides
    seen = (len(image), ow, kw, c)
    seen = np.lib.stride_tricks.as_strided(image, seen, (high, wide, wide * across, deep), writeable=False)
    count = min(oh, max(8, PIECE // (ow * kw * c)))
    runs = np.empty((count + (kh - 1) * down, ow, kw, c), image.dtype)
    total, term = np.empty((2, count * ow, f), np.result_type(image, kernel))
    for first in range(0, oh, count):
        n = min(count, oh - first)
        runs[: n + (kh - 1) * down] = seen[first : first + n + (kh - 1) * down]
        for i, weights in enumerate(kernel.reshape(kh, kw * c, f)):
            lines = runs[i * down : i * down + n].reshape(n * ow, kw * c)
            product(lines, weights, out=(term if i else total)[: n * ow])
            if i:
                total[: n * ow] += term[: n * ow]
        y[first : first + n] = total[: n * ow].reshape(n, ow, f)
