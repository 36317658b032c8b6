"""The layers as explicit loops: the reference to read first, and to compare every faster implementation with.

Each function is written from the definition, one value at a time, and shares no code with the layers. In the
backward pass, every product ``y += x * w`` of the forward pass becomes ``dx += dy * w`` and ``dw += dy * x``; softmax
and batch normalization use the formulas in their docstrings.

Arrays are (N, C, H, W) or (N, C). `kernel_size`, `stride`, `padding` and `dilation` are (height, width) or an int for
both, with PyTorch's meanings; `padding` may also be (top, bottom, left, right). The dtype follows the inputs, so
float64 and the complex step work, too.
"""

import numpy as np


def pair(value):
    """3 -> (3, 3); a pair stays a pair."""
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def start_and_end(padding):
    """The padding before the first pixel and after the last, along the height and along the width."""
    top, bottom, left, right = padding if np.size(padding) == 4 else np.repeat(pair(padding), 2)
    return (top, bottom), (left, right)


def count_windows(size, kernel, stride, padding, ceil_mode=False):
    """The number of windows along one side of `size` pixels; padding: the same before and after, or (before, after).

    Windows start at -before and every `stride` pixels. One that ends outside the padded image counts only with
    `ceil_mode`, and only if it starts in the image or its left padding, and the window before it did not reach the end.
    """
    before, after = pair(padding)
    count, end = 0, size + after
    while True:
        begin = count * stride - before
        fits = begin + kernel <= end
        pixels_left_over = begin - stride + kernel < end
        if not (fits or (ceil_mode and begin < size and pixels_left_over)):
            return count
        count += 1


def output_shape(x, kernel_size, stride, padding, ceil_mode=False, dilation=1):
    """(OH, OW). A kernel of size k with dilation d covers (k - 1) * d + 1 pixels."""
    padding = start_and_end(padding)
    sides = zip(x.shape[2:], pair(kernel_size), pair(stride), padding, pair(dilation), strict=True)
    return tuple(count_windows(size, (k - 1) * d + 1, s, p, ceil_mode) for size, k, s, p, d in sides)


