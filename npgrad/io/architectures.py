"""Recognize the network that a file's tensors belong to, from their names (torchvision's or npgrad's) and shapes."""

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from npgrad._heads import IDENTITY, with_layer
from npgrad._typing import Array
from npgrad.errors import WeightsError, level_outside
from npgrad.layers import Affine
from npgrad.layers.composite import walk_layers
from npgrad.model import Model
from npgrad.models import registry
from npgrad.models.registry import ARCHITECTURES, SMALL

COUNTERS = ("num_batches_tracked", "n_averaged")  # of training passes, used by no computation
BUFFERS = ("running_mean", "running_var")
# names of the layers that a file of weights begins and ends with
FIRST = list(dict.fromkeys(layer for page in registry.NETWORKS for layer in page.FIRST))
LONG_HEADS = (
    registry.alexnet,
    registry.convnext,
    registry.mobilenet_v3,
    registry.vgg,
)  # of several layers with weights
LAST = list(dict.fromkeys(layer for page in registry.NETWORKS for layer in page.LAST))


def architecture_of(tensors: Mapping[str, Array], name: str) -> tuple[str, int]:
    """Recognize the network that tensors belong to.

    It is the one with these first and last layers and this number of parameters, apart from the last layer, which has
    a row for each class. If there is none, it is the one with the most tensors of these names and shapes, so that a
    message can say what is missing.

    Parameters
    ----------
    tensors : dict of ndarray
        Tensors by name.
    name : str
        The file, for error messages.

    Returns
    -------
    (str, int)
        The name of the network and its number of classes.

    Raises
    ------
    WeightsError
        If the tensors belong to no network that npgrad can build.
    """
    found = _with_last(tensors)
    if not found:
        raise WeightsError(_what_is_missing(tensors, name))
    if known := _of_its_size(found, tensors):
        return known, len(found[known])
    known = max(found, key=lambda known: _in_common(known, tensors, found[known]))
    if not _in_common(known, tensors, found[known]):
        shapes = sum(array.ndim == 4 for array in tensors.values())
        raise WeightsError(
            f"{name}: expected one of the networks in npgrad.models, found {shapes} convolutions and last weights "
            f"of shape {found[known].shape}"
        )
    return known, len(found[known])


