"""Caffe's .caffemodel files: protocol buffers with lengths, varints, nesting, shapes and names that do not fit."""

import re

import caffe_writer as w
import numpy as np
from caffe_files import BIAS, REFUSED, WEIGHT, nested, one_layer

from attacks import Attack
from attacks.torch_pth import NO_WEIGHTS, cut

NETWORK = "expected.*networks|expected a SqueezeNet|first convolution|shape"


def lengths():
    """{what: bytes}: a length that goes past the end, at each level of the file."""
    found = {}
    for length in (1, 2**7, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        past = w.varint(length)
        levels = {"a layer": b"", "a name": w.tag(1, w.BYTES), "a blob": w.tag(7, w.BYTES)}
        for level, begin in levels.items():
            inside = begin + past if begin else b""
            found[f"{level} of {length} bytes"] = one_layer(w.blob(WEIGHT)) + (
                w.string(100, inside) if begin else w.tag(100, w.BYTES) + past
            )
        blob = w.tag(5, w.BYTES) + past
        found[f"floats of {length} bytes"] = one_layer(blob)
        found[f"a shape of {length} bytes"] = one_layer(w.numbers(5, WEIGHT) + w.tag(7, w.BYTES) + past)
    return found


def wires():
    """{what: bytes}: every field that is read, in every wire type that it is not of."""
    value = {
        w.VARINT: b"\1",
        w.DOUBLE: bytes(8),
        w.BYTES: b"\1a",
        w.FLOAT: bytes(4),
        3: b"",
        4: b"",
        6: b"",
        7: b"",
    }
    found = {}
    for wire, raw in value.items():
        if wire != w.BYTES:
            found[f"a layer in wire type {wire}"] = one_layer(w.blob(WEIGHT)) + w.tag(100, wire) + raw
        for field, key, own in (
            ("name", 1, w.BYTES),
            ("blobs", 7, w.BYTES),
            ("convolution_param", 106, w.BYTES),
        ):
            if wire != own:
                found[f"{field} in wire type {wire}"] = w.network([w.string(100, w.tag(key, wire) + raw)])
        for field, key, own in (
            ("shape", 7, (w.BYTES,)),
            ("num", 1, (w.VARINT,)),
            ("data", 5, (w.BYTES, w.FLOAT)),
        ):
            if wire not in own:
                found[f"a blob's {field} in wire type {wire}"] = one_layer(
                    w.tag(key, wire) + raw + w.blob(WEIGHT)
                )
        if wire in (3, 4, 6, 7):
            found[f"an unknown field in wire type {wire}"] = (
                one_layer(w.blob(WEIGHT)) + w.tag(900, wire) + raw
            )
    return found


def shapes():
    """{what: bytes}: blobs whose shape is not that of their 24 numbers."""
    wrong = [
        (2**32, 2**32),
        (2**62, 4),
        (2**63, 2),
        (2**64 - 1,),
        (-1, -24),
        (25,),
        (23,),
        (24, 0),
        (1,) * 33,
        (2**31, 2**33),
    ]
    found = {f"shape {shape[:4]}": w.numbers(5, WEIGHT) + w.shape_field(shape) for shape in wrong}
    for key in range(1, 5):
        found[f"legacy size {key} of 2**60"] = w.numbers(5, WEIGHT) + w.integer(key, 2**60)
    for size in (1, 2, 3, 5, 95, 97):
        found[f"{size} bytes of floats"] = w.string(5, bytes(size)) + w.shape_field((max(size // 4, 1),))
        found[f"{size} bytes of doubles"] = w.string(8, bytes(size)) + w.shape_field((max(size // 8, 1) + 1,))
    return {f"a blob with {what}": one_layer(blob) for what, blob in found.items()}


def others():
    """{what: bytes}"""
    good, weight = one_layer(w.blob(WEIGHT), w.blob(BIAS)), w.blob(WEIGHT)
    names = ("a\nb", "\x1b[2J", "\x1b]0;x\x07", "a\rb", "\u2028", "\0", "/", "..", "conv1/" * 40)
    found = {f"a layer named {name[:8]!r}": w.network([w.layer(name, [weight])]) for name in names}
    found |= {f"{depth} messages deep": good + nested(depth, b"x") for depth in (99, 100, 101, 1000, 100_000)}
    found |= {
        f"a varint of {n} bytes": good + w.tag(4, 0) + b"\xff" * (n - 1) + b"\x01" for n in (11, 12, 1000)
    }
    found |= {f"a tag of {n} bytes": good + b"\xff" * (n - 1) + b"\x01" for n in (10, 11, 12, 1000)}
    found |= {f"groups {n} deep": good + w.tag(9, 3) * n + w.tag(9, 4) * n for n in (1, 101, 50_000)}
    found |= {
        "NaN in a weight": one_layer(w.blob(np.full((2, 3, 2, 2), np.nan, np.float32))),
        "Inf in a bias": one_layer(weight, w.blob(np.full(2, np.inf, np.float32))),
        "a network in a network": w.string(100, good),
        "a million empty layers": w.string(1, "net") + w.string(100, b"\x0a\x00") * 10**6,
        "a million fields in a blob": one_layer(w.integer(9, 1) * 10**6),
        "a million floats one by one": one_layer(w.numbers(5, np.zeros(10**6, np.float32), packed=False)),
        "floats and others in turn": one_layer(
            (w.numbers(5, BIAS[:1], packed=False) + w.integer(9, 1)) * 300_000
        ),
        "a million dimensions": one_layer(w.numbers(5, WEIGHT) + w.string(7, w.string(1, b"\x01" * 10**6))),
        "options of 2**63": one_layer(weight, stride=2**63, pad=2**63),
        "an .onnx file": b"\x08\x07\x12\x07pytorch\x3a\x00",
        "text": b"layer {\n  name: 'conv1'\n}\n",
    }
    return found


def attacks():
    message = f"expected|found|wire type|truncated|{NO_WEIGHTS}|{NETWORK}"
    for what, (data, words) in REFUSED.items():
        yield Attack(what, "w.caffemodel", data, "convert", f"{re.escape(words)}|{NO_WEIGHTS}|{NETWORK}")
    for what, data in {**lengths(), **wires(), **shapes(), **others()}.items():
        yield Attack(f"of its own: {what}", "w.caffemodel", data, "convert", message)
    for what, begun in cut(one_layer(w.blob(WEIGHT), w.blob(BIAS), stride=2), 40).items():
        yield Attack(what, "w.caffemodel", begun, "convert", message)


def good_files():
    return [("convert", "w.caffemodel", w.squeezenet(w.random_squeezenet(np.random.default_rng(0))))]
