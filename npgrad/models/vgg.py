"""VGG with 11, 13, 16 and 19 layers (Simonyan, Zisserman 2014, table 1: A, B, D, E), with or without batch
normalization after each convolution (Ioffe, Szegedy 2015).

Layers have the authors' names: conv1_1, conv1_2, ... conv5_1, ..., fc6, fc7, fc8. A ReLU, pool or normalization is
numbered like the layer before it: relu1_1, bn1_1, pool1. Images need at least 32x32 px. Dropout 0.5 after fc6 and fc7
is active in training mode only.
"""

from npgrad.layers import AdaptiveAvgPool2d, Dropout, Flatten, MaxPool2d, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished, torchvision_names

FILTERS = (64, 128, 256, 512, 512)  # of the five stages, each ending in a pool
CONVOLUTIONS = {  # in each stage
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}

FIRST, LAST = (
    ("conv1_1", "features.0"),
    ("fc8", "classifier.6"),
)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
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
