"""Shared by all architectures: the source of the weights, and the creation of the Model."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npgrad._validate import generator
from npgrad.errors import WeightsError
from npgrad.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Graph, Linear, Multiply
from npgrad.layers.base import he_normal
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
            return np.zeros(shape, np.float32)

        return cls(draw)

    def conv(self, channels, filters, kernel, bias=True, groups=1, **options):
        weight = self.draw((filters, channels // groups, kernel, kernel))
        return Conv2d(weight, np.zeros(filters, np.float32) if bias else None, groups=groups, **options)

    def linear(self, channels, filters):
        weight = self.draw((filters, channels))
        return Linear(weight, np.zeros(filters, np.float32))

    def batch_norm(self, channels, eps=1e-5, momentum=0.1):
        return replace(BatchNorm2d.init(channels), eps=eps, momentum=momentum)

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


def torchvision_names(parts):
    """{"features.0": "conv1", ...} for torchvision's numbered parts, given as {part: names in order}."""
    return {f"{part}.{i}": name for part, names in parts.items() for i, name in enumerate(names)}
