"""Mean over windows, and over the whole image."""

from dataclasses import dataclass

import numpy as np

from npgrad._validate import expect_ndim
from npgrad.layers import windows
from npgrad.layers.base import Layer
from npgrad.layers.max_pool import cut_padding, pad_to_windows, set_window, window_grid


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """y[n, c, p] = the mean of x[n, c] over a window at p. x (N, C, H, W) -> y (N, C, OH, OW).

    `stride` None is the kernel's size. The padding's zeros count in the mean unless
    `count_include_pad=False`; what hangs over it with `ceil_mode` never counts (PyTorch's rules).

    Every pixel of a window moves the mean by 1/count, so each gets dy/count, summed over the windows
    in which it stands.
    """

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self):
        set_window(self)

    def receptive_field(self):
        return self.kernel_size, self.stride, self.padding

    def forward(self, x):
        out = window_grid(self, x)
        padded = pad_to_windows(self, x, out, 0)
        y = np.zeros((len(x), *out, x.shape[1]), x.dtype)
        for rows in windows.taps(self.kernel_size[0], self.stride[0], out[0]):
            for columns in windows.taps(self.kernel_size[1], self.stride[1], out[1]):
                y += padded[:, rows, columns]
        y /= self._counts(x.shape, out).astype(x.real.dtype)
        return windows.channels_first(y), (x.shape, padded.shape)

    def backward(self, dy, cache):
        shape, padded_shape = cache
        dy = windows.channels_last(dy)
        out = dy.shape[1:3]
        share = dy / self._counts(shape, out).astype(dy.real.dtype)
        dpadded = np.zeros(padded_shape, dy.dtype)
        for rows in windows.taps(self.kernel_size[0], self.stride[0], out[0]):
            for columns in windows.taps(self.kernel_size[1], self.stride[1], out[1]):
                dpadded[:, rows, columns] += share
        return cut_padding(self, dpadded, shape)

    def _counts(self, shape, out):
        """How many pixels each window's mean is over: (OH, OW, 1)."""
        sides = []
        for size, kernel, stride, padding, o in zip(
            shape[2:], self.kernel_size, self.stride, self.padding, out, strict=True
        ):
            low, high = (-padding, size + padding) if self.count_include_pad else (0, size)
            begin = np.arange(o) * stride - padding
            sides.append(np.minimum(begin + kernel, high) - np.maximum(begin, low))
        return np.multiply.outer(*sides)[:, :, None]


@dataclass(frozen=True)
class GlobalAvgPool2d(Layer):
    """y[n, c] = the mean of x[n, c] over all pixels. x (N, C, H, W) -> y (N, C).

    Every pixel moves the mean by 1/(H*W), so each gets dy/(H*W).
    """

    def forward(self, x):
        expect_ndim(self, x, 4)
        return x.mean(axis=(2, 3)), x.shape

    def backward(self, dy, shape):
        n, c, h, w = shape
        dx = np.empty((n, h, w, c), dy.dtype)
        dx[:] = (dy / (h * w))[:, None, None, :]
        return windows.channels_first(dx)
