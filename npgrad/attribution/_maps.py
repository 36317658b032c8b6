"""Helpers of the class activation maps: one layer's activation and gradient, and sums over its channels."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from npgrad._validate import check_input
from npgrad.attribution._common import by_parts
from npgrad.attribution._surgery import run_to
from npgrad.errors import InputError
from npgrad.images.resize import expect_method, resize_map

F = TypeVar("F", bound=Callable[..., Any])
CONSTANT = (
    1e-5  # a map that varies by a smaller part of its largest value does so by rounding, of a sum in float32
)


def activation_and_gradient(model, x, target=None, layer=None, vectors=False):
    """(A, d score / d A) at a layer, (N, C, h, w) each; with `vectors`, (N, C) is taken as (N, C, 1, 1)."""
    A, dA = at_map_layer(model, x, target, layer, activation_and_its_gradient, vectors)
    return (A[:, :, None, None], dA[:, :, None, None]) if A.ndim == 2 else (A, dA)


def at_map_layer(model, x, target, layer, work, vectors=False):
    """The concatenated arrays of `work(tape, canonical layer name, dy)`, called for each part of the batch.

    dy is the upstream gradient of the targets' scores.
    """
    if layer is not None:
        model.resolve(layer)  # so that a wrong name is an error before the work begins

    def of_part(tape, dy):
        name = model.map_layer(tape, layer)
        if not (vectors and tape[name].ndim == 2):
            expect_spatial(name, tape[name])
        return work(tape, name, dy)

    _, _, found = by_parts(model, x, target, of_part)
    return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]


def activation_and_its_gradient(tape, layer, dy):
    """(A, dA) of one tape."""
    return tape[layer], tape.backward(dy, at=(layer,))[layer]


def map_layer(model, x, layer=None):
    """The canonical name of `layer`, or of the default layer for maps; an InputError if its output is not spatial."""
    if layer is not None:
        model.resolve(layer)
    tape = run_to(model, check_input(x)[:1], layer)
    layer = model.map_layer(tape, layer)
    expect_spatial(layer, tape[layer])
    return layer


def expect_spatial(layer, y):
    """Raise an InputError if the output of a layer is not (N, C, h, w)."""
    if y.ndim != 4:
        raise InputError(f"layer: expected one whose output is (N, C, h, w), found {layer} with {y.shape}")


def part_of(progress, i, n):
    """The progress callback for part i of n equal parts of the work."""
    if progress is None:
        return None
    return lambda done, total: progress(i * total + done, n * total)


def weighted_sum(weights, A):
    """sum over k of weights_k * A_k: (N, C) and (N, C, h, w) to (N, h, w)."""
    return (weights[:, :, None, None] * A).sum(axis=1)


def positive(values):
    """The ReLU of a formula: max(values, 0)."""
    return np.maximum(values, 0)


def divide(a, b):
    """a / b, and 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(b), where=b != 0)


def scaled(maps, over=(-2, -1)):
    """Each map (..., h, w) scaled to 0..1; a map that is constant up to rounding becomes 0."""
    low, high = maps.min(axis=over, keepdims=True), maps.max(axis=over, keepdims=True)
    varies = high - low > CONSTANT * np.maximum(np.abs(low), np.abs(high))
    return np.where(varies, maps - low, 0) / np.where(varies, high - low, 1)


def at_size(x, maps, resize):
    """The maps (..., h, w) at their own size, or resized to the images of x if `resize` is given."""
    if resize is None:
        return maps
    found = resize_map(maps.reshape(-1, *maps.shape[-2:]), np.shape(x)[2:], resize)
    return found.reshape(*maps.shape[:-2], *found.shape[1:])


def over_layers(method: F) -> F:
    """Make a method that maps one layer take several, whose maps are averaged.

    Of each map, the positive part is scaled to 0..1 and resized to the images, as pytorch-grad-cam does.
    """
    names = list(inspect.signature(method).parameters)

    @functools.wraps(method)
    def averaged(*args, **options):
        given = {**dict(zip(names, args, strict=False)), **options}
        layers = given.get("layer")
        if not isinstance(layers, (list, tuple)):
            return method(*args, **options)
        if not layers:
            raise InputError("layer: expected at least one layer, found none")
        for layer in layers:
            given["model"].resolve(layer)  # so that a wrong name is an error before the work begins
        size, progress = given.get("resize") or "bilinear", given.get("progress")
        expect_method(size)
        total = 0
        for i, layer in enumerate(layers):
            each = {"layer": layer, "resize": None}
            if progress is not None:
                each["progress"] = part_of(progress, i, len(layers))
            maps = method(**{**given, **each})
            if maps.ndim != 3:
                raise InputError(
                    "sum_channels: expected True for several layers, whose maps are averaged, found False"
                )
            total = total + at_size(given["x"], scaled(positive(maps)), size)
        return total / len(layers)

    return cast(F, averaged)
