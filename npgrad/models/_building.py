"""What the networks have in common: where weights come from, and how names and options get to the Model."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad.errors import InputError, WeightsError
from npgrad.layers import BatchNorm2d, Conv2d, Linear
from npgrad.layers.base import he_normal
from npgrad.model import Model


@dataclass(frozen=True)
class Weights:
    """Makes layers whose weight arrays are `draw(shape)`; biases are 0, normalizations the identity."""

    draw: Any

    @classmethod
    def drawn(cls, rng=0):
        """He-normal, by one stream of random numbers for the whole network."""
        rng = np.random.default_rng(rng)
        return cls(lambda shape: he_normal(shape, rng))

    @classmethod
    def zero(cls, room=None):
        """All zero, to be filled from a file; a WeightsError where it has no `room` for so many numbers."""
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
        weight = self.draw((check_count(filters), channels))
        return Linear(weight, np.zeros(filters, np.float32))

    def batch_norm(self, channels):
        return BatchNorm2d.init(channels)


def check_count(num_classes):
    """num_classes as an int, or an InputError."""
    if isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)) or num_classes < 1:
        raise InputError(f"num_classes: expected a whole number >= 1, found {num_classes!r}")
    return int(num_classes)


def finished(name, network, num_classes, aliases, default_layer=None, presets=(), **options):
    """The Model of a network that npgrad knows how to build."""
    architecture = {"name": name, "options": {"num_classes": check_count(num_classes), **options}}
    return Model(
        network, architecture=architecture, aliases=aliases, default_layer=default_layer, presets=presets
    )


def torchvision_names(parts):
    """{"features.0": "conv1", ...} for torchvision's numbered parts, each given as names in order."""
    return {f"{part}.{i}": name for part, names in parts.items() for i, name in enumerate(names)}
