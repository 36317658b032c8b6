"""Any weights file, recognized by what is in it; and anything else, called what it is."""

import gzip
import hashlib
import io
import os
import tarfile
import warnings
import zipfile
from dataclasses import FrozenInstanceError

import caffe_writer
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from npgrad.errors import WeightsError
from npgrad.io.formats import reading, signatures

TENSORS = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "conv1.bias": np.array([0.5, -2], np.float32),
}


def npz(**tensors):
    out = io.BytesIO()
    np.savez_compressed(out, **tensors)
    return out.getvalue()


def torch_pth(tensors, legacy=False):
    torch = pytest.importorskip("torch")
    out = io.BytesIO()
    state = {key: torch.from_numpy(array.copy()) for key, array in tensors.items()}
    torch.save(state, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


def safetensors(tensors):
    return pytest.importorskip("safetensors.numpy").save(tensors)


def caffemodel(tensors):
    blobs = [caffe_writer.blob(array) for array in tensors.values()]
    options = caffe_writer.convolution_param(kernel_size=2, pad=1)
    return caffe_writer.network([caffe_writer.layer("conv1", blobs, options)])


WRITERS = {
    "torch .pth (zip)": torch_pth,
    "torch .pth (legacy)": lambda tensors: torch_pth(tensors, legacy=True),
    "NumPy .npz": lambda tensors: npz(**tensors),
    "safetensors": safetensors,
    "Caffe .caffemodel": caffemodel,
}


@pytest.mark.parametrize("format_", WRITERS)
def test_recognized_by_content(tmp_path, format_):
    path = tmp_path / "misleading.png"
    path.write_bytes(WRITERS[format_](TENSORS))
    contents = reading.read(path)
    assert contents.format == format_
    assert contents.path == path
    assert contents.size == path.stat().st_size
    assert contents.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(contents.tensors) == set(TENSORS)
    for key, array in TENSORS.items():
        np.testing.assert_array_equal(contents.tensors[key], array)
    caffe = format_.startswith("Caffe")
    assert (contents.details["conv1"]["pad"] == 1) if caffe else (contents.details == {})
    with pytest.raises(FrozenInstanceError):
        contents.size = 0


def test_the_real_file(shared):
    path = str(shared / "weights" / "squeezenet1_0_deep_compression.net")
    contents = reading.read(path)
    assert contents.format == "Deep Compression .net"
    assert contents.size == 675_763
    assert contents.sha256 == "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261"
    assert len(contents.tensors) == 52
    assert contents.details == {}


def image(kind):
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, kind)
    return out.getvalue()


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def hdf5():
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["x"] = 1
    return out.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 4996842\n"
