"""The inverted residual of MobileNetV2, of which all its successors are made, and torchvision's names of its parts."""

from npgrad.layers import HardSwish, ReLU, ReLU6, Residual, Sequential, SiLU

ENDINGS = {ReLU: "relu", ReLU6: "relu", HardSwish: "hswish", SiLU: "swish"}
SQUEEZE_EXCITE = {
    "avgpool": "se.pool",
    "fc1": "se.fc1",
    "activation": "se.activation",
    "fc2": "se.fc2",
    "scale_activation": "se.gate",
}


def rounded(channels):
    """The nearest multiple of 8, or the next one if that is less than 0.9 * channels."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def convolution(weights, name, channels, filters, kernel, activation=None, norm=None, **options):
    """{expand: a convolution, expand_bn: its normalization, expand_relu: its activation, if any}, by a name."""
    layers = {
        name: weights.conv(channels, filters, kernel, bias=False, padding=kernel // 2, **options),
        f"{name}_bn": weights.batch_norm(filters, **(norm or {})),
    }
    return layers if activation is None else {**layers, f"{name}_{ENDINGS[type(activation)]}": activation}


def numbered(layers, number):
    """The layers of `convolution` outside blocks: conv1, bn1, relu1."""
    return {f"{name.rpartition('_')[2]}{number}": layer for name, layer in layers.items()}


def inverted_residual(weights, channels, wide, out, kernel, stride, activation, norm=None, se=None):
    """Expansion to many channels, a depthwise convolution, and projection to few channels.

    The input is added where it has the shape of the output. `se` is a squeeze-and-excitation before the projection.
    """
    branch = {}
    if wide != channels:
        branch |= convolution(weights, "expand", channels, wide, 1, activation, norm)
    options = {"stride": stride, "groups": wide}
    branch |= convolution(weights, "depthwise", wide, wide, kernel, activation, norm, **options)
    branch |= {"se": se} if se else {}
    branch |= convolution(weights, "project", wide, out, 1, norm=norm)
    return with_input(branch, stride == 1 and channels == out)


def with_input(branch, same):
    """The layers in sequence; plus their input, if it has the shape of the output, without a ReLU after the sum."""
    return Residual(branch, after=None) if same else Sequential(branch)


def block_names(theirs, own, block, inside="block", apart=()):
    """{torchvision's name: own} of a block and its parts: block.0.1 is expand_bn, block.0 the last of these layers.

    `apart` are convolutions whose layers torchvision numbers one by one, instead of each convolution with its own.
    """
    groups = {}
    for part in block.parts():
        group = part.partition("_")[0]
        groups.setdefault(part if group in apart else group, []).append(part)
    groups.pop("add", None)
    names = {theirs: own}
    for number, parts in enumerate(groups.values()):
        names |= {f"{theirs}.{inside}{key}": f"{own}.{parts[-1]}" for key in ("", f".{number}")}
        within = dict(enumerate(parts)) if len(parts) > 1 else SQUEEZE_EXCITE if parts == ["se"] else {}
        names |= {f"{theirs}.{inside}.{number}.{key}": f"{own}.{part}" for key, part in within.items()}
    return names


def outer_names(places, activation):
    """{torchvision's name: own} of the layers outside blocks; {0: 1} says that features.0 is conv1, bn1 and relu1."""
    names = {}
    for place, number in places.items():
        steps = [f"{step}{number}" for step in ("conv", "bn", activation)]
        names |= {f"features.{place}.{i}": step for i, step in enumerate(steps)}
        names |= {f"features.{place}": steps[-1], "features": steps[-1]}
    return names