def pixels(x, i, j, kernel_size, stride, padding, dilation=1):
    """The window of output (i, j) in reading order: (ki, kj, row, column) of each position inside the image."""
    (kh, kw), (sh, sw), (dh, dw) = map(pair, (kernel_size, stride, dilation))
    (top, _), (left, _) = start_and_end(padding)
    for ki in range(kh):
        for kj in range(kw):
            row, column = i * sh - top + ki * dh, j * sw - left + kj * dw
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                yield ki, kj, row, column


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution: y[n, f, i, j] = bias[f] + sum over the window at (i, j) of x * weight[f].

    Parameters
    ----------
    x : ndarray (N, C, H, W)
    weight : ndarray (F, C/groups, KH, KW)
    bias : ndarray (F,) or None
    stride, padding, dilation : int or pair of int, padding also (top, bottom, left, right)
    groups : int
        Filter f sees only the f // (F/groups)-th part of the channels.

    Returns
    -------
    ndarray (N, F, OH, OW)
    """
    filters, channels, *kernel_size = weight.shape
    out = output_shape(x, kernel_size, stride, padding, dilation=dilation)
    y = np.zeros((len(x), filters, *out), np.result_type(x, weight))
    for n, f, i, j in np.ndindex(y.shape):
        first = f // (filters // groups) * channels  # the first channel that this filter sees
        if bias is not None:
            y[n, f, i, j] = bias[f]
        for ki, kj, row, column in pixels(x, i, j, kernel_size, stride, padding, dilation):
            for c in range(channels):
                y[n, f, i, j] += x[n, first + c, row, column] * weight[f, c, ki, kj]
    return y


def conv2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """The three gradients of `conv2d`: (dx, dweight, dbias), from dy (N, F, OH, OW)."""
    filters, channels, *kernel_size = weight.shape
    dtype = np.result_type(dy, x, weight)
    dx, dweight, dbias = (np.zeros(shape, dtype) for shape in (x.shape, weight.shape, filters))
    for n, f, i, j in np.ndindex(dy.shape):
        first = f // (filters // groups) * channels
        dbias[f] += dy[n, f, i, j]
        for ki, kj, row, column in pixels(x, i, j, kernel_size, stride, padding, dilation):
            for c in range(channels):
                dx[n, first + c, row, column] += dy[n, f, i, j] * weight[f, c, ki, kj]
                dweight[f, c, ki, kj] += dy[n, f, i, j] * x[n, first + c, row, column]
    return dx, dweight, dbias


def argmax(x, n, c, i, j, kernel_size, stride, padding, dilation=1):
    """(row, column) of the largest pixel of a window; of several equal ones the first in reading order."""
    best = None
    for _, _, row, column in pixels(x, i, j, kernel_size, stride, padding, dilation):
        if best is None or x[n, c, row, column].real > x[n, c, best[0], best[1]].real:
            best = row, column
    return best


def max_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, dilation=1):
    """Max pooling: y[n, c, i, j] = the largest x[n, c] in the window at (i, j); stride None is the kernel size."""
    window = (kernel_size, kernel_size if stride is None else stride, padding)
    y = np.zeros((*x.shape[:2], *output_shape(x, *window, ceil_mode, dilation)), x.dtype)
    for n, c, i, j in np.ndindex(y.shape):
        row, column = argmax(x, n, c, i, j, *window, dilation)
        y[n, c, i, j] = x[n, c, row, column]
    return y


def max_pool2d_backward(dy, x, kernel_size, stride=None, padding=0, dilation=1):
    """dx: each dy goes to the argmax of its window; a pixel that is the argmax of several windows gets the sum."""
    window = (kernel_size, kernel_size if stride is None else stride, padding)
    dx = np.zeros(x.shape, dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        row, column = argmax(x, n, c, i, j, *window, dilation)
        dx[n, c, row, column] += dy[n, c, i, j]
    return dx


def window_count(x, i, j, kernel_size, stride, padding, count_include_pad):
    """The divisor of a mean: the window's pixels in the image, with `count_include_pad` those in the padding too."""
    count = 1
    for axis, (index, (before, after)) in enumerate(zip((i, j), start_and_end(padding), strict=True)):
        begin = index * pair(stride)[axis] - before
        inside = range(-before, x.shape[2 + axis] + after) if count_include_pad else range(x.shape[2 + axis])
        count *= sum(place in inside for place in range(begin, begin + pair(kernel_size)[axis]))
    return count


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Average pooling: y[n, c, i, j] = the mean of x[n, c] over the window at (i, j)."""
    window = (kernel_size, kernel_size if stride is None else stride, padding)
    y = np.zeros((*x.shape[:2], *output_shape(x, *window, ceil_mode)), x.dtype)
    for n, c, i, j in np.ndindex(y.shape):
        count = window_count(x, i, j, *window, count_include_pad)
        for _, _, row, column in pixels(x, i, j, *window):
            y[n, c, i, j] += x[n, c, row, column] / count
    return y


def avg_pool2d_backward(dy, x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """dx: every pixel of a window gets dy / count; a pixel in several windows gets the sum."""
    window = (kernel_size, kernel_size if stride is None else stride, padding)
    dx = np.zeros(x.shape, dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        count = window_count(x, i, j, *window, count_include_pad)
        for _, _, row, column in pixels(x, i, j, *window):
            dx[n, c, row, column] += dy[n, c, i, j] / count
    return dx


def linear(x, weight, bias=None):
    """Fully connected: y[n, f] = bias[f] + sum over c of x[n, c] * weight[f, c]; x (N, C), weight (F, C)."""
    y = np.zeros((len(x), len(weight)), np.result_type(x, weight))
    for n, f in np.ndindex(y.shape):
        if bias is not None:
            y[n, f] = bias[f]
        for c in range(x.shape[1]):
            y[n, f] += x[n, c] * weight[f, c]
    return y


def linear_backward(dy, x, weight):
    """The three gradients of `linear`: (dx, dweight, dbias), from dy (N, F)."""
    dtype = np.result_type(dy, x, weight)
    dx, dweight, dbias = np.zeros(x.shape, dtype), np.zeros(weight.shape, dtype), np.zeros(len(weight), dtype)
    for n, f in np.ndindex(dy.shape):
        dbias[f] += dy[n, f]
        for c in range(x.shape[1]):
            dx[n, c] += dy[n, f] * weight[f, c]
            dweight[f, c] += dy[n, f] * x[n, c]
    return dx, dweight, dbias


def channel_values(x, c):
    """The index of every value of channel c of x (N, C, H, W) or (N, C)."""
    return [(n, c, *pixel) for n, *pixel in np.ndindex(len(x), *x.shape[2:])]


def channel_statistics(x, c):
    """(count, mean, biased variance) of channel c, over images and pixels."""
    values = [x[at] for at in channel_values(x, c)]
    mean = sum(values) / len(values)
    return len(values), mean, sum((value - mean) ** 2 for value in values) / len(values)


def batch_norm2d(x, weight, bias, running_mean=None, running_var=None, training=False, eps=1e-5):
    """Batch normalization: y = weight[c] * (x - mean[c]) / sqrt(var[c] + eps) + bias[c].

    In inference mode mean and var are the running statistics, in training mode those of the batch.
    """
    y = np.zeros(x.shape, np.result_type(x, weight))
    for c in range(x.shape[1]):
        _, mean, var = channel_statistics(x, c) if training else (None, running_mean[c], running_var[c])
        for at in channel_values(x, c):
            y[at] = weight[c] * (x[at] - mean) / np.sqrt(var + eps) + bias[c]
    return y


def batch_norm2d_backward(dy, x, weight, running_mean=None, running_var=None, training=False, eps=1e-5):
    """(dx, dweight, dbias). In training mode x also moves y through the batch's mean and variance.

    With m values in a channel, mean = sum of x / m moves by 1/m, and var = sum of (x - mean)^2 / m by
    2 * (x - mean) / m (Ioffe, Szegedy 2015, section 3). dmean and dvar sum over all values of y that they move; the
    effect of the mean through the variance is 0, since the sum of x - mean is.
    """
    dtype = np.result_type(dy, x, weight)
    dx, dweight, dbias = np.zeros(x.shape, dtype), np.zeros(len(weight), dtype), np.zeros(len(weight), dtype)
    for c in range(x.shape[1]):
        count, mean, var = channel_statistics(x, c) if training else (1, running_mean[c], running_var[c])
        std, dmean, dvar = np.sqrt(var + eps), 0, 0
        for at in channel_values(x, c):
            d, centered = dy[at], x[at] - mean
            dweight[c] += d * centered / std
            dbias[c] += d
            dx[at] += d * weight[c] / std
            dmean -= d * weight[c] / std
            dvar -= d * weight[c] * centered * 0.5 / std**3
        if training:
            for at in channel_values(x, c):
                dx[at] += dmean / count + dvar * 2 * (x[at] - mean) / count
    return dx, dweight, dbias


def softmax(x):
    """y[n, c] = exp(x[n, c]) / sum over classes of exp(x[n]); x (N, C)."""
    y = np.zeros(x.shape, x.dtype)
    for n in range(len(x)):
        largest = max(value.real for value in x[n])  # the same quotient, and exp cannot overflow
        total = sum(np.exp(value - largest) for value in x[n])
        for c in range(x.shape[1]):
            y[n, c] = np.exp(x[n, c] - largest) / total
    return y


def softmax_backward(dy, y):
    """dx from dy and the output y: dy_c/dx_k = y_c * (1[c = k] - y_k)."""
    dx = np.zeros(y.shape, np.result_type(dy, y))
    for n, c, k in np.ndindex(*y.shape, y.shape[1]):
        dx[n, k] += dy[n, c] * y[n, c] * ((c == k) - y[n, k])
    return dx


def log_softmax(x):
    """y[n, c] = x[n, c] - log(sum over classes of exp(x[n])); x (N, C)."""
    y = np.zeros(x.shape, x.dtype)
    for n in range(len(x)):
        largest = max(value.real for value in x[n])  # the same difference, and exp cannot overflow
        total = sum(np.exp(value - largest) for value in x[n])
        for c in range(x.shape[1]):
            y[n, c] = x[n, c] - largest - np.log(total)
    return y


def log_softmax_backward(dy, y):
    """dx from dy and the output y: dy_c/dx_k = (1[c = k] - exp(y_k))."""
    dx = np.zeros(y.shape, np.result_type(dy, y))
    for n, c, k in np.ndindex(*y.shape, y.shape[1]):
        dx[n, k] += dy[n, c] * ((c == k) - np.exp(y[n, k]))
    return dx