STRANGERS = {
    "empty": (b"", "an empty file"),
    "one byte": (b"\x80", "a single byte (0x80)"),
    "two bytes": (b"\x80\x02", "a bare Python pickle"),
    "HTML": (b"\n<!DOCTYPE html>\n<title>404</title>", "an HTML page"),
    "HTML in Latin-1": (b"<HTML><body>caf\xe9 ferm\xe9", "an HTML page"),
    "Git-LFS": (LFS, "a Git-LFS pointer"),
    "PNG": (image("PNG"), "a PNG image"),
    "JPEG": (image("JPEG"), "a JPEG image"),
    "GIF": (image("GIF"), "a GIF image"),
    "gzip": (gzip.compress(caffemodel(TENSORS)), "gzip-compressed"),
    "tar": (tar(), "a tar archive"),
    "zip": (zipped(**{"word/document.xml": "<x/>"}), "a zip archive (first member 'word/document.xml')"),
    "zip of a bad name": (b"PK\x03\x04" + bytes(22) + b"\x02\x00\x00\x00\n\xff", "a zip archive"),
    "zip of nothing": (zipped(), "an empty zip archive"),
    "npy": (npy(), "a single NumPy array"),
    "pickle": (b"\x80\x04\x95\x05\x00\x00", "a bare Python pickle"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x03" + b"1.9" + bytes(99), "an ONNX model"),
    "prototxt": (b'name: "SqueezeNet"\nlayer {\n  name: "conv1"\n}\n', "a Caffe .prototxt"),
    "text": ("Größe:\t12\n".encode(), "text beginning 'Größe: 12'"),
    "text, cut in a character": ("é".encode() * 40_000, "text beginning 'éééé"),
    "text with a mark": (b"\xef\xbb\xbfhello there", "text beginning 'hello there'"),
    "long text": (b"a" * 100_000, f"text beginning '{'a' * 40}'"),
    "blank": (b" \n \n", "blank text"),
    "zeros": (bytes(100_000), "binary data beginning 00 00 00 00 00 00 00 00"),
    "other": (b"\xde\xad\xbe\xef", "binary data beginning de ad be ef"),
    "a control sequence": (b"\x1b[2Jgone", "binary data beginning 1b 5b"),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_not_a_weights_file(tmp_path, what):
    data, words = STRANGERS[what]
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        reading.read(path)
    assert str(caught.value).startswith(f"{path}: not a weights file: it looks like {words}")
    assert str(caught.value).isprintable()
    assert signatures.describe(data).startswith(words)


def test_weights_in_words():
    assert signatures.describe(torch_pth(TENSORS)) == "a zip archive (first member 'archive/data.pkl')"
    assert signatures.describe(torch_pth(TENSORS, legacy=True)) == "a torch .pth file"
    assert signatures.describe(safetensors(TENSORS)) == "a .safetensors file"
    assert signatures.describe(caffemodel(TENSORS)) == "a Caffe .caffemodel"
    assert signatures.describe(np.ones(26, "<u4").tobytes()) == "a Deep Compression .net file"


def test_hdf5_is_sent_to_load(tmp_path):
    path = tmp_path / "weights.pth"
    for data, words in ((hdf5(), "an HDF5 file"), (b"npgrad weights, version 1\n", "npgrad's own .h5")):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=f"found {words}.*; npgrad.load reads npgrad's own"):
            reading.read(path)


def test_an_h5_of_npgrads_own_is_recognized(tmp_path):
    from npgrad.models import squeezenet1_1

    path = tmp_path / "mine.pth"
    squeezenet1_1(num_classes=2).save(path)
    with pytest.raises(WeightsError, match="found npgrad's own .h5"):
        reading.read(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("format_", WRITERS)
def test_not_finite(tmp_path, format_, bad):
    bias = TENSORS["conv1.bias"].copy()
    bias[1] = bad
    path = tmp_path / "weights"
    path.write_bytes(WRITERS[format_]({**TENSORS, "conv1.bias": bias}))
    with pytest.raises(WeightsError, match=r"weights: tensor 'conv1.bias': expected finite numbers"):
        reading.read(path)


@pytest.mark.parametrize("format_", ["torch .pth (zip)", "torch .pth (legacy)", "safetensors"])
def test_no_tensors(tmp_path, format_):
    path = tmp_path / "weights"
    path.write_bytes(WRITERS[format_]({}))
    with pytest.raises(WeightsError, match="^.*weights: .*expected"):
        reading.read(path)


def test_torchscript_goes_to_the_torch_reader(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "script.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), str(path))
    with pytest.raises(WeightsError) as caught:
        reading.read(path)
    assert "TorchScript" in str(caught.value)


def test_what_is_no_file(tmp_path):
    with pytest.raises(WeightsError, match="absent.pth: cannot be read: No such file"):
        reading.read(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="expected a weights file, found a folder"):
        reading.read(tmp_path)
    with pytest.raises(WeightsError, match="cannot be read"):
        reading.read(tmp_path / ("long" * 100))
    with pytest.raises(WeightsError, match="zero byte"):
        reading.read("weights\0.pth")
    with pytest.raises(WeightsError, match=r"'two\\nlines.pth': cannot be read"):
        reading.read("two\nlines.pth")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="found a device or a pipe"):
        reading.read(tmp_path / "pipe")


def test_too_large(tmp_path):
    path = tmp_path / "large.caffemodel"
    path.write_bytes(caffemodel(TENSORS))
    os.truncate(path, reading.MAX_SIZE + 1)  # a hole, which takes no room on the disk
    with pytest.raises(WeightsError, match="expected at most 4 GiB, found 4294967297 bytes"):
        reading.read(path)


def test_of_a_stranger_only_the_beginning_is_read(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"\x00\x00\x00\x20ftypisom")
    os.truncate(path, 3 * 2**30)
    with pytest.raises(WeightsError, match="binary data beginning 00 00 00 20"):
        reading.read(path)  # would take seconds and 3 GiB


def read_or_refuse(path):
    try:
        contents = reading.read(path)
    except WeightsError as error:
        assert str(error).startswith(f"{path}: ")
        assert str(error).isprintable()
    else:
        assert all(np.isfinite(array).all() for array in contents.tensors.values())


@given(data=st.one_of(st.binary(max_size=400), st.text(max_size=100).map(str.encode)))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes(tmp_path, data):
    path = tmp_path / "weights"
    path.write_bytes(data)
    read_or_refuse(path)
    assert signatures.describe(data).isprintable()


@pytest.mark.parametrize("format_", WRITERS)
@given(random=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changed_and_cut_bytes(tmp_path, format_, random):
    data = bytearray(WRITERS[format_](TENSORS))
    for place in random.draw(st.lists(st.integers(0, len(data) - 1), max_size=3)):
        data[place] = random.draw(st.integers(0, 255))
    path = tmp_path / "weights"
    path.write_bytes(data[: random.draw(st.integers(0, len(data)))] if random.draw(st.booleans()) else data)
    read_or_refuse(path)
