"""The .pth reader: what torch.save writes, in both containers, and the files that it must refuse."""

import io
import struct
import subprocess
import sys
import time
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pickle_writer import Code, build, call, encode, named, program, python2, storage, tensor
from zip_writer import DEFLATED, archive, hostile

from npgrad import WeightsError
from npgrad.formats import torch_pth

CONTAINERS = {"zip": True, "legacy": False}


def saved(value, container, **options):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=CONTAINERS[container], **options)
    return file.getvalue()


def network():
    return torch.nn.Sequential(
        OrderedDict(conv1=torch.nn.Conv2d(3, 4, 3), norm=torch.nn.BatchNorm2d(4), relu=torch.nn.ReLU())
    )


def tensors():
    grid = torch.arange(24.0).reshape(2, 3, 4)
    return {
        "transposed": grid.permute(2, 0, 1),
        "rows": grid[:, 1:, ::2],
        "row": grid[1, 2],
        "scalar": torch.tensor(3.5),
        "part of a row": grid[1, 2, 3],
        "empty": torch.zeros(0, 5),
        "empty view": grid[:, 3:],
        "one by one": torch.arange(6.0)[2:3].reshape(1, 1),
        "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "half": torch.tensor([0.5, -65504, 6e-8], dtype=torch.float16),
        "bfloat16": torch.tensor([[1.5, -3e38], [1e-40, torch.inf]], dtype=torch.bfloat16)[:, 1:],
        "bfloat16 scalar": torch.tensor(-2, dtype=torch.bfloat16),
        "double": torch.tensor([1 / 3], dtype=torch.float64),
        "long": torch.tensor([2**62, -1]),
        "int": torch.tensor([-(2**31)], dtype=torch.int32),
        "short": torch.tensor([-5, 300], dtype=torch.int16),
        "char": torch.tensor([-128], dtype=torch.int8),
        "byte": torch.tensor([[255], [1]], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True])[::2],
        "bool scalar": torch.tensor(True),
    }


def check_equal(found, expected):
    assert list(found) == list(expected)
    for name, array in found.items():
        wanted = expected[name].detach()
        wanted = (wanted.float() if wanted.dtype == torch.bfloat16 else wanted).numpy()
        assert type(array) is np.ndarray and array.dtype == wanted.dtype and array.dtype.isnative, name
        assert array.shape == wanted.shape and array.flags.c_contiguous and array.flags.writeable, name
        np.testing.assert_array_equal(array, wanted, name)
        assert not any(np.shares_memory(array, other) for key, other in found.items() if key != name)


# What is read


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_state_dict(container, protocol):
    expected = network().state_dict()
    assert expected._metadata  # which torch pickles with BUILD
    found = torch_pth.read(saved(expected, container, pickle_protocol=protocol), "w.pth")
    check_equal(found, expected)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_type_and_every_view(container):
    expected = tensors()
    check_equal(torch_pth.read(saved(expected, container), "w.pth"), expected)


@pytest.mark.parametrize("container", CONTAINERS)
def test_parameters(container):
    expected = dict(network().named_parameters())
    check_equal(torch_pth.read(saved(expected, container), "w.pth"), expected)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_checkpoints(container, key):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 90, "lr": 0.1, "arch": "squeezenet", "size": torch.Size([1, 2]), "none": None,
        "best_accuracy": torch.tensor(58.1), key: model.state_dict(), "optimizer": optimizer.state_dict(),
        "losses": [2.5, (1, True)],
    }
    check_equal(torch_pth.read(saved(checkpoint, container), "w.pth"), model.state_dict())


@pytest.mark.parametrize("container", CONTAINERS)
def test_shared_storages_become_arrays_of_their_own(container):
    whole = torch.arange(6.0)
    expected = {"whole": whole, "first": whole[:3], "tied": whole, "every second": whole[1::2]}
    check_equal(torch_pth.read(saved(expected, container), "w.pth"), expected)


@given(st.data())
@settings(max_examples=60)
def test_any_view(data):
    shape = data.draw(st.lists(st.integers(1, 4), max_size=4))
    whole = torch.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    view = whole.permute(data.draw(st.permutations(range(len(shape)))))
    for axis, size in enumerate(view.shape):
        begin, step = data.draw(st.integers(0, size)), data.draw(st.integers(1, 3))
        view = view.movedim(axis, 0)[begin::step].movedim(0, axis)
    for container in CONTAINERS:
        check_equal(torch_pth.read(saved({"view": view}, container), "w.pth"), {"view": view})


