"""Windows that slide over an image: their number, their pixels, and the way back.

Arrays here are (N, H, W, C), the order in which npgrad keeps images in memory: all channels of a pixel
side by side, so that a window is a few runs of whole pixels. The layers show them as (N, C, H, W).
"""

import numpy as np

from npgrad.errors import TooSmall

FEW_CHANNELS = 8  # fewer than this, and NumPy's loops over the channels of a pixel are too short to be fast


def output_size(size, kernel, stride, padding=0, ceil_mode=False):
    """How many windows fit along one side of `size` pixels.

    floor((size + 2*padding - kernel) / stride) + 1; with `ceil_mode` the last window may hang over the
    edge, but must begin inside the image or its left padding (as in Caffe and PyTorch).
    """
    room = size + 2 * padding - kernel
    windows = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (windows - 1) * stride >= size + padding:
        windows -= 1
    return windows


def output_shape(layer, shape, kernel, stride, padding, ceil_mode=False):
    """(OH, OW) for an input of `shape` (N, C, H, W); an InputError if not one window fits."""
    out = tuple(map(output_size, shape[2:], kernel, stride, padding, (ceil_mode, ceil_mode)))
    if min(out) < 1:
        raise TooSmall(
            f"{type(layer).__name__}: the input is {shape[2]}x{shape[3]} px, "
            f"smaller than the {kernel[0]}x{kernel[1]} window (padding {padding[0]}, {padding[1]})"
        )
    return out


def channels_last(x):
    """(N, C, H, W) -> the same numbers as a contiguous (N, H, W, C); no copy if memory is in that order."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x):
    """(N, H, W, C) -> (N, C, H, W), a view."""
    return x.transpose(0, 3, 1, 2)


def pad(x, before, after, value=0):
    """(N, H, W, C) with a border of `value`: `before` = (top, left) and `after` = (bottom, right) pixels.

    A negative `after` cuts off pixels that no window reaches.
    """
    (top, left), (bottom, right) = before, after
    n, h, w, c = x.shape
    if bottom < 0 or right < 0:
        x = x[:, : h + min(bottom, 0), : w + min(right, 0)]
    if max(top, left, bottom, right) <= 0:
        return x
    padded = np.full((n, top + h + bottom, left + w + right, c), value, x.dtype)
    padded[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    return padded


def taps(kernel, stride, out):
    """For each place of a window, in order, the slice of pixels that stand there over all windows."""
    return [slice(k, k + stride * (out - 1) + 1, stride) for k in range(kernel)]


def places(kernel, stride, out):
    """((i, j), rows, columns) for each place of a window: the pixels that stand there over all windows."""
    for i, rows in enumerate(taps(kernel[0], stride[0], out[0])):
        for j, columns in enumerate(taps(kernel[1], stride[1], out[1])):
            yield (i, j), rows, columns


def gather(x, kernel, stride, out):
    """All windows of a padded image x (H, W, C), as a view (OH, OW, KH, KW, C)."""
    sh, sw, sc = x.strides
    shape = (*out, *kernel, x.shape[-1])
    strides = (sh * stride[0], sw * stride[1], sh, sw, sc)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def scatter(planes, stride, size):
    """The adjoint of `gather`, a plane a channel: (KH, KW, C, OH, OW) -> (H, W, C), with `size` = (H, W).

    A pixel that stood in several windows gets the sum of what they send back. Whole rows of a channel are added.
    With stride s, a window's place i falls on the pixels i, i + s, i + 2s, ...: those with remainder i % s. So
    the pixels are kept apart by their remainders, one plane each, and put side by side at the end.
    """
    (kh, kw, c, oh, ow), (sh, sw), (h, w) = planes.shape, stride, size
    x = np.zeros((sh, sw, c, -(-h // sh), -(-w // sw)), planes.dtype)
    for i in range(kh):
        for j in range(kw):
            top, left = i // sh, j // sw
            x[i % sh, j % sw, :, top : top + oh, left : left + ow] += planes[i, j]
    x = x.transpose(3, 0, 4, 1, 2)  # (H/s, s, W/s, s, C)
    return x.reshape(x.shape[0] * sh, x.shape[2] * sw, c)[:h, :w]
