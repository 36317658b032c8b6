"""What the class activation maps share: one layer's activation and gradient, and sums over its channels."""

import numpy as np

from npgrad._validate import check_input
from npgrad.attribution._common import by_parts
from npgrad.attribution._surgery import run_to
from npgrad.errors import InputError
from npgrad.images.resize import resize_map


def activation_and_gradient(model, x, target=None, layer=None):
    """(A, d score / d A) at a layer with an extent, (N, C, h, w) each."""
    A, dA = at_map_layer(model, x, target, layer, activation_and_its_gradient)
    return A, dA


def at_map_layer(model, x, target, layer, work):
    """work(tape, the layer's own name, seed of the targets' scores) for each part of the batch, put together."""
    if layer is not None:
        model.resolve(layer)  # a wrong name is said before the work

    def of_part(tape, seed):
        name = model.map_layer(tape, layer)
        expect_extent(name, tape[name])
        return work(tape, name, seed)

    _, _, found = by_parts(model, x, target, of_part)
    return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]


def activation_and_its_gradient(tape, layer, seed):
    """(A, dA) of one tape."""
    return tape[layer], tape.backward(seed, at=(layer,))[layer]


def map_layer(model, x, layer=None):
    """The own name of `layer`, or of the default for maps; refused if its output has no extent."""
    if layer is not None:
        model.resolve(layer)
    tape = run_to(model, check_input(x)[:1], layer)
    layer = model.map_layer(tape, layer)
    expect_extent(layer, tape[layer])
    return layer


def expect_extent(layer, y):
    """Refuse a layer whose output is not (N, C, h, w)."""
    if y.ndim != 4:
        raise InputError(f"layer: expected one whose output is (N, C, h, w), found {layer} with {y.shape}")


def part_of(progress, i, n):
    """The progress callback for the i-th of n equal parts of the work."""
    if progress is None:
        return None
    return lambda done, total: progress(i * total + done, n * total)


def weighted_sum(weights, A):
    """sum over k of weights_k * A_k: (N, C) and (N, C, h, w) to (N, h, w)."""
    return (weights[:, :, None, None] * A).sum(axis=1)


def positive(values):
    """The ReLU of a formula."""
    return np.maximum(values, 0)


def divide(a, b):
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(b), where=b != 0)


def scaled(maps):
    """Each map (..., h, w) brought to 0..1; a constant one to 0."""
    low, high = maps.min(axis=(-2, -1), keepdims=True), maps.max(axis=(-2, -1), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


def at_size(x, maps, resize):
    """The maps at their own size, or resized to the images of x if asked."""
    return maps if resize is None else resize_map(maps, np.shape(x)[2:], resize)
