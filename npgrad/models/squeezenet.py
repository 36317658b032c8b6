"""SqueezeNet 1.0 and 1.1 (Iandola et al. 2016; 1.1 as in the authors' repository).

Layers are named as in the paper: conv1, fire2 ... fire9, conv10; a ReLU or pool has the number of the layer before it.
torchvision's names are aliases. Dropout 0.5 before conv10 is active in training mode only. 1.1 needs 2.3 times fewer
operations than 1.0.

The option `conv10_padding` is 1 in the original Caffe networks of version 1.0, and 0 in torchvision's.
"""

from npgrad.errors import InputError
from npgrad.layers import Dropout, Fire, GlobalAvgPool2d, MaxPool2d, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished

# filters of each fire: squeeze 1x1, expand 1x1, expand 3x3
FIRES = {
    "fire2": (16, 64, 64),
    "fire3": (16, 64, 64),
    "fire4": (32, 128, 128),
    "fire5": (32, 128, 128),
    "fire6": (48, 192, 192),
    "fire7": (48, 192, 192),
    "fire8": (64, 256, 256),
    "fire9": (64, 256, 256),
}
# for each version: filters and kernel of conv1, and the layers that are followed by a pool
VERSIONS = {
    "squeezenet1_0": (96, 7, ("conv1", "fire4", "fire8")),
    "squeezenet1_1": (64, 3, ("conv1", "fire3", "fire5")),
}
PRESETS = ("starry_night", "composition_vii", "the_scream", "inversion")  # the course's, for style transfer

OPTIONS = ("conv10_padding",)
FIRST, LAST = (
    ("conv1", "features.0"),
    ("conv10", "classifier.1"),
)


def build(name: str, num_classes: int, weights: Weights, conv10_padding: int = 0) -> Model:
    """Build a network of this page; see `registry`."""
    if conv10_padding not in (0, 1):
        raise InputError(f"conv10_padding: expected 0 or 1, found {conv10_padding!r}")
    channels, kernel, pooled = VERSIONS[name]
    layers = {"conv1": weights.conv(3, channels, kernel, stride=2), "relu1": ReLU()}
    if "conv1" in pooled:
        layers["pool1"] = _pool()
    for fire, (squeeze, expand1x1, expand3x3) in FIRES.items():
        layers[fire] = Fire(
            weights.conv(channels, squeeze, 1),
            weights.conv(squeeze, expand1x1, 1),
            weights.conv(squeeze, expand3x3, 3, padding=1),
        )
        channels = expand1x1 + expand3x3
        if fire in pooled:
            layers[f"pool{fire[-1]}"] = _pool()
    layers["drop9"] = Dropout(0.5)
    layers["conv10"] = weights.conv(channels, num_classes, 1, padding=conv10_padding)
    layers["relu10"] = ReLU()
    layers["pool10"] = GlobalAvgPool2d()
    aliases = _torchvision_names(layers)
    return finished(
        name, Sequential(layers), num_classes, aliases, "fire9", PRESETS, conv10_padding=int(conv10_padding)
    )


def _pool():
    return MaxPool2d(3, stride=2, ceil_mode=True)


def _torchvision_names(layers):
    """{torchvision's name: the paper's}, for layers and for the parts of fire modules."""
    aliases = {}
    names = list(layers)
    split = names.index("drop9")
    for part, members in ("features", names[:split]), ("classifier", names[split:]):
        for i, name in enumerate(members):
            aliases[f"{part}.{i}"] = name
            if name.startswith("fire"):
                for inner in "squeeze", "expand1x1", "expand3x3":
                    aliases[f"{part}.{i}.{inner}"] = f"{name}.{inner}"
                    aliases[f"{part}.{i}.{inner}_activation"] = f"{name}.{inner}_relu"
    return aliases
