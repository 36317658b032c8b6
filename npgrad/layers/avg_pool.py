"""Average pooling, over windows and over the whole image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Border, Cache, Pair, Window
from npgrad._validate import expect_ndim
from npgrad.layers.base import Layer
from npgrad.layers.im2col import (
    borders,
    channels_first,
    channels_last,
    output_shape,
    positions,
    receptive_field,
)
from npgrad.layers.pooling import cut_padding, pad_to_windows, set_window


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """y[n, c, p] = the mean of x[n, c] over the window at p. x (N, C, H, W) -> y (N, C, OH, OW).

    Every pixel of a window moves the mean by 1/count, so it receives dy/count, summed over the windows it is in.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int, pair of int, or None
        None: the kernel size.
    padding : int, pair of int or (top, bottom, left, right), default 0
    ceil_mode : bool, default False
        Whether the last window may extend past the edge; pixels past the padding never count (PyTorch's rule).
    count_include_pad : bool, default True
        Whether the zeros of the padding count in the mean.
    """

    kernel_size: Pair
    stride: Pair | None = None
    padding: Border = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self):
        set_window(self)

    def receptive_field(self) -> Window | None:
        return receptive_field(self)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        out = output_shape(self, x)
        padded = pad_to_windows(self, x, out, 0)
        y = np.zeros((len(x), *out, x.shape[1]), x.dtype)
        for _, rows, columns in positions(self.kernel_size, self.stride, out):
            y += padded[:, rows, columns]
        y /= self._counts(x.shape, out).astype(x.real.dtype)
        return channels_first(y), (x.shape, padded.shape)

    def backward(self, dy: Array, cache: Cache) -> Array:
        shape, padded_shape = cache
        dy, out = channels_last(dy), dy.shape[2:]
        share = dy / self._counts(shape, out).astype(dy.real.dtype)
        dpadded = np.zeros(padded_shape, dy.dtype)
        for _, rows, columns in positions(self.kernel_size, self.stride, out):
            dpadded[:, rows, columns] += share
        return cut_padding(self, dpadded, shape)

    def _counts(self, shape, out):
        """The number of pixels in the mean of each window: (OH, OW, 1)."""
        sides = []
        window = (self.kernel_size, self.stride, *borders(self.padding))
        for size, o, kernel, stride, before, after in zip(shape[2:], out, *window, strict=True):
            low, high = (-before, size + after) if self.count_include_pad else (0, size)
            begin = np.arange(o) * stride - before
            sides.append(np.minimum(begin + kernel, high) - np.maximum(begin, low))
        return np.multiply.outer(*sides)[:, :, None]


@dataclass(frozen=True)
class GlobalAvgPool2d(Layer):
    """y[n, c] = the mean of x[n, c] over all pixels. x (N, C, H, W) -> y (N, C).

    Every pixel moves the mean by 1/(H*W), so each receives dy/(H*W).
    """

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 4)
        return x.mean(axis=(2, 3)), x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        n, c, h, w = shape
        dx = np.empty((n, h, w, c), dy.dtype)
        dx[:] = (dy / (h * w))[:, None, None, :]
        return channels_first(dx)
