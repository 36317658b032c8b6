"""Convert another library's weights file to a Model with npgrad's names, input convention and activation scale.

The format and the network are recognized from the file's content. Weights from Caffe are transformed by
`to_torchvision_input`.
"""

import dataclasses
import re
import warnings
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from npgrad._files import shown
from npgrad._typing import Array, Path
from npgrad._validate import all_finite
from npgrad.errors import WeightsError, level_outside, unknown
from npgrad.images import Preprocessing
from npgrad.io._known_files import known
from npgrad.io.architectures import (
    COUNTERS,
    architecture_of,
    one_head,
    own_tensors,
    renamed,
    without_head,
    without_prefix,
)
from npgrad.io.formats import onnx, reading
from npgrad.io.formats.structure import check_names_and_shapes
from npgrad.io.labels import imagenet_classes, read_labels, read_wordnet_ids
from npgrad.layers.base import frozen
from npgrad.layers.composite import walk_layers
from npgrad.model import Model
from npgrad.models import registry

CAFFE_MEAN = (123.0, 117.0, 104.0)  # red, green, blue, on the scale 0..255
CAFFE_SCALE = 64  # how much larger Caffe's activations are than torchvision's, a power of 2
CAFFE_CROP = 227
TRANSFORM_INPUT = (
    "taken to be trained without torchvision's transform_input, of which the file says nothing; if it was trained from "
    "torchvision's own weights, use --mean 0.5 --std 0.5"
)


def convert(
    path: Path,
    labels: Path | None = None,
    architecture: str | None = None,
    source: Mapping[str, Any] | None = None,
    outputs: str | None = None,
    key: str | None = None,
) -> Model:
    """Convert a weights file of another library to a Model.

    Of a checkpoint, the state dict is read. A prefix that all names have in common ("module.", "_orig_mod.", "model.")
    is dropped if it is not the network's own, and so are the counters of BatchNorm and of averaged models. A head that
    was replaced by a Sequential with a single layer that has weights (Dropout, Linear) is that layer, with a warning.
    Without the last layers, the features that they would get are the outputs (``outputs="features"``), with a warning.

    Such files do not say how images become the network's input. Unless the file is one of those that `npgrad weights`
    knows, ImageNet's mean and std, RGB and a square are assumed, and the first image is converted with a warning that
    says so; `Model.with_preprocessing` sets what is right.

    Parameters
    ----------
    path : str or path
        A .pth, .caffemodel, Deep Compression .net, .npz, .safetensors or .onnx file, recognized by its content.
    labels : str, path or None, default None
        A file of class names, see `npgrad.io.labels.read_labels`; its WordNet ids are kept, too. None: ImageNet's names
        for 1,000 classes, otherwise none.
    architecture : str or None, default None
        The name of the network that the file must contain. None: any network that npgrad can build.
    source : dict or None, default None
        Facts about the file (url, license, ...), stored with the model beside the file's name and SHA-256.
    outputs : str or None, default None
        What the outputs are, such as "value" for a regression; see `Model`. None: as the last layers say.
    key : str or None, default None
        The key of the state dict in a .pth checkpoint that contains several, with dots if it is nested; the error
        message lists them.

    Returns
    -------
    Model

    Raises
    ------
    WeightsError
        If the file cannot be read, or contains another network, or several.
    UnknownName
        If there is no such architecture.

    Examples
    --------
    >>> convert("squeezenet1_1-b8a52dc0.pth").save("squeezenet1_1.h5")  # doctest: +SKIP
    """
    if onnx.matches(path):
        if key is not None:
            raise WeightsError(f"{shown(path)}: key: expected a .pth file, found an ONNX file")
        return _from_onnx(path, labels, architecture, source, outputs)
    contents = reading.read(path, key)
    name = shown(path)
    # no computation uses the number of training passes of BatchNorm, nor of an average of weights
    tensors = {k: array for k, array in contents.tensors.items() if k.rpartition(".")[2] not in COUNTERS}
    contents = dataclasses.replace(contents, tensors={})  # so that each array is dropped when it is converted
    for k, array in tensors.items():
        if array.dtype.kind in "iu" and array.itemsize < 8:
            raise WeightsError(
                f"{name}: {k}: expected floating point numbers, found {array.dtype} (quantized?)"
            )
    from_caffe = any("/" in k for k in tensors)  # only Caffe's layer names contain it
    tensors = one_head(without_prefix(renamed(tensors, _own_name, name)), name)
    model = _recognize(tensors, contents, from_caffe, architecture, name)
    _check_options(model, contents.details, name)
    tensors = own_tensors(tensors, model, name)
    expected = {k: array.shape for k, array in model.network.arrays(buffers=True).items()}
    shapes = {k: array.shape for k, array in tensors.items()}
    check_names_and_shapes(expected, shapes, f"{name}: taken for {model.architecture['name']}")
    if from_caffe:
        tensors = to_torchvision_input(tensors, model.preprocessing)
    network = model.network.map_arrays(lambda key, _: _float32(tensors.pop(key), f"{name}: {key}"))
    described = model.outputs is not None  # layer by layer, without its head
    model = dataclasses.replace(
        model,
        network=network,
        architecture=None if described else model.architecture,
        outputs=outputs or model.outputs,
    )
    count, classes = model.num_classes, None
    if labels:
        classes = read_labels(labels, count)
    elif count == 1000 and model.has_classes:
        classes = imagenet_classes()
    about = {"file": FilePath(path).name, "format": contents.format, "sha256": contents.sha256}
    about |= _wordnet_ids(labels) | dict(source or {})
    return dataclasses.replace(model, classes=classes, source=about)


