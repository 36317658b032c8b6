"""Hostile and broken .pth files: each refused at once, in one line, and nothing in it run or imported."""

import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pickle_writer import Code, build, call, encode, named, program
from torch_writer import (
    FLOATS,
    LEGACY_HEAD,
    MAGIC,
    OLD_PARAMETER,
    ORDERED,
    SYSTEM,
    legacy_file,
    legacy_one,
    one,
    storage,
    tensor,
    zip_file,
)
from zip_writer import DEFLATED, archive, hostile

from npgrad import WeightsError
from npgrad.io.formats import torch_pth

V2, V1 = named("torch._utils", "_rebuild_tensor_v2"), named("torch._utils", "_rebuild_tensor")
PARAMETER = named("torch._utils", "_rebuild_parameter")

BAD_OBJECTS = {  # {what: (object, word of the message)}, in both containers
    "os.system": (call(named("os", "system"), "exit 1"), "'os.system'"),
    "os.system beside the tensors": ({**one(), "x": call(named("os", "system"), "exit 1")}, "'os.system'"),
    "a whole model": (call(named("torchvision.models", "SqueezeNet")), "'torchvision.models.SqueezeNet'"),
    "torch's dangerous parts": (call(named("torch.storage", "_load_from_bytes"), ""), "_load_from_bytes"),
    "another rebuilder": (call(named("torch._utils", "_rebuild_sparse_tensor"), 1), "_rebuild_sparse_tensor"),
    "complex numbers": (one(stored=storage("0", 3, "ComplexFloatStorage")), "ComplexFloatStorage"),
    "a storage past the bytes": (one(stored=storage("0", 7)), "expected 7"),
    "a storage of 64 GiB": (one(stored=storage("0", 2**34), shape=(2**34,), strides=(1,)), f"{2**34}"),
    "a storage of 2^66": (one(stored=storage("0", 2**66), shape=(2**66,), strides=(1,)), f"{2**66}"),
    "a storage of minus one": (one(stored=storage("0", -1)), "storage of -1"),
    "a size that is true": (one(stored=storage("0", True)), "bool"),
    "a size that is text": (one(stored=storage("0", "6")), "expected a storage of"),
    "two sizes for one storage": ({**one(), "x": one(stored=storage("0", 5))["w"]}, "one type and size"),
    "two types for one storage": ({**one(), "x": one(stored=storage("0", 6, "IntStorage"))["w"]}, "one type"),
    "a storage that is a global": (one(stored=named("torch", "FloatStorage")), "Storage"),
    "a storage of a string": (one(stored=Code(encode(("storage", "f", "0", "cpu", 6)) + b"Q")), "Element"),
    "a module for a storage": (
        one(stored=Code(encode(("module", named("torch", "FloatStorage"), "0", "cpu", 6)) + b"Q")),
        "storage",
    ),
    "a persistent id that is a number": (one(stored=Code(encode(7) + b"Q")), "found int"),
    "a persistent id that is text": (one(stored=Code(encode("storage") + b"Q")), "found str"),
    "an offset past the storage": (one(offset=1), "up to 6"),
    "a negative offset": (one(offset=-1), "strides >= 0"),
    "an offset of 2^100": (one(offset=2**100), "expected a view of 6"),
    "an offset that is a string": (one(offset="0"), "str"),
    "strides past the storage": (one(strides=(4, 1)), "up to 6"),
    "vast strides": (one(strides=(2**62, 2**62)), "expected a view of 6"),
    "a negative stride": (one(strides=(-3, 1), offset=3), "strides >= 0"),
    "a stride missing": (one(strides=(3,)), "2 sizes and 1 strides"),
    "a stride too many": (one(strides=(3, 1, 1)), "2 sizes and 3 strides"),
    "a shape of a billion": (one(shape=(10**9,), strides=(0,)), "expected a view of 6"),
    "a shape of overlapping rows": (one(shape=(5, 2), strides=(1, 1)), "expected a view of 6"),
    "a shape that overflows": (one(shape=(2**32, 2**32), strides=(0, 0)), "expected a view of 6"),
    "a vast empty shape": (one(shape=(0, 2**62, 2**62), strides=(1, 1, 1)), "shape"),
    "a negative shape": (one(shape=(-2, -3)), "strides >= 0"),
    "a shape of floats": (one(shape=(Code(b"G" + struct.pack(">d", 2)), 3)), "strides >= 0"),
    "a shape that is true": (one(shape=(True, 3)), "strides >= 0"),
    "a shape that is a list": (one(shape=[2, 3]), "list"),
    "100 dimensions": (one(shape=(1,) * 100, strides=(1,) * 100), "100 sizes"),
    "a storage used over and over": ({f"w{number}": one()["w"] for number in range(60)}, "used at most"),
    "too few arguments": ({"w": call(V2, storage("0", 6))}, "a tensor of"),
    "too many arguments": (one(more=(False, None, None, 1)), "a tensor of"),
    "too few for the old one": ({"w": call(V1)}, "a tensor of"),
    "a conjugated tensor": (one(more=(False, None, {"conj": True})), "conjugated"),
    "a parameter of text": ({"w": call(PARAMETER, "w", True, None)}, "Parameter"),
    "an old parameter of text": ({"w": call(OLD_PARAMETER, "w")}, "Parameter"),
    "an old parameter's odd state": ({"w": build(call(OLD_PARAMETER), 5)}, "found ['w']"),
    "an old parameter's odd tensor": ({"w": build(call(OLD_PARAMETER), (1, 2, 3, 4, 5))}, "'s state"),
    "a size of a number": (one(shape=call(named("torch", "Size"), 5)), "Size"),
    "an OrderedDict of numbers": (call(ORDERED, [1, 2]), "OrderedDict"),
    "an OrderedDict of triples": (call(ORDERED, [["a", 1, 2]]), "OrderedDict"),
    "an OrderedDict of text": (call(ORDERED, "ab"), "OrderedDict"),
    "a name twice": (Code(b"}(" + (encode("w") + one()["w"]) * 2 + b"u"), "'w' twice"),
    "a name twice, in items": (call(ORDERED, [["w", 1], ["w", 2]]), "'w' twice"),
    "BUILD on a tensor": (build(one()["w"], {"x": 1}), "BUILD"),
    "a tensor without a name": (one()["w"], "found Tensor"),
    "a list of tensors": ([one()["w"]], "found list"),
    "tensors by number": ({0: one()["w"]}, "found ['0']"),
    "no tensors": ({"epoch": 1}, "found ['epoch']"),
    "nothing": (None, "NoneType"),
    "an empty dict": ({}, "found []"),
    "empty Parameters": ({"w": call(OLD_PARAMETER)}, "found ['w']"),
    "a checkpoint within itself": (Code(b"}q\x00" + encode("state_dict") + b"h\x00s"), "inside itself"),
    "deep nesting": (Code(b"]" * 300 + b"a" * 299), "levels"),
    "a billion laughs": (Code(b")" + b"q\x00h\x00\x86" * 60), "items"),
}


