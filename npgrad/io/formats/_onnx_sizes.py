"""Shapes of values in an ONNX graph, where the file may leave the batch, height and width open."""

import math
from dataclasses import dataclass

import numpy as np

from npgrad.layers.im2col import output_size


@dataclass(frozen=True)
class Size:
    """A size that the file leaves open: floor((name + shift) / stride).

    Windows map such a size to another of this form, since floor(floor(a / s) / t) = floor(a / (s * t)). So two sizes
    are known to be equal, whatever the input, if they are equal here.
    """

    name: str
    shift: int = 0
    stride: int = 1

    def __add__(self, number):
        return Size(self.name, self.shift + number * self.stride, self.stride)

    def __floordiv__(self, number):
        return Size(self.name, self.shift, self.stride * number)

    def __str__(self):
        moved = f"{self.name} {'-' if self.shift < 0 else '+'} {abs(self.shift)}" if self.shift else self.name
        return f"floor(({moved}) / {self.stride})" if self.stride > 1 else moved


BATCH = Size("N")
PROBE = 61  # images in a batch, where an array is computed that has one row for each


def settled(array):
    """An array without Sizes as one of whole numbers."""
    wholes = array.dtype == object and all(isinstance(one, int) for one in array.flat)
    return array.astype(np.int64) if wholes else array


def count_windows(size, kernel, stride, before, after, ceil_mode=False):
    """The number of windows along a side: an int, or a Size if the side is one."""
    if isinstance(size, int):
        return output_size(size, kernel, stride, before, ceil_mode, after)
    free = size + (before + after - kernel)
    if not ceil_mode or stride == 1:
        return free // stride + 1
    if stride > kernel - after:  # then the last window may start past the image, and not count
        return Size(f"ceil({free} / {stride}, {size + before})") + 1
    return (free + (stride - 1)) // stride + 1


def scaled(size, scale):
    """floor(scale * size)"""
    if scale == 1:
        return size
    return int(scale * size) if isinstance(size, int) else Size(f"floor({scale:g} * ({size}))")


def product(sizes):
    """(product of the known sizes, the others in a fixed order)."""
    known = math.prod(size for size in sizes if isinstance(size, int))
    return known, sorted((size for size in sizes if not isinstance(size, int)), key=str)


def quotient(sizes, divisors):
    """The product of `sizes` divided by that of `divisors`, as one size; None if it may not be a whole number."""
    (known, others), (divisor, removed) = product(sizes), product(divisors)
    for one in removed:
        if one not in others:
            return None
        others.remove(one)
    if not others:
        return known // divisor if divisor and known % divisor == 0 else None
    if divisor != 1:
        return None
    return others[0] if known == len(others) == 1 else Size(" * ".join(map(str, [known, *others])))


def text(shape):
    """A shape for messages: (N, 3, 224, 224).

    >>> text((BATCH, 3, Size("height") + 2))
    '(N, 3, height + 2)'
    """
    return f"({', '.join(map(str, shape[:8]))}{',' if len(shape) == 1 else ''})"
