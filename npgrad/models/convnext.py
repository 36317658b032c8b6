"""ConvNeXt, tiny to large (Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, section 3 and table 9).

    name            channels of res2 ... res5  blocks
    convnext_tiny   96, 192, 384, 768          3, 3, 9, 3
    convnext_small  96, 192, 384, 768          3, 3, 27, 3
    convnext_base   128, 256, 512, 1024        3, 3, 27, 3
    convnext_large  192, 384, 768, 1536        3, 3, 27, 3

A block (figure 4) is depthwise (7x7), norm, expand (1x1, four times as many channels), gelu, project (1x1) and scale, a
trained factor for each channel, beside a shortcut. conv1 makes patches of 4x4 px; down3 ... down5 are norm and a 2x2
convolution. All normalizations are over the channels of a pixel.

torchvision computes norm, expand, gelu and project in another order of axes, (N, H, W, C), with Linear layers. Its
stochastic depth is active in training mode only and left out.
"""

from npgrad.layers import GELU, GlobalAvgPool2d, LayerNorm, Residual, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished

NETWORKS = {  # channels of the first stage, and the number of blocks in each
    "convnext_tiny": (96, (3, 3, 9, 3)),
    "convnext_small": (96, (3, 3, 27, 3)),
    "convnext_base": (128, (3, 3, 27, 3)),
    "convnext_large": (192, (3, 3, 27, 3)),
}
FIRST, LAST = ("conv1", "features.0.0"), ("fc", "classifier.2")
FLAT = True  # files have the weights of 1x1 convolutions as those of Linear layers


def renamed(name: str) -> str:
    """Return the name of a tensor, with a name of its own for the parameter of a block."""
    return f"{name}.weight" if name.endswith(".layer_scale") else name


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    channels, blocks = NETWORKS[name]
    layers = {"conv1": weights.conv(3, channels, 4, stride=4), "norm1": _norm(channels)}
    for stage, count in enumerate(blocks, start=2):
        if stage > 2:
            down = {"norm": _norm(channels), "conv": weights.conv(channels, 2 * channels, 2, stride=2)}
            layers[f"down{stage}"] = Sequential(down)
            channels *= 2
        for number in range(1, count + 1):
            layers[f"res{stage}_{number}"] = _block(weights, channels)
    layers["pool5"] = GlobalAvgPool2d()
    layers["norm6"] = _norm(channels)
    layers["fc"] = weights.linear(channels, num_classes)
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _norm(channels):
    return LayerNorm.init(channels, eps=1e-6, channels=True)


def _block(weights, channels):
    branch = {
        "depthwise": weights.conv(channels, channels, 7, padding=3, groups=channels),
        "norm": _norm(channels),
        "expand": weights.conv(channels, 4 * channels, 1),
        "gelu": GELU(),
        "project": weights.conv(4 * channels, channels, 1),
        "scale": weights.layer_scale(channels),
    }
    return Residual(branch, after=None)


def _torchvision_names(layers):
    """features.1, .3, .5, .7 are res2 ... res5 (the output of their last block), and .2, .4, .6 are down3 ... down5."""
    aliases = {"features.0": "norm1", "features.0.0": "conv1", "features.0.1": "norm1", "avgpool": "pool5"}
    for name, layer in layers.items():
        if name.startswith("down"):
            own = f"features.{2 * int(name[4:]) - 4}"
            aliases |= {own: name, f"{own}.0": f"{name}.norm", f"{own}.1": f"{name}.conv"}
        if name.startswith("res"):
            stage, number = (int(part) for part in name[3:].split("_"))
            own = f"features.{2 * stage - 3}"
            aliases["features"] = aliases[own] = aliases[f"{own}.{number - 1}"] = name
            own += f".{number - 1}"
            # block.1 and block.6 move axes; block is the output of its last part
            theirs = zip(("1", "2", "3", "4", "6"), layer.parts(), strict=False)
            aliases |= {f"{own}.block.{i}": f"{name}.{part}" for i, part in theirs}
            aliases |= {f"{own}.block": f"{name}.project", f"{own}.stochastic_depth": f"{name}.scale"}
            aliases |= {f"{own}.block.0": f"{name}.depthwise", f"{own}.block.5": f"{name}.project"}
            aliases[f"{own}.layer_scale"] = f"{name}.scale"
    head = {"classifier.1": "norm6", "classifier.0": "norm6", "classifier": "fc", "classifier.2": "fc"}
    return {**aliases, **head}
