"""EfficientNet B0 to B7 (Tan, Le 2019, table 1) and EfficientNetV2 (Tan, Le 2021, table 4).

B1 to B7 are B0 with more channels and more blocks in each stage. The blocks are inverted residuals with
squeeze-and-excitation and swish (MBConv); in the first stages of EfficientNetV2 the expansion is a 3x3 convolution, and
there is no depthwise one (Fused-MBConv). Blocks are named by their stage and number: block1_1. Stages are counted from
0, the first convolution, as in the second paper; the first counts from 1.

Dropout before fc is active in training mode only. Stochastic depth, which leaves out blocks in training, is not built.
"""

import math

from npgrad.layers import Dropout, GlobalAvgPool2d, Residual, Sequential, Sigmoid, SiLU
from npgrad.model import Model
from npgrad.models._building import Weights, finished
from npgrad.models._inverted import (
    block_names,
    convolution,
    inverted_residual,
    numbered,
    outer_names,
    rounded,
    with_input,
)

B0 = (  # expansion, kernel, stride of the first block, channels, number of blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
SCALED = {  # factors for channels and blocks (equation 3), dropout
    "b0": (1.0, 1.0, 0.2),
    "b1": (1.0, 1.1, 0.2),
    "b2": (1.1, 1.2, 0.3),
    "b3": (1.2, 1.4, 0.3),
    "b4": (1.4, 1.8, 0.4),
    "b5": (1.6, 2.2, 0.4),
    "b6": (1.8, 2.6, 0.5),
    "b7": (2.0, 3.1, 0.5),
}
V2_STAGES = (
    (1, 3, 1),
    (4, 3, 2),
    (4, 3, 2),
    (4, 3, 2),
    (6, 3, 1),
    (6, 3, 2),
    (6, 3, 1),
)  # the first three are fused
V2 = {  # channels and number of blocks in each stage, dropout
    "v2_s": ((24, 48, 64, 128, 160, 256), (2, 4, 4, 6, 9, 15), 0.2),
    "v2_m": ((24, 48, 80, 160, 176, 304, 512), (3, 5, 5, 7, 14, 18, 5), 0.3),
    "v2_l": ((32, 64, 96, 192, 224, 384, 640), (4, 7, 7, 10, 19, 25, 7), 0.4),
}
FIRST, LAST = ("conv1", "features.0.0"), ("fc", "classifier.1")


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    version = name.removeprefix("efficientnet_")
    stages, channels, filters, dropout = _v2(*V2[version]) if version in V2 else _scaled(*SCALED[version])
    norm = {}  # of torchvision's
    if version in ("b5", "b6", "b7"):
        norm = {"eps": 1e-3, "momentum": 0.01}
    elif version in V2:
        norm = {"eps": 1e-3}
    layers = numbered(convolution(weights, "conv", 3, channels, 3, SiLU(), norm, stride=2), 1)
    for stage, (expansion, kernel, stride, out, count) in enumerate(stages, start=1):
        block = _fused if version in V2 and stage <= 3 else _mbconv
        for number in range(1, count + 1):
            layers[f"block{stage}_{number}"] = block(
                weights, channels, expansion * channels, out, kernel, stride, norm
            )
            channels, stride = out, 1
    layers |= numbered(convolution(weights, "conv", channels, filters, 1, SiLU(), norm), 2)
    layers |= {
        "pool2": GlobalAvgPool2d(),
        "drop2": Dropout(dropout),
        "fc": weights.linear(filters, num_classes),
    }
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _scaled(width, depth, dropout):
    """Stages, channels of the first and of the last convolution, and dropout of B0 to B7."""
    stages = [(*row, rounded(out * width), math.ceil(count * depth)) for *row, out, count in B0]
    return stages, rounded(32 * width), 4 * stages[-1][3], dropout


def _v2(channels, counts, dropout):
    """The same of EfficientNetV2."""
    stages = [(*row, out, count) for row, out, count in zip(V2_STAGES, channels, counts, strict=False)]
    return stages, channels[0], 1280, dropout


def _mbconv(weights, channels, wide, out, kernel, stride, norm):
    """An inverted residual whose squeeze-and-excitation has a quarter of the block's channels."""
    se = weights.squeeze_excite(wide, channels // 4, SiLU(), Sigmoid())
    return inverted_residual(weights, channels, wide, out, kernel, stride, SiLU(), norm, se)


def _fused(weights, channels, wide, out, kernel, stride, norm):
    """A convolution to many channels and a 1x1 one to few; or one convolution, if there are not more channels."""
    branch = convolution(weights, "expand", channels, wide, kernel, SiLU(), norm, stride=stride)
    if wide != channels:
        branch |= convolution(weights, "project", wide, out, 1, norm=norm)
    return with_input(branch, stride == 1 and channels == out)


def _torchvision_names(layers):
    """features.0 is conv1, features.1 the first stage (the output of its last block), whose parts are numbered."""
    aliases = {"avgpool": "pool2", "classifier.0": "drop2", "classifier.1": "fc", "classifier": "fc"}
    for name, block in layers.items():
        if not name.startswith("block"):
            continue
        stage, number = (int(part) for part in name.removeprefix("block").split("_"))
        own = f"features.{stage}.{number - 1}"
        aliases |= {f"features.{stage}": name} | block_names(own, name, block)
        if isinstance(block, Residual):  # in inference, stochastic depth is the identity
            aliases[f"{own}.stochastic_depth"] = aliases[f"{own}.block"]
    return aliases | outer_names({0: 1, stage + 1: 2}, "swish")
