"""VGG with 11, 13, 16 and 19 layers (Simonyan, Zisserman 2014, table 1: A, B, D, E), with or without batch
normalization after each convolution (Ioffe, Szegedy 2015).

Layers have the authors' names: conv1_1, conv1_2, ... conv5_1, ..., fc6, fc7, fc8. A ReLU, pool or normalization is
numbered like the layer before it: relu1_1, bn1_1, pool1.
"""

from npgrad._typing import Rng
from npgrad.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, begin, finished, torchvision_names

FILTERS = (64, 128, 256, 512, 512)  # of the five stages, each ending in a pool
CONVOLUTIONS = {  # in each stage
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
VERSIONS = [f"{name}{norm}" for name in CONVOLUTIONS for norm in ("", "_bn")]


def vgg11(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-11 (configuration A): 132,863,336 parameters for 1,000 classes.

    Weights are He-normal, biases 0. Dropout 0.5 after fc6 and fc7 is active in training mode only. Images need
    at least 32x32 px.

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
    return build("vgg11", num_classes, Weights.drawn(rng))


def vgg11_bn(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-11 with batch normalization: 132,868,840 parameters for 1,000 classes.

    As `vgg11`, with a normalization after each convolution.

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
    return build("vgg11_bn", num_classes, Weights.drawn(rng))


def vgg13(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-13 (configuration B): 133,047,848 parameters for 1,000 classes.

    Weights are He-normal, biases 0. Dropout 0.5 after fc6 and fc7 is active in training mode only. Images need
    at least 32x32 px.

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
    return build("vgg13", num_classes, Weights.drawn(rng))


def vgg13_bn(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-13 with batch normalization: 133,053,736 parameters for 1,000 classes.

    As `vgg13`, with a normalization after each convolution.

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
    return build("vgg13_bn", num_classes, Weights.drawn(rng))


def vgg16(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-16 (configuration D): 138,357,544 parameters for 1,000 classes.

    Weights are He-normal, biases 0. Dropout 0.5 after fc6 and fc7 is active in training mode only. Images need
    at least 32x32 px.

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
    return build("vgg16", num_classes, Weights.drawn(rng))


def vgg16_bn(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-16 with batch normalization: 138,365,992 parameters for 1,000 classes.

    As `vgg16`, with a normalization after each convolution.

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
    return build("vgg16_bn", num_classes, Weights.drawn(rng))


def vgg19(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-19 (configuration E): 143,667,240 parameters for 1,000 classes.

    Weights are He-normal, biases 0. Dropout 0.5 after fc6 and fc7 is active in training mode only. Images need
    at least 32x32 px.
    The network of neural style transfer (Gatys, Ecker, Bethge 2016).

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
    return build("vgg19", num_classes, Weights.drawn(rng))


def vgg19_bn(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized VGG-19 with batch normalization: 143,678,248 parameters for 1,000 classes.

    As `vgg19`, with a normalization after each convolution.

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
    return build("vgg19_bn", num_classes, Weights.drawn(rng))


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
    channels, layers = 3, {}
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
