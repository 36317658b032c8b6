"""SqueezeNet 1.0 and 1.1 (Iandola et al. 2016; 1.1 as in the authors' repository).

Layers are named as in the paper: conv1, fire2 ... fire9, conv10; a ReLU or pool has the number of the layer before it.
torchvision's names are aliases.
"""

from npgrad._typing import Rng
from npgrad.errors import InputError
from npgrad.layers import Dropout, Fire, GlobalAvgPool2d, MaxPool2d, ReLU, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, begin, finished

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


def squeezenet1_0(num_classes: int = 1000, rng: Rng = 0, conv10_padding: int = 0) -> Model:
    """Build a freshly initialized SqueezeNet 1.0: 1,248,424 parameters for 1,000 classes.

    Weights are He-normal, biases 0. Dropout 0.5 before conv10 is active in training mode only.

    Parameters
    ----------
    num_classes : int, default 1000
        The number of classes.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.
    conv10_padding : {0, 1}, default 0
        Padding of conv10: 1 in the original Caffe network, 0 in torchvision's.

    Returns
    -------
    Model
    """
    return build("squeezenet1_0", num_classes, conv10_padding, Weights.drawn(rng))


def squeezenet1_1(num_classes: int = 1000, rng: Rng = 0, conv10_padding: int = 0) -> Model:
    """Build a freshly initialized SqueezeNet 1.1: 1,235,496 parameters for 1,000 classes.

    Weights are He-normal, biases 0. Dropout 0.5 before conv10 is active in training mode only. It needs 2.3
    times fewer operations than 1.0.

    Parameters
    ----------
    num_classes : int, default 1000
        The number of classes.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.
    conv10_padding : {0, 1}, default 0
        Padding of conv10: 1 in the original Caffe network, 0 in torchvision's.

    Returns
    -------
    Model
    """
    return build("squeezenet1_1", num_classes, conv10_padding, Weights.drawn(rng))


def build(
    name: str, num_classes: int = 1000, conv10_padding: int = 0, weights: Weights | None = None
) -> Model:
    """Build an architecture of this module by name.

    Parameters
    ----------
    name : str
        The name.
    num_classes : int, default 1000
        The number of classes.
    conv10_padding : {0, 1}, default 0
        Padding of conv10.
    weights : Weights or None, default None
        The source of the weights. None: all zero.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If an option is invalid.
    """
    num_classes, weights = begin(num_classes, weights)
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
