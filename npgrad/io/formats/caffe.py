"""Read Caffe's .caffemodel: the layers of a network with their weights, as a protocol buffer.

A NetParameter contains layers; a layer its name, type and blobs; a blob a shape and values. Older files contain
layers of an older version (V1) under other field numbers, and blobs with num, channels, height and width instead of a
shape. Both are read.
Source: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from npgrad._typing import Array
from npgrad.errors import WeightsError
from npgrad.io.formats._protobuf import BYTES, DOUBLE, FLOAT, VARINT, WireReader


class LayerFields(NamedTuple):
    """The field numbers of one version of the layer message."""

    name: int
    type: int
    blobs: int
    convolution_param: int


# NetParameter: `layer` = 100 (LayerParameter) and `layers` = 2 (V1LayerParameter).
LAYERS = {
    100: LayerFields(name=1, type=2, blobs=7, convolution_param=106),
    2: LayerFields(name=4, type=5, blobs=6, convolution_param=10),
}
V1_LAYERS, V0_LAYER = 2, 1  # a V1 layer whose field 1 is set wraps a layer of version V0

# The fields of a NetParameter that precede the layers, with their wire types.
BEFORE_LAYERS = {
    (1, BYTES),  # name
    (3, BYTES),  # input
    (4, VARINT),  # input_dim
    (4, BYTES),  # input_dim, packed
    (5, VARINT),  # force_backward
    (6, BYTES),  # state
    (7, VARINT),  # debug_info
    (8, BYTES),  # input_shape
}

# BlobProto
LEGACY_SHAPE = (1, 2, 3, 4)  # num, channels, height, width
DATA, SHAPE, DOUBLE_DATA = 5, 7, 8
MAX_AXES = 32  # Caffe's kMaxBlobAxes

# ConvolutionParameter. The first four may be given once, or once for each of height and width.
PER_AXIS = {3: "pad", 4: "kernel_size", 6: "stride", 18: "dilation"}
SINGLE = {5: "group", 9: "pad_h", 10: "pad_w", 11: "kernel_h", 12: "kernel_w", 13: "stride_h", 14: "stride_w"}
DEFAULTS = {"pad": 0, "stride": 1, "group": 1, "dilation": 1}

MAX_NAME = 256  # bytes of a layer's name or type


@dataclass
class Layer:
    """A layer message: its name and type, and the messages inside it, still unparsed."""

    name: str = ""
    type: str = ""
    blobs: list = field(default_factory=list)
    convolution_params: list = field(default_factory=list)


def matches(head: bytes) -> bool:
    """Check whether a file begins like a .caffemodel: fields of a NetParameter, then a layer.

    Parameters
    ----------
    head : bytes
        The beginning of the file.

    Returns
    -------
    bool
    """
    reader = WireReader("the beginning", partial=True)
    try:
        for number, wire, value in reader.fields(memoryview(head), "the network"):
            if number in LAYERS:
                # A layer begins with its name or with one of its inputs or outputs, all of them strings.
                return wire == BYTES and value[:1] in (b"\x0a", b"\x12", b"\x1a", b"\x22")
            if (number, wire) not in BEFORE_LAYERS:
                return False
    except WeightsError:
        return False
    return False


def read(data: bytes, name: str) -> tuple[dict[str, Array], dict[str, dict[str, Any]]]:
    """Read the tensors of a .caffemodel and the options of its convolutions.

    Parameters
    ----------
    data : bytes
        The content of the file.
    name : str
        The file, for error messages.

    Returns
    -------
    tensors : dict of ndarray
        `{layer}.weight` and `{layer}.bias` by Caffe's layer names (`fire2/squeeze1x1.weight`), float32 or float64 as
        stored. A convolution's weight is (F, C / group, KH, KW), a bias (F,).
    options : dict of dict
        By layer name, a convolution's `kernel_size`, `pad`, `stride`, `group` and `dilation` as ints; if height and
        width differ, `kernel_h`, `kernel_w`, `pad_h`, ... instead.

    Raises
    ------
    WeightsError
        If the file is damaged or contains something unsupported.
    """
    reader = WireReader(name)
    tensors, convolutions = {}, {}
    for number, wire, value in reader.fields(memoryview(data), "the network"):
        if number not in LAYERS:
            continue
        reader.expect(wire, BYTES, "a layer")
        layer = _layer(reader, value, number)
        if not layer.blobs:
            continue
        part = f"layer {layer.name!r}"
        if f"{layer.name}.weight" in tensors:
            raise reader.refuse(part, "has weights twice, expected once")
        tensors.update(_parameters(reader, layer, part))
        if layer.convolution_params:
            part += ": convolution_param"
            convolutions[layer.name] = _convolution(reader, layer.convolution_params, part)
    if not tensors:
        raise WeightsError(f"{name}: expected the layers of a trained Caffe network, found none with weights")
    return tensors, convolutions


def _layer(reader, message, number):
    fields = LAYERS[number]
    layer = Layer()
    for key, wire, value in reader.fields(message, "a layer"):
        if number == V1_LAYERS and key == V0_LAYER:
            raise reader.refuse(
                "a layer", "is of Caffe's version V0; convert it with upgrade_net_proto_binary"
            )
        if key == fields.name:
            layer.name = _text(reader, wire, value, "a layer's name")
        elif key == fields.type:
            # V1 gives the type as a number.
            layer.type = str(value) if wire == VARINT else _text(reader, wire, value, "a layer's type")
        elif key == fields.blobs:
            reader.expect(wire, BYTES, "a layer's blob")
            layer.blobs.append(value)
        elif key == fields.convolution_param:
            reader.expect(wire, BYTES, "a layer's convolution_param")
            layer.convolution_params.append(value)
    return layer


def _text(reader, wire, value, part):
    reader.expect(wire, BYTES, part)
    if len(value) > MAX_NAME:
        raise reader.refuse(part, f"expected at most {MAX_NAME} bytes, found {len(value)}")
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise reader.refuse(part, f"expected UTF-8 text, found {bytes(value)[:20]!r}") from None


def _parameters(reader, layer, part):
    """{name: array} for one layer's blobs: the weight and, if there is a second, the bias."""
    if not layer.name:
        raise reader.refuse("a layer", "has weights but no name")
    if layer.type == "BatchNorm":
        raise reader.refuse(part, "is a BatchNorm, which is not supported in Caffe's files")
    if len(layer.blobs) > 2:
        found = f"{len(layer.blobs)} blobs in a layer of type {layer.type!r}"
        raise reader.refuse(part, f"expected a weight and at most a bias, found {found}")
    tensors = {f"{layer.name}.weight": _blob(reader, layer.blobs[0], f"{part}: weight")}
    if len(layer.blobs) == 2:
        bias = _blob(reader, layer.blobs[1], f"{part}: bias")
        if math.prod(bias.shape[:-1]) == 1:  # older files: (1, 1, 1, F)
            bias = bias.reshape(-1)
        tensors[f"{layer.name}.bias"] = bias
    return tensors


