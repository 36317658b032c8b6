"""Write .caffemodel files for the tests: caffe.proto's NetParameter, field by field."""

import struct

import numpy as np

VARINT, DOUBLE, BYTES, GROUP, FLOAT = 0, 1, 2, 3, 5

# Field numbers of a layer: of LayerParameter, and of V1LayerParameter.
MODERN = {"net": 100, "name": 1, "type": 2, "bottom": 3, "top": 4, "blobs": 7, "convolution_param": 106}
V1 = {"net": 2, "name": 4, "type": 5, "bottom": 2, "top": 3, "blobs": 6, "convolution_param": 10}

CONVOLUTION = {
    "num_output": 1,
    "pad": 3,
    "kernel_size": 4,
    "group": 5,
    "stride": 6,
    "pad_h": 9,
    "pad_w": 10,
    "kernel_h": 11,
    "kernel_w": 12,
    "stride_h": 13,
    "stride_w": 14,
    "dilation": 18,
}


def varint(number):
    """Seven bits a byte, lowest first; a negative number as its two's complement of 64 bits."""
    number %= 2**64
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def tag(number, wire):
    return varint(number << 3 | wire)


def integer(number, value):
    return tag(number, VARINT) + varint(value)


def string(number, value):
    value = value.encode() if isinstance(value, str) else bytes(value)
    return tag(number, BYTES) + varint(len(value)) + value


def numbers(number, values, packed=True):
    """A repeated float or double field, by the dtype of `values`."""
    values = np.asarray(values).ravel()
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    if packed:
        return string(number, raw)
    size = values.dtype.itemsize
    begin = tag(number, DOUBLE if size == 8 else FLOAT)
    return b"".join(begin + raw[place : place + size] for place in range(0, len(raw), size))


def shape_field(shape, packed=True):
    dims = string(1, b"".join(map(varint, shape))) if packed else b"".join(integer(1, d) for d in shape)
    return string(7, dims)


def blob(array, legacy=False, packed=True):
    """A BlobProto; `legacy` writes num, channels, height and width, as Caffe did before blobs had shapes."""
    if legacy:
        shape = (1,) * (4 - array.ndim) + array.shape
        where = b"".join(integer(key, size) for key, size in enumerate(shape, start=1))
    else:
        where = shape_field(array.shape, packed)
    return numbers(8 if array.dtype.itemsize == 8 else 5, array, packed) + where


def convolution_param(**options):
    """Options by name; a list is written as a repeated field, bytes as a packed one."""
    out = b""
    for option, value in options.items():
        key = CONVOLUTION[option]
        if isinstance(value, bytes):
            out += string(key, value)
        else:
            out += b"".join(integer(key, one) for one in (value if isinstance(value, list) else [value]))
    return out


def layer(name, blobs=(), convolution=None, kind="Convolution", fields=MODERN):
    """One layer field of the network: `blobs` are BlobProtos, `convolution` a ConvolutionParameter."""
    texts = {fields["name"]: name, fields["bottom"]: f"before {name}", fields["top"]: name}
    # Writers keep the order of field numbers, which is another one in V1.
    out = b"".join(string(number, texts[number]) for number in sorted(texts))
    out += integer(fields["type"], kind) if isinstance(kind, int) else string(fields["type"], kind)
    for one in blobs:
        out += string(fields["blobs"], one)
    if convolution is not None:
        out += string(fields["convolution_param"], convolution)
    return string(fields["net"], out)


def network(layers, name="a network"):
    return string(1, name) + b"".join(layers)


def squeezenet(tensors, conv10_pad=1, v1=False):
    """A whole .caffemodel for `{layer}.weight` and `{layer}.bias` arrays: each a convolution, then a ReLU.

    v1: as Caffe wrote it in 2014, with old layers and old blobs.
    """
    fields = V1 if v1 else MODERN
    convolution_kind, relu_kind, data_kind = (4, 18, 5) if v1 else ("Convolution", "ReLU", "Data")
    layers = [layer("data", kind=data_kind, fields=fields)]
    for key in tensors:
        name, _, part = key.rpartition(".")
        if part != "weight":
            continue
        weight, bias = tensors[key], tensors[f"{name}.bias"]
        options = {"num_output": len(weight), "kernel_size": weight.shape[-1]}
        if name == "conv1":
            options["stride"] = 2
        elif name == "conv10":
            options["pad"] = conv10_pad
        elif name.endswith("expand3x3"):
            options["pad"] = 1
        blobs = [blob(weight, legacy=v1), blob(bias, legacy=v1)]
        layers.append(layer(name, blobs, convolution_param(**options), convolution_kind, fields))
        layers.append(layer(f"{name} relu", kind=relu_kind, fields=fields))
    return network(layers)


def random_squeezenet(rng):
    """Random arrays under Caffe's names and of the shapes of SqueezeNet 1.0, written down once more."""
    shapes = {"conv1": (96, 3, 7, 7)}
    channels, squeeze, expand = 96, 16, 64
    for fire in range(2, 10):
        shapes[f"fire{fire}/squeeze1x1"] = (squeeze, channels, 1, 1)
        shapes[f"fire{fire}/expand1x1"] = (expand, squeeze, 1, 1)
        shapes[f"fire{fire}/expand3x3"] = (expand, squeeze, 3, 3)
        channels = 2 * expand
        if fire % 2:
            squeeze, expand = squeeze + 16, expand + 64
    shapes["conv10"] = (1000, 512, 1, 1)
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = rng.standard_normal(shape, np.float32)
        tensors[f"{name}.bias"] = rng.standard_normal(shape[0], np.float32)
    return tensors


def float_bytes(value):
    return struct.pack("<f", value)
