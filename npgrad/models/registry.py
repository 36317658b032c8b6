"""The architectures that can be built by name: one page for each family, one number for each network.

A page has a function ``build(name, num_classes, weights, **options)`` that returns a Model whose aliases are
torchvision's names, and

- FIRST, LAST: the names of the first layer and of the one with a row for each class, npgrad's and torchvision's
- OPTIONS (if any): the options of `build`, which are whole numbers
- UNUSED (if any): what the names of tensors begin with that files have for training only
- renamed (if any): a function from other names of tensors in files to torchvision's
- FLAT (if True): files have the weights of 1x1 convolutions without sides of 1, as those of Linear layers
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from npgrad._typing import Rng
from npgrad._validate import whole_number
from npgrad.errors import InputError, WeightsError, unknown
from npgrad.model import Model
from npgrad.models import (
    alexnet,
    convnext,
    densenet,
    efficientnet,
    inception,
    inception_v1,
    mnasnet,
    mobilenet,
    mobilenet_v3,
    regnet,
    resnet,
    shufflenet,
    squeezenet,
    vgg,
)
from npgrad.models._building import Weights


@dataclass(frozen=True)
class Architecture:
    """One network.

    Parameters
    ----------
    page : module
        The module that builds it.
    parameters : int
        Its number of parameters for 1,000 classes.
    """

    page: ModuleType
    parameters: int

    @property
    def options(self) -> tuple[str, ...]:
        """The names of its options."""
        return ("num_classes", *getattr(self.page, "OPTIONS", ()))


NETWORKS = {  # page: {name: parameters for 1,000 classes}
    squeezenet: {"squeezenet1_0": 1_248_424, "squeezenet1_1": 1_235_496},
    alexnet: {"alexnet": 61_100_840},
    vgg: {
        "vgg11": 132_863_336,
        "vgg11_bn": 132_868_840,
        "vgg13": 133_047_848,
        "vgg13_bn": 133_053_736,
        "vgg16": 138_357_544,
        "vgg16_bn": 138_365_992,
        "vgg19": 143_667_240,
        "vgg19_bn": 143_678_248,
    },
    resnet: {
        "resnet18": 11_689_512,
        "resnet34": 21_797_672,
        "resnet50": 25_557_032,
        "resnet101": 44_549_160,
        "resnet152": 60_192_808,
        "resnext50_32x4d": 25_028_904,
        "resnext101_32x8d": 88_791_336,
        "resnext101_64x4d": 83_455_272,
        "wide_resnet50_2": 68_883_240,
        "wide_resnet101_2": 126_886_696,
    },
    mobilenet: {"mobilenet_v2": 3_504_872},
    densenet: {
        "densenet121": 7_978_856,
        "densenet161": 28_681_000,
        "densenet169": 14_149_480,
        "densenet201": 20_013_928,
    },
    inception_v1: {"googlenet": 6_624_904},
    convnext: {
        "convnext_tiny": 28_589_128,
        "convnext_small": 50_223_688,
        "convnext_base": 88_591_464,
        "convnext_large": 197_767_336,
    },
    inception: {"inception_v3": 23_834_568},  # without the auxiliary classifier
    shufflenet: {
        "shufflenet_v2_x0_5": 1_366_792,
        "shufflenet_v2_x1_0": 2_278_604,
        "shufflenet_v2_x1_5": 3_503_624,
        "shufflenet_v2_x2_0": 7_393_996,
    },
    regnet: {
        "regnet_x_400mf": 5_495_976,
        "regnet_x_800mf": 7_259_656,
        "regnet_x_1_6gf": 9_190_136,
        "regnet_x_3_2gf": 15_296_552,
        "regnet_x_8gf": 39_572_648,
        "regnet_x_16gf": 54_278_536,
        "regnet_x_32gf": 107_811_560,
        "regnet_y_400mf": 4_344_144,
        "regnet_y_800mf": 6_432_512,
        "regnet_y_1_6gf": 11_202_430,
        "regnet_y_3_2gf": 19_436_338,
        "regnet_y_8gf": 39_381_472,
        "regnet_y_16gf": 83_590_140,
        "regnet_y_32gf": 145_046_770,
        "regnet_y_128gf": 644_812_894,
    },
    mobilenet_v3: {"mobilenet_v3_small": 2_542_856, "mobilenet_v3_large": 5_483_032},
    mnasnet: {
        "mnasnet0_5": 2_218_512,
        "mnasnet0_75": 3_170_208,
        "mnasnet1_0": 4_383_312,
        "mnasnet1_3": 6_282_256,
        "mnasnet0_5_v1": 2_220_824,
        "mnasnet0_75_v1": 3_170_656,
        "mnasnet1_3_v1": 6_279_432,
    },
    efficientnet: {
        "efficientnet_b0": 5_288_548,
        "efficientnet_b1": 7_794_184,
        "efficientnet_b2": 9_109_994,
        "efficientnet_b3": 12_233_232,
        "efficientnet_b4": 19_341_616,
        "efficientnet_b5": 30_389_784,
        "efficientnet_b6": 43_040_704,
        "efficientnet_b7": 66_347_960,
        "efficientnet_v2_s": 21_458_488,
        "efficientnet_v2_m": 54_139_356,
        "efficientnet_v2_l": 118_515_272,
    },
}
ARCHITECTURES = {
    name: Architecture(page, parameters) for page, row in NETWORKS.items() for name, parameters in row.items()
}

SMALL = 1 << 22  # elements that are always allowed, so that messages can list the missing tensors


def create(name: str, num_classes: int = 1000, rng: Rng = 0, **options: int) -> Model:
    """Build a freshly initialized network by name.

    Weights are He-normal, biases 0, normalizations the identity.

    Parameters
    ----------
    name : str
        The name of an architecture, such as "resnet18".
    num_classes : int, default 1000
        The number of classes.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.
    **options : int
        Options of the architecture: ``conv10_padding`` (0 or 1) for SqueezeNet, ``transform_input`` (0 or 1) for
        GoogLeNet and Inception v3.

    Returns
    -------
    Model

    Raises
    ------
    UnknownName
        If there is no such architecture; the message lists the nearest names.
    InputError
        If the architecture has no such option, or a value is out of range.

    Examples
    --------
    >>> create("resnet18", num_classes=10).num_classes
    10
    """
    found = _named(name)
    if wrong := set(options) - set(found.options):
        allowed = ", ".join(found.options)
        raise InputError(f"{name}: expected options among {allowed}; found {', '.join(sorted(wrong))}")
    return found.page.build(name, whole_number(num_classes, "num_classes"), Weights.drawn(rng), **options)


def skeleton(architecture: Any, room: int) -> Model:
    """Build a network with all parameters zero, to be replaced by a file's weights.

    Parameters
    ----------
    architecture : dict
        {"name", "options"} of a named architecture, as in ``model.architecture``.
    room : int
        The largest number of elements that the parameters may have, apart from a constant allowance.

    Returns
    -------
    Model

    Raises
    ------
    WeightsError
        If the description is invalid, or the network is too large.
    UnknownName
        If there is no such architecture; the message lists the nearest names.
    """
    if not isinstance(architecture, dict) or set(architecture) != {"name", "options"}:
        raise WeightsError(f"architecture: expected name and options, found {str(architecture)[:60]!r}")
    name, options = architecture["name"], architecture["options"]
    found = _named(str(name)[:60])
    if not isinstance(options, dict) or set(options) - set(found.options):
        raise WeightsError(f"architecture: {name} has no options {str(options)[:60]!r}")
    if not all(type(value) is int for value in options.values()):
        raise WeightsError(f"architecture: {name} cannot have the options {str(options)[:60]!r}")
    options = {"num_classes": 1000, **options}
    whole_number(options["num_classes"], "num_classes")
    return found.page.build(name, weights=Weights.zero(room + SMALL), **options)


def constructor(name: str) -> Callable[..., Model]:
    """Return the function that builds a freshly initialized network, such as `npgrad.models.resnet18`.

    Parameters
    ----------
    name : str
        The name of an architecture.

    Returns
    -------
    callable
        ``create`` with this name.
    """
    found = _named(name)

    def build(num_classes: int = 1000, rng: Rng = 0, **options: int) -> Model:
        return create(name, num_classes, rng, **options)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = DOCSTRING.format(name=name, parameters=found.parameters, page=found.page.__doc__)
    return build


DOCSTRING = """Build a freshly initialized `{name}`: {parameters:,} parameters for 1,000 classes.

Weights are He-normal, biases 0, normalizations the identity.

{page}
Parameters
----------
num_classes : int, default 1000
    The number of classes.
rng : numpy.random.Generator or int, default 0
    The random generator, or its seed, for the weights.
**options : int
    See `create`.

Returns
-------
Model
"""


def _named(name):
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]
