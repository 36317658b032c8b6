"""The networks that npgrad builds by name."""

from npgrad.errors import WeightsError, unknown
from npgrad.models import mobilenet, resnet, squeezenet, vgg
from npgrad.models._building import Weights
from npgrad.models.alexnet import build as build_alexnet

# name: (its build function, the whole-number options that it takes)
BUILDERS = {
    **dict.fromkeys(squeezenet.VERSIONS, (squeezenet.build, ("num_classes", "conv10_padding"))),
    "alexnet": (build_alexnet, ("num_classes",)),
    **dict.fromkeys(vgg.VERSIONS, (vgg.build, ("num_classes",))),
    **dict.fromkeys(resnet.BLOCKS, (resnet.build, ("num_classes",))),
    "mobilenet_v2": (mobilenet.build, ("num_classes",)),
}

SMALL = 1 << 22  # numbers that any file may ask for, so that it can be said which are missing


def skeleton(architecture, room):
    """The Model of {"name", "options"}, every parameter zero.

    `room` bounds what is built: a file cannot ask for more numbers than it has bytes, and a few more.
    """
    if not isinstance(architecture, dict) or set(architecture) != {"name", "options"}:
        raise WeightsError(f"architecture: expected name and options, found {str(architecture)[:60]!r}")
    name, options = architecture["name"], architecture["options"]
    if not isinstance(name, str) or name not in BUILDERS:
        raise unknown("architecture", str(name)[:60], BUILDERS)
    build, allowed = BUILDERS[name]
    if not isinstance(options, dict) or set(options) - set(allowed):
        raise WeightsError(f"architecture: {name} has no options {str(options)[:60]!r}")
    if not all(type(value) is int for value in options.values()):
        raise WeightsError(f"architecture: {name} cannot have the options {str(options)[:60]!r}")
    return build(name, **options, weights=Weights.zero(room + SMALL))


def fresh(name, rng=0):
    """The network `name`, freshly initialized; UnknownName lists the nearest names."""
    if name not in BUILDERS:
        raise unknown("architecture", name, BUILDERS)
    build, _ = BUILDERS[name]
    return build(name, weights=Weights.drawn(rng))
