"""Normalization of layers, groups and neighbors, and resizing, as explicit loops; see `plain.py`."""

import numpy as np


def standardize(x, block_of, weight, bias, eps):
    """y[i] = weight[i] * (x[i] - mean) / sqrt(var + eps) + bias[i], with the mean and variance of the block of i.

    block_of(i) is the name of the block that index i belongs to; weight and bias have a number for each i.
    """
    y = np.zeros(x.shape, np.result_type(x, weight, bias))
    for members in blocks(x.shape, block_of).values():
        mean, var = moments(x, members)
        for i in members:
            y[i] = weight[i] * (x[i] - mean) / np.sqrt(var + eps) + bias[i]
    return y


def standardize_backward(dy, x, block_of, weight, eps):
    """(dx, dweight, dbias), the last two with a number for each i.

    dxhat_j moves x_i through itself, the mean, which moves by 1/m, and the variance, which moves by 2 (x - mean) / m.
    """
    dtype = np.result_type(dy, x, weight)
    dx, dweight, dbias = (np.zeros(x.shape, dtype) for _ in range(3))
    for members in blocks(x.shape, block_of).values():
        mean, var = moments(x, members)
        std, m = np.sqrt(var + eps), len(members)
        for j in members:
            dweight[j], dbias[j] = dy[j] * (x[j] - mean) / std, dy[j]
            for i in members:
                own = (i == j) - 1 / m  # x[i] moves x[j] - mean
                through_var = (x[j] - mean) * (x[i] - mean) / (m * std**2)
                dx[i] += dy[j] * weight[j] * (own - through_var) / std
    return dx, dweight, dbias


def blocks(shape, block_of):
    """{name of a block: its indices}"""
    found = {}
    for index in np.ndindex(shape):
        found.setdefault(block_of(index), []).append(index)
    return found


def moments(x, members):
    """The mean and the biased variance of the values at some indices."""
    mean = sum(x[i] for i in members) / len(members)
    return mean, sum((x[i] - mean) ** 2 for i in members) / len(members)


def divisor(x, index, size, alpha, k):
    """k + alpha / size * the sum of squares over the channels up to size // 2 away."""
    n, c, *rest = index
    near = range(max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1))
    return k + alpha / size * sum(x[(n, i, *rest)] ** 2 for i in near)


def local_response_norm(x, size, alpha, beta, k):
    """y[c] = x[c] / (k + alpha / size * the sum of squares of the neighbors of c) ** beta"""
    y = np.zeros(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        y[index] = x[index] / divisor(x, index, size, alpha, k) ** beta
    return y


def local_response_norm_backward(dy, x, size, alpha, beta, k):
    """dx: each y[c] moves with x[c], and with every neighbor through the divisor."""
    dx = np.zeros(x.shape, np.result_type(dy, x))
    for index in np.ndindex(x.shape):
        n, c, *rest = index
        d = divisor(x, index, size, alpha, k)
        dx[index] += dy[index] / d**beta
        for i in range(max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1)):
            place = (n, i, *rest)
            dx[place] -= dy[index] * x[index] * beta / d ** (beta + 1) * alpha / size * 2 * x[place]
    return dx


def sources(j, size, step, mode, corners=None):
    """The pixels of a side of `size` pixels that pixel j of the output is made of: [(pixel, weight), ...].

    step: pixels of the input for one of the output; corners: that step if the corner pixels stay.
    """
    if mode == "nearest":
        return [(min(int(j * step + 1e-9), size - 1), 1.0)]
    place = max((j + 0.5) * step - 0.5 if corners is None else j * corners, 0)
    below = min(int(place), size - 1)
    share = place - below if below + 1 < size else 0.0
    return [(below, 1 - share), (min(below + 1, size - 1), share)]


def resize(x, out, rows, columns):
    """y (N, C, OH, OW): each pixel the weighted sum of those at rows(i) and columns(j), lists of (pixel, weight)."""
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    for n, c, i, j in np.ndindex(y.shape):
        for row, p in rows(i):
            for column, q in columns(j):
                y[n, c, i, j] += p * q * x[n, c, row, column]
    return y


def resize_backward(dy, shape, rows, columns):
    """dx of `shape`: each pixel gets its weight times dy from every pixel that it is part of."""
    dx = np.zeros(shape, dy.dtype)
    for n, c, i, j in np.ndindex(dy.shape):
        for row, p in rows(i):
            for column, q in columns(j):
                dx[n, c, row, column] += p * q * dy[n, c, i, j]
    return dx
