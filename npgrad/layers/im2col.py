"""im2col and col2im: the windows of an image as the rows of a matrix, and the transpose of that.

im2col is linear in the pixels, and col2im is its transpose: sum(im2col(x) * c) = sum(x * col2im(c)) for every c.

Arrays here are (N, H, W, C), the order in which npgrad keeps images in memory: all channels of a pixel are adjacent,
so a window is a few runs of whole pixels. The layers present them as (N, C, H, W).
"""

import numpy as np

from npgrad._validate import check_channels
from npgrad.errors import TooSmall


def borders(padding):
    """(height, width) or (top, bottom, left, right) as ((top, left), (bottom, right))."""
    return (padding, padding) if len(padding) == 2 else (padding[::2], padding[1::2])


def window_size(layer):
    """(height, width) in pixels of a layer's window: k pixels at a distance d span (k - 1) * d + 1."""
    dilation = getattr(layer, "dilation", (1, 1))
    return tuple((k - 1) * d + 1 for k, d in zip(layer.kernel_size, dilation, strict=True))


def receptive_field(layer):
    """(size, stride, padding at the top and left) of a layer's windows."""
    return window_size(layer), layer.stride, borders(layer.padding)[0]


def output_size(size, kernel, stride, padding=0, ceil_mode=False, after=None):
    """The number of windows of `kernel` pixels along one side of `size` pixels.

    floor((size + 2*padding - kernel) / stride) + 1; with `ceil_mode` the last window may extend past the edge, but
    must start inside the image or its left padding (as in Caffe and PyTorch). `after` is the padding at the end, if it
    is another than at the start.
    """
    free = size + padding + (padding if after is None else after) - kernel
    count = (-(-free // stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def output_shape(layer, x, channels=None):
    """(OH, OW) for an input x (N, C, H, W); an InputError if C is not `channels` or not a single window fits."""
    check_channels(layer, x, channels)
    before, after = borders(layer.padding)
    ceil_mode = (getattr(layer, "ceil_mode", False),) * 2
    out = tuple(map(output_size, x.shape[2:], window_size(layer), layer.stride, before, ceil_mode, after))
    if min(out) < 1:
        (h, w), (kh, kw), padding = x.shape[2:], window_size(layer), ", ".join(map(str, layer.padding))
        name = type(layer).__name__
        raise TooSmall(
            f"{name}: the input is {h}x{w} px, smaller than the {kh}x{kw} window (padding {padding})"
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
    """x (N, C, H, W) as (N, top + H + bottom, left + W + right, C), with a border of zeros."""
    return pad(channels_last(x), *borders(padding))


def zeros_with_border(shape, padding, dtype):
    """Zeros of the shape of `padded`, and the view (N, C, H, W) of `shape` of the image inside the border."""
    (n, c, h, w), ((top, left), (bottom, right)) = shape, borders(padding)
    zeros = np.zeros((n, top + h + bottom, left + w + right, c), dtype)
    return zeros, channels_first(zeros[:, top : top + h, left : left + w])


def taps(kernel, stride, out, dilation=1):
    """For each position inside a window along one side, the slice of pixels there over all windows."""
    return [slice(k * dilation, k * dilation + stride * (out - 1) + 1, stride) for k in range(kernel)]


def positions(kernel, stride, out, dilation=(1, 1)):
    """((i, j), rows, columns) for each position inside a window: the pixels there over all windows."""
    for i, rows in enumerate(taps(kernel[0], stride[0], out[0], dilation[0])):
        for j, columns in enumerate(taps(kernel[1], stride[1], out[1], dilation[1])):
            yield (i, j), rows, columns


def windows(x, kernel, stride, out, dilation=(1, 1)):
    """All windows of padded images (..., H, W, C), as a view (..., OH, OW, KH, KW, C)."""
    *batch, sh, sw, sc = x.strides
    shape = (*x.shape[:-3], *out, *kernel, x.shape[-1])
    strides = (*batch, sh * stride[0], sw * stride[1], sh * dilation[0], sw * dilation[1], sc)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def im2col(image, kernel, stride, out, groups=1, dilation=(1, 1)):
    """The windows of a padded image (H, W, C) as the rows of a matrix (groups, OH*OW, KH*KW*C/groups).

    A window of one pixel at stride 1 is the pixel itself: then no value is copied.
    """
    pointwise = kernel == stride == (1, 1)
    seen = image if pointwise else windows(image, kernel, stride, out, dilation)
    rows = seen.reshape(out[0] * out[1], -1, groups, image.shape[-1] // groups)
    return rows.transpose(2, 0, 1, 3).reshape(groups, rows.shape[0], -1)


def col2im(columns, kernel, stride, out, image, dilation=(1, 1)):
    """The transpose of `im2col`: add, in place, each entry of `columns` to the pixel of `image` (H, W, C) it came from.

    A pixel that is in several windows receives the sum of its entries.
    """
    dwindows = columns.reshape(len(columns), *out, *kernel, -1).transpose(1, 2, 3, 4, 0, 5)
    dwindows = dwindows.reshape(*out, *kernel, -1)
    for (i, j), rows, cols in positions(kernel, stride, out, dilation):
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
