"""Maximum over windows."""

from dataclasses import dataclass

import numpy as np

from npgrad._validate import expect_ndim, pair
from npgrad.errors import InputError
from npgrad.layers import windows
from npgrad.layers.base import Layer


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """y[n, c, p] = the largest x[n, c] in a window at p. x (N, C, H, W) -> y (N, C, OH, OW).

    `stride` None is the kernel's size. Windows may overlap; with `ceil_mode` the last may hang over the
    edge. Padding never wins: it counts as -inf.

    Moving the largest pixel of a window moves y one for one, and no other pixel moves it. So dy goes to
    the maximum, to the first in reading order if several are equal (PyTorch's rule), and where
    windows overlap a pixel gets the sum over those it won.

    The largest of a KH x KW window is the largest of its rows' largest, and it stands in the first row that
    has it, at the first pixel of that row that does: so ties fall in reading order, as they should. Both
    passes use that: first along the width, then along the height.
    """

    kernel_size: int | tuple
    stride: int | tuple | None = None
    padding: int | tuple = 0
    ceil_mode: bool = False

    def __post_init__(self):
        set_window(self)

    def receptive_field(self):
        return self.kernel_size, self.stride, self.padding

    def __call__(self, x):
        return self._maxima(x)[-1]

    def forward(self, x):
        padded, rows, y = self._maxima(x)
        (kh, kw), (sh, sw) = self.kernel_size, self.stride
        row = _places_before(rows, windows.channels_last(y), 1, kh, sh)
        column = _places_before(padded, rows, 2, kw, sw)  # in every row; wanted is that of the winning row
        down = windows.taps(kh, sh, y.shape[2])
        column = sum(column[:, tap] * (row == i) for i, tap in enumerate(down))
        return y, (x.shape, padded.shape, row, column)

    def backward(self, dy, cache):
        shape, (n, h, w, c), row, column = cache
        (sh, sw), (oh, ow) = self.stride, dy.shape[2:]
        first = np.ravel_multi_index(
            np.ogrid[:n, 0 : oh * sh : sh, 0 : ow * sw : sw], (n, h, w)
        )  # pixel of a window
        pixel = row.astype(np.intp) * w + column + first[..., None]
        position = pixel * c + np.arange(c)
        dpadded = np.zeros((n, h, w, c), dy.dtype)
        np.add.at(dpadded.reshape(-1), position.reshape(-1), windows.channels_last(dy).reshape(-1))
        return cut_padding(self, dpadded, shape)

    def _maxima(self, x):
        """x padded (N, H', W', C), the largest along the width (N, H', OW, C), and y (N, C, OH, OW)."""
        out = window_grid(self, x)
        padded = pad_to_windows(self, x, out, -np.inf)
        rows = _largest(padded, 2, self.kernel_size[1], self.stride[1], out[1])
        y = _largest(rows, 1, self.kernel_size[0], self.stride[0], out[0])
        return padded, rows, windows.channels_first(y)


def _largest(x, axis, kernel, stride, out):
    """The maximum over windows along one axis of (N, H, W, C). NaN stays NaN."""
    first, *others = (x[_along(axis, tap)] for tap in windows.taps(kernel, stride, out))
    y = first.copy()
    for other in others:
        np.maximum(y, other, out=y)
    return y


def _places_before(x, y, axis, kernel, stride):
    """Inverts `_largest`: how many places of each window stand before the first that holds its maximum y."""
    *others, _ = windows.taps(kernel, stride, y.shape[axis])  # it is the last if it is none of the others
    before = np.zeros(y.shape, np.min_scalar_type(kernel))
    not_yet = np.ones(y.shape, bool)
    for tap in others:
        not_yet &= x[_along(axis, tap)] != y
        before += not_yet
    return before


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
