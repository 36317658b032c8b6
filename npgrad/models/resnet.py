"""ResNet with 18, 34 and 50 layers (He, Zhang, Ren, Sun 2015, table 1). The stride of a bottleneck is in its 3x3
convolution, as in torchvision.

Blocks are named as in the table: conv2_1, conv2_2, ... conv5_3. The parts of a block are conv1, bn1, relu1, conv2, bn2,
..., then shortcut and shortcut_bn if the shortcut has weights, then add and relu.
"""

from npgrad._typing import Rng
from npgrad.layers import GlobalAvgPool2d, MaxPool2d, ReLU, Residual, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, begin, finished

WIDTHS = (64, 128, 256, 512)  # filters in the stages conv2 to conv5
BLOCKS = {  # in each stage
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
}


def resnet18(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized ResNet-18: 11,689,512 parameters for 1,000 classes.

    Weights are He-normal, normalizations the identity.

    Parameters
    ----------
    num_classes : int, default 1000
        The number of classes.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.

    Returns
    -------
    Model
    """
    return build("resnet18", num_classes, Weights.drawn(rng))


def resnet34(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized ResNet-34: 21,797,672 parameters for 1,000 classes.

    Weights are He-normal, normalizations the identity.

    Parameters
    ----------
    num_classes : int, default 1000
        The number of classes.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.

    Returns
    -------
    Model
    """
    return build("resnet34", num_classes, Weights.drawn(rng))


def resnet50(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized ResNet-50, with bottleneck blocks: 25,557,032 parameters for 1,000 classes.

    Weights are He-normal, normalizations the identity.

    Parameters
    ----------
    num_classes : int, default 1000
        The number of classes.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.

    Returns
    -------
    Model
    """
    return build("resnet50", num_classes, Weights.drawn(rng))


def build(name: str, num_classes: int = 1000, weights: Weights | None = None) -> Model:
    """Build an architecture of this module by name.

    Parameters
    ----------
    name : str
        The name.
    num_classes : int, default 1000
        The number of classes.
    weights : Weights or None, default None
        The source of the weights. None: all zero.

    Returns
    -------
    Model
    """
    num_classes, weights = begin(num_classes, weights)
    block, expansion = (_bottleneck, 4) if name == "resnet50" else (_basic, 1)
    layers = {
        "conv1": weights.conv(3, 64, 7, stride=2, padding=3, bias=False),
        "bn1": weights.batch_norm(64),
        "relu1": ReLU(),
        "pool1": MaxPool2d(3, stride=2, padding=1),
    }
    channels = 64
    for stage, (width, count) in enumerate(zip(WIDTHS, BLOCKS[name], strict=True), start=2):
        for number in range(1, count + 1):
            stride = 2 if stage > 2 and number == 1 else 1
            branch, shortcut, out = block(weights, channels, width, stride), {}, width * expansion
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


def _bottleneck(weights, channels, width, stride):
    """Fewer channels, a 3x3 convolution, and four times as many channels (figure 5, right)."""
    return {
        "conv1": weights.conv(channels, width, 1, bias=False),
        "bn1": weights.batch_norm(width),
        "relu1": ReLU(),
        "conv2": weights.conv(width, width, 3, stride=stride, padding=1, bias=False),
        "bn2": weights.batch_norm(width),
        "relu2": ReLU(),
        "conv3": weights.conv(width, 4 * width, 1, bias=False),
        "bn3": weights.batch_norm(4 * width),
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
