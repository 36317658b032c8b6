"""Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2015, table 1).

Convolutions and modules have the names of the authors' code, which torchvision has kept: Conv2d_1a_3x3, Mixed_5b. Each
convolution has the parts conv, bn and relu. The branches of a module end in `concat`; branch7x7_2 is the second step of
branch7x7. Images need at least 75x75 px; 299x299 are usual. Dropout 0.5 before fc is active in training mode only. The
auxiliary classifier, which helps in training only, is left out.

torchvision's own weights were trained on images from -1 to 1. With the option `transform_input` 1, the first layer
brings images with ImageNet's mean and std there. Weights of your own that were trained so, too, need
`create("inception_v3", transform_input=1)`, or `model.with_preprocessing(mean=0.5, std=0.5)`.
"""

from npgrad._validate import pair
from npgrad.layers import AvgPool2d, Concat, Dropout, GlobalAvgPool2d, Graph, MaxPool2d, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished
from npgrad.models._building import transform_input as input_layers

# filters and kernel of each convolution before the modules
STEM = {
    "Conv2d_1a_3x3": (32, 3, {"stride": 2}),
    "Conv2d_2a_3x3": (32, 3, {}),
    "Conv2d_2b_3x3": (64, 3, {"padding": 1}),
    "maxpool1": None,
    "Conv2d_3b_1x1": (80, 1, {}),
    "Conv2d_4a_3x3": (192, 3, {}),
    "maxpool2": None,
}
ROW, COLUMN = (1, 7), (7, 1)  # a 7x7 convolution in two steps


def _figure5(pooled):
    return {
        "branch1x1": [(64, 1)],
        "branch5x5": [(48, 1), (64, 5)],
        "branch3x3dbl": [(64, 1), (96, 3), (96, 3)],
        "branch_pool": [(pooled, 1)],
    }


def _figure6(inner):
    return {
        "branch1x1": [(192, 1)],
        "branch7x7": [(inner, 1), (inner, ROW), (192, COLUMN)],
        "branch7x7dbl": [(inner, 1), (inner, COLUMN), (inner, ROW), (inner, COLUMN), (192, ROW)],
        "branch_pool": [(192, 1)],
    }


FIGURE7 = {  # a and b are side by side
    "branch1x1": [(320, 1)],
    "branch3x3": [(384, 1), {"a": (384, (1, 3)), "b": (384, (3, 1))}],
    "branch3x3dbl": [(448, 1), (384, 3), {"a": (384, (1, 3)), "b": (384, (3, 1))}],
    "branch_pool": [(192, 1)],
}
# each branch of each module: filters and kernel of its steps; and the stride, if it is 2 (figure 10)
MODULES = {
    "Mixed_5b": _figure5(32),
    "Mixed_5c": _figure5(64),
    "Mixed_5d": _figure5(64),
    "Mixed_6a": {
        "branch3x3": [(384, 3, 2)],
        "branch3x3dbl": [(64, 1), (96, 3), (96, 3, 2)],
        "branch_pool": [],
    },
    "Mixed_6b": _figure6(128),
    "Mixed_6c": _figure6(160),
    "Mixed_6d": _figure6(160),
    "Mixed_6e": _figure6(192),
    "Mixed_7a": {
        "branch3x3": [(192, 1), (320, 3, 2)],
        "branch7x7x3": [(192, 1), (192, ROW), (192, COLUMN), (192, 3, 2)],
        "branch_pool": [],
    },
    "Mixed_7b": FIGURE7,
    "Mixed_7c": FIGURE7,
}

EPS = 0.001
OPTIONS = ("transform_input",)
UNUSED = ("AuxLogits.",)
FIRST, LAST = ("Conv2d_1a_3x3.conv",), ("fc",)


def build(name: str, num_classes: int, weights: Weights, transform_input: int = 0) -> Model:
    """Build a network of this page; see `registry`."""
    channels, layers = 3, input_layers(transform_input)
    for part, convolution in STEM.items():
        layers[part] = MaxPool2d(3, stride=2)
        if convolution:
            filters, kernel, options = convolution
            layers[part] = weights.conv_bn_relu(channels, filters, kernel, EPS, **options)
            channels = filters
    for module, branches in MODULES.items():
        layers[module], channels = _module(weights, channels, branches)
    layers["avgpool"] = GlobalAvgPool2d()
    layers["dropout"] = Dropout(0.5)
    layers["fc"] = weights.linear(channels, num_classes)
    return finished(name, Sequential(layers), num_classes, {}, transform_input=int(transform_input))


def _module(weights, channels, branches):
    """(a module, the number of its channels)"""
    nodes, width, ends = {}, {"input": channels, "pool": channels}, []
    for branch, steps in branches.items():
        last = ["input"]
        if branch == "branch_pool":
            pool = AvgPool2d(3, stride=1, padding=1) if steps else MaxPool2d(3, stride=2)
            nodes["pool"], last = (pool, "input"), ["pool"]
        for number, step in enumerate(steps, start=1):
            (source,), last = last, []
            for letter, (filters, kernel, *stride) in (
                step if isinstance(step, dict) else {"": step}
            ).items():
                node = f"{branch}_{number}{letter}" if len(steps) > 1 else branch
                nodes[node] = (_conv(weights, width[source], filters, kernel, *stride), source)
                width[node] = filters
                last.append(node)
        ends += last
    nodes["concat"] = (Concat(), tuple(ends))
    return Graph(nodes), sum(width[end] for end in ends)


def _conv(weights, channels, filters, kernel, stride=1):
    """A convolution that keeps the size, or halves it without padding."""
    padding = tuple(side // 2 for side in pair(kernel, "kernel")) if stride == 1 else 0
    return weights.conv_bn_relu(channels, filters, kernel, EPS, stride=stride, padding=padding)