def test_a_compressed_archive_in_another_folder():
    expected = network().state_dict()
    members = zip_members(saved(expected, "zip"))
    renamed = {name.replace("archive/", "net.v2/"): content for name, content in members.items()}
    check_equal(torch_pth.read(archive(renamed, DEFLATED), "w.pth"), expected)
    del renamed["net.v2/byteorder"]  # as before torch 2.1
    check_equal(torch_pth.read(archive(renamed), "w.pth"), expected)


def test_big_endian():
    values = {
        "float": torch.tensor([1.5, -2]),
        "half": torch.tensor([0.5]).half(),
        "bfloat16": torch.tensor([3.0]).bfloat16(),
        "long": torch.tensor([2**40, -3]),
        "bool": torch.tensor([True, False]),
    }
    members = zip_members(saved(values, "zip"))
    for number, size in enumerate((4, 2, 2, 8, 1)):
        content = members[f"archive/data/{number}"]
        members[f"archive/data/{number}"] = np.frombuffer(content, f"u{size}").byteswap().tobytes()
    members["archive/byteorder"] = b"big"
    check_equal(torch_pth.read(archive(members), "w.pth"), values)


def zip_members(data):
    with ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


# Files written by hand: of old times, and hostile ones

ORDERED = named("collections", "OrderedDict")
OLD_PARAMETER = named("torch.nn.parameter", "Parameter")
FLOATS = np.arange(1, 7, dtype="<f4").tobytes()
MAGIC = program(0x1950A86A20F9469CFC6C)
LEGACY_HEAD = MAGIC + program(1001)
SYSTEM = program({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4, "long": 4}})


def zip_file(value, storages=None, **members):
    """A zip container of the pickled value, and of six floats as storage 0 unless told otherwise."""
    storages = {"0": FLOATS} if storages is None else storages
    contents = {"a/data.pkl": program(value), **{f"a/data/{key}": raw for key, raw in storages.items()}}
    return archive({**contents, **{f"a/{name}": content for name, content in members.items()}})


def legacy_file(value, storages=None, head=LEGACY_HEAD + SYSTEM, keys=None):
    """The same as a legacy container; storages: {key: (number of elements, bytes)}."""
    storages = {"0": (6, FLOATS)} if storages is None else storages
    content = b"".join(struct.pack("<q", count) + raw for count, raw in storages.values())
    return head + program(value) + program(list(storages) if keys is None else keys) + content


def one(**changes):
    """A state dict of one tensor, "w": two rows of three of the six floats of storage 0."""
    fields = {"stored": storage("0", 6), "shape": (2, 3), "strides": (3, 1), **changes}
    return {"w": tensor(**fields)}


def legacy_one(view=None, count=6, **changes):
    return one(stored=storage("0", count, more=(view,)), **changes)


def test_the_files_written_by_hand_are_good():
    expected = [[1, 2, 3], [4, 5, 6]]
    assert torch_pth.read(zip_file(one()), "w.pth")["w"].tolist() == expected
    assert torch_pth.read(legacy_file(legacy_one()), "w.pth")["w"].tolist() == expected
    loaded = torch.load(io.BytesIO(legacy_file(legacy_one())), weights_only=True)
    assert loaded["w"].tolist() == expected


def test_views_of_storages_in_legacy_files():
    """Before torch 0.4 a storage could be a part of another: (its key, offset, size)."""
    part = legacy_one(view=("1", 2, 3), shape=(2,), strides=(1,), offset=1)
    assert torch_pth.read(legacy_file(part), "w.pth")["w"].tolist() == [4, 5]


