"""GoogLeNet, Inception v1 (Szegedy et al. 2014, table 1), with batch normalization and without auxiliary classifiers.

Every convolution is conv, bn, relu. An inception module (figure 2b) has four branches, whose channels it concatenates:
conv1x1; reduce3x3 and conv3x3; reduce5x5 and conv5x5; pool and project.

As in torchvision, conv5x5 is a 3x3 convolution, conv2 and conv3 are the table's second convolution with its 1x1
reduction, pool4 has windows of 2x2 px, and dropout, active in training mode only, is 0.2.

torchvision's own weights were trained on images from -1 to 1. With the option `transform_input` 1, which belongs to
them, a first layer brings images with ImageNet's mean and std there. Other files do not say whether their weights were
trained so: `model.with_preprocessing(mean=0.5, std=0.5)` is the same for them.
"""

from npgrad.layers import Concat, Dropout, GlobalAvgPool2d, Graph, MaxPool2d, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished
from npgrad.models._building import transform_input as input_layers

# filters: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj
INCEPTIONS = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
BRANCHES = {  # torchvision's names
    "branch1": "conv1x1",
    "branch2.0": "reduce3x3",
    "branch2.1": "conv3x3",
    "branch3.0": "reduce5x5",
    "branch3.1": "conv5x5",
    "branch4.0": "pool",
    "branch4.1": "project",
}

OPTIONS = ("transform_input",)
FIRST, LAST = ("conv1.conv",), ("fc",)
UNUSED = ("aux1.", "aux2.")


def build(name: str, num_classes: int, weights: Weights, transform_input: int = 0) -> Model:
    """Build a network of this page; see `registry`."""
    layers = {
        **input_layers(transform_input),
        "conv1": _conv(weights, 3, 64, 7, stride=2, padding=3),
        "pool1": _pool(3, 2),
        "conv2": _conv(weights, 64, 64, 1),
        "conv3": _conv(weights, 64, 192, 3, padding=1),
        "pool2": _pool(3, 2),
    }
    channels = 192
    for inception, filters in INCEPTIONS.items():
        layers[inception] = _inception(weights, channels, *filters)
        channels = filters[0] + filters[2] + filters[4] + filters[5]
        if inception == "inception3b":
            layers["pool3"] = _pool(3, 2)
        if inception == "inception4e":
            layers["pool4"] = _pool(2, 2)
    layers["pool5"] = GlobalAvgPool2d()
    layers["drop5"] = Dropout(0.2)
    layers["fc"] = weights.linear(channels, num_classes)
    aliases = _torchvision_names()
    return finished(name, Sequential(layers), num_classes, aliases, transform_input=int(transform_input))


def _conv(weights, channels, filters, kernel, **options):
    return weights.conv_bn_relu(channels, filters, kernel, eps=1e-3, **options)


def _pool(kernel, stride, padding=0):
    return MaxPool2d(kernel, stride=stride, padding=padding, ceil_mode=True)


def _inception(weights, channels, c1, reduce3, c3, reduce5, c5, projected):
    """An inception module (figure 2b)."""
    return Graph(
        {
            "conv1x1": (_conv(weights, channels, c1, 1), "input"),
            "reduce3x3": (_conv(weights, channels, reduce3, 1), "input"),
            "conv3x3": (_conv(weights, reduce3, c3, 3, padding=1), "reduce3x3"),
            "reduce5x5": (_conv(weights, channels, reduce5, 1), "input"),
            "conv5x5": (_conv(weights, reduce5, c5, 3, padding=1), "reduce5x5"),
            "pool": (_pool(3, 1, padding=1), "input"),
            "project": (_conv(weights, channels, projected, 1), "pool"),
            "concat": (Concat(), ("conv1x1", "conv3x3", "conv5x5", "project")),
        }
    )


def _torchvision_names():
    """inception3a.branch2.1.conv is inception3a.conv3x3.conv; branch2 is the output of its last part."""
    aliases = {f"maxpool{i}": f"pool{i}" for i in (1, 2, 3, 4)} | {"avgpool": "pool5", "dropout": "drop5"}
    for inception in INCEPTIONS:
        for theirs, own in BRANCHES.items():
            branch, _, number = theirs.partition(".")
            aliases[f"{inception}.{branch}"] = aliases[f"{inception}.{theirs}"] = f"{inception}.{own}"
            if own != "pool":
                for part in ("conv", "bn"):
                    aliases[f"{inception}.{theirs}.{part}"] = f"{inception}.{own}.{part}"
    return aliases