def _float32(array, part):
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not all_finite(array):
        raise WeightsError(f"{part}: expected values within the range of float32, found larger ones")
    return frozen(array)


def _from_onnx(path, labels, architecture, source, outputs):
    """The Model of an ONNX file, which describes its network itself."""
    if architecture is not None:
        found = "found an ONNX file, which names no architecture"
        raise WeightsError(f"{shown(path)}: expected {architecture}, {found}")
    model = dataclasses.replace(onnx.load(path), outputs=outputs)
    classes = read_labels(labels, model.num_classes) if labels else model.classes
    about = {**model.source, **_wordnet_ids(labels), **(source or {})}
    return dataclasses.replace(model, classes=classes, source=about)


def _wordnet_ids(labels):
    """{"wordnet_ids": ids} if the labels file has them, else {}."""
    return {"wordnet_ids": ids} if labels and (ids := read_wordnet_ids(labels)) else {}


def to_torchvision_input(tensors: Mapping[str, Array], preprocessing: Preprocessing) -> dict[str, Array]:
    """Transform Caffe's SqueezeNet weights to npgrad's input and torchvision's activation scale, in float64.

    Caffe's input is blue, green, red on the scale 0..255 minus its mean. In terms of x = (v/255 - mean)/std in red,
    green, blue, it is x * 255*std + (255*mean - caffe_mean). conv1 has no padding, so the factor is absorbed by its
    weights and the offset by its bias, exactly. ReLU, pooling and concatenation commute with a positive factor:
    dividing conv1's weights and all biases before conv10 by a power of two, and multiplying conv10's weights by it,
    changes neither the logits nor their rounding.

    Parameters
    ----------
    tensors : dict of ndarray
        Caffe's weights by npgrad's names.
    preprocessing : Preprocessing
        Mean and standard deviation of npgrad's input.

    Returns
    -------
    dict of ndarray, float64
        The transformed weights by the same names.
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
    """The network that the tensors belong to, all weights zero."""
    headless = None if from_caffe else without_head(tensors, name)
    found, count = (headless.architecture["name"], 1000) if headless else architecture_of(tensors, name)
    if architecture not in (None, found):
        if architecture not in registry.ARCHITECTURES:
            raise unknown("architecture", architecture, registry.ARCHITECTURES)
        raise WeightsError(f"{name}: expected {architecture}, found the tensors of {found}")
    entry = _known(contents.sha256)
    options = {"num_classes": count, **(entry.options if entry else {})}
    if from_caffe:
        if not found.startswith("squeezenet"):
            raise WeightsError(
                f"{name}: expected SqueezeNet, the only network supported from Caffe, found the tensors of {found}"
            )
        options["conv10_padding"] = _conv10_padding(found, contents.details, name)
    values = sum(array.size for array in tensors.values())
    try:
        model = headless or registry.skeleton({"name": found, "options": options}, room=values)
    except WeightsError as error:  # its message does not name the file
        raise WeightsError(
            f"{name}: expected the tensors of {found}, found {values} values: {error}"
        ) from None
    if from_caffe:  # `to_torchvision_input` brings them to the usual input
        preprocessing = Preprocessing(resize=256, crop=CAFFE_CROP)
    else:
        usual = entry or next((e for e in known().values() if e.architecture == found), None)
        preprocessing = Preprocessing(**(usual.preprocessing if usual else {}), assumed=entry is None)
        if entry is None and "transform_input" in registry.ARCHITECTURES[found].options:
            warnings.warn(f"{name}: {TRANSFORM_INPUT}", stacklevel=level_outside())
    if headless:
        warnings.warn(
            f"{name}: taken for {found} without its last layer, which is missing: the outputs are features, and there "
            "are no classes",
            stacklevel=level_outside(),
        )
    return dataclasses.replace(model, preprocessing=preprocessing)


def _known(sha256):
    """The facts about a file that `npgrad weights get` downloads, by its hash; None for any other."""
    hashes = {entry.sha256 or entry.sha256_prefix or "?": entry for entry in known().values()}
    return next((entry for start, entry in hashes.items() if sha256.startswith(start)), None)


def _conv10_padding(architecture, details, name):
    """conv10's padding in Caffe: the file's, or else 1 in version 1.0 and 0 in 1.1, as in the authors' prototxts."""
    for layer in details:
        if _own_name(layer) == "conv10":
            padding = _option(details, layer, "pad")
            if padding not in (0, 1):
                raise WeightsError(f"{name}: {layer}: expected pad 0 or 1, found {details[layer]}")
            return padding
    return int(architecture == "squeezenet1_0")


