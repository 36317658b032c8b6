"""Shared by max and average pooling: the checks of the window, and padding as far as the windows reach."""

import numpy as np

from npgrad._validate import border, pair
from npgrad.errors import InputError, TooSmall
from npgrad.layers.im2col import borders, channels_first, channels_last, pad, window_size


def set_window(layer):
    """Check and complete the kernel size, stride and padding of a pooling layer."""
    kind = type(layer).__name__
    stride = layer.kernel_size if layer.stride is None else layer.stride
    object.__setattr__(layer, "kernel_size", pair(layer.kernel_size, f"{kind} kernel_size"))
    object.__setattr__(layer, "stride", pair(stride, f"{kind} stride"))
    object.__setattr__(layer, "padding", border(layer.padding, f"{kind} padding"))
    if any(
        p > k // 2 for side in borders(layer.padding) for p, k in zip(side, window_size(layer), strict=True)
    ):
        raise InputError(
            f"{kind} padding: expected at most half the kernel {window_size(layer)}, found {layer.padding}"
        )


def pad_to_windows(layer, x, out, value):
    """x (N, C, H, W) as (N, H', W', C), exactly as large as the windows reach."""
    before, _ = borders(layer.padding)
    sides = list(zip(x.shape[2:], window_size(layer), layer.stride, before, out, strict=True))
    after = [(o - 1) * stride + kernel - padding - size for size, kernel, stride, padding, o in sides]
    if window_size(layer) != layer.kernel_size:
        _refuse_empty_windows(layer, x.shape, sides)
    return pad(channels_last(x), before, after, value)


def _refuse_empty_windows(layer, shape, sides):
    """A dilated window may step over a small image: both its pixels are padding, and it has no maximum."""
    for (size, _, stride, padding, o), taps, distance in zip(
        sides, layer.kernel_size, layer.dilation, strict=True
    ):
        if misses(size, taps, distance, stride, padding, o):
            kind, (h, w) = type(layer).__name__, shape[2:]
            raise TooSmall(
                f"{kind}: the input is {h}x{w} px, and a window with dilation {layer.dilation} misses it"
            )


def misses(size, taps, distance, stride, padding, count):
    """Whether one of `count` windows along a side of `size` pixels has no pixel of the image."""
    pixel = np.arange(count)[:, None] * stride - padding + np.arange(taps) * distance
    return not ((pixel >= 0) & (pixel < size)).any(axis=1).all()


def cut_padding(layer, dpadded, shape):
    """Inverts `pad_to_windows`: (N, H', W', C) -> (N, C, H, W) of `shape`, 0 where no window reached."""
    _, _, h, w = shape
    (top, left), _ = borders(layer.padding)
    dx = dpadded[:, top : top + h, left : left + w]
    missing = (h - dx.shape[1], w - dx.shape[2])
    return channels_first(pad(dx, (0, 0), missing))
