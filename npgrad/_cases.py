"""Inputs and layers that mistakes show in, for the tests of anyone's layers (`npgrad.testing`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npgrad import layers
from npgrad._typing import Array, Rng
from npgrad.errors import unknown
from npgrad.layers import Layer

SHAPES = {"one pixel": (1, 1, 1, 1), "one sample": (1, 3, 5, 7), "square": (2, 3, 6, 6), "wide": (3, 2, 4, 9)}


def images(channels: int | None = None, rng: Rng = 0) -> dict[str, Array]:
    """Inputs (N, C, H, W) that mistakes show in: odd and even sides, one sample, one pixel, ties, other memory layouts.

    Parameters
    ----------
    channels : int or None
        The number of channels of all of them. None: 1 to 3.
    rng : numpy.random.Generator or int, default 0

    Returns
    -------
    dict of ndarray
        {name of the case: float64 array}.
    """
    rng = np.random.default_rng(rng)
    shapes = {name: (n, channels or c, h, w) for name, (n, c, h, w) in SHAPES.items()}
    found = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    found["large numbers"] = 255 * rng.random(shapes["square"])
    found["small numbers"] = 1e-3 * rng.standard_normal(shapes["square"])
    found["ties and zeros"] = rng.integers(-2, 3, shapes["square"]).astype(float)
    found["channels last"] = np.moveaxis(rng.standard_normal([shapes["wide"][i] for i in (0, 2, 3, 1)]), 3, 1)
    found["every second"] = rng.standard_normal([2 * n for n in shapes["one sample"]])[::2, ::2, ::2, ::2]
    return found


def layer_cases(kind: str, rng: Rng = 0) -> dict[str, tuple[Layer, Array]]:
    """A layer of npgrad in the settings that mistakes show in, each with an input.

    Parameters
    ----------
    kind : {"AvgPool2d", "BatchNorm2d", "Conv2d", "Linear", "MaxPool2d", "ReLU", "Softmax"}
    rng : numpy.random.Generator or int, default 0

    Returns
    -------
    dict
        {name of the case: (layer, x)}, in float64.

    Raises
    ------
    UnknownName
        There is no table for this layer.
    """
    if kind not in TABLE:
        raise unknown("table of layer cases", kind, TABLE)
    rng = np.random.default_rng(rng)
    cases = {}
    for name, (make, shape) in TABLE[kind].items():
        layer = make(rng).map_arrays(lambda name, array: np.asarray(array, np.float64))
        cases[name] = (layer, rng.standard_normal(shape))
    return cases


def _convolution(channels, filters, kernel, **options):
    def make(rng):
        groups = options.get("groups", 1)
        weight = rng.standard_normal((filters, channels // groups, *kernel))
        return layers.Conv2d(weight, rng.standard_normal(filters), **options)

    return make


def _batch_norm(rng):
    return layers.BatchNorm2d(*rng.standard_normal((3, 3)), rng.uniform(0.5, 2, 3))


TABLE: dict[str, dict[str, tuple[Callable[..., Layer], tuple[int, ...]]]] = {
    "Conv2d": {
        "1 x 1": (_convolution(3, 4, (1, 1)), (2, 3, 4, 5)),
        "3 x 3": (_convolution(3, 4, (3, 3)), (2, 3, 5, 6)),
        "padding": (_convolution(2, 3, (3, 3), padding=1), (2, 2, 5, 4)),
        "stride that leaves a rest": (_convolution(2, 3, (3, 3), stride=2), (1, 2, 8, 7)),
        "stride and padding": (_convolution(2, 2, (3, 3), stride=2, padding=1), (2, 2, 7, 6)),
        "oblong kernel": (_convolution(2, 3, (1, 4)), (2, 2, 3, 6)),
        "even kernel": (_convolution(1, 2, (2, 2), padding=1), (2, 1, 4, 5)),
        "groups": (_convolution(4, 6, (3, 3), groups=2), (2, 4, 5, 5)),
        "depthwise": (_convolution(3, 3, (3, 3), groups=3, padding=1), (2, 3, 4, 5)),
        "dilation": (_convolution(2, 2, (3, 3), dilation=2), (1, 2, 7, 6)),
    },
    "MaxPool2d": {
        "2": (lambda rng: layers.MaxPool2d(2), (2, 3, 4, 6)),
        "overlapping": (lambda rng: layers.MaxPool2d(3, 2), (2, 2, 7, 9)),
        "a rest": (lambda rng: layers.MaxPool2d(2, 2), (1, 2, 5, 7)),
        "ceil_mode": (lambda rng: layers.MaxPool2d(3, 2, ceil_mode=True), (1, 2, 6, 8)),
        "padding": (lambda rng: layers.MaxPool2d(3, 2, padding=1), (2, 2, 6, 5)),
    },
    "AvgPool2d": {
        "2": (lambda rng: layers.AvgPool2d(2), (2, 3, 4, 6)),
        "overlapping": (lambda rng: layers.AvgPool2d(3, 2), (2, 2, 7, 9)),
        "padding": (lambda rng: layers.AvgPool2d(3, 2, padding=1), (2, 2, 6, 5)),
    },
    "Linear": {
        "several": (lambda rng: layers.Linear(*_matrix(rng, 3, 4)), (5, 4)),
        "square": (lambda rng: layers.Linear(*_matrix(rng, 4, 4)), (4, 4)),
        "one sample": (lambda rng: layers.Linear(*_matrix(rng, 3, 4)), (1, 4)),
        "one output": (lambda rng: layers.Linear(*_matrix(rng, 1, 4)), (3, 4)),
    },
    "BatchNorm2d": {"inference": (_batch_norm, (4, 3, 3, 2)), "one sample": (_batch_norm, (1, 3, 4, 4))},
    "ReLU": {
        "images": (lambda rng: layers.ReLU(), (2, 3, 4, 5)),
        "vectors": (lambda rng: layers.ReLU(), (4, 7)),
    },
    "Softmax": {
        "vectors": (lambda rng: layers.Softmax(), (3, 5)),
        "one": (lambda rng: layers.Softmax(), (1, 4)),
    },
}


def _matrix(rng, outputs, inputs):
    return rng.standard_normal((outputs, inputs)), rng.standard_normal(outputs)
