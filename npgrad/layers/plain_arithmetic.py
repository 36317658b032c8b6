"""Sums, products and maxima of whole outputs as explicit loops, from their definitions; see `plain.py`."""

import numpy as np


def place_in(shape, index):
    """Where an array of `shape` has the value for y[index]: at 0 along each side of 1, which is repeated."""
    return tuple(0 if side == 1 else i for side, i in zip(shape, index, strict=True))


def multiply(a, b):
    """y = a * b; sides of 1 are repeated."""
    y = np.zeros(np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    for index in np.ndindex(y.shape):
        y[index] = a[place_in(a.shape, index)] * b[place_in(b.shape, index)]
    return y


def multiply_backward(dy, a, b):
    """(da, db): a value that was repeated gets the sum over its places."""
    da, db = np.zeros(a.shape, np.result_type(dy, b)), np.zeros(b.shape, np.result_type(dy, a))
    for index in np.ndindex(dy.shape):
        i, j = place_in(a.shape, index), place_in(b.shape, index)
        da[i] += dy[index] * b[j]
        db[j] += dy[index] * a[i]
    return da, db


def subtract(a, b):
    """y = a - b"""
    y = np.zeros(a.shape, np.result_type(a, b))
    for index in np.ndindex(y.shape):
        y[index] = a[index] - b[index]
    return y


def subtract_backward(dy):
    """(da, db) = (dy, -dy)"""
    da, db = np.zeros(dy.shape, dy.dtype), np.zeros(dy.shape, dy.dtype)
    for index in np.ndindex(dy.shape):
        da[index] += dy[index]
        db[index] -= dy[index]
    return da, db


def affine(x, scale, shift):
    """y[n, c] = scale[c] * x[n, c] + shift[c]"""
    y = np.zeros(x.shape, np.result_type(x, scale, shift))
    for index in np.ndindex(x.shape):
        y[index] = scale[index[1]] * x[index] + shift[index[1]]
    return y


def affine_backward(dy, scale):
    """dx[n, c] = scale[c] * dy[n, c]"""
    dx = np.zeros(dy.shape, np.result_type(dy, scale))
    for index in np.ndindex(dy.shape):
        dx[index] = scale[index[1]] * dy[index]
    return dx


def largest(x, n, c):
    """(row, column) of the largest pixel of a channel; of several equal ones the first in reading order."""
    best = (0, 0)
    for i, j in np.ndindex(x.shape[2:]):
        if x[n, c, i, j].real > x[n, c, best[0], best[1]].real:
            best = (i, j)
    return best


def global_max_pool2d(x):
    """y[n, c] = the largest x[n, c]."""
    y = np.zeros(x.shape[:2], x.dtype)
    for n, c in np.ndindex(y.shape):
        i, j = largest(x, n, c)
        y[n, c] = x[n, c, i, j]
    return y


def global_max_pool2d_backward(dy, x):
    """dx: each dy goes to the largest pixel of its channel."""
    dx = np.zeros(x.shape, dy.dtype)
    for n, c in np.ndindex(dy.shape):
        i, j = largest(x, n, c)
        dx[n, c, i, j] += dy[n, c]
    return dx


def log_softmax(x):
    """y[n, c] = x[n, c] - log(sum over classes of exp(x[n])); x (N, C)."""
    y = np.zeros(x.shape, x.dtype)
    for n, c in np.ndindex(x.shape):
        y[n, c] = x[n, c] - np.log(sum(np.exp(value) for value in x[n]))
    return y


def log_softmax_backward(dy, y):
    """dx from dy and the output y: dy_c/dx_k = 1[c = k] - exp(y_k)."""
    dx = np.zeros(y.shape, np.result_type(dy, y))
    for n, c, k in np.ndindex(*y.shape, y.shape[1]):
        dx[n, k] += dy[n, c] * ((c == k) - np.exp(y[n, k]))
    return dx
