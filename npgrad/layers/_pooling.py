"""Shared by max and average pooling: the checks of the window, and padding as far as the windows reach."""

from npgrad._validate import pair
from npgrad.errors import InputError
from npgrad.layers.im2col import channels_first, channels_last, pad


def set_window(layer):
    """Check and complete the kernel size, stride and padding of a pooling layer."""
    kind = type(layer).__name__
    stride = layer.kernel_size if layer.stride is None else layer.stride
    object.__setattr__(layer, "kernel_size", pair(layer.kernel_size, f"{kind} kernel_size"))
    object.__setattr__(layer, "stride", pair(stride, f"{kind} stride"))
    object.__setattr__(layer, "padding", pair(layer.padding, f"{kind} padding", smallest=0))
    if any(p > k // 2 for p, k in zip(layer.padding, layer.kernel_size, strict=True)):
        raise InputError(
            f"{kind} padding: expected at most half the kernel {layer.kernel_size}, found {layer.padding}"
        )


def pad_to_windows(layer, x, out, value):
    """x (N, C, H, W) as (N, H', W', C), exactly as large as the windows reach."""
    sides = zip(x.shape[2:], layer.kernel_size, layer.stride, layer.padding, out, strict=True)
    after = [(o - 1) * stride + kernel - padding - size for size, kernel, stride, padding, o in sides]
    return pad(channels_last(x), layer.padding, after, value)


def cut_padding(layer, dpadded, shape):
    """Inverts `pad_to_windows`: (N, H', W', C) -> (N, C, H, W) of `shape`, 0 where no window reached."""
    _, _, h, w = shape
    top, left = layer.padding
    dx = dpadded[:, top : top + h, left : left + w]
    missing = (h - dx.shape[1], w - dx.shape[2])
    return channels_first(pad(dx, (0, 0), missing))
