"""DenseNet with 121 to 201 layers (Huang, Liu, van der Maaten, Weinberger 2016, table 1; 161 as in the authors' code).

Every layer of a dense block takes the outputs of all layers before it, concatenated, and adds `growth` channels:

    name         growth  channels of conv1  layers of block1 ... block4
    densenet121  32      64                 6, 12, 24, 16
    densenet169  32      64                 6, 12, 32, 32
    densenet201  32      64                 6, 12, 48, 32
    densenet161  48      96                 6, 12, 36, 24

A layer is bn1, relu1, conv1 (1x1, 4 * growth channels), bn2, relu2, conv2 (3x3, section 3, "bottleneck layers"), and
concat3 is the input of the block with the outputs of its first 3 layers. Between blocks, a transition halves the
channels and the image (bn, relu, conv, pool).
"""

import re

from npgrad.layers import AvgPool2d, Concat, GlobalAvgPool2d, Graph, MaxPool2d, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished

NETWORKS = {  # growth, channels of conv1, layers in each block
    "densenet121": (32, 64, (6, 12, 24, 16)),
    "densenet161": (48, 96, (6, 12, 36, 24)),
    "densenet169": (32, 64, (6, 12, 32, 32)),
    "densenet201": (32, 64, (6, 12, 48, 32)),
}
FIRST, LAST = ("conv1", "features.conv0"), ("fc", "classifier")


def renamed(name: str) -> str:
    """Return the present name of a tensor: torchvision's own files have `norm.1` for `norm1`."""
    return re.sub(r"(\.denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    growth, channels, blocks = NETWORKS[name]
    layers = {
        "conv1": weights.conv(3, channels, 7, stride=2, padding=3, bias=False),
        "bn1": weights.batch_norm(channels),
        "relu1": ReLU(),
        "pool1": MaxPool2d(3, stride=2, padding=1),
    }
    for number, count in enumerate(blocks, start=1):
        layers[f"block{number}"] = _block(weights, channels, count, growth)
        channels += count * growth
        if number < len(blocks):
            layers[f"transition{number}"] = _transition(weights, channels)
            channels //= 2
    layers["bn5"] = weights.batch_norm(channels)
    layers["relu5"] = ReLU()
    layers["pool5"] = GlobalAvgPool2d()
    layers["fc"] = weights.linear(channels, num_classes)
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _block(weights, channels, count, growth):
    """A dense block (figure 1)."""
    nodes, before = {}, "input"
    for number in range(1, count + 1):
        nodes[f"layer{number}"] = (_layer(weights, channels, growth), before)
        nodes[f"concat{number}"] = (Concat(), (before, f"layer{number}"))
        before, channels = f"concat{number}", channels + growth
    return Graph(nodes)


def _layer(weights, channels, growth):
    parts = {
        "bn1": weights.batch_norm(channels),
        "relu1": ReLU(),
        "conv1": weights.conv(channels, 4 * growth, 1, bias=False),
        "bn2": weights.batch_norm(4 * growth),
        "relu2": ReLU(),
        "conv2": weights.conv(4 * growth, growth, 3, padding=1, bias=False),
    }
    return Sequential(parts)


def _transition(weights, channels):
    parts = {
        "bn": weights.batch_norm(channels),
        "relu": ReLU(),
        "conv": weights.conv(channels, channels // 2, 1, bias=False),
        "pool": AvgPool2d(2),
    }
    return Sequential(parts)


def _torchvision_names(layers):
    """features.denseblock1.denselayer1.norm1 is block1.layer1.bn1."""
    aliases = {"features": "bn5", "classifier": "fc", "features.norm5": "bn5"}
    aliases |= {f"features.{theirs}0": f"{own}1" for theirs, own in _parts("conv", "bn", "relu", "pool")}
    for name, layer in layers.items():
        if name.startswith("block"):
            block = f"features.dense{name}"
            aliases[block] = name
            for inner in layer.parts():
                if not inner.startswith("layer"):
                    continue
                aliases[f"{block}.dense{inner}"] = f"{name}.{inner}"
                for theirs, own in _parts("bn1", "relu1", "conv1", "bn2", "relu2", "conv2"):
                    aliases[f"{block}.dense{inner}.{theirs}"] = f"{name}.{inner}.{own}"
        elif name.startswith("transition"):
            aliases[f"features.{name}"] = name
            aliases |= {
                f"features.{name}.{theirs}": f"{name}.{own}" for theirs, own in _parts(*layer.parts())
            }
    return aliases


def _parts(*own):
    return [(name.replace("bn", "norm"), name) for name in own]
