"""AlexNet (Krizhevsky, Sutskever, Hinton 2012), in the version for one GPU (Krizhevsky 2014), as in torchvision."""

from npgrad._typing import Rng
from npgrad.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, begin, finished, torchvision_names

# filters, kernel, stride, padding of each convolution
CONVOLUTIONS = {
    "conv1": (64, 11, 4, 2),
    "conv2": (192, 5, 1, 2),
    "conv3": (384, 3, 1, 1),
    "conv4": (256, 3, 1, 1),
    "conv5": (256, 3, 1, 1),
}
POOLED = ("conv1", "conv2", "conv5")


def alexnet(num_classes: int = 1000, rng: Rng = 0) -> Model:
    """Build a freshly initialized AlexNet: 61,100,840 parameters for 1,000 classes, images of at least 63x63 px.

    Weights are He-normal, biases 0. Dropout 0.5 before fc6 and fc7 is active in training mode only.

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
    return build("alexnet", num_classes, Weights.drawn(rng))


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
    for conv, (filters, kernel, stride, padding) in CONVOLUTIONS.items():
        number = conv[-1]
        layers[conv] = weights.conv(channels, filters, kernel, stride=stride, padding=padding)
        layers[f"relu{number}"] = ReLU()
        if conv in POOLED:
            layers[f"pool{number}"] = MaxPool2d(3, stride=2)
        channels = filters
    features = list(layers)
    layers["avgpool"] = AdaptiveAvgPool2d(6)
    layers["flatten"] = Flatten()
    classifier = {
        "drop6": Dropout(0.5),
        "fc6": weights.linear(channels * 36, 4096),
        "relu6": ReLU(),
        "drop7": Dropout(0.5),
        "fc7": weights.linear(4096, 4096),
        "relu7": ReLU(),
        "fc8": weights.linear(4096, num_classes),
    }
    aliases = torchvision_names({"features": features, "classifier": classifier})
    return finished(name, Sequential({**layers, **classifier}), num_classes, aliases)
