"""AlexNet (Krizhevsky, Sutskever, Hinton 2012), as on one GPU (Krizhevsky 2014, which torchvision has)."""

from npgrad.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU, Sequential
from npgrad.models._building import Weights, finished, torchvision_names

# filters, kernel, stride, padding of each convolution
CONVOLUTIONS = {
    "conv1": (64, 11, 4, 2),
    "conv2": (192, 5, 1, 2),
    "conv3": (384, 3, 1, 1),
    "conv4": (256, 3, 1, 1),
    "conv5": (256, 3, 1, 1),
}
POOLED = ("conv1", "conv2", "conv5")


def alexnet(num_classes=1000, rng=0):
    """A freshly initialized AlexNet: 61,100,840 parameters for 1,000 classes. Images from 63x63 px.

    He-normal weights drawn by `rng` (a Generator or an int seed), biases 0. Dropout 0.5 before fc6 and fc7 acts
    in training only.
    """
    return build("alexnet", num_classes, Weights.drawn(rng))


def build(name, num_classes=1000, weights=None):
    """The Model with weights from `weights` (None: all zero)."""
    weights, channels, layers = weights or Weights.zero(), 3, {}
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
