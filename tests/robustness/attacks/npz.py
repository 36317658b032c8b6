"""NumPy's .npz: archives, headers and object arrays; and the course's photos with their pickled names."""

import re
from zipfile import ZIP_BZIP2, ZIP_LZMA, ZipFile

import numpy as np
from imagenet_val_files import NAMES, X, Y, array_of, label_file, label_map, scalar
from npy_writer import header, npy
from npz_files import HOSTILE, REFUSED
from pickle_writer import Code, build, call, encode, named, program
from zip_writer import DEFLATED, archive

from attacks import Attack, strangers
from attacks.torch_pth import NO_WEIGHTS, cut, parameters

RECONSTRUCT = named("numpy.core.multiarray", "_reconstruct")
SCALAR, DTYPE, ENCODE = (
    named("numpy.core.multiarray", "scalar"),
    named("numpy", "dtype"),
    named("_codecs", "encode"),
)
MESSAGE = f"expected|found|{NO_WEIGHTS}"


def headers():
    """{what: .npy file}"""
    eight, found = bytes(8), {}
    for shape in (
        "(2", "2,)", "2", "[2]", "(2,,)", "(,)", "(2;)", "(0x2,)", "(2e0,)", "(1+1,)", "(2j,)", "('2',)", "(None,)",
        "(2,) and exit()", "(lambda: 0)()", "exit()", "__import__('os').system('exit 1')", "(*[2],)", "(2 for _ in [])",
        "(2,) # x", "(2,)\\n", "(-2,)", "(+2,)", "(2_0,)", "(1,2,)", "(2147483648, 2147483648)", "(99999999999999999,)",
        "(9999999999999999999999,)", "(1, 0, 4611686018427387904)", "(" + "1," * 33 + ")", "(" + "(" * 900, "\u0662",
    ):  # fmt: skip
        found[f"shape {shape[:40]}"] = npy(header=header(shape=shape), content=eight)
    for type_ in (
        "O", "|O", "|O8", "<O", "|V8", "|S8", "<U2", "<M8[ns]", "<m8", "<f3", "<f0", "<f-4", "<f4,<f4", "f4; import os",
        "<f16", "<c32", "|b8", "<i3", "float32", "object", "\\x3cf4", "(2,)f4", "a", "", "t", "<u16",
    ):  # fmt: skip
        found[f"type {type_}"] = npy(header=header(type_), content=eight)
    for order in ("1", "0", "None", "true", "'True'", "exit()", "not False", "True or exit()"):
        found[f"order {order}"] = npy(header=header(order=order), content=eight)
    bodies = {
        "a list": b"[]\n", "an import": b"__import__('os').system('exit 1')\n", "two dicts": header() * 2,
        "a key twice": b"{'descr': '<f4', 'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n",
        "a key more": b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': exit()}\n",
        "a key less": b"{'descr': '<f4', 'shape': (2,), }\n", "empty": b"", "zeros": bytes(64),
        "not closed": b"{'descr'",
        "records": b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }\n", "deep": b"{" * 9000,
        "code": b"{'descr': '<f4'.__class__, 'fortran_order': False, 'shape': (2,), }\n",
        "many spaces": b"{'descr': '<f4'," + b" " * 9000 + b"'fortran_order': False, 'shape': (" + b"1, " * 300 + b"\n",
    }  # fmt: skip
    found |= {f"a header that is {what}": npy(header=text, content=eight) for what, text in bodies.items()}
    for size in (0, 1, 7, 9, 16):
        found[f"{size} bytes of numbers"] = npy(header=header(), content=bytes(size))
        found[f"{size} bytes in Fortran's order"] = npy(
            header=header(order="True", shape="(2, 1)"), content=bytes(size)
        )
    for version in (0, 4, 255):
        found[f"version {version}"] = npy(header=header(), content=eight, version=version)
    return found


