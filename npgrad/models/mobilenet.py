"""MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen 2018, table 2).

bottleneck1 ... bottleneck17 are the paper's inverted residuals. Their parts are expand, depthwise and project, each
with its normalization (expand_bn) and, except the last, its ReLU6 (expand_relu). conv2 is the 1x1 convolution after
them. Dropout 0.2 before fc is active in training mode only.
"""

from npgrad.layers import Dropout, GlobalAvgPool2d, ReLU6, Residual, Sequential
from npgrad.model import Model
from npgrad.models._building import Weights, finished

# expansion, channels, number of blocks, stride of the first
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

FIRST, LAST = (
    ("conv1", "features.0.0"),
    ("fc", "classifier.1"),
)


def build(name: str, num_classes: int, weights: Weights) -> Model:
    """Build a network of this page; see `registry`."""
    layers = dict(zip(("conv1", "bn1", "relu1"), _conv(weights, 3, 32, 3, stride=2, padding=1), strict=True))
    channels, number = 32, 0
    for expansion, out, count, stride in BOTTLENECKS:
        for _ in range(count):
            number += 1
            layers[f"bottleneck{number}"] = _bottleneck(weights, channels, out, expansion, stride)
            channels, stride = out, 1
    layers.update(zip(("conv2", "bn2", "relu2"), _conv(weights, channels, 1280, 1), strict=True))
    layers["pool2"] = GlobalAvgPool2d()
    layers["drop2"] = Dropout(0.2)
    layers["fc"] = weights.linear(1280, num_classes)
    return finished(name, Sequential(layers), num_classes, _torchvision_names(layers))


def _conv(weights, channels, filters, kernel, **options):
    """A convolution, its normalization and a ReLU6."""
    return (
        weights.conv(channels, filters, kernel, bias=False, **options),
        weights.batch_norm(filters),
        ReLU6(),
    )


def _bottleneck(weights, channels, out, expansion, stride):
    """Expansion to many channels, a depthwise 3x3 convolution, and projection to few channels (figure 4d)."""
    wide, branch = channels * expansion, {}
    if expansion != 1:
        branch.update(
            zip(("expand", "expand_bn", "expand_relu"), _conv(weights, channels, wide, 1), strict=True)
        )
    depthwise = _conv(weights, wide, wide, 3, stride=stride, padding=1, groups=wide)
    branch.update(zip(("depthwise", "depthwise_bn", "depthwise_relu"), depthwise, strict=True))
    branch["project"] = weights.conv(wide, out, 1, bias=False)
    branch["project_bn"] = weights.batch_norm(out)
    same = stride == 1 and channels == out
    return Residual(branch, after=None) if same else Sequential(branch)


def _torchvision_names(layers):
    """features.0 ... features.18, whose parts are numbered: conv.0.1 is the first normalization."""
    steps = [
        ["conv1", "bn1", "relu1"],
        *(n for n in layers if n.startswith("bottleneck")),
        ["conv2", "bn2", "relu2"],
    ]
    aliases = {"classifier.0": "drop2", "classifier.1": "fc"}
    for i, step in enumerate(steps):
        if isinstance(step, list):
            aliases[f"features.{i}"] = step[-1]
            aliases.update({f"features.{i}.{j}": name for j, name in enumerate(step)})
            continue
        aliases[f"features.{i}"] = step
        groups, place = [part for part in ("expand", "depthwise") if part in layers[step].parts()], 0
        for place, part in enumerate(groups):
            for j, end in enumerate(("", "_bn", "_relu")):
                aliases[f"features.{i}.conv.{place}.{j}"] = f"{step}.{part}{end}"
            aliases[f"features.{i}.conv.{place}"] = f"{step}.{part}_relu"
        aliases[f"features.{i}.conv.{place + 1}"] = f"{step}.project"
        aliases[f"features.{i}.conv.{place + 2}"] = f"{step}.project_bn"
    return aliases
