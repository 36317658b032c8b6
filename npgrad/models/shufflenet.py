"""ShuffleNetV2 (Ma, Zhang, Zheng, Sun 2018, table 5 and figure 3).

stage2_1 ... stage4_4 are the paper's units. A unit convolves half of its channels, `right`, and leaves the other half,
`left`; where it halves the size, both sides take and convolve all channels. Then the channels of both sides are
shuffled, so that the next unit mixes them. conv1 and conv5 have the parts conv, bn and relu.
"""

from npgrad.layers import ChannelShuffle, Concat, GlobalAvgPool2d, Graph, MaxPool2d, ReLU, Sequential, Slice
from npgrad.model import Model
from npgrad.models._building import Weights, finished

UNITS = {"stage2": 4, "stage3": 8, "stage4": 4}
WIDTHS = {  # channels of conv1, of the three stages, and of conv5
    "shufflenet_v2_x0_5": (24, 48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (24, 116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (24, 176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (24, 244, 488, 976, 2048),
}

FIRST, LAST = ("conv1.conv", "conv1.0"), ("fc",)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    channels, *widths, last = WIDTHS[name]
    layers = {
        "conv1": weights.conv_bn_relu(3, channels, 3, stride=2, padding=1),
        "pool1": MaxPool2d(3, stride=2, padding=1),
    }
    for (stage, count), width in zip(UNITS.items(), widths, strict=True):
        layers[f"{stage}_1"] = _down(weights, channels, width)
        for number in range(2, count + 1):
            layers[f"{stage}_{number}"] = _unit(weights, width)
        channels = width
    layers["conv5"] = weights.conv_bn_relu(channels, last, 1)
    layers["pool5"] = GlobalAvgPool2d()
    layers["fc"] = weights.linear(last, num_classes)
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _unit(weights, channels):
    """Figure 3c: half of the channels stay as they are."""
    half = channels // 2
    return Graph(
        {
            "left": (Slice(1, 0, half), "input"),
            "half": (Slice(1, half), "input"),
            "right": (_right(weights, half, half, stride=1), "half"),
            **_shuffled(),
        }
    )


def _down(weights, channels, out):
    """Figure 3d: half the size, more channels."""
    left = {**_depthwise(weights, channels, stride=2), **_pointwise(weights, "conv", channels, out // 2)}
    return Graph(
        {
            "left": (Sequential(left), "input"),
            "right": (_right(weights, channels, out // 2, stride=2), "input"),
            **_shuffled(),
        }
    )


def _right(weights, channels, out, stride):
    return Sequential(
        {
            **_pointwise(weights, "conv1", channels, out),
            **_depthwise(weights, out, stride),
            **_pointwise(weights, "conv2", out, out),
        }
    )


def _pointwise(weights, name, channels, filters):
    """A 1x1 convolution, its normalization and a ReLU."""
    number = name.removeprefix("conv")
    return {
        name: weights.conv(channels, filters, 1, bias=False),
        f"bn{number}": weights.batch_norm(filters),
        f"relu{number}": ReLU(),
    }


def _depthwise(weights, channels, stride):
    """A 3x3 convolution of each channel and its normalization."""
    return {
        "depthwise": weights.conv(channels, channels, 3, False, channels, stride=stride, padding=1),
        "depthwise_bn": weights.batch_norm(channels),
    }


def _shuffled():
    return {"concat": (Concat(), ("left", "right")), "shuffle": (ChannelShuffle(2), "concat")}


def _torchvision_names(layers):
    """stage2.0 ... stage4.3, whose branches are numbered; stage2 is the output of its last unit."""
    aliases = {"maxpool": "pool1"}
    for conv in "conv1", "conv5":
        aliases |= {f"{conv}.{i}": f"{conv}.{part}" for i, part in enumerate(("conv", "bn", "relu"))}
    for name, unit in layers.items():
        if not isinstance(unit, Graph):
            continue
        stage, number = name.split("_")
        own = f"{stage}.{int(number) - 1}"
        aliases[stage] = aliases[own] = name
        for theirs, side in ("branch1", "left"), ("branch2", "right"):
            if isinstance(part := unit.parts()[side], Sequential):
                aliases[f"{own}.{theirs}"] = f"{name}.{side}"
                aliases |= {
                    f"{own}.{theirs}.{i}": f"{name}.{side}.{key}" for i, key in enumerate(part.parts())
                }
    return aliases
