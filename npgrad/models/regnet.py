"""RegNet X and Y (Radosavovic, Kosaraju, Girshick, He, Dollar 2020, section 5 and figures 15, 16).

The widths of all blocks follow one line: block j has w_0 + w_a * j channels, rounded to w_0 times a power of w_m, and
then to multiples of 8 and of the group width. Blocks of the same width are a stage. 400MF and 32GF are the multiply-
adds for an image of 224x224 px.

stage1_1, stage1_2, ... are the blocks. Their parts are those of a ResNet's bottleneck: conv1, bn1, relu1, ..., with a
3x3 convolution in groups, then shortcut and shortcut_bn, add and relu; in Y also `se` after relu2, a squeeze-and-
excitation. stem has the parts conv, bn and relu.
"""

from collections import Counter

import numpy as np

from npgrad.layers import GlobalAvgPool2d, ReLU, Residual, Sequential, Sigmoid
from npgrad.model import Model
from npgrad.models._building import Weights, finished

STEM = 32  # channels
LINES = {  # blocks, w_0, w_a, w_m, channels of a group
    "regnet_x_400mf": (22, 24, 24.48, 2.54, 16),
    "regnet_x_800mf": (16, 56, 35.73, 2.28, 16),
    "regnet_x_1_6gf": (18, 80, 34.01, 2.25, 24),
    "regnet_x_3_2gf": (25, 88, 26.31, 2.25, 48),
    "regnet_x_8gf": (23, 80, 49.56, 2.88, 120),
    "regnet_x_16gf": (22, 216, 55.59, 2.1, 128),
    "regnet_x_32gf": (23, 320, 69.86, 2.0, 168),
    "regnet_y_400mf": (16, 48, 27.89, 2.09, 8),
    "regnet_y_800mf": (14, 56, 38.84, 2.4, 16),
    "regnet_y_1_6gf": (27, 48, 20.71, 2.65, 24),
    "regnet_y_3_2gf": (21, 80, 42.63, 2.66, 24),
    "regnet_y_8gf": (17, 192, 76.82, 2.19, 56),
    "regnet_y_16gf": (18, 200, 106.23, 2.48, 112),
    "regnet_y_32gf": (20, 232, 115.89, 2.53, 232),
    "regnet_y_128gf": (27, 456, 160.83, 2.52, 264),
}
PARTS = {  # torchvision's names of the parts of a block
    "f.a": "relu1", "f.a.0": "conv1", "f.a.1": "bn1", "f.a.2": "relu1",
    "f.b": "relu2", "f.b.0": "conv2", "f.b.1": "bn2", "f.b.2": "relu2",
    "f.se": "se", "f.se.avgpool": "se.pool", "f.se.fc1": "se.fc1", "f.se.activation": "se.activation",
    "f.se.fc2": "se.fc2", "f.se.scale_activation": "se.gate",
    "f": "bn3", "f.c": "bn3", "f.c.0": "conv3", "f.c.1": "bn3",
    "proj": "shortcut_bn", "proj.0": "shortcut", "proj.1": "shortcut_bn",
    "activation": "relu",
}  # fmt: skip

FIRST, LAST = ("stem.conv", "stem.0"), ("fc",)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    layers = {"stem": weights.conv_bn_relu(3, STEM, 3, stride=2, padding=1)}
    channels = STEM
    for stage, (width, group, count) in enumerate(_stages(*LINES[name]), start=1):
        for number in range(1, count + 1):
            stride = 2 if number == 1 else 1
            squeezed = channels // 4 if name.startswith("regnet_y") else None
            layers[f"stage{stage}_{number}"] = _block(weights, channels, width, stride, group, squeezed)
            channels = width
    layers["avgpool"] = GlobalAvgPool2d()
    layers["fc"] = weights.linear(channels, num_classes)
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _stages(blocks, w_0, w_a, w_m, group):
    """(width, channels of a group, number of blocks) of each stage."""
    line = w_0 + w_a * np.arange(blocks)  # equation 2
    power = np.round(np.log(line / w_0) / np.log(w_m))  # equation 3
    widths = 8 * np.round(w_0 * w_m**power / 8)  # equation 4
    stages = []
    for width, count in Counter(widths.astype(int).tolist()).items():
        own = min(group, width)
        groups = int(width / own + 0.5)
        groups += groups * own < 0.9 * width  # not much narrower
        stages.append((groups * own, own, count))
    return stages


def _block(weights, channels, width, stride, group, squeezed):
    """Figure 4 of the ResNet paper with groups and no fewer channels within (section 3)."""
    branch = {
        "conv1": weights.conv(channels, width, 1, bias=False),
        "bn1": weights.batch_norm(width),
        "relu1": ReLU(),
        "conv2": weights.conv(width, width, 3, False, width // group, stride=stride, padding=1),
        "bn2": weights.batch_norm(width),
        "relu2": ReLU(),
    }
    if squeezed:
        branch["se"] = weights.squeeze_excite(width, squeezed, ReLU(), Sigmoid())
    branch["conv3"] = weights.conv(width, width, 1, bias=False)
    branch["bn3"] = weights.batch_norm(width)
    shortcut = {}
    if stride != 1 or channels != width:
        shortcut["shortcut"] = weights.conv(channels, width, 1, bias=False, stride=stride)
        shortcut["shortcut_bn"] = weights.batch_norm(width)
    return Residual(branch, shortcut)


def _torchvision_names(layers):
    """trunk_output.block1.block1-0 is the first block of the first stage; block1 is the output of its last block."""
    aliases = {f"stem.{i}": f"stem.{part}" for i, part in enumerate(("conv", "bn", "relu"))}
    for name, block in layers.items():
        if not isinstance(block, Residual):
            continue
        stage, number = name.removeprefix("stage").split("_")
        own = f"trunk_output.block{stage}.block{stage}-{int(number) - 1}"
        aliases |= dict.fromkeys(("trunk_output", f"trunk_output.block{stage}", own), name)
        aliases |= {
            f"{own}.{theirs}": f"{name}.{part}"
            for theirs, part in PARTS.items()
            if part.partition(".")[0] in block.parts()
        }
    return aliases
