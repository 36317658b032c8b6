"""Layers that only move values, as explicit loops: y[index] = x[where(index)], and dx sums dy over the places."""

import numpy as np


def gather(x, shape, where):
    """y of `shape`, with y[index] = x[where(index)]; where it returns a number, that number."""
    y = np.zeros(shape, x.dtype)
    for index in np.ndindex(*shape):
        source = where(index)
        y[index] = x[source] if isinstance(source, tuple) else source
    return y


def scatter(dy, shape, where):
    """dx of `shape`: every dy[index] is added at where(index)."""
    dx = np.zeros(shape, dy.dtype)
    for index in np.ndindex(dy.shape):
        source = where(index)
        if isinstance(source, tuple):
            dx[source] += dy[index]
    return dx


def mirrored(i, size, mode):
    """The pixel of a side of `size` pixels that a border shows at position i, which may be outside."""
    if mode == "edge":
        return min(max(i, 0), size - 1)
    return -i if i < 0 else 2 * (size - 1) - i if i >= size else i


def padded_from(shape, padding, mode="constant", value=0.0):
    """(shape of y, where) of a border (top, bottom, left, right) around x of `shape`."""
    (n, c, h, w), (top, bottom, left, right) = shape, padding

    def where(index):
        i, j = index[2] - top, index[3] - left
        if 0 <= i < h and 0 <= j < w:
            return (*index[:2], i, j)
        return value if mode == "constant" else (*index[:2], mirrored(i, h, mode), mirrored(j, w, mode))

    return (n, c, top + h + bottom, left + w + right), where


def permuted_from(shape, axes):
    """(shape of y, where): axis i of y is axis axes[i] of x."""
    return tuple(shape[axis] for axis in axes), lambda index: tuple(
        index[axes.index(i)] for i in range(len(shape))
    )


def reshaped_from(shape, new):
    """(shape of y, where) of the same values in the order of their axes, of x of `shape` in the shape `new`."""

    def where(index):
        place = 0
        for i, side in zip(index, new, strict=True):
            place = place * side + i
        found = []
        for side in reversed(shape):
            found.insert(0, place % side)
            place //= side
        return tuple(found)

    return tuple(new), where


def sliced_from(shape, axis, start, stop, step):
    """(shape of y, where) of x[start:stop:step] along an axis."""
    kept = range(shape[axis])[start:stop:step]
    new = (*shape[:axis], len(kept), *shape[axis + 1 :])
    return new, lambda index: (*index[:axis], kept[index[axis]], *index[axis + 1 :])


def shuffled_from(shape, groups):
    """(shape of y, where): channel c of y is number c // groups of group c % groups of x."""
    each = shape[1] // groups
    return shape, lambda index: (index[0], index[1] % groups * each + index[1] // groups, *index[2:])
