"""Maximum over windows."""

from dataclasses import dataclass

import numpy as np

from npgrad.errors import InputError
from npgrad.layers import windows
from npgrad.layers.base import Layer, expect_ndim, pair


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """y[n, c, p] = the largest x[n, c] in a window at p. x (N, C, H, W) -> y (N, C, OH, OW).

    `stride` None is the kernel's size. Windows may overlap; with `ceil_mode` the last may hang over the
    edge. Padding never wins: it counts as -inf.

    Moving the largest pixel of a window moves y one for one, and no other pixel moves it. So dy goes to
    the maximum, to the first in reading order if several are equal (PyTorch's rule), and where
    windows overlap a pixel gets the sum over those it won.

    The largest of a KH x KW window is the largest of its rows' largest. Both passes use that: along the
    width, then along the height, and back in the opposite order. "First row that has the maximum, first
    pixel in it" is reading order, so ties fall where they should.
    """

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    ceil_mode: bool = False

    def __post_init__(self):
        set_window(self)

    def forward(self, x):
        out = window_grid(self, x)
        padded = pad_to_windows(self, x, out, -np.inf)
        rows = _largest(padded, 2, self.kernel_size[1], self.stride[1], out[1])
        y = _largest(rows, 1, self.kernel_size[0], self.stride[0], out[0])
        return windows.channels_first(y), (x.shape, padded, rows, y)

    def backward(self, dy, cache):
        shape, padded, rows, y = cache
        dy = windows.channels_last(dy)
        drows = _to_first_largest(dy, y, rows, 1, self.kernel_size[0], self.stride[0])
        dpadded = _to_first_largest(drows, rows, padded, 2, self.kernel_size[1], self.stride[1])
        return cut_padding(self, dpadded, shape)


def _largest(x, axis, kernel, stride, out):
    """The maximum over windows along one axis of (N, H, W, C). NaN stays NaN."""
    first, *others = (x[_along(axis, tap)] for tap in windows.taps(kernel, stride, out))
    y = first.copy()
    for other in others:
        np.maximum(y, other, out=y)
    return y


def _to_first_largest(dy, y, x, axis, kernel, stride):
    """Inverts `_largest`: dy goes to the first place of each window that holds its maximum y."""
    dx = np.zeros(x.shape, dy.dtype)
    waiting = np.ones(y.shape, bool)
    for tap in windows.taps(kernel, stride, y.shape[axis]):
        place = _along(axis, tap)
        won = waiting & (x[place] == y)
        dx[place] += dy * won
        waiting ^= won
    return dx


def _along(axis, tap):
    return (slice(None),) * axis + (tap,)


def set_window(layer):
    """Check and complete a pooling layer's window; shared by both kinds of pooling."""
    kind = type(layer).__name__
    stride = layer.kernel_size if layer.stride is None else layer.stride
    object.__setattr__(layer, "kernel_size", pair(layer.kernel_size, f"{kind} kernel_size"))
    object.__setattr__(layer, "stride", pair(stride, f"{kind} stride"))
    object.__setattr__(layer, "padding", pair(layer.padding, f"{kind} padding", smallest=0))
    if any(p > k // 2 for p, k in zip(layer.padding, layer.kernel_size, strict=True)):
        raise InputError(
            f"{kind} padding: expected at most half the kernel {layer.kernel_size}, found {layer.padding}"
        )


def window_grid(layer, x):
    """(OH, OW) of a pooling layer."""
    expect_ndim(layer, x, 4)
    return windows.output_shape(
        layer, x.shape, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode
    )


def pad_to_windows(layer, x, out, value):
    """x (N, C, H, W) as (N, H', W', C), just as large as the windows reach."""
    sides = zip(x.shape[2:], layer.kernel_size, layer.stride, layer.padding, out, strict=True)
    after = [(o - 1) * stride + kernel - padding - size for size, kernel, stride, padding, o in sides]
    return windows.pad(windows.channels_last(x), layer.padding, after, value)


def cut_padding(layer, dpadded, shape):
    """Inverts `pad_to_windows`: (N, H', W', C) -> (N, C, H, W) of `shape`, 0 where no window reached."""
    _, _, h, w = shape
    top, left = layer.padding
    dx = dpadded[:, top : top + h, left : left + w]
    missing = (h - dx.shape[1], w - dx.shape[2])
    return windows.channels_first(windows.pad(dx, (0, 0), missing))
