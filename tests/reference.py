"""Convolution and pooling by plain loops: slow, and easy to believe.

Everything is written from the definition, one number at a time; nothing is shared with npgrad. Going back,
every product y += x * w of the forward pass becomes dx += dy * w and dw += dy * x.
"""

import numpy as np


def count_windows(size, kernel, stride, padding, ceil_mode=False):
    """How many windows there are along one side of `size` pixels; at least one is taken to fit.

    Windows begin at -padding and every `stride` pixels. One that ends outside the padded image counts only
    with `ceil_mode`: if it begins before the image's last pixel and the one before it left pixels over.
    """
    count, end = 0, size + padding
    while True:
        begin = count * stride - padding
        fits = begin + kernel <= end
        pixels_left_over = count == 0 or begin - stride + kernel < end
        if not (fits or (ceil_mode and begin < size and pixels_left_over)):
            return count
        count += 1


def output_shape(x, kernel, stride, padding, ceil_mode=False):
    """(OH, OW)"""
    return tuple(
        count_windows(x.shape[2 + axis], kernel[axis], stride[axis], padding[axis], ceil_mode)
        for axis in (0, 1)
    )


def pixels(x, i, j, kernel, stride, padding):
    """The window at row i, column j in reading order: (ki, kj, row, column) of each place in the image."""
    for ki in range(kernel[0]):
        for kj in range(kernel[1]):
            row = i * stride[0] - padding[0] + ki
            column = j * stride[1] - padding[1] + kj
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                yield ki, kj, row, column


def conv2d(x, weight, bias, stride, padding, groups):
    """x (N, C, H, W), weight (F, C/groups, KH, KW) -> y (N, F, OH, OW)."""
    filters, channels, *kernel = weight.shape
    y = np.zeros((len(x), filters, *output_shape(x, kernel, stride, padding)))
    for n, f, i, j in np.ndindex(y.shape):
        first = f // (filters // groups) * channels  # the first channel that this filter sees
        if bias is not None:
            y[n, f, i, j] = bias[f]
        for ki, kj, row, column in pixels(x, i, j, kernel, stride, padding):
            for c in range(channels):
                y[n, f, i, j] += x[n, first + c, row, column] * weight[f, c, ki, kj]
    return y


def conv2d_backward(dy, x, weight, stride, padding, groups):
    """(dx, dweight, dbias)"""
    filters, channels, *kernel = weight.shape
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(filters)
    for n, f, i, j in np.ndindex(dy.shape):
        first = f // (filters // groups) * channels
        dbias[f] += dy[n, f, i, j]
        for ki, kj, row, column in pixels(x, i, j, kernel, stride, padding):
            for c in range(channels):
                dx[n, first + c, row, column] += dy[n, f, i, j] * weight[f, c, ki, kj]
                dweight[f, c, ki, kj] += dy[n, f, i, j] * x[n, first + c, row, column]
    return dx, dweight, dbias


def first_largest(x, n, c, i, j, kernel, stride, padding):
    """(row, column) of the window's largest pixel; of several equal ones the first in reading order."""
    best = None
    for _, _, row, column in pixels(x, i, j, kernel, stride, padding):
        if best is None or x[n, c, row, column] > x[n, c, best[0], best[1]]:
            best = row, column
    return best


def max_pool2d(x, kernel, stride, padding, ceil_mode):
    """x (N, C, H, W) -> y (N, C, OH, OW)."""
    y = np.zeros((*x.shape[:2], *output_shape(x, kernel, stride, padding, ceil_mode)))
    for n, c, i, j in np.ndindex(y.shape):
        row, column = first_largest(x, n, c, i, j, kernel, stride, padding)
        y[n, c, i, j] = x[n, c, row, column]
    return y


def max_pool2d_backward(dy, x, kernel, stride, padding):
    """dx: each dy goes to its window's first largest pixel; a pixel that won several windows gets the sum."""
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        row, column = first_largest(x, n, c, i, j, kernel, stride, padding)
        dx[n, c, row, column] += dy[n, c, i, j]
    return dx


def window_size(x, i, j, kernel, stride, padding, count_include_pad):
    """By how many places a mean is divided: the image's, with `count_include_pad` the padding's as well."""
    border = padding if count_include_pad else (0, 0)
    size = 1
    for axis, begin in enumerate((i * stride[0] - padding[0], j * stride[1] - padding[1])):
        places = range(begin, begin + kernel[axis])
        size *= sum(-border[axis] <= place < x.shape[2 + axis] + border[axis] for place in places)
    return size


def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad):
    """x (N, C, H, W) -> y (N, C, OH, OW)."""
    y = np.zeros((*x.shape[:2], *output_shape(x, kernel, stride, padding, ceil_mode)))
    for n, c, i, j in np.ndindex(y.shape):
        size = window_size(x, i, j, kernel, stride, padding, count_include_pad)
        for _, _, row, column in pixels(x, i, j, kernel, stride, padding):
            y[n, c, i, j] += x[n, c, row, column] / size
    return y


def avg_pool2d_backward(dy, x, kernel, stride, padding, count_include_pad):
    """dx: every pixel of a window gets dy / size; a pixel in several windows gets the sum."""
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        size = window_size(x, i, j, kernel, stride, padding, count_include_pad)
        for _, _, row, column in pixels(x, i, j, kernel, stride, padding):
            dx[n, c, row, column] += dy[n, c, i, j] / size
    return dx
