"""Shared by all architectures: the source of the weights, and the creation of the Model."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npgrad._validate import generator, pair
from npgrad.errors import InputError, WeightsError
from npgrad.images import Preprocessing
from npgrad.layers import (
    AdaptiveAvgPool2d,
    Affine,
    BatchNorm2d,
    Conv2d,
    Graph,
    Linear,
    Multiply,
    ReLU,
    Sequential,
)
from npgrad.layers.base import he_normal, zeros
from npgrad.model import Model


@dataclass(frozen=True)
class Weights:
    """Creates layers whose weights are `draw(shape)`; biases are 0, normalizations are the identity."""

    draw: Any

    @classmethod
    def drawn(cls, rng=0):
        """He-normal weights, with one random generator for the whole network."""
        rng = generator(rng)
        return cls(lambda shape: he_normal(shape, rng))

    @classmethod
    def zero(cls, room=None):
        """Zeros, to be replaced by a file's weights; a WeightsError for more than `room` elements in all."""
        left = [room]

        def draw(shape):
            if room is not None:
                left[0] -= math.prod(shape)
                if left[0] < 0:
                    raise WeightsError("architecture: its weights have more elements than the file")
            return zeros(shape)

        return cls(draw)

    def conv(self, channels, filters, kernel, bias=True, groups=1, **options):
        weight = self.draw((filters, channels // groups, *pair(kernel, "kernel")))
        return Conv2d(weight, np.zeros(filters, np.float32) if bias else None, groups=groups, **options)

    def conv_bn_relu(self, channels, filters, kernel, eps=1e-5, **options):
        """A convolution without a bias, its normalization and a ReLU."""
        conv = self.conv(channels, filters, kernel, bias=False, **options)
        return Sequential({"conv": conv, "bn": self.batch_norm(filters, eps), "relu": ReLU()})

    def linear(self, channels, filters):
        weight = self.draw((filters, channels))
        return Linear(weight, np.zeros(filters, np.float32))

    def batch_norm(self, channels, eps=1e-5, momentum=0.1):
        return replace(BatchNorm2d.init(channels), eps=eps, momentum=momentum)

    def layer_scale(self, channels, value=1e-6):
        """A trained factor for each channel, as a 1x1 convolution of every channel by itself."""
        return Conv2d(np.full((channels, 1, 1, 1), value, np.float32), groups=channels)

    def squeeze_excite(self, channels, squeezed, activation, gate):
        """Each channel times a gate, which the means of all channels set (Hu, Shen, Sun 2018, figure 1)."""
        return Graph(
            {
                "pool": (AdaptiveAvgPool2d(1), "input"),
                "fc1": (self.conv(channels, squeezed, 1), "pool"),
                "activation": (activation, "fc1"),
                "fc2": (self.conv(squeezed, channels, 1), "activation"),
                "gate": (gate, "fc2"),
                "scale": (Multiply(), ("input", "gate")),
            }
        )


def finished(name, network, num_classes, aliases, default_layer=None, presets=(), **options):
    """The Model of a named architecture."""
    architecture = {"name": name, "options": {"num_classes": num_classes, **options}}
    return Model(
        network, architecture=architecture, aliases=aliases, default_layer=default_layer, presets=presets
    )


def transform_input(option):
    """The layers before a network that was trained on 2 * v - 1, so that it takes what ImageNet's mean and std make.

    The option of this name is 1 for torchvision's own weights of the Inception networks; with 0, there is no layer.
    """
    if option not in (0, 1):
        raise InputError(f"transform_input: expected 0 or 1, found {option!r}")
    seen = Preprocessing()
    scale, shift = 2 * np.array(seen.std), 2 * np.array(seen.mean) - 1
    layer = Affine(scale.astype(np.float32), shift.astype(np.float32))
    return {"transform_input": layer} if option else {}


def torchvision_names(parts):
    """{"features.0": "conv1", ...} for torchvision's numbered parts, given as {part: names in order}."""
    return {f"{part}.{i}": name for part, names in parts.items() for i, name in enumerate(names)}
