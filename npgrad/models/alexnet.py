"""AlexNet (Krizhevsky, Sutskever, Hinton 2012), in the version for one GPU (Krizhevsky 2014), as in torchvision.

Images need at least 63x63 px. Dropout 0.5 before fc6 and fc7 is active in training mode only.
"""

from npgrad.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU, Sequential
from npgrad.model import Model
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

FIRST, LAST = (
    ("conv1", "features.0"),
    ("fc8", "classifier.6"),
)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
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
