"""Fast kernels: the same results as the formulas in the layers' own files, with fewer or longer NumPy loops.

Each kernel is tested against `plain.py`. What was measured to choose among them is in docs/explanation/speed.md.
"""

import math

import numpy as np

from npgrad._blas import product
from npgrad.layers._rows import by_rows, by_rows_input_gradient, inside_and_padded
from npgrad.layers._winograd import fits as winograd_fits
from npgrad.layers._winograd import winograd, winograd_input_gradient
from npgrad.layers.im2col import borders, positions, taps, window_size, windows

FEW_CHANNELS = 8  # below this, NumPy's inner loops over the channels of a pixel are too short to be fast
FEW_VALUES = 4096  # below this, the number of NumPy calls counts more than the work in each
WIDE, TILED_PIXELS = 64, 625  # channels and filters, pixels: from here on, Winograd's algorithm wins
MANY_PIXELS = 2048  # from here on, the columns of few channels leave the cache, too
LARGE_COLUMNS = 3 << 19  # numbers in `columns`: 6 MB in float32, more than a cache holds


# Convolution, one image: dy (groups, OH*OW, F/groups), dx and the padded image (H, W, C).


def conv_forward(layer, out, dtype):
    """The kernel that replaces im2col and the matrix product, or None where those are fastest."""
    if _is_depthwise(layer):
        return depthwise
    if _is_wide(layer, out) and winograd_fits(layer, dtype):
        return winograd
    pixels, columns = math.prod(out), math.prod(out) * math.prod(layer.weight.shape[1:])
    large = pixels > MANY_PIXELS and columns >= LARGE_COLUMNS
    return by_rows if large and layer.weight.shape[1] >= FEW_CHANNELS and rows_fit(layer) else None


def conv_input_gradient(layer, out, dtype):
    """The kernel that replaces the matrix product and col2im, or None where those are fastest."""
    (filters, channels), pixels = layer.weight.shape[:2], math.prod(out)
    if _is_depthwise(layer):
        by_windows = rows_fit(layer) and layer.groups > WIDE  # einsum is slow for few channels
        return depthwise_by_windows if by_windows else depthwise_input_gradient
    if layer.kernel_size == layer.stride == (1, 1) and layer.padding == (0, 0):
        return pointwise_input_gradient
    if channels * layer.groups < FEW_CHANNELS:
        return few_channels_input_gradient
    if not rows_fit(layer):
        return None
    if _is_wide(layer, out) and winograd_fits(layer, dtype):
        return winograd_input_gradient
    gathers_less = filters <= 2 * channels or pixels > MANY_PIXELS  # of dy than it would scatter to dx
    return by_rows_input_gradient if gathers_less and pixels >= 4 * filters else None


def _is_wide(layer, out):
    """Whether the product is large enough for Winograd's sums around it."""
    return min(layer.weight.shape[:2]) >= WIDE and math.prod(out) >= TILED_PIXELS


def rows_fit(layer):
    """Whether the input gradient of a layer is a convolution of dy, with some padding or none."""
    sides = zip(*borders(layer.padding), window_size(layer), strict=True)
    whole = layer.groups == 1 or _is_depthwise(layer)
    whole = whole and layer.stride == (1, 1) and layer.kernel_size != (1, 1)
    return whole and all(max(before, after) < window for before, after, window in sides)


def _is_depthwise(layer):
    return layer.groups > 1 and layer.weight.shape[:2] == (layer.groups, 1)


def depthwise(layer, image, W, out, y):
    """One filter per channel: a sum of products, no matrix."""
    seen = windows(image, layer.kernel_size, layer.stride, out, layer.dilation)
    np.einsum("hwijc,ijc->hwc", seen, _planes(layer), out=y.reshape(*out, -1))


def depthwise_by_windows(layer, dy, W, out, dx):
    """dx is the convolution of dy with the flipped kernel, as in _rows.py."""
    dy, planes = dy.transpose(1, 0, 2).reshape(*out, -1), _planes(layer)
    dimage, dy = inside_and_padded(layer, dy, dx)
    seen = windows(dy, layer.kernel_size, (1, 1), dimage.shape[:2], layer.dilation)
    np.einsum("hwijc,ijc->hwc", seen, planes[::-1, ::-1], out=dimage)


def depthwise_input_gradient(layer, dy, W, out, dx):
    """dx += dy * weight at every position of the windows."""
    dy, planes = dy.transpose(1, 0, 2).reshape(*out, -1), _planes(layer)
    for (i, j), rows, columns in positions(layer.kernel_size, layer.stride, out, layer.dilation):
        dx[rows, columns] += dy * planes[i, j]


