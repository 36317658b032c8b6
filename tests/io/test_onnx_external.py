"""ONNX weights in a second file: read from a plain file beside the model, refused from anywhere else."""

import hashlib
import os

import numpy as np
import onnx
import pytest
from onnx_files import constant, graph

import npgrad
from npgrad import WeightsError
from npgrad.io.formats import onnx as reader

X = np.random.default_rng(0).normal(size=(2, 2, 4, 4)).astype(np.float32)
CONV = graph([("Conv", ["x", "w", "b"], "y")],
             [constant("w", np.random.default_rng(1).normal(size=(3, 2, 3, 3))), constant("b", [1, 2, 3])])  # fmt: skip
WEIGHT, SIZE = "tensor 'w': ", 4 * (54 + 3)


def split(folder, location="net.onnx.data"):
    """A model whose two tensors are in one other file."""
    model = onnx.ModelProto.FromString(CONV)
    onnx.save(model, folder / "net.onnx", save_as_external_data=True, location=location, size_threshold=0)
    return folder / "net.onnx"


def changed(path, **entries):
    """The same model with other entries for its first tensor; None removes one."""
    model = onnx.load(path, load_external_data=False)
    tensor = next(one for one in model.graph.initializer if one.name == "w")
    kept = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in kept.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_read_from_beside_the_model(tmp_path, monkeypatch):
    path, inside = split(tmp_path), reader.from_bytes(CONV, "f")
    model = npgrad.load(path)
    assert np.array_equal(model(X), inside(X))
    data = (tmp_path / "net.onnx.data").read_bytes()
    assert model.source["data"] == {"net.onnx.data": hashlib.sha256(data).hexdigest()}
    assert "data" not in inside.source
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(npgrad.load("net.onnx")(X), inside(X))


def test_the_entries_that_may_be_missing(tmp_path):
    whole = npgrad.load(split(tmp_path))(X)
    data = (tmp_path / "net.onnx.data").read_bytes()
    path = changed(tmp_path / "net.onnx", length=None, checksum=hashlib.sha1(data).hexdigest().upper())
    assert np.array_equal(npgrad.load(path)(X), whole)


def test_a_model_in_memory_reads_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = split(tmp_path).read_bytes()
    with pytest.raises(WeightsError, match="file net.onnx.data, and only the model's own file was given$"):
        reader.from_bytes(data, "f")


REFUSED = {
    "an absolute path": ({"location": "/etc/passwd"}, "file /etc/passwd: expected the name of a file beside"),
    "the folder above": ({"location": "../net.onnx.data"}, "expected the name of a file beside the model$"),
    "another folder": ({"location": "sub/net.onnx.data"}, "expected the name of a file beside the model$"),
    "Windows's other folder": ({"location": "sub\\net.onnx.data"}, "expected the name of a file beside the model$"),
    "Windows's other disk": ({"location": "c:net.onnx.data"}, "expected the name of a file beside the model$"),
    "the folder itself": ({"location": "."}, "expected the name of a file beside the model$"),
    "no name": ({"location": ""}, "expected the name of a file beside the model$"),
    "a name too long": ({"location": "n" * 300}, "expected the name of a file beside the model$"),
    "a zero byte": ({"location": "net\0"}, "expected the name of a file beside the model$"),
    "a missing file": ({"location": "gone"}, "cannot be read: No such file or directory; it must be beside the model$"),
    "a link": ({"location": "link"}, "expected a plain file, found a link, a folder or a device$"),
    "a folder": ({"location": "sub"}, "expected a plain file, found a link, a folder or a device$"),
    "no location": ({"location": None}, r"expected where, found \['offset', 'length'\]$"),
    "an unknown entry": ({"password": "1"}, r"expected where, found \['password'\]$"),
    "another length": ({"length": "8"}, "shape .3, 2, 3, 3. has 216 bytes; found 8 from byte"),
    "past the end": ({"offset": str(SIZE - 215)}, f"found 216 from byte {SIZE - 215} on, in a file of {SIZE}$"),
    "far past the end": ({"offset": "9" * 19}, f"on, in a file of {SIZE}$"),
    "a negative offset": ({"offset": "-4"}, "offset: expected a whole number, found '-4'$"),
    "an offset in words": ({"offset": "four"}, "offset: expected a whole number, found 'four'$"),
    "a length in Arabic digits": ({"length": "٢١٦"}, "length: expected a whole number, found"),
    "another checksum": ({"checksum": "0" * 40}, "expected data of the SHA-1 0000.*, found others$"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_from_anywhere_else(case, tmp_path):
    entries, line = REFUSED[case]
    path = changed(split(tmp_path), **entries)
    (tmp_path / "sub").mkdir()
    os.symlink(tmp_path / "net.onnx.data", tmp_path / "link")
    with pytest.raises(WeightsError, match=line) as refusal:
        npgrad.load(path)
    assert str(refusal.value).startswith(f"{path}: {WEIGHT}") and "\n" not in str(refusal.value)


def test_data_inside_and_outside(tmp_path):
    """What a tensor says inside does not count where its data are in another file."""
    path = split(tmp_path)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.raw_data = bytes(216)
    path.write_bytes(model.SerializeToString())
    assert np.array_equal(npgrad.load(path)(X), reader.from_bytes(CONV, "f")(X))
