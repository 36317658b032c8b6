"""VGG with 11, 13, 16 and 19 layers (Simonyan, Zisserman 2014, table 1: A, B, D, E), with or without batch
normalization after each convolution (Ioffe, Szegedy 2015).

Layers are named as by the authors: conv1_1, conv1_2, ... conv5_1, ..., fc6, fc7, fc8. A ReLU, pool or normalization
is called after the layer before it, relu1_1, bn1_1, pool1.
"""

from npgrad.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU, Sequential
from npgrad.models._building import Weights, finished, torchvision_names

FILTERS = (64, 128, 256, 512, 512)  # of the five stages, each ending in a pool
CONVOLUTIONS = {  # in each stage
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
VERSIONS = [f"{name}{norm}" for name in CONVOLUTIONS for norm in ("", "_bn")]


def vgg11(num_classes=1000, rng=0):
    """A freshly initialized VGG-11 (A): 132,863,336 parameters for 1,000 classes. Images from 32x32 px.

    He-normal weights drawn by `rng` (a Generator or an int seed), biases 0. Dropout 0.5 after fc6 and fc7 acts in
    training only. So for all of these.
    """
    return build("vgg11", num_classes, Weights.drawn(rng))


def vgg11_bn(num_classes=1000, rng=0):
    """VGG-11 with batch normalization: 132,868,840 parameters."""
    return build("vgg11_bn", num_classes, Weights.drawn(rng))


def vgg13(num_classes=1000, rng=0):
    """VGG-13 (B): 133,047,848 parameters."""
    return build("vgg13", num_classes, Weights.drawn(rng))


def vgg13_bn(num_classes=1000, rng=0):
    """VGG-13 with batch normalization: 133,053,736 parameters."""
    return build("vgg13_bn", num_classes, Weights.drawn(rng))


def vgg16(num_classes=1000, rng=0):
    """VGG-16 (D): 138,357,544 parameters."""
    return build("vgg16", num_classes, Weights.drawn(rng))


def vgg16_bn(num_classes=1000, rng=0):
    """VGG-16 with batch normalization: 138,365,992 parameters."""
    return build("vgg16_bn", num_classes, Weights.drawn(rng))


def vgg19(num_classes=1000, rng=0):
    """VGG-19 (E): 143,667,240 parameters. Gatys, Ecker, Bethge 2016 transfer style with it."""
    return build("vgg19", num_classes, Weights.drawn(rng))


def vgg19_bn(num_classes=1000, rng=0):
    """VGG-19 with batch normalization: 143,678,248 parameters."""
    return build("vgg19_bn", num_classes, Weights.drawn(rng))


def build(name, num_classes=1000, weights=None):
    """The Model `name` with weights from `weights` (None: all zero)."""
    weights, channels, layers = weights or Weights.zero(), 3, {}
    version, _, norm = name.partition("_")
    for stage, (count, filters) in enumerate(zip(CONVOLUTIONS[version], FILTERS, strict=True), start=1):
        for number in range(1, count + 1):
            layers[f"conv{stage}_{number}"] = weights.conv(channels, filters, 3, padding=1)
            if norm:
                layers[f"bn{stage}_{number}"] = weights.batch_norm(filters)
            layers[f"relu{stage}_{number}"] = ReLU()
            channels = filters
        layers[f"pool{stage}"] = MaxPool2d(2)
    features = list(layers)
    layers["avgpool"] = AdaptiveAvgPool2d(7)
    layers["flatten"] = Flatten()
    classifier = {
        "fc6": weights.linear(channels * 49, 4096),
        "relu6": ReLU(),
        "drop6": Dropout(0.5),
        "fc7": weights.linear(4096, 4096),
        "relu7": ReLU(),
        "drop7": Dropout(0.5),
        "fc8": weights.linear(4096, num_classes),
    }
    aliases = torchvision_names({"features": features, "classifier": classifier})
    return finished(name, Sequential({**layers, **classifier}), num_classes, aliases, presets=("gatys",))
