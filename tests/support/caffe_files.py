""".caffemodel files by what is wrong with them, REFUSED, and the parts that they are made of."""

import caffe_writer as w
import numpy as np

from npgrad.io.formats._protobuf import MAX_FIELDS

WEIGHT = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) - 7
BIAS = np.array([0.5, -2], np.float32)


def one_layer(*blobs, name="conv1", **options):
    return w.network([w.layer(name, blobs, w.convolution_param(**options))])


def nested(depth, inside=b""):
    for _ in range(depth):
        inside = w.string(100, inside)
    return inside


def refused():
    """{what: (bytes, a word of the message)}: files that are no networks, or bad ones."""
    weight, bias = w.blob(WEIGHT), w.blob(BIAS)
    good = one_layer(weight, bias)
    shaped = w.shape_field((2, 3, 2, 2))
    doubles = w.numbers(8, WEIGHT.astype(np.float64))
    floats_for_dims = w.string(7, w.numbers(1, BIAS, packed=False))
    two_tags = w.numbers(5, BIAS[:1], packed=False) + w.numbers(6, BIAS[:1], packed=False)
    batch_norm = w.layer("bn1", [bias, bias, bias], kind="BatchNorm")

    def with_shape(*shape):
        return one_layer(w.numbers(5, WEIGHT) + w.shape_field(shape))

    def with_options(options):
        return w.network([w.layer("c", [weight], options)])

    return {
        "nothing": (b"", "found none with weights"),
        "only a name": (w.string(1, "net"), "found none with weights"),
        "no weights": (w.network([w.layer("conv1")]), "found none with weights"),
        "a layer that is a number": (w.integer(100, 5), "wire type 0"),
        "cut in a layer": (good[:-3], "truncated?"),
        "a length past the end": (w.tag(100, w.BYTES) + w.varint(2**63) + b"abc", "truncated?"),
        "a number past the end": (good + b"\xa2", "truncated?"),
        "a float past the end": (good + w.tag(9, w.FLOAT) + b"\x00\x00", "truncated?"),
        "a varint of 11 bytes": (good + w.tag(4, w.VARINT) + b"\x80" * 10 + b"\x01", "at most 10 bytes"),
        "a tag of 11 bytes": (good + b"\xa0" * 10 + b"\x01", "at most 10 bytes"),
        "field 0": (good + b"\x02\x01a", "field number 0"),
        "a field beyond the last": (good + w.integer(2**29, 1), "field number 536870912"),
        "a group": (good + w.tag(9, w.GROUP) + w.tag(9, 4), "wire type 3"),
        "groups in groups": (good + w.tag(9, w.GROUP) * 200 + w.tag(9, 4) * 200, "wire type 3"),
        "the end of a group": (good + w.tag(9, 4), "wire type 4"),
        "wire type 7": (good + w.tag(9, 7), "wire type 7"),
        "200 messages deep": (w.string(1, "net") + nested(200), "found none with weights"),
        "5000 messages deep": (w.string(1, "net") + nested(5000), "found none with weights"),
        "shape too large": (with_shape(2, 3, 2, 3), "expected 36 values"),
        "shape too small": (with_shape(2, 3, 2), "expected 12 values"),
        "shape of 64 GiB": (with_shape(2**34), "17179869184 values"),
        "shape beyond 64 bits": (with_shape(2**63, 4), "values for shape"),
        "a dimension of 0": (with_shape(0, 2), "at least 1"),
        "a dimension below 0": (with_shape(-2, 3), "values for shape"),
        "33 dimensions": (with_shape(24, *[1] * 32), "32 dimensions"),
        "no shape": (one_layer(w.numbers(5, WEIGHT)), "32 dimensions"),
        "no numbers": (one_layer(shaped), "found 0"),
        "half a number": (one_layer(w.string(5, b"\x00" * 95) + shaped), "found 95 bytes"),
        "floats and doubles": (one_layer(weight + doubles), "found both"),
        "numbers as varints": (one_layer(w.integer(5, 1) + shaped), "wire type 0"),
        "a shape that is a float": (one_layer(w.numbers(7, BIAS, packed=False)), "wire type 5"),
        "a dimension that is a float": (one_layer(weight + floats_for_dims), "wire type 5"),
        "a height that is text": (one_layer(w.string(3, "x")), "wire type 2"),
        "three blobs": (one_layer(weight, bias, bias), "found 3 blobs"),
        "a BatchNorm": (w.network([batch_norm]), "'bn1': is a BatchNorm"),
        "the same layer twice": (w.network([w.layer("conv1", [weight])] * 2), "'conv1': has weights twice"),
        "the same layer, old and new": (
            w.network([w.layer("conv1", [weight], kind=4, fields=w.V1), w.layer("conv1", [weight])]),
            "'conv1': has weights twice",
        ),
        "a layer of the oldest kind": (w.network([w.string(2, w.string(1, "inside"))]), "V0"),
        "no name": (w.network([w.layer("", [weight])]), "no name"),
        "a long name": (w.network([w.layer("n" * 300, [weight])]), "found 300"),
        "a name that is no text": (w.network([w.string(100, w.string(1, b"\xff\xfe"))]), "UTF-8"),
        "a name that is a number": (w.network([w.string(100, w.integer(1, 5))]), "wire type 0"),
        "a blob that is a number": (w.network([w.string(100, w.integer(7, 5))]), "wire type 0"),
        "options that are a number": (w.network([w.string(100, w.integer(106, 5))]), "wire type 0"),
        "three paddings": (one_layer(weight, pad=[1, 1, 1]), "pad: expected one number"),
        "a group that is text": (with_options(w.string(5, "two")), "wire type 2"),
        "a stride that is a float": (with_options(w.numbers(6, BIAS, packed=False)), "wire type 5"),
        "very many layers": (w.string(100, b"") * (MAX_FIELDS + 1), f"at most {MAX_FIELDS} fields"),
        "very many fields in a layer": (w.string(100, w.integer(9, 0) * (MAX_FIELDS + 1)), "at most"),
        "very many dimensions": (one_layer(w.string(7, w.string(1, b"\x01" * (MAX_FIELDS + 1)))), "at most"),
        "tags that alternate": (one_layer(two_tags * MAX_FIELDS), "at most"),
    }


REFUSED = refused()
