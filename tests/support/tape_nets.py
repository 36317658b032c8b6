"""A small network with a Fire, to look at its tape: little(), an input X and an upstream gradient DY."""

import numpy as np

from npgrad.layers import (
    Conv2d,
    Fire,
    GlobalAvgPool2d,
    ReLU,
    Sequential,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 5, 6))


def conv(channels, filters, kernel=1, padding=0, seed=1):
    rng = np.random.default_rng(seed)
    return Conv2d(rng.normal(size=(filters, channels, kernel, kernel)), rng.normal(size=filters), 1, padding)


def little():
    fire = Fire(conv(4, 2), conv(2, 3, seed=2), conv(2, 2, 3, 1, seed=3))
    return Sequential({"conv": conv(3, 4, 3), "relu": ReLU(), "fire": fire, "mean": GlobalAvgPool2d()})


def own(record, dy):
    return record.layer.backward(dy, record.cache)


DY = np.ones((2, 5))
