"""From somebody else's weights file to a Model with npgrad's names, input convention and activation scale.

What the file is, and which network it holds, is read off its content. See `to_torchvision_input` for what is
done to weights that came from Caffe.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad.errors import WeightsError, unknown
from npgrad.images import Preprocessing
from npgrad.io.architectures import architecture_of
from npgrad.io.formats import onnx, reading
from npgrad.io.formats.hdf5 import check_names_and_shapes
from npgrad.io.labels import imagenet_classes, read_labels
from npgrad.model import walk_layers
from npgrad.models import registry

CAFFE_MEAN = (123.0, 117.0, 104.0)  # red, green, blue, on the scale 0..255
CAFFE_SCALE = 64  # Caffe's SqueezeNet has activations this much (a power of two) larger than torchvision's
CAFFE_CROP = 227


def convert(path, labels=None, architecture=None, source=None):
    """The Model in a weights file: torch .pth, .caffemodel, Deep Compression, .npz, .safetensors or .onnx.

    labels: a text file with one class name a line; ImageNet's names are used for 1,000 classes without it.
    architecture: the network's name, where it should be checked rather than recognized. source: what is
    known of the file (url, license ...), stored with the model beside its name and SHA-256.
    WeightsError says what is wrong with the file, in one line.
    """
    if onnx.matches(path):
        return _from_onnx(path, labels, architecture, source)
    contents = reading.read(path)
    name = shown(path)
    tensors = _renamed(contents.tensors, _own_name, name)
    from_caffe = any("/" in key for key in contents.tensors)  # only Caffe's layer names have it
    model = _recognize(tensors, contents, from_caffe, architecture, name)
    _check_options(model, contents.details, name)
    # torch counts BatchNorm's training passes; nothing needs it
    tensors = {key: array for key, array in tensors.items() if _last(key) != "num_batches_tracked"}
    tensors = _renamed(
        tensors, lambda key: f"{model.aliases.get(_layer(key), _layer(key))}.{_last(key)}", name
    )
    expected = {key: array.shape for key, array in model.network.arrays(buffers=True).items()}
    check_names_and_shapes(expected, {key: array.shape for key, array in tensors.items()}, name)
    if from_caffe:
        tensors = to_torchvision_input(tensors, model.preprocessing)
    with np.errstate(over="ignore"):  # the next lines say which
        arrays = {key: array.astype(np.float32) for key, array in tensors.items()}
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise WeightsError(f"{name}: {key}: does not fit into float32")
    about = {"file": Path(path).name, "format": contents.format, "sha256": contents.sha256, **(source or {})}
    count = model.architecture["options"]["num_classes"]
    classes = read_labels(labels, count) if labels else imagenet_classes() if count == 1000 else None
    return dataclasses.replace(model.with_parameters(arrays), classes=classes, source=about)


def _from_onnx(path, labels, architecture, source):
    """An ONNX file describes its network itself."""
    if architecture is not None:
        raise WeightsError(f"{shown(path)}: an ONNX file names no architecture, expected {architecture}")
    model = onnx.load(path)
    classes = read_labels(labels, model.num_classes) if labels else model.classes
    return dataclasses.replace(model, classes=classes, source={**model.source, **(source or {})})


def to_torchvision_input(tensors, preprocessing):
    """Caffe's weights changed so that they take npgrad's input x and have torchvision's activation scale.

    Caffe's input is blue, green, red on 0..255 minus its mean; with x = (v/255 - mean)/std in red, green,
    blue it is x * 255*std + (255*mean - caffe_mean). conv1 has no padding, so the factor goes into its
    weights and the offset into its bias, exactly. ReLU, pooling and concatenation commute with a positive
    factor: dividing conv1's weights and all biases before conv10 by a power of two, and multiplying
    conv10's weights by it, changes no logit and no bit of rounding. All in float64.
    """
    factor = 255 * np.array(preprocessing.std)
    offset = 255 * np.array(preprocessing.mean) - np.array(CAFFE_MEAN)
    tensors = {key: array.astype(np.float64) for key, array in tensors.items()}
    weight = tensors["conv1.weight"][:, ::-1]  # blue, green, red -> red, green, blue
    tensors["conv1.bias"] += np.einsum("fchw,c->f", weight, offset)
    tensors["conv1.weight"] = weight * factor[:, None, None] / CAFFE_SCALE
    for key in tensors:
        if key.endswith(".bias") and key != "conv10.bias":
            tensors[key] = tensors[key] / CAFFE_SCALE
    tensors["conv10.weight"] = tensors["conv10.weight"] * CAFFE_SCALE
    return tensors


def _recognize(tensors, contents, from_caffe, architecture, name):
    """The skeleton of the network whose tensors these are."""
    found, count = architecture_of(tensors, name)
    if architecture not in (None, found):
        if architecture not in registry.BUILDERS:
            raise unknown("architecture", architecture, registry.BUILDERS)
        raise WeightsError(f"{name}: expected {architecture}, found the tensors of {found}")
    options, crop = {"num_classes": count}, 224
    if from_caffe:
        if not found.startswith("squeezenet"):
            raise WeightsError(
                f"{name}: of Caffe's networks only SqueezeNet is read, found the tensors of {found}"
            )
        options["conv10_padding"], crop = _conv10_padding(found, contents.details, name), CAFFE_CROP
    numbers = sum(array.size for array in tensors.values())
    try:
        model = registry.skeleton({"name": found, "options": options}, room=numbers)
    except WeightsError as error:  # which knows nothing of the file
        raise WeightsError(
            f"{name}: expected the tensors of {found}, found {numbers} numbers: {error}"
        ) from None
    return dataclasses.replace(model, preprocessing=Preprocessing(crop=crop))


def _conv10_padding(architecture, details, name):
    """conv10's padding in Caffe: as the file says, or else 1 in version 1.0 and 0 in 1.1 (the authors' prototxts)."""
    for layer in details:
        if _own_name(layer) == "conv10":
            padding = _option(details, layer, "pad")
            if padding not in (0, 1):
                raise WeightsError(f"{name}: {layer}: expected pad 0 or 1, found {details[layer]}")
            return padding
    return 1 if architecture == "squeezenet1_0" else 0


def _check_options(model, details, name):
    """Compare what a .caffemodel says of each convolution with the network's own."""
    layers = dict(walk_layers(model.network))
    for theirs, options in details.items():
        own = _own_name(theirs)
        if own not in layers:
            continue  # its tensors are named as not of this network
        conv = layers[own]
        expected = {"stride": conv.stride[0], "pad": conv.padding[0], "group": conv.groups, "dilation": 1}
        for option, value in expected.items():
            if _option(details, theirs, option) != value:
                raise WeightsError(f"{name}: {theirs}: expected {option} {value}, found {options}")


