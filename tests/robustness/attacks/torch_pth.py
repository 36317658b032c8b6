"""Torch's .pth files, in both containers: storages, views and names that do not fit, hostile archives, damage."""

import re

import numpy as np
from pickle_writer import encode, program
from torch_files import BAD_FILES, BAD_OBJECTS, HOSTILE
from torch_writer import FLOATS, legacy_file, legacy_one, one, storage, tensor, zip_file
from zip_writer import DEFLATED, Entry, archive, write

from attacks import Attack, strangers

NO_WEIGHTS = "not a weights file"  # what is seen before any reader is asked
NETWORK = "expected .* (tensor|networks)|first convolution"  # a sound file that holds no network known here
STRIDES = ((3, 1), (-3, 1), (0, 0), (2**31, 1), (2**63, 2**63), (-(2**63), 1), (1, 2**40), (6, 1), (4, 1))
OFFSETS = (1, 6, 7, 2**31, 2**63, 2**200, -1, -(2**63))
COUNTS = (1, 5, 7, 2**31, 2**40, 2**63, 2**100, -1, -6)


def views():
    """{what: state dict} of one tensor whose storage, offset, shape or strides do not fit."""
    found = {}
    for strides in STRIDES[1:]:
        found[f"strides {strides}"] = one(strides=strides)
        found[f"strides {strides} from 3 on"] = one(strides=strides, offset=3)
    for offset in OFFSETS:
        found[f"offset {offset}"] = one(offset=offset)
    for count in COUNTS:
        found[f"a storage of {count}"] = one(stored=storage("0", count))
    for side in (7, 2**31, 2**63, 2**100, -1):
        found[f"a shape of {side}"] = one(shape=(side,), strides=(1,))
        found[f"a shape of {side} without steps"] = one(shape=(side,), strides=(0,))
    for kind in (
        "DoubleStorage",
        "LongStorage",
        "HalfStorage",
        "ByteStorage",
        "BFloat16Storage",
        "BoolStorage",
    ):
        found[f"bytes as {kind}"] = one(stored=storage("0", 6, kind))
    for key in ("1", "", "../0", "/etc/passwd", "0\0", "\n", "é", "0" * 10**5, "data.pkl", "-1", "0/0"):
        found[f"storage {key[:20]!r}"] = one(stored=storage(key, 6))
    return found


def names():
    """{what: state dict} whose tensors' names would break a line, fill a screen, or command a terminal."""
    odd = (
        "a\nb",
        "\x1b]0;title\x07",
        "\x1b[2J",
        "a\rb",
        "\u202eabc",
        "\u2028",
        "n" * 10**5,
        "",
        "conv1.weight\n",
        "\0",
    )
    return {f"a tensor named {name[:12]!r}": {name: one()["w"]} for name in odd}


