"""ResNet with 18 to 152 layers (He, Zhang, Ren, Sun 2015, table 1), and two relatives.

Wide ResNet (Zagoruyko, Komodakis 2016) has twice as many channels in the 3x3 convolutions; ResNeXt (Xie, Girshick,
Dollar, Tu, He 2016) has these convolutions in groups: 32x4d is 32 groups, of 4 channels in the first stage. The stride
of a bottleneck is in its 3x3 convolution, as in torchvision.

Blocks are named as in the table: conv2_1, conv2_2, ... conv5_3. The parts of a block are conv1, bn1, relu1, conv2, bn2,
..., then shortcut and shortcut_bn if the shortcut has weights, then add and relu.
"""

from npgrad.layers import GlobalAvgPool2d, MaxPool2d, ReLU, Residual, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished

WIDTHS = (64, 128, 256, 512)  # filters in the stages conv2 to conv5
NETWORKS = {  # blocks in each stage, groups in their 3x3 convolutions, channels of a group in conv2
    "resnet18": ((2, 2, 2, 2), 1, 64),
    "resnet34": ((3, 4, 6, 3), 1, 64),
    "resnet50": ((3, 4, 6, 3), 1, 64),
    "resnet101": ((3, 4, 23, 3), 1, 64),
    "resnet152": ((3, 8, 36, 3), 1, 64),
    "resnext50_32x4d": ((3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": ((3, 4, 23, 3), 32, 8),
    "resnext101_64x4d": ((3, 4, 23, 3), 64, 4),
    "wide_resnet50_2": ((3, 4, 6, 3), 1, 128),
    "wide_resnet101_2": ((3, 4, 23, 3), 1, 128),
}
FIRST, LAST = ("conv1",), ("fc",)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    blocks, groups, per_group = NETWORKS[name]
    expansion = 1 if name in ("resnet18", "resnet34") else 4
    layers = {
        "conv1": weights.conv(3, 64, 7, stride=2, padding=3, bias=False),
        "bn1": weights.batch_norm(64),
        "relu1": ReLU(),
        "pool1": MaxPool2d(3, stride=2, padding=1),
    }
    channels = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, blocks, strict=True), start=2):
        for number in range(1, count + 1):
            stride = 2 if stage > 2 and number == 1 else 1
            shortcut, out = {}, width * expansion
            if expansion == 1:
                branch = _basic(weights, channels, width, stride)
            else:
                inner = width // 64 * per_group * groups
                branch = _bottleneck(weights, channels, inner, out, stride, groups)
            if stride != 1 or channels != out:
                shortcut["shortcut"] = weights.conv(channels, out, 1, stride=stride, bias=False)
                shortcut["shortcut_bn"] = weights.batch_norm(out)
            layers[f"conv{stage}_{number}"] = Residual(branch, shortcut)
            channels = out
    layers["pool5"] = GlobalAvgPool2d()
    layers["fc"] = weights.linear(channels, num_classes)
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _basic(weights, channels, width, stride):
    """Two 3x3 convolutions (figure 5, left)."""
    return {
        "conv1": weights.conv(channels, width, 3, stride=stride, padding=1, bias=False),
        "bn1": weights.batch_norm(width),
        "relu1": ReLU(),
        "conv2": weights.conv(width, width, 3, padding=1, bias=False),
        "bn2": weights.batch_norm(width),
    }


def _bottleneck(weights, channels, inner, out, stride, groups):
    """Fewer channels, a 3x3 convolution, and four times as many channels (figure 5, right)."""
    return {
        "conv1": weights.conv(channels, inner, 1, bias=False),
        "bn1": weights.batch_norm(inner),
        "relu1": ReLU(),
        "conv2": weights.conv(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False),
        "bn2": weights.batch_norm(inner),
        "relu2": ReLU(),
        "conv3": weights.conv(inner, out, 1, bias=False),
        "bn3": weights.batch_norm(out),
    }


def _torchvision_names(layers):
    """layer1 ... layer4 are the stages (the output of their last block); each block has a single module `relu`."""
    aliases = {"relu": "relu1", "maxpool": "pool1", "avgpool": "pool5"}
    for name, layer in layers.items():
        if not isinstance(layer, Residual):
            continue
        stage, number = (int(part) for part in name.removeprefix("conv").split("_"))
        own = f"layer{stage - 1}.{number - 1}"
        aliases[f"layer{stage - 1}"] = aliases[own] = name
        inner = {part: part for part in layer.parts()}
        inner |= {"downsample.0": "shortcut", "downsample.1": "shortcut_bn"} if layer.shortcut else {}
        aliases.update({f"{own}.{theirs}": f"{name}.{part}" for theirs, part in inner.items()})
    return aliases
