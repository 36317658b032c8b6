"""Shared by all architectures: the source of the weights, and the creation of the Model."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._validate import generator, whole_number
from npgrad.errors import WeightsError
from npgrad.layers import BatchNorm2d, Conv2d, Linear
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
        weight = self.draw((filters, channels // groups, kernel, kernel))
        return Conv2d(weight, np.zeros(filters, np.float32) if bias else None, groups=groups, **options)

    def linear(self, channels, filters):
        weight = self.draw((filters, channels))
        return Linear(weight, np.zeros(filters, np.float32))

    def batch_norm(self, channels):
        return BatchNorm2d.init(channels)


def begin(num_classes, weights):
    """The number of classes, checked before any weight is drawn, and the weights: zeros if there are none."""
    return whole_number(num_classes, "num_classes"), weights or Weights.zero()


def finished(name, network, num_classes, aliases, default_layer=None, presets=(), **options):
    """The Model of a named architecture."""
    architecture = {"name": name, "options": {"num_classes": num_classes, **options}}
    return Model(
        network, architecture=architecture, aliases=aliases, default_layer=default_layer, presets=presets
    )


def torchvision_names(parts):
    """{"features.0": "conv1", ...} for torchvision's numbered parts, given as {part: names in order}."""
    return {f"{part}.{i}": name for part, names in parts.items() for i, name in enumerate(names)}