def _check_options(model, details, name):
    """Compare the options of each convolution in a .caffemodel with the network's."""
    layers = dict(walk_layers(model.network))
    for theirs, options in details.items():
        own = _own_name(theirs)
        if own not in layers:
            continue  # its tensors are refused below, by name
        conv = layers[own]
        expected = {"stride": conv.stride[0], "pad": conv.padding[0], "group": conv.groups, "dilation": 1}
        for option, value in expected.items():
            if _option(details, theirs, option) != value:
                raise WeightsError(f"{name}: {theirs}: expected {option} {value}, found {options}")


def _option(details, layer, option):
    """One option of a convolution; -1 if height and width differ, which occurs in no known network."""
    options = details.get(layer, {})
    if f"{option}_h" in options or f"{option}_w" in options:
        return -1
    return options.get(option, {"stride": 1, "pad": 0, "group": 1, "dilation": 1}[option])


# The parts of a fire module as named by Caffe, and by the decoder in the Deep Compression repository.
CAFFE_PARTS = {
    "squeeze1x1": "squeeze",
    "conv1x1_1": "squeeze",
    "conv1x1_2": "expand1x1",
    "conv3x3_2": "expand3x3",
    "conv_final": "conv10",
}


def _own_name(key):
    """npgrad's name for Caffe's (`fire2/squeeze1x1.weight`)."""
    parts = re.split(r"[./]", key)
    return ".".join(CAFFE_PARTS.get(part, part) for part in parts)