def label_maps():
    """{what: label_map.npy}: allowed functions called as nothing honest calls them."""
    dtype = call(DTYPE, "i8", False, True)
    values = {
        "a scalar without a type": call(SCALAR),
        "a scalar of an object": call(SCALAR, call(DTYPE, "O8", False, True), "12345678"),
        "a scalar of a string": call(SCALAR, "i8", "12345678"),
        "a scalar of 1,000 bytes": call(SCALAR, call(DTYPE, "V1000", False, True), "a" * 1000),
        "a scalar of a void": call(SCALAR, build(call(DTYPE, "V8", False, True), (3, "|")), "12345678"),
        "a scalar cut short": call(SCALAR, build(dtype, (3, "<")), "1234"),
        "a scalar of text": call(SCALAR, build(call(DTYPE, "U2", False, True), (3, "<")), "12345678"),
        "a scalar of a list": call(SCALAR, build(dtype, (3, "<")), ["12345678"]),
        "a type of a number": call(DTYPE, 8, False, True),
        "a type of code": call(DTYPE, "i8; import os", False, True),
        "a type with a state of lists": build(dtype, []),
        "a type with a strange order": build(dtype, (3, "<f4,<f4")),
        "a type with fields": build(dtype, (3, "|", None, ("a",), {"a": (1, 2)}, 8, 1, 0)),
        "a type alone": dtype,
        "the class ndarray": named("numpy", "ndarray"),
        "the class ndarray called": call(named("numpy", "ndarray"), (2**40,)),
        "an array never filled": call(RECONSTRUCT, named("numpy", "ndarray"), (0,), "b"),
        "an array filled with numbers": build(
            call(RECONSTRUCT), (1, (), build(dtype, (3, "<")), False, "12345678")
        ),
        "an array of 2**40": build(call(RECONSTRUCT), (1, (2**40,), dtype, False, [None])),
        "an array within itself": Code(call(RECONSTRUCT) + b"q\0" + encode((1, (), dtype, False)) + b"0b"),
        "an array of two": array_of(NAMES, NAMES),
        "codecs.encode by rot13": call(ENCODE, "a", "rot13"),
        "codecs.encode by zlib": call(ENCODE, "a", "zlib"),
        "codecs.encode by unicode_escape": call(ENCODE, "\\x00", "unicode_escape"),
        "codecs.encode by a module": call(ENCODE, "a", "os"),
        "codecs.encode with three": call(ENCODE, "a", "latin1", "os.system"),
        "codecs.encode of a number": call(ENCODE, 5, "latin1"),
        "names by a tuple": array_of(Code(b"}" + encode((0,)) + encode("tench") + b"s")),
        "names by a float": array_of({scalar("f8", "12345678"): "tench"}),
        "names that are numbers": array_of({0: 5}),
        "names that are lists": array_of({0: ["tench"]}),
        "a list of names": array_of(["tench"]),
        "a name": array_of("tench"),
        "names by True": array_of({True: "tench"}),
    }
    return {what: label_file(program(value)) for what, value in values.items()}


def photos():
    """{what: (X, y) as .npy files}"""
    huge = npy(header=header("|u1", shape=f"({2**20}, 224, 224, 3)"), content=b"")
    objects = npy(header=header("|O", shape="(2,)"), content=program(call(named("os", "system"), "exit 1")))
    return {
        "X of 150 GB": (huge, npy(Y)),
        "X of objects": (objects, npy(Y)),
        "y of objects": (npy(X), objects),
        "X of floats": (npy(X.astype(np.float32)), npy(Y)),
        "X of bytes as text": (npy(header=header("|S1", shape="(2, 4, 5, 3)"), content=X.tobytes()), npy(Y)),
        "X of two dimensions": (npy(X[0, 0]), npy(Y)),
        "X of four colors": (npy(np.zeros((2, 4, 5, 4), np.uint8)), npy(Y)),
        "y of three": (npy(X), npy(np.arange(3))),
        "y of floats": (npy(X), npy(Y.astype(float))),
        "y of two dimensions": (npy(X), npy(Y[None])),
    }


