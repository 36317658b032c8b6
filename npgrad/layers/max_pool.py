"""Max pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Border, Cache, Pair, Window
from npgrad._validate import pair
from npgrad.layers import _kernels as kernels
from npgrad.layers.base import Layer
from npgrad.layers.im2col import channels_first, channels_last, output_shape, receptive_field, windows
from npgrad.layers.pooling import cut_padding, pad_to_windows, set_window


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """y[n, c, p] = the maximum of x[n, c] over the window at p. x (N, C, H, W) -> y (N, C, OH, OW).

    Only the largest pixel of a window moves y, and it moves it one for one. So dy goes to the argmax, to the first
    in reading order if several are equal (PyTorch's rule); where windows overlap, a pixel receives the sum over the
    windows whose maximum it is.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int, pair of int, or None
        None: the kernel size.
    padding : int, pair of int or (top, bottom, left, right), default 0
        Padding is never the maximum: it counts as -inf.
    ceil_mode : bool, default False
        Whether the last window may extend past the edge.
    dilation : int or pair of int, default 1
        The distance of a window's pixels from each other.
    """

    kernel_size: Pair
    stride: Pair | None = None
    padding: Border = 0
    ceil_mode: bool = False
    dilation: Pair = 1

    def __post_init__(self):
        object.__setattr__(self, "dilation", pair(self.dilation, "MaxPool2d dilation"))
        set_window(self)

    def receptive_field(self) -> Window | None:
        return receptive_field(self)

    def __call__(self, x: Array) -> Array:
        out = output_shape(self, x)
        padded = pad_to_windows(self, x, out, -np.inf)
        y = kernels.separable_maxima(padded, self.kernel_size, self.stride, out, self.dilation)
        return channels_first(y)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        out = output_shape(self, x)
        padded = pad_to_windows(self, x, out, -np.inf)
        # The same result; the kernel is faster for large inputs.
        few = len(x) * x.shape[1] * np.prod(out) * np.prod(self.kernel_size) < kernels.FEW_VALUES
        maximum = max_and_argmax if few else kernels.separable_max
        y, argmax = maximum(padded, self.kernel_size, self.stride, out, self.dilation)
        return channels_first(y), (x.shape, padded.shape, argmax)

    def backward(self, dy: Array, cache: Cache) -> Array:
        shape, (n, h, w, c), argmax = cache
        (kh, kw), (sh, sw), (oh, ow) = self.kernel_size, self.stride, dy.shape[2:]
        # All pixels of the batch numbered in one row: `corner` is where a window starts, `offset` leads to its pixels.
        corner = np.ravel_multi_index(np.ogrid[:n, 0 : oh * sh : sh, 0 : ow * sw : sw], (n, h, w))
        down, right = self.dilation
        offset = (np.arange(kh)[:, None] * down * w + np.arange(kw) * right).ravel()
        # (N, OH, OW, C): the place in memory of the largest pixel of each window
        position = np.take(offset * c, argmax)
        position += (corner * c)[..., None]
        position += np.arange(c)
        dpadded = np.zeros((n, h, w, c), dy.dtype)
        # Not +=: a pixel that is the maximum of several windows receives every dy.
        np.add.at(dpadded.reshape(-1), position.reshape(-1), channels_last(dy).reshape(-1))
        return cut_padding(self, dpadded, shape)


def max_and_argmax(padded, kernel_size, stride, out, dilation=(1, 1)):
    """The maximum over each window, by the definition, and its position in the window (row * KW + column)."""
    seen = windows(padded, kernel_size, stride, out, dilation)  # (N, OH, OW, KH, KW, C)
    seen = seen.reshape(*seen.shape[:3], -1, seen.shape[-1])
    argmax = seen.argmax(axis=3)
    return np.take_along_axis(seen, argmax[:, :, :, None], axis=3)[:, :, :, 0], argmax