@pytest.mark.parametrize("what", BAD_OBJECTS)
def test_refused_in_a_zip(what):
    value, word = BAD_OBJECTS[what]
    check_refused(zip_file(value), word)


@pytest.mark.parametrize("what", BAD_OBJECTS)
def test_refused_in_a_legacy_file(what):
    value, word = BAD_OBJECTS[what]
    check_refused(legacy_file(value, None if b"storage" in encode(value) else {}), word)


BAD_FILES = {
    "no storage": (zip_file(one(), {}), "'a/data/0'"),
    "no empty storage": (zip_file(one(stored=storage("1", 0), shape=(0,), strides=(1,))), "'a/data/1'"),
    "a storage elsewhere": (zip_file(one(), {"../data/0": FLOATS}), "inside the archive"),
    "a key with a path": (zip_file(one(stored=storage("../data.pkl", 6))), "'a/data/../data.pkl'"),
    "a storage cut": (zip_file(one(), {"0": FLOATS[:-1]}), "found 23 bytes"),
    "a storage of larger elements": (
        zip_file(one(stored=storage("0", 6, "DoubleStorage"))),
        "expected 6 elements of 8 bytes, found 24",
    ),
    "a storage with a number more": (zip_file(one(), {"0": FLOATS + b"more"}), "found 28 bytes"),
    "no data.pkl": (archive({"a/data/0": FLOATS}), "one data.pkl"),
    "data.pkl without a folder": (archive({"data.pkl": program(one()), "data/0": FLOATS}), "one data.pkl"),
    "data.pkl twice": (archive({"a/data.pkl": program(one()), "b/data.pkl": program({})}), "one data.pkl"),
    "bytes after the pickle": (zip_file(one(), **{"data.pkl": program(one()) + b"N."}), "bytes more"),
    "an empty pickle": (zip_file(one(), **{"data.pkl": b""}), "data.pkl: byte 0"),
    "an unknown byte order": (zip_file(one(), byteorder=b"middle"), "byteorder"),
    "TorchScript": (zip_file(one(), **{"code/__torch__.py": b"", "constants.pkl": b""}), "TorchScript"),
    "TorchScript by its constants": (zip_file(one(), **{"constants.pkl": program(())}), "TorchScript"),
    "another magic number": (legacy_file(legacy_one(), head=program(1) + program(1001) + SYSTEM), "magic"),
    "another version": (legacy_file(legacy_one(), head=MAGIC + program(1002) + SYSTEM), "version"),
    "a head that is a list": (legacy_file(legacy_one(), head=program([]) * 3), "magic number"),
    "a global in the head": (legacy_file(legacy_one(), head=program(ORDERED) + LEGACY_HEAD), "magic number"),
    "a global for a system": (
        legacy_file(legacy_one(), head=LEGACY_HEAD + program(call(named("os", "system"), ""))),
        "'os.system'",
    ),
    "a global in the keys": (legacy_file(legacy_one(), keys=[ORDERED]), "storage keys: byte"),
    "an allowed global in the keys": (legacy_file(legacy_one(), keys=ORDERED), "'collections.OrderedDict'"),
    "no keys": (legacy_file(legacy_one(), keys=[]), "storage keys"),
    "a key twice": (legacy_file(legacy_one(), keys=["0", "0"]), "storage keys"),
    "a key too many": (legacy_file(legacy_one(), keys=["0", "1"]), "storage keys"),
    "keys of another type": (legacy_file(legacy_one(), keys=[0]), "storage keys"),
    "keys of many types": (legacy_file(legacy_one(), keys=[0, "0", None]), "storage keys"),
    "keys in a tuple": (legacy_file(legacy_one(), keys=("0",)), "storage keys"),
    "another count": (legacy_file(legacy_one(), {"0": (5, FLOATS)}), "expected 6 elements, found 5"),
    "a negative count": (legacy_file(legacy_one(), {"0": (-1, FLOATS)}), "expected 6 elements"),
    "a storage cut short": (legacy_file(legacy_one(), {"0": (6, FLOATS[:-1])}), "24 bytes, found 23"),
    "a count cut": (legacy_file(legacy_one())[: -len(FLOATS) - 3], "expected"),
    "no bytes for a storage": (legacy_file(legacy_one(count=2**34), {"0": (2**34, b"")}), "found 0"),
    "bytes after the last storage": (legacy_file(legacy_one()) + b"m", "found 1 bytes more"),
    "a view past its storage": (legacy_file(legacy_one(view=("1", 4, 3))), "3 in use from 4 on"),
    "a view from before": (legacy_file(legacy_one(view=("1", -1, 3))), "3 in use from -1 on"),
    "a view of minus three": (legacy_file(legacy_one(view=("1", 4, -3))), "-3 in use"),
    "a view of another form": (legacy_file(legacy_one(view=("1", 4))), "a view of"),
    "a tensor past the view": (legacy_file(legacy_one(view=("1", 2, 3))), "expected a view of 3"),
    "empty": (b"", "magic number"),
    "one byte": (b"\x80", "magic number"),
    "an HTML page": (b"<!DOCTYPE html><html></html>", "magic number"),
    "a Git-LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "magic number"),
    "a bare pickle": (program(one(stored=None)), "magic number"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_refused_file(what):
    check_refused(*BAD_FILES[what])


HOSTILE = hostile({"a/byteorder": b"little", "a/data.pkl": program(one()), "a/data/0": FLOATS})


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archive(what):
    check_refused(*HOSTILE[what])


def test_views_of_a_compressed_storage():
    """A storage may be compressed, and may be used several times; one upon the other is out of proportion."""
    members = {"a/data/0": bytes(200_000), "a/noise": np.random.default_rng(0).bytes(2000)}

    def data(views):
        whole = {f"w{number}": tensor(storage("0", 50_000), (50_000,), (1,)) for number in range(views)}
        return archive({"a/data.pkl": program(whole), **members}, DEFLATED)

    assert 70 * len(data(1)) < 200_000
    assert list(torch_pth.read(data(1), "w.pth")) == ["w0"]
    check_refused(data(3), "used at most")


WATCH = """
import sys
sys.path.insert(0, {path!r})
from npgrad import WeightsError
from npgrad.io.formats import torch_pth

seen, watching = [], False
def hook(event, arguments):
    if watching and event != "builtins.id":
        seen.append((event, *map(str, arguments[:2])))
sys.addaudithook(hook)

for name in {names!r}:
    with open(name, "rb") as file:
        data = file.read()
    watching = True
    try:
        seen.append(list(torch_pth.read(data, name)))
    except WeightsError:
        pass
    watching = False
print(seen, "torch" in sys.modules)
"""


def test_nothing_is_imported_or_called(tmp_path):
    """Not torch either: what the pickle calls torch._utils._rebuild_tensor_v2 is a function of npgrad's."""
    files = {"good zip": zip_file(one()), "good legacy": legacy_file(legacy_one())}
    for what in ("os.system", "os.system beside the tensors", "a whole model", "torch's dangerous parts"):
        files[f"{what} zip"] = zip_file(BAD_OBJECTS[what][0])
        files[f"{what} legacy"] = legacy_file(BAD_OBJECTS[what][0])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    root = Path(__file__).resolve().parents[1]
    script = WATCH.format(path=str(root), names=[str(tmp_path / name) for name in files])
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[['w'], ['w']] False\n"


def check_refused(data, word):
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as error:
            torch_pth.read(data, "folder/w.pth")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(error.value)
    assert message.startswith("folder/w.pth: ") and "\n" not in message and len(message) < 400
    assert "expected" in message and "found" in message and word in message, message
    assert peak < 1_000_000 + 110 * len(data)
    assert time.process_time() - start < 1