def compressed(method):
    def write(path):
        with ZipFile(path, "w", method) as file:
            file.writestr("a.npy", npy(np.arange(100.0)))

    return write


def networks():
    """{what: (arrays, message)}"""
    own = parameters()
    return {
        "NaN": ({**own, "conv1.bias": np.full(64, np.nan)}, "conv1.bias.*NaN"),
        "whole numbers of 2**63": ({**own, "conv10.bias": np.full(3, 2**63 - 1)}, None),
        "complex numbers": ({**own, "conv10.bias": np.ones(3, np.complex64)}, "conv10.bias"),
        "logical values": ({**own, "conv10.bias": np.ones(3, bool)}, None),
        "a name that breaks the line": ({**own, "x\ny": np.ones(3)}, "member name|not of this network"),
        "a long name": ({**own, "n" * 180: np.ones(3)}, "not of this network"),
    }


def attacks():
    for what, (content, words) in REFUSED.items():
        data = archive({"good.npy": npy(np.ones(2)), "bad.npy": content})
        yield Attack(what, "w.npz", data, "convert", re.escape(words))
    for what, content in headers().items():
        data = archive({"good.npy": npy(np.ones(2)), "bad.npy": content})
        yield Attack(f"of its own: {what}", "w.npz", data, "convert", MESSAGE)
    for what, (data, word) in HOSTILE.items():
        yield Attack(f"zip: {what}", "w.npz", data, "convert", f"{re.escape(word)}|{NO_WEIGHTS}")
    for what, begun in cut(archive({"a.npy": npy(np.ones(30)), "b.npy": npy(np.ones(30))}), 30).items():
        yield Attack(what, "w.npz", begun, "convert", MESSAGE)
    yield Attack("bzip2", "w.npz", compressed(ZIP_BZIP2), "convert", "method 12")
    yield Attack("lzma", "w.npz", compressed(ZIP_LZMA), "convert", "method 14")
    yield Attack(
        "50 MB of zeros", "w.npz", archive({"a.npy": npy(np.zeros(6_000_000))}, DEFLATED), "convert", "times"
    )
    for what, (arrays, message) in networks().items():
        data = archive({f"{key}.npy": npy(array) for key, array in arrays.items()})
        yield Attack(f"a network with {what}", "w.npz", data, "convert", message)
    arrays = {"X.npy": npy(X), "y.npy": npy(Y)}
    for what, labels in label_maps().items():
        data = archive({**arrays, "label_map.npy": labels})
        yield Attack(f"labels: {what}", "val.npz", data, "load_imagenet_val", MESSAGE)
    names = label_map(np.array(NAMES, object))
    for what, (x, y) in photos().items():
        data = archive({"X.npy": x, "y.npy": y, "label_map.npy": names})
        yield Attack(f"photos: {what}", "val.npz", data, "load_imagenet_val", MESSAGE)
    for what, content in strangers.files().items():
        yield Attack(f"photos: {what}", "val.npz", content, "load_imagenet_val", MESSAGE)
    for what, (make, message) in strangers.places().items():
        yield Attack(f"photos: {what}", "val.npz", make, "load_imagenet_val", message)
    hostile = archive({**arrays, "label_map.npy": names, "../../evil.npy": npy(X)})
    yield Attack("photos: a way out", "val.npz", hostile, "load_imagenet_val", "inside the archive")
    yield Attack(
        "photos: as weights", "val.npz", archive({**arrays, "label_map.npy": names}), "convert", MESSAGE
    )


def good_files():
    own = archive({f"{key}.npy": npy(array) for key, array in parameters().items()})
    course = archive({"X.npy": npy(X), "y.npy": npy(Y), "label_map.npy": label_map(np.array(NAMES, object))})
    return [("convert", "w.npz", own), ("load_imagenet_val", "val.npz", course)]
