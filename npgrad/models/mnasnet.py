"""MNASNet (Tan et al. 2019): MnasNet-B1, without squeeze-and-excitation, with 0.5 to 1.3 times its channels.

Blocks are the inverted residuals of MobileNetV2 (`npgrad.models.mobilenet`) with ReLU, named by their stage and number:
block2_1. block1_1 has no expansion. Dropout 0.2 before fc is active in training mode only.

mnasnet0_5_v1, mnasnet0_75_v1 and mnasnet1_3_v1 are what torchvision built before its version 0.5: conv1 and block1_1
have as many channels as in mnasnet1_0. Its old files of weights belong to these.
"""

from npgrad.layers import Dropout, GlobalAvgPool2d, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished
from npgrad.models._inverted import block_names, convolution, inverted_residual, numbered, rounded

# kernel, stride of the first block, expansion, channels, number of blocks
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 3, 24, 3),
    (5, 2, 3, 40, 3),
    (5, 2, 6, 80, 3),
    (3, 1, 6, 96, 2),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
WIDTHS = {"mnasnet0_5": 0.5, "mnasnet0_75": 0.75, "mnasnet1_0": 1.0, "mnasnet1_3": 1.3}
NORM = {"momentum": 3e-4}
FIRST, LAST = ("conv1", "layers.0"), ("fc", "classifier.1")


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    width = WIDTHS[name.removesuffix("_v1")]
    first = 1.0 if name.endswith("_v1") else width
    channels = rounded(32 * first)
    layers = numbered(convolution(weights, "conv", 3, channels, 3, ReLU(), NORM, stride=2), 1)
    for stage, (kernel, stride, expansion, out, count) in enumerate(STAGES, start=1):
        out = rounded(out * (first if stage == 1 else width))
        for number in range(1, count + 1):
            layers[f"block{stage}_{number}"] = inverted_residual(
                weights, channels, expansion * channels, out, kernel, stride, ReLU(), NORM
            )
            channels, stride = out, 1
    layers |= numbered(convolution(weights, "conv", channels, 1280, 1, ReLU(), NORM), 2)
    layers |= {"pool2": GlobalAvgPool2d(), "drop2": Dropout(0.2), "fc": weights.linear(1280, num_classes)}
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _torchvision_names(layers):
    """layers.0 to layers.7 are conv1 to block1_1, layers.8 to layers.13 the stages 2 to 7, layers.14 conv2."""
    first = ["conv1", "bn1", "relu1", *(f"block1_1.{part}" for part in layers["block1_1"].parts())]
    steps = dict(enumerate(first)) | {14: "conv2", 15: "bn2", 16: "relu2"}
    aliases = {f"layers.{i}": name for i, name in steps.items()}
    aliases |= {"layers": "relu2", "classifier.0": "drop2", "classifier.1": "fc", "classifier": "fc"}
    for name, block in layers.items():
        stage, _, number = name.removeprefix("block").partition("_")
        if number and stage != "1":
            own = f"layers.{int(stage) + 6}"
            apart = ("expand", "depthwise", "project")
            aliases |= {own: name} | block_names(f"{own}.{int(number) - 1}", name, block, "layers", apart)
    return aliases