def cut(data, parts=24):
    """{what: the beginning of a file}"""
    return {f"cut after {i} of {parts} parts": data[: len(data) * i // parts] for i in range(1, parts)}


def changed_archives():
    """{what: (archive, message)} whose directory and local headers tell different things, and the like."""
    pickled, raw = program(one()), FLOATS
    first = Entry(b"a/data.pkl", pickled)

    def with_storage(**fields):
        return write([first, Entry(**{"name": b"a/data/0", "content": raw, **fields})])

    bomb = bytes(30_000_000)
    return {
        "a packed size over the directory": (
            with_storage(packed=len(raw) + 1, size=len(raw) + 1),
            "expected",
        ),
        "a size of zero": (with_storage(size=0, packed=0), "CRC|expected"),
        "flags of a data descriptor in one place": (with_storage(flags=8, local_flags=0), "agrees"),
        "the pickle for a storage": (with_storage(offset=0), "agrees"),
        "another method in the directory": (with_storage(method=DEFLATED, body=raw), "deflated"),
        "bzip2": (with_storage(method=12, body=raw), "method 12"),
        "lzma": (with_storage(method=14, body=raw), "method 14"),
        "AES": (with_storage(method=99, flags=1, body=raw), "encrypted"),
        "30 MB of zeros": (with_storage(content=bomb, method=DEFLATED), "times the file"),
        "30 MB said to be few": (with_storage(content=bomb, method=DEFLATED, size=24), "deflated"),
        "30 MB of pickle": (
            archive({"a/data.pkl": b"\x80\x02" + b"N" * 10**7}, DEFLATED),
            "times the file|found more",
        ),
        "a byte order of its own": (zip_file(one(), byteorder=b"BIG"), "byteorder"),
        "a byte order of a megabyte": (zip_file(one(), byteorder=b"little" * 10**5), "byteorder"),
        "an empty byte order": (zip_file(one(), byteorder=b""), "byteorder"),
        "big-endian numbers": (zip_file({"conv1.weight": one()["w"]}, byteorder=b"big"), NETWORK),
        "TorchScript": (
            zip_file(one(), **{"code/__torch__.py": b"import os", "constants.pkl": b""}),
            "TorchScript",
        ),
        "a second data.pkl": (archive({"a/data.pkl": pickled, "b/data.pkl": pickled}), "one data.pkl"),
        "a pickle that is deep down": (archive({"a/b/data.pkl": pickled, "a/b/data/0": raw}), "one data.pkl"),
        "a storage that is a folder": (archive({"a/data.pkl": pickled, "a/data/0/": b""}), "'a/data/0'"),
    }


def of_network(changes=None, dtype=np.float32):
    """A whole .pth of a small SqueezeNet 1.1, with tensors changed (None: left out)."""
    arrays = {**parameters(), **(changes or {})}
    described, storages = {}, {}
    kinds = {"f4": "FloatStorage", "f8": "DoubleStorage"}
    for key, array in arrays.items():
        if array is None:
            continue
        array = np.ascontiguousarray(array, getattr(array, "dtype", dtype))
        steps = tuple(step // array.itemsize for step in array.strides)
        stored = storage(str(len(storages)), array.size, kinds[array.dtype.str[1:]])
        described[key] = tensor(stored, array.shape, steps)
        storages[str(len(storages))] = array.tobytes()
    return zip_file(described, storages)


def parameters():
    """Of a SqueezeNet 1.1 with three classes."""
    from npgrad.models import squeezenet1_1

    return squeezenet1_1(num_classes=3).parameters()


def networks():
    """{what: (file, message)} of a network with something missing, extra, twice, transposed, or not a number."""
    own = parameters()
    last, nan, inf = own["conv10.weight"], np.full(3, np.nan, "f4"), np.full(3, np.inf, "f4")
    return {
        "a tensor missing": ({"conv10.bias": None}, "conv10.bias is missing"),
        "a tensor extra": ({"more.weight": np.ones(3, "f4")}, "more.weight is not of this network"),
        "an extra tensor that breaks the line": ({"x\ny": np.ones(3, "f4")}, "is not of this network"),
        "an extra tensor that clears the screen": ({"\x1b[2J": np.ones(3, "f4")}, "is not of this network"),
        "an extra tensor with a long name": ({"n" * 10**5: np.ones(3, "f4")}, "is not of this network"),
        "thousands of extra tensors": (
            {f"x{i}": np.ones(1, "f4") for i in range(3000)}, "is not of this network.*more"
        ),
        "a tensor twice": ({"module.conv10.bias": np.ones(3, "f4")}, "twice|not of this network"),
        "a tensor twice by an alias": ({"classifier.1.bias": np.ones(3, "f4")}, "twice|not of this network"),
        "a tensor transposed": ({"conv10.weight": last.reshape(last.shape[::-1])}, "expected|first convolution"),
        "a bias of two dimensions": ({"conv10.bias": np.ones((3, 1), "f4")}, r"conv10.bias: expected shape \(3,\)"),
        "a weight of one": ({"conv10.weight": np.ones(3, "f4")}, "expected"),
        "a scalar weight": ({"conv1.weight": np.ones((), "f4"), "conv10.weight": np.ones((), "f4")}, "shape|expected"),
        "a scalar last weight": ({"conv10.weight": np.ones((), "f4")}, "shape|expected"),
        "no classes": ({"conv10.weight": np.ones((0, 512, 1, 1), "f4"), "conv10.bias": np.ones(0, "f4")}, "expected"),
        "NaN": ({"conv10.bias": nan}, "conv10.bias.*NaN"),
        "Inf": ({"conv10.bias": inf}, "conv10.bias.*Inf"),
        "too large for float32": (
            {"conv10.bias": np.full(3, 1e300)}, "conv10.bias: expected values within the range of float32"
        ),
    }  # fmt: skip


def attacks():
    for what, (value, word) in BAD_OBJECTS.items():
        message = f"{re.escape(word)}|{NETWORK}"
        yield Attack(f"{what}, in a zip", "w.pth", zip_file(value), "convert", message)
        legacy = legacy_file(value, None if b"Storage" in encode(value) else {})
        yield Attack(f"{what}, in a legacy file", "w.pth", legacy, "convert", message)
    for what, value in {**views(), **names()}.items():
        message = f"expected.*found|{NETWORK}"
        yield Attack(f"{what}, in a zip of its own", "w.pth", zip_file(value), "convert", message)
        yield Attack(f"{what}, in a legacy file of its own", "w.pth", legacy_file(value), "convert", message)
    for what, (data, word) in {
        **BAD_FILES,
        **{f"zip: {what}": made for what, made in HOSTILE.items()},
    }.items():
        yield Attack(what, "w.pth", data, "convert", f"{re.escape(word)}|{NO_WEIGHTS}")
    for what, (data, message) in changed_archives().items():
        yield Attack(f"archive: {what}", "w.pth", data, "convert", f"{message}|{NO_WEIGHTS}")
    for container, data in (("zip", zip_file(one())), ("legacy file", legacy_file(legacy_one()))):
        for what, begun in cut(data).items():
            yield Attack(f"a {container} {what}", "w.pth", begun, "convert", f"expected.*found|{NO_WEIGHTS}")
    for what, (changes, message) in networks().items():
        yield Attack(f"a network with {what}", "w.pth", of_network(changes), "convert", message)
    for what, data in strangers.files().items():
        yield Attack(f"a stranger: {what}", "w.pth", data, "convert", NO_WEIGHTS)
    for what, (make, message) in strangers.places().items():
        yield Attack(f"a stranger: {what}", "w.pth", make, "convert", message)
    yield Attack("tensors that share one storage", "w.pth", sharing(), "convert", "at most")
    yield Attack(
        "a file for npgrad.load", "w.pth", zip_file(one()), "npgrad.load", "not an npgrad weights file"
    )


def sharing():
    """A thousand views of one compressed storage: 100 times 4 times the file, if all were made."""
    value = {f"w{number}": tensor(storage("0", 250_000), (250_000,), (1,)) for number in range(1000)}
    noise = np.random.default_rng(0).bytes(20_000)
    return archive({"a/data.pkl": program(value), "a/data/0": bytes(10**6), "a/noise": noise}, DEFLATED)


def good_files():
    return [("convert", "w.pth", of_network()), ("formats.read", "w.pth", legacy_file(legacy_one()))]