def _option(details, layer, option):
    """One option of a convolution; -1 where height and width differ, which no known network has."""
    options = details.get(layer, {})
    if f"{option}_h" in options or f"{option}_w" in options:
        return -1
    return options.get(option, {"stride": 1, "pad": 0, "group": 1, "dilation": 1}[option])


# Caffe's names of the parts of a fire, and those of the Deep Compression repository's own decoder.
CAFFE_PARTS = {
    "squeeze1x1": "squeeze",
    "conv1x1_1": "squeeze",
    "conv1x1_2": "expand1x1",
    "conv3x3_2": "expand3x3",
    "conv_final": "conv10",
}


def _renamed(tensors, rename, name):
    """The tensors by other names, each still there."""
    renamed = {rename(key): array for key, array in tensors.items()}
    if len(renamed) != len(tensors):
        raise WeightsError(f"{name}: some tensors stand there twice under different names")
    return renamed


def _own_name(key):
    """Caffe's `fire2/squeeze1x1.weight` and DataParallel's `module.` in npgrad's spelling."""
    parts = re.split(r"[./]", key.removeprefix("module."))
    return ".".join(CAFFE_PARTS.get(part, part) for part in parts)


def _layer(key):
    return key.rpartition(".")[0]


def _last(key):
    return key.rpartition(".")[2]
