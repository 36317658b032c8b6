"""Values of layers as what a page shows: small maps in 8 bits, and the strongest channels."""

import numpy as np

from npgrad._typing import Array


def planes(y: Array) -> Array:
    """The value of one image as (channels, height, width); without a spatial size, a row of what each channel has.

    Parameters
    ----------
    y : ndarray (1, C, ...)

    Returns
    -------
    ndarray (C, h, w)
    """
    one = y[0]
    return one if one.ndim == 3 else one.reshape(len(one), 1, -1) if one.ndim else one.reshape(1, 1, 1)


def small(size: tuple[int, int], most: int) -> tuple[int, int]:
    """The size of a map of at most `most` pixels a side.

    Parameters
    ----------
    size : (int, int)
        Height and width of what is mapped.
    most : int

    Returns
    -------
    (int, int)
    """
    height, width = size
    scale = min(1.0, most / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink(maps: Array, size: tuple[int, int]) -> Array:
    """Means over the cells of a grid of `size` cells.

    Parameters
    ----------
    maps : ndarray (..., h, w)
    size : (int, int)
        At most (h, w).

    Returns
    -------
    ndarray (..., *size)
    """
    for axis, count in ((-2, size[0]), (-1, size[1])):
        length = maps.shape[axis]
        if count != length:
            edges = np.arange(count + 1) * length // count
            shape = [1] * maps.ndim
            shape[axis] = count
            maps = np.add.reduceat(maps, edges[:-1], axis=axis) / np.diff(edges).reshape(shape)
    return maps


def in_8_bits(maps: Array) -> tuple[Array, Array]:
    """Maps as whole numbers from -127 to 127, and for each map the value of 1.

    Parameters
    ----------
    maps : ndarray (..., h, w)

    Returns
    -------
    (ndarray (..., h, w) of int8, ndarray (...) of float32)
    """
    largest = np.abs(maps).max(axis=(-2, -1))
    scale = np.where(largest > 0, largest, 1) / 127
    return np.rint(maps / scale[..., None, None]).astype(np.int8), scale.astype(np.float32)


def strongest(strengths: Array, count: int, signed: bool = False) -> Array:
    """The channels to show.

    Parameters
    ----------
    strengths : ndarray (C,)
    count : int
        How many.
    signed : bool, default False
        Whether to show the most positive ones and then the most negative ones, half of each where there are enough.

    Returns
    -------
    ndarray (count,) of int
        In descending order of strength; -1 where there are fewer channels. The negative ones begin with the most
        negative.
    """
    order = np.argsort(-strengths, kind="stable")
    if signed and len(order) > count:
        positive, negative = int((strengths > 0).sum()), int((strengths < 0).sum())
        below = min(negative, max(count // 2, count - positive))
        head = order[: count - below]
        order = np.concatenate([head, order[::-1][:below]])
    chosen = np.full(count, -1)
    chosen[: min(count, len(order))] = order[:count]
    return chosen
