"""Any weights file, recognized by what is in it; and anything else, called what it is."""

import hashlib
import io
import os
import warnings
from dataclasses import FrozenInstanceError

import h5py
import numpy as np
import pytest
from deep_compression_files import net
from format_files import STRANGERS, TENSORS, WRITERS, caffemodel, safetensors, torch_pth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages import FINITE_NUMBERS
from refusals import line

from npgrad import WeightsError
from npgrad.io.formats import (
    reading,
    signatures,
)


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


def hdf5():
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["x"] = 1
    return out.getvalue()


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
    with pytest.raises(WeightsError, match=rf"weights: tensor 'conv1.bias': {FINITE_NUMBERS}"):
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


@pytest.mark.exhaustive
@given(data=st.one_of(st.binary(max_size=400), st.text(max_size=100).map(str.encode)))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes(tmp_path, data):
    path = tmp_path / "weights"
    path.write_bytes(data)
    read_or_refuse(path)
    assert signatures.describe(data).isprintable()


@pytest.mark.sampled(1)
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


def test_a_file_may_be_as_large_as_the_bound(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(net())
    monkeypatch.setattr(reading, "MAX_SIZE", len(net()))
    contents = reading.read(path)
    assert (contents.size, contents.path) == (len(net()), path)
    monkeypatch.setattr(reading, "MAX_SIZE", len(net()) - 1)
    assert line(reading.read, path) == f"{path}: expected at most 0 GiB, found {len(net())} bytes"


def test_every_format_names_the_file(tmp_path):
    for kind, writer in WRITERS.items():
        path = tmp_path / "net.bin"
        path.write_bytes(writer(TENSORS)[:-1])
        assert line(reading.read, path).startswith(f"{path}: "), kind


def test_where_sniffing_ends():
    assert signatures.describe(b"\x80\x05") == "a bare Python pickle"
    assert signatures.describe(b"\x80\x06").startswith("binary data") and signatures.describe(
        b"\x80\x01"
    ).startswith("binary")
    same = signatures.describe(b"layers {\n}") == signatures.describe(b"layer {\n}")
    assert same and signatures.describe(b"layer {\n}") != signatures.describe(b"lawyer {\n}")
    assert (
        signatures.describe(b"ab").startswith("text beginning 'ab'")
        and signatures.describe(b"a") == "a single byte (0x61)"
    )
    assert signatures.describe(b" " * 1000 + b"a") == "blank text"  # as far as it looks
    long = b"PK\x03\x04" + bytes(22) + b"\x46\x00\x00\x00" + b"m" * 70
    assert signatures.describe(long) == f"a zip archive (first member {'m' * 60!r})"