def pointwise_input_gradient(layer, dy, W, out, dx):
    """A window is one pixel, so dcolumns is dx: the product is written there directly."""
    product(dy, W.transpose(0, 2, 1), out=dx.reshape(*dy.shape[1::-1], -1).transpose(1, 0, 2))


def few_channels_input_gradient(layer, dy, W, out, dx):
    """dcolumns transposed: one plane per channel and window position, so that whole rows are added at once."""
    planes = product(W, dy.transpose(0, 2, 1))
    planes = planes.reshape(layer.groups, *layer.kernel_size, -1, *out).transpose(1, 2, 0, 3, 4, 5)
    planes = planes.reshape(*layer.kernel_size, -1, *out)
    dx += planes_to_image(planes, layer.stride, dx.shape[:2], layer.dilation)


def without_idle_filters(dy, W):
    """dy and W (groups, KH*KW*C/groups, F/groups) without the filters whose upstream gradient is 0, if they are many.

    When one class score is explained, all filters but one of the last convolution are idle.
    """
    some = dy[
        0, :: -(-dy.shape[1] // 16)
    ]  # checking 16 pixels is cheap; a pool leaves whole pixels without gradient
    if len(dy) == 1 and 4 * np.count_nonzero(some.any(axis=0)) < dy.shape[2]:
        busy = dy[0].any(axis=0)
        busy[0] |= not busy.any()  # one remains in any case
        if 4 * np.count_nonzero(busy) < len(busy):
            return dy[:, :, busy], W[:, :, busy]
    return dy, W


def planes_to_image(planes, stride, size, dilation=(1, 1)):
    """col2im with one plane per channel: (KH, KW, C, OH, OW) -> (H, W, C), with `size` = (H, W).

    With stride s, pixel i of the windows falls on the pixels i, i + s, i + 2s, ..., those with remainder i % s. So
    the pixels are kept in separate planes by their remainders, which are interleaved at the end.
    """
    (kh, kw, c, oh, ow), (sh, sw), (h, w) = planes.shape, stride, size
    x = np.zeros((sh, sw, c, -(-h // sh), -(-w // sw)), planes.dtype)
    for i in range(kh):
        for j in range(kw):
            (top, down), (left, right) = divmod(i * dilation[0], sh), divmod(j * dilation[1], sw)
            x[down, right, :, top : top + oh, left : left + ow] += planes[i, j]
    x = x.transpose(3, 0, 4, 1, 2)  # (H/s, s, W/s, s, C)
    return x.reshape(x.shape[0] * sh, x.shape[2] * sw, c)[:h, :w]


def _planes(layer):
    """The weight of a depthwise convolution as (KH, KW, C)."""
    return layer.weight[:, 0].transpose(1, 2, 0)


# Max pooling, a batch: padded (N, H, W, C), y and argmax (N, OH, OW, C).


def separable_max(x, kernel, stride, out, dilation=(1, 1)):
    """The maximum of each window, and its position in the window (row * KW + column), along one axis at a time.

    The largest value of a window is the largest of its rows' largest values, and it is in the first row that has it,
    at the first pixel of that row that has it: so ties are resolved in reading order, as the definition does.
    """
    code = np.min_scalar_type(kernel[0] * kernel[1]).type
    rows, column = _largest(x, 2, kernel[1], stride[1], out[1], dilation[1], lambda k, tap: code(k))
    return _largest(
        rows, 1, kernel[0], stride[0], out[0], dilation[0], lambda k, tap: column[tap] + code(k * kernel[1])
    )


def separable_maxima(x, kernel, stride, out, dilation=(1, 1)):
    """The maximum of each window alone."""
    rows, _ = _largest(x, 2, kernel[1], stride[1], out[1], dilation[1])
    return _largest(rows, 1, kernel[0], stride[0], out[0], dilation[0])[0]


def _largest(x, axis, kernel, stride, out, dilation, code=None):
    """The maximum over windows along one axis of (N, H, W, C), and code(k, pixels k) of the first that has it.

    Codes grow with k, so the last one that was better than all before it is the largest of those that were. NaN stays
    NaN.
    """
    first, *others = (_along(axis, tap) for tap in taps(kernel, stride, out, dilation))
    y = x[first].copy()
    best = None if code is None else np.zeros(y.shape, code(0, first).dtype) + code(0, first)
    for k, tap in enumerate(others, start=1):
        if best is not None:
            np.maximum(best, (x[tap] > y) * code(k, tap), out=best)
        np.maximum(y, x[tap], out=y)
    return y, best


def _along(axis, tap):
    return (slice(None),) * axis + (tap,)