def test_python_2_and_torch_0():
    """Strings of Python 2, an OrderedDict with its items as an argument, _rebuild_tensor, and Parameters."""
    plain = call(named("torch._utils", "_rebuild_tensor"), storage("0", 6, more=(None,)), 0,
                 call(named("torch", "Size"), (2, 3)), (3, 1))
    parameter = Code(OLD_PARAMETER + encode((plain,)) + b"\x81")  # NEWOBJ
    with_state = build(parameter, (True, False, call(ORDERED)))
    empty = Code(OLD_PARAMETER + b")\x81")
    filled = build(empty, (plain, None, True, False, call(ORDERED)))
    items = [[python2("plain"), plain], [python2("parameter"), with_state], [python2("filled"), filled]]
    found = torch_pth.read(legacy_file(build(call(ORDERED, items), {"_metadata": {}})), "w.pth")
    assert list(found) == ["plain", "parameter", "filled"]
    assert all(array.tolist() == [[1, 2, 3], [4, 5, 6]] for array in found.values())


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
        one(stored=Code(encode(("module", named("torch", "FloatStorage"), "0", "cpu", 6)) + b"Q")), "storage"
    ),
    "a persistent id that is a number": (one(stored=Code(encode(7) + b"Q")), "found int"),
    "a persistent id that is text": (one(stored=Code(encode("storage") + b"Q")), "found str"),
    "an offset past the storage": (one(offset=1), "up to 6"),
    "a negative offset": (one(offset=-1), "numbers from 0"),
    "an offset of 2^100": (one(offset=2**100), "expected a view of 6"),
    "an offset that is a string": (one(offset="0"), "str"),
    "strides past the storage": (one(strides=(4, 1)), "up to 6"),
    "vast strides": (one(strides=(2**62, 2**62)), "expected a view of 6"),
    "a negative stride": (one(strides=(-3, 1), offset=3), "numbers from 0"),
    "a stride missing": (one(strides=(3,)), "2 sizes and 1 strides"),
    "a stride too many": (one(strides=(3, 1, 1)), "2 sizes and 3 strides"),
    "a shape of a billion": (one(shape=(10**9,), strides=(0,)), "expected a view of 6"),
    "a shape of overlapping rows": (one(shape=(5, 2), strides=(1, 1)), "expected a view of 6"),
    "a shape that overflows": (one(shape=(2**32, 2**32), strides=(0, 0)), "expected a view of 6"),
    "a vast empty shape": (one(shape=(0, 2**62, 2**62), strides=(1, 1, 1)), "shape"),
    "a negative shape": (one(shape=(-2, -3)), "numbers from 0"),
    "a shape of floats": (one(shape=(Code(b"G" + struct.pack(">d", 2)), 3)), "numbers from 0"),
    "a shape that is true": (one(shape=(True, 3)), "numbers from 0"),
    "a shape that is a list": (one(shape=[2, 3]), "list"),
    "100 dimensions": (one(shape=(1,) * 100, strides=(1,) * 100), "100 sizes"),
    "a storage used over and over": (
        {f"w{number}": one()["w"] for number in range(60)}, "used at most"
    ),
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
    "a storage elsewhere": (zip_file(one(), {"../data/0": FLOATS}), "inside the archive"),
    "a key with a path": (zip_file(one(stored=storage("../data.pkl", 6))), "'a/data/../data.pkl'"),
    "a storage cut": (zip_file(one(), {"0": FLOATS[:-1]}), "found 23 bytes"),
    "a storage of larger elements": (
        zip_file(one(stored=storage("0", 6, "DoubleStorage"))), "expected 6 elements of 8 bytes, found 24"
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
        legacy_file(legacy_one(), head=LEGACY_HEAD + program(call(named("os", "system"), ""))), "'os.system'"
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
from npgrad.formats import torch_pth

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


# Damage

GOOD = {container: saved({**tensors(), "state_dict": {}, "epoch": 3}, container) for container in CONTAINERS}


@pytest.mark.parametrize("container", CONTAINERS)
@given(data=st.data())
@settings(max_examples=400)
def test_any_flipped_byte_is_read_or_refused(container, data):
    good = GOOD[container]
    damaged = bytearray(good)
    damaged[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    check_read_or_refused(bytes(damaged))
    check_read_or_refused(good[: data.draw(st.integers(0, len(good)))])


@given(noise=st.binary(), at=st.integers(0, 10_000))
def test_noise(noise, at):
    check_read_or_refused(noise)
    check_read_or_refused(b"PK\x03\x04" + noise)
    check_read_or_refused(LEGACY_HEAD + noise)
    check_read_or_refused(LEGACY_HEAD + SYSTEM + noise)
    legacy = GOOD["legacy"]
    check_read_or_refused(legacy[: at % len(legacy)] + noise + legacy[at % len(legacy) :])
    pickled = zip_members(GOOD["zip"])["archive/data.pkl"]
    at %= len(pickled)
    check_read_or_refused(zip_file(Code(pickled[2:at] + noise + pickled[at:-1])))


def check_read_or_refused(data):
    try:
        found = torch_pth.read(data, "w.pth")
    except WeightsError as error:
        assert str(error).startswith("w.pth: ") and "\n" not in str(error)
    else:
        assert all(type(array) is np.ndarray for array in found.values())
