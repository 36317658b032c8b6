"""im2col and col2im: the windows of an image as the rows of a matrix, and the transpose of that.

im2col is linear in the pixels, and col2im is its transpose: sum(im2col(x) * c) = sum(x * col2im(c)) for every c.

Arrays here are (N, H, W, C), the order in which npgrad keeps images in memory: all channels of a pixel are adjacent,
so a window is a few runs of whole pixels. The layers present them as (N, C, H, W).
"""

import numpy as np

from npgrad._validate import check_channels
from npgrad.errors import TooSmall


def output_size(size, kernel, stride, padding=0, ceil_mode=False):
    """The number of windows along one side of `size` pixels.

    floor((size + 2*padding - kernel) / stride) + 1; with `ceil_mode` the last window may extend past the edge, but
    must start inside the image or its left padding (as in Caffe and PyTorch).
    """
    free = size + 2 * padding - kernel
    count = (-(-free // stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def output_shape(layer, x, channels=None):
    """(OH, OW) for an input x (N, C, H, W); an InputError if C is not `channels` or not a single window fits."""
    check_channels(layer, x, channels)
    window = layer.kernel_size, layer.stride, layer.padding, (getattr(layer, "ceil_mode", False),) * 2
    out = tuple(map(output_size, x.shape[2:], *window))
    if min(out) < 1:
        (h, w), (kh, kw), (ph, pw) = x.shape[2:], layer.kernel_size, layer.padding
        name = type(layer).__name__
        raise TooSmall(
            f"{name}: the input is {h}x{w} px, smaller than the {kh}x{kw} window (padding {ph}, {pw})"
        )
    return out


def channels_last(x):
    """(N, C, H, W) -> a contiguous (N, H, W, C) with the same values; no copy if memory is already in that order."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x):
    """(N, H, W, C) -> (N, C, H, W), a view."""
    return x.transpose(0, 3, 1, 2)


def pad(x, before, after, value=0):
    """(N, H, W, C) with a border of `value`: `before` = (top, left) and `after` = (bottom, right) pixels.

    A negative `after` crops pixels that no window reaches.
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


def padded(x, padding):
    """x (N, C, H, W) as (N, H + 2*PH, W + 2*PW, C), with a border of zeros."""
    return pad(channels_last(x), padding, padding)


def taps(kernel, stride, out):
    """For each position inside a window along one side, the slice of pixels there over all windows."""
    return [slice(k, k + stride * (out - 1) + 1, stride) for k in range(kernel)]


def positions(kernel, stride, out):
    """((i, j), rows, columns) for each position inside a window: the pixels there over all windows."""
    for i, rows in enumerate(taps(kernel[0], stride[0], out[0])):
        for j, columns in enumerate(taps(kernel[1], stride[1], out[1])):
            yield (i, j), rows, columns


def windows(x, kernel, stride, out):
    """All windows of padded images (..., H, W, C), as a view (..., OH, OW, KH, KW, C)."""
    *batch, sh, sw, sc = x.strides
    shape = (*x.shape[:-3], *out, *kernel, x.shape[-1])
    strides = (*batch, sh * stride[0], sw * stride[1], sh, sw, sc)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def im2col(image, kernel, stride, out, groups=1):
    """The windows of a padded image (H, W, C) as the rows of a matrix (groups, OH*OW, KH*KW*C/groups).

    A window of one pixel at stride 1 is the pixel itself: then no value is copied.
    """
    pointwise = kernel == stride == (1, 1)
    rows = (image if pointwise else windows(image, kernel, stride, out)).reshape(out[0] * out[1], -1, groups,
                                                                                image.shape[-1] // groups)  # fmt: skip
    return rows.transpose(2, 0, 1, 3).reshape(groups, rows.shape[0], -1)


def col2im(columns, kernel, stride, out, image):
    """The transpose of `im2col`: add, in place, each entry of `columns` to the pixel of `image` (H, W, C) it came from.

    A pixel that is in several windows receives the sum of its entries.
    """
    dwindows = columns.reshape(len(columns), *out, *kernel, -1).transpose(1, 2, 3, 4, 0, 5)
    dwindows = dwindows.reshape(*out, *kernel, -1)
    for (i, j), rows, cols in positions(kernel, stride, out):
        image[rows, cols] += dwindows[:, :, i, j]


def filter_matrix(weight, groups):
    """The filters (F, C/groups, KH, KW) as W (groups, KH*KW*C/groups, F/groups): a filter is a column."""
    f, c, kh, kw = weight.shape
    return weight.transpose(2, 3, 1, 0).reshape(kh * kw * c, groups, f // groups).transpose(1, 0, 2)


def filters_of(W, shape):
    """Inverts `filter_matrix`: the filters of `shape` (F, C/groups, KH, KW)."""
    f, c, kh, kw = shape
    return W.reshape(len(W), kh, kw, c, -1).transpose(0, 4, 3, 1, 2).reshape(f, c, kh, kw)


def pixel_rows(dy, groups):
    """dy (N, F, OH, OW) as (N, groups, OH*OW, F/groups), the shape in which ``columns @ W`` was computed."""
    n, f, oh, ow = dy.shape
    return channels_last(dy).reshape(n, oh * ow, groups, f // groups).transpose(0, 2, 1, 3)