def _blob(reader, message, part):
    """The array of a BlobProto; shape and number of values are compared before anything is copied."""
    shape, legacy, floats, doubles = [], {}, [], []
    for key, wire, value in reader.fields(message, part):
        if key == SHAPE:
            reader.expect(wire, BYTES, f"{part}: shape")
            shape += _dimensions(reader, value, f"{part}: shape")
        elif key in LEGACY_SHAPE:
            reader.expect(wire, VARINT, f"{part}: shape")
            legacy[key] = value
        elif key == DATA:
            floats.append(reader.numbers(wire, value, FLOAT, part))
        elif key == DOUBLE_DATA:
            doubles.append(reader.numbers(wire, value, DOUBLE, part))
    if floats and doubles:
        raise reader.refuse(part, "expected either floats or doubles, found both")
    if legacy and not shape:
        shape = [legacy.get(key, 0) for key in LEGACY_SHAPE]
    pieces = floats or doubles
    _check_size(reader, shape, sum(map(len, pieces)), part)
    values = np.concatenate(pieces)
    return values.astype(values.dtype.newbyteorder("="), copy=False).reshape(shape)


def _dimensions(reader, message, part):
    dimensions = []
    for key, wire, value in reader.fields(message, part):
        if key == 1:
            dimensions += reader.varints(wire, value, part)
    return dimensions


def _check_size(reader, shape, found, part):
    if not 1 <= len(shape) <= MAX_AXES:
        raise reader.refuse(part, f"expected 1 to {MAX_AXES} dimensions, found {len(shape)}")
    if min(shape) < 1:
        raise reader.refuse(part, f"expected dimensions of at least 1, found shape {tuple(shape)}")
    if math.prod(shape) != found:
        expected = f"{math.prod(shape)} values for shape {tuple(shape)}"
        raise reader.refuse(part, f"expected {expected}, found {found}")


def _convolution(reader, messages, part):
    """Kernel size, padding, stride, groups and dilation of a ConvolutionParameter."""
    given = {}
    for message in messages:
        for key, wire, value in reader.fields(message, part):
            if key in PER_AXIS:
                given.setdefault(PER_AXIS[key], []).extend(reader.varints(wire, value, part))
            elif key in SINGLE:
                reader.expect(wire, VARINT, part)
                given[SINGLE[key]] = [value]
    options = dict(DEFAULTS)
    for option, values in given.items():
        if len(values) > 2:
            raise reader.refuse(part, f"{option}: expected one number, or two for height and width")
        if len(values) == 2:
            axes = option.removesuffix("_size")
            options[f"{axes}_h"], options[f"{axes}_w"] = values
        elif values:
            options[option] = values[0]
    return _one_for_both_axes(options)


def _one_for_both_axes(options):
    """The same options, with `pad` instead of equal `pad_h` and `pad_w`, and so on."""
    options = dict(options)
    for option in PER_AXIS.values():
        axes = option.removesuffix("_size")
        height, width = options.get(f"{axes}_h"), options.get(f"{axes}_w")
        if height is not None and height == width:
            del options[f"{axes}_h"], options[f"{axes}_w"]
            options[option] = height
    return options
