"""A small network of each kind, and one as ONNX files have them: names, makers and images of the right size."""

import numpy as np

import npgrad
from npgrad.layers import (
    Add,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    GlobalAvgPool2d,
    Graph,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Sequential,
)
from npgrad.models import mobilenet_v2, registry, resnet18

SIDE = {"alexnet": 63}


def alexnet(classes=5):
    """AlexNet with 64 units in fc6 and fc7 for 4096, which have nine tenths of its weights."""
    full = registry.skeleton({"name": "alexnet", "options": {}}, room=2**30)
    rng, parts = np.random.default_rng(4), dict(full.network.parts())
    for name, layer in parts.items():
        if isinstance(layer, Conv2d):
            filters, channels, side, _ = layer.weight.shape
            options = {"stride": layer.stride, "padding": layer.padding, "rng": rng}
            parts[name] = Conv2d.init(channels, filters, side, **options)
    for name, units, inputs in (("fc6", 64, 256 * 36), ("fc7", 64, 64), ("fc8", classes, 64)):
        parts[name] = Linear.init(inputs, units, rng=rng)
    return npgrad.Model(Sequential(parts), aliases=full.aliases)


def graph(classes=5):
    """A network as ONNX files have them: forks, a sum and a concatenation, names with slashes."""
    rng = np.random.default_rng(0)
    norm = BatchNorm2d(*(rng.uniform(0.5, 1.5, 8).astype(np.float32) for _ in range(4)))
    return npgrad.Model(
        Graph(
            {
                "/conv1": (Conv2d.init(3, 8, 3, stride=2, padding=1, rng=1), "input"),
                "/bn1": (norm, "/conv1"),
                "/relu1": (ReLU(), "/bn1"),
                "/left": (Conv2d.init(8, 8, 1, rng=2), "/relu1"),
                "/right": (Conv2d.init(8, 8, 3, padding=1, groups=2, rng=3), "/relu1"),
                "/sum": (Add(), ("/left", "/right")),
                "/relu6": (ReLU6(), "/sum"),
                "/both": (Concat(), ("/relu6", "/relu1")),
                "/pool": (MaxPool2d(3, stride=2, padding=1), "/both"),
                "/conv2": (Conv2d.init(16, 12, 3, padding=1, rng=4), "/pool"),
                "/clip": (Clip(-1.0, 4.0), "/conv2"),
                "/mean": (GlobalAvgPool2d(), "/clip"),
                "/fc": (Linear.init(12, classes, rng=5), "/mean"),
            }
        )
    )


MAKERS = {"alexnet": alexnet, "resnet18": resnet18, "mobilenet_v2": mobilenet_v2, "graph": graph}


def images(name, count=2, dtype=np.float32):
    side = SIDE.get(name, 40)
    return np.random.default_rng(0).normal(size=(count, 3, side, side)).astype(dtype)
