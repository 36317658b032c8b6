"""MobileNetV3 (Howard et al. 2019, tables 1 and 2).

The inverted residuals of MobileNetV2 (`npgrad.models.mobilenet`), bottleneck1 ..., with squeeze-and-excitation in some:
se, whose parts are pool, fc1, activation, fc2, gate and scale. Later ones have h-swish instead of ReLU (expand_hswish).
The last 1x1 convolution, conv2, is followed by the mean and two fully connected layers, fc3 and fc4. Dropout 0.2
between them is active in training mode only.
"""

from npgrad.layers import Dropout, GlobalAvgPool2d, HardSigmoid, HardSwish, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished
from npgrad.models._inverted import (
    block_names,
    convolution,
    inverted_residual,
    numbered,
    outer_names,
    rounded,
)

RE, HS = ReLU(), HardSwish()

# kernel, expanded channels, channels, squeeze-and-excitation, nonlinearity, stride
LARGE = (
    (3, 16, 16, False, RE, 1),
    (3, 64, 24, False, RE, 2),
    (3, 72, 24, False, RE, 1),
    (5, 72, 40, True, RE, 2),
    (5, 120, 40, True, RE, 1),
    (5, 120, 40, True, RE, 1),
    (3, 240, 80, False, HS, 2),
    (3, 200, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 480, 112, True, HS, 1),
    (3, 672, 112, True, HS, 1),
    (5, 672, 160, True, HS, 2),
    (5, 960, 160, True, HS, 1),
    (5, 960, 160, True, HS, 1),
)
SMALL = (
    (3, 16, 16, True, RE, 2),
    (3, 72, 24, False, RE, 2),
    (3, 88, 24, False, RE, 1),
    (5, 96, 40, True, HS, 2),
    (5, 240, 40, True, HS, 1),
    (5, 240, 40, True, HS, 1),
    (5, 120, 48, True, HS, 1),
    (5, 144, 48, True, HS, 1),
    (5, 288, 96, True, HS, 2),
    (5, 576, 96, True, HS, 1),
    (5, 576, 96, True, HS, 1),
)
NORM = {"eps": 1e-3, "momentum": 0.01}
FIRST, LAST = ("conv1", "features.0.0"), ("fc4", "classifier.3")


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    bottlenecks, units = (LARGE, 1280) if name == "mobilenet_v3_large" else (SMALL, 1024)
    layers = numbered(convolution(weights, "conv", 3, 16, 3, HS, NORM, stride=2), 1)
    channels = 16
    for number, (kernel, wide, out, squeeze, activation, stride) in enumerate(bottlenecks, start=1):
        se = weights.squeeze_excite(wide, rounded(wide // 4), RE, HardSigmoid()) if squeeze else None
        layers[f"bottleneck{number}"] = inverted_residual(
            weights, channels, wide, out, kernel, stride, activation, NORM, se
        )
        channels = out
    layers |= numbered(convolution(weights, "conv", channels, wide, 1, HS, NORM), 2)
    layers |= {"pool2": GlobalAvgPool2d(), "fc3": weights.linear(wide, units), "hswish3": HS}
    layers |= {"drop3": Dropout(0.2), "fc4": weights.linear(units, num_classes)}
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _torchvision_names(layers):
    """features.0 is conv1, features.1 the first bottleneck, whose parts are numbered: block.0.1."""
    aliases = {f"classifier.{i}": name for i, name in enumerate(("fc3", "hswish3", "drop3", "fc4"))}
    aliases |= {"avgpool": "pool2", "classifier": "fc4"}
    bottlenecks = [name for name in layers if name.startswith("bottleneck")]
    for place, name in enumerate(bottlenecks, start=1):
        aliases |= block_names(f"features.{place}", name, layers[name])
    return aliases | outer_names({0: 1, len(bottlenecks) + 1: 2}, "hswish")