def _of_its_size(found, tensors):
    """The network with exactly as many parameters, of those that are found with their last weights; or None."""
    for known, last in found.items():
        others = _parameters(known, tensors) - last.size - len(last)
        if others == _without_last(known, last.size // len(last)):
            return known
    return None


def _with_last(tensors):
    """{network: last weights} for all that the tensors begin and end like."""
    return {known: last for known in ARCHITECTURES if (last := _last(known, tensors)) is not None}


def _last(known, tensors):
    """The last weights, if the tensors begin and end like a network; or None."""
    page = ARCHITECTURES[known].page
    first, last = (
        next((tensors[f"{layer}.weight"] for layer in layers if f"{layer}.weight" in tensors), None)
        for layers in (page.FIRST, page.LAST)
    )
    if first is None or last is None or first.ndim != 4 or last.ndim not in (2, 4) or not len(last):
        return None
    return last


def _parameters(known, tensors):
    """The number of parameters among the tensors, without those that a network has for training only."""
    unused = getattr(ARCHITECTURES[known].page, "UNUSED", ())
    return sum(
        array.size
        for key, array in tensors.items()
        if not key.endswith(BUFFERS) and not key.startswith(tuple(unused))
    )


def _without_last(known, width):
    """The number of parameters of a network but for the last layer, whose rows have `width` weights and a bias."""
    return ARCHITECTURES[known].parameters - 1000 * (width + 1)


def _in_common(known, tensors, last):
    """How many tensors have the names and shapes of a network's."""
    values = sum(array.size for array in tensors.values())
    if ARCHITECTURES[known].parameters > 4 * values + SMALL:
        return 0
    options = {"num_classes": len(last)}
    model = registry.skeleton({"name": known, "options": options}, room=math.inf)
    expected = {key: array.shape for key, array in model.network.arrays(buffers=True).items()}
    own = {key: expected.get(own_name(key, model)) for key in tensors}
    return sum(own_shape(array.shape, own[key], model) == own[key] for key, array in tensors.items())


def last_layers(tensors):
    """The names that the last layer has in the networks that begin like the tensors."""
    pages = [page for page in registry.NETWORKS if any(f"{layer}.weight" in tensors for layer in page.FIRST)]
    return list(dict.fromkeys(layer for page in pages for layer in page.LAST))


def without_head(tensors: Mapping[str, Array], name: str) -> Model | None:
    """Recognize a network whose last layers, those that say the class, are missing.

    Parameters
    ----------
    tensors : dict of ndarray
        Tensors by name.
    name : str
        The file, for error messages.

    Returns
    -------
    Model or None
        The network of which only layers of the head are missing, and as few as possible; all weights are zero. In place
        of the first missing layer is an Affine that changes nothing and says how many features there are. None if
        there is no such network.
    """
    if _of_its_size(_with_last(tensors), tensors):
        return None
    values = sum(array.size for array in tensors.values())
    found = []
    for known, architecture in ARCHITECTURES.items():
        begins, ends = (
            any(f"{layer}.weight" in tensors for layer in layers)
            for layers in (architecture.page.FIRST, architecture.page.LAST)
        )
        lacks = architecture.parameters - _parameters(known, tensors)
        # a last layer has 1,000 times its features and a bias; models are built for few candidates alone
        fits = lacks % 1000 == 0 or architecture.page in LONG_HEADS
        if begins and not ends and fits and 0 < lacks < 30 * values:
            found.append((architecture.parameters, known))
    for _, known in sorted(found):
        model = registry.skeleton({"name": known, "options": {}}, room=math.inf)
        expected = {key: array.shape for key, array in model.network.arrays(buffers=True).items()}
        shapes = {key: array.shape for key, array in own_tensors(tensors, model, name).items()}
        missing = list(dict.fromkeys(key.rpartition(".")[0] for key in expected if key not in shapes))
        theirs = {own: theirs for theirs, own in model.aliases.items()}
        heads = {layer.partition(".")[0] for layer in ARCHITECTURES[known].page.LAST}
        if all(expected.get(key) == shape for key, shape in shapes.items()) and all(
            theirs.get(layer, layer).partition(".")[0] in heads for layer in missing
        ):
            weight = expected[f"{missing[0]}.weight"]
            width = weight[1] if len(weight) > 1 else weight[0]
            network = with_layer(model.network, missing[0], Affine(np.ones(width), np.zeros(width)))
            for layer in missing[1:]:
                network = with_layer(network, layer, IDENTITY)
            return replace(model, network=network, outputs="features")
    return None


def own_name(key, model):
    """npgrad's name for a tensor of a file, given the network that it belongs to."""
    page = ARCHITECTURES[model.architecture["name"]].page
    layer, _, parameter = getattr(page, "renamed", str)(key).rpartition(".")
    return f"{model.aliases.get(layer, layer)}.{parameter}"


def own_shape(shape, expected, model):
    """The shape of a file's tensor in the network, which may have sides of 1 at the end that the file has not."""
    flat = getattr(ARCHITECTURES[model.architecture["name"]].page, "FLAT", False)
    full = shape + (1,) * (len(expected or ()) - len(shape))
    return expected if flat and full == expected else shape


def own_tensors(tensors, model, name):
    """The tensors of a file by npgrad's names and with its shapes, and the constants of Affine, which no file has."""
    unused = getattr(ARCHITECTURES[model.architecture["name"]].page, "UNUSED", ())
    tensors = {key: array for key, array in tensors.items() if not key.startswith(tuple(unused))}
    tensors = renamed(tensors, lambda key: own_name(key, model), name)
    for layer, part in walk_layers(model.network):
        if isinstance(part, Affine):
            tensors = {f"{layer}.{key}": array for key, array in part.arrays(buffers=True).items()} | tensors
    expected = {key: array.shape for key, array in model.network.arrays(buffers=True).items()}
    return {
        key: array.reshape(own_shape(array.shape, expected.get(key), model)) for key, array in tensors.items()
    }


def renamed(tensors, rename, name):
    """The tensors by other names, none of which may coincide."""
    found = {rename(key): array for key, array in tensors.items()}
    if len(found) != len(tensors):
        raise WeightsError(f"{name}: some tensors occur twice under different names")
    return found


def without_prefix(tensors):
    """The tensors without what all names begin with, such as "module.", unless a network's names begin so."""
    while tensors and not any(f"{layer}.weight" in tensors for layer in FIRST):
        first = {key.partition(".")[0] for key in tensors}
        if len(first) > 1 or any("." not in key for key in tensors):
            break
        tensors = {key.partition(".")[2]: array for key, array in tensors.items()}
    return tensors


def one_head(tensors, name):
    """The tensors with the names of the network, where the last layer was replaced by a Sequential around one layer."""
    for layer in last_layers(tensors):
        key = f"{layer}.weight"
        inside = {k for k in tensors if re.fullmatch(rf"{re.escape(layer)}\.\d+\.(weight|bias)", k)}
        if key == "classifier.1.weight":  # of MobileNetV2, after a Dropout
            inside |= {"classifier.weight", "classifier.bias"} & tensors.keys()
        found = _layer(min(inside, default=""))
        if key not in tensors and {_layer(k) for k in inside} == {found} and f"{found}.weight" in inside:
            warnings.warn(
                f"{name}: {found} is taken for the only layer of the head but Dropout: a file of weights does not "
                "say whether there is an activation",
                stacklevel=level_outside(),
            )
            return {layer + k[k.rindex(".") :] if k in inside else k: array for k, array in tensors.items()}
    return tensors


def _layer(key):
    return key.rpartition(".")[0]


def _what_is_missing(tensors, name):
    first = next((tensors[f"{key}.weight"] for key in FIRST if f"{key}.weight" in tensors), None)
    begins = first is not None and first.ndim == 4 and len(tensors) > 2
    last = last_layers(tensors)
    if begins and not any(f"{key}.weight" in tensors for key in last):
        head = sorted(key for key in tensors if key.startswith(("fc.", "classifier.", "head.")))
        return (
            f"{name}: the last layer, with a row for each class, is missing: expected one of {', '.join(last)}; "
            f"found {', '.join(head[:4]) or 'none'}: save the whole network's state_dict, or export a network "
            "whose head has several layers, or that has none, to ONNX"
        )
    some = ", ".join(sorted(tensors)[:4])
    return (
        f"{name}: expected one of the networks in npgrad.models, first layer {' or '.join(FIRST)} with weights "
        f"(F, C, KH, KW), last one of {', '.join(LAST)}; found {some} ..."
    )
