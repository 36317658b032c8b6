"""A neuron of a layer: an element of its output, the sum of several, or a function of the output."""

import numpy as np

from npgrad._asked import called
from npgrad._validate import is_whole
from npgrad.errors import InputError


def neuron_value(y, layer, neuron):
    """The neuron's value in each image (N,), y (N, ...) being the layer's output."""
    if callable(neuron):
        return called(neuron, y, "neuron")[0].astype(y.dtype)
    return y[_place(y, layer, neuron)].reshape(len(y), -1).sum(axis=1)


def neuron_upstream(y, layer, neuron):
    """The gradient of the neuron's value with respect to the layer's output y: 1 at each element, else 0."""
    if callable(neuron):
        return called(neuron, y, "neuron")[1].astype(y.dtype)
    dy = np.zeros_like(y)
    dy[_place(y, layer, neuron)] = 1
    return dy


def _place(y, layer, neuron):
    """The neuron's index into y (N, ...) for all images; an InputError gives the valid ranges."""
    index = tuple(neuron) if isinstance(neuron, (tuple, list)) else (neuron,)
    shape = y.shape[1:]
    inside = len(index) == len(shape) and all(map(_is_inside, index, shape))
    if not inside:
        ranges = ", ".join(f"0 to {n - 1}" for n in shape)
        raise InputError(
            f"neuron: {layer} expects {len(shape)} whole numbers ({ranges}) or slices, found {neuron!r}"
        )
    return (slice(None), *index)


def _is_inside(index, n):
    """Whether an index is one of 0 to n - 1, or a slice of at least one of them."""
    if not isinstance(index, slice):
        return is_whole(index) and index in range(n)
    try:
        return len(range(*index.indices(n))) > 0
    except (TypeError, ValueError):  # not whole numbers, or a step of 0
        return False
