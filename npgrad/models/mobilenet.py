"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen 2018, table 2).

bottleneck1 ... bottleneck17 are the paper's inverted residuals. Their parts are expand, depthwise and project, each
with its normalization (expand_bn) and, except the last, its ReLU6 (expand_relu). conv2 is the 1x1 convolution after
them. Dropout 0.2 before fc is active in training mode only.
"""

from npgrad.layers import Dropout, GlobalAvgPool2d, ReLU6, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished
from npgrad.models._inverted import block_names, convolution, inverted_residual, numbered, outer_names

# expansion, channels, number of blocks, stride of the first
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

FIRST, LAST = (
    ("conv1", "features.0.0"),
    ("fc", "classifier.1"),
)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    layers = numbered(convolution(weights, "conv", 3, 32, 3, ReLU6(), stride=2), 1)
    channels, number = 32, 0
    for expansion, out, count, stride in BOTTLENECKS:
        for _ in range(count):
            number += 1
            layers[f"bottleneck{number}"] = inverted_residual(
                weights, channels, expansion * channels, out, 3, stride, ReLU6()
            )
            channels, stride = out, 1
    layers |= numbered(convolution(weights, "conv", channels, 1280, 1, ReLU6()), 2)
    layers |= {"pool2": GlobalAvgPool2d(), "drop2": Dropout(0.2), "fc": weights.linear(1280, num_classes)}
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _torchvision_names(layers):
    """features.0 ... features.18, whose parts are numbered: conv.0.1 is the first normalization."""
    aliases = {"classifier.0": "drop2", "classifier.1": "fc", "classifier": "fc"}
    bottlenecks = [name for name in layers if name.startswith("bottleneck")]
    for place, name in enumerate(bottlenecks, start=1):
        aliases |= block_names(f"features.{place}", name, layers[name], "conv", apart=("project",))
    return aliases | outer_names({0: 1, len(bottlenecks) + 1: 2}, "relu")
