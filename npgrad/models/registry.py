"""The architectures that can be built by name."""

from typing import Any

from npgrad._typing import Rng
from npgrad.errors import WeightsError, unknown
from npgrad.model import Model
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

SMALL = 1 << 22  # elements that are always allowed, so that messages can list the missing tensors


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
    if not isinstance(name, str) or name not in BUILDERS:
        raise unknown("architecture", str(name)[:60], BUILDERS)
    build, allowed = BUILDERS[name]
    if not isinstance(options, dict) or set(options) - set(allowed):
        raise WeightsError(f"architecture: {name} has no options {str(options)[:60]!r}")
    if not all(type(value) is int for value in options.values()):
        raise WeightsError(f"architecture: {name} cannot have the options {str(options)[:60]!r}")
    return build(name, **options, weights=Weights.zero(room + SMALL))


def fresh(name: str, rng: Rng = 0) -> Model:
    """Build a freshly initialized network by name.

    Parameters
    ----------
    name : str
        The name of an architecture, such as "resnet18".
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the weights.

    Returns
    -------
    Model

    Raises
    ------
    UnknownName
        If there is no such architecture; the message lists the nearest names.
    """
    if not isinstance(name, str) or name not in BUILDERS:
        raise unknown("architecture", name, BUILDERS)
    build, _ = BUILDERS[name]
    return build(name, weights=Weights.drawn(rng))
