"""Deep Compression's .net: decoded exactly, and refused where counts, places or sizes do not fit."""

import hashlib
import time

import numpy as np
import pytest
from deep_compression_files import ATTACKS, assemble, encode, net, sparse_squeezenet
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import line

from npgrad.errors import WeightsError
from npgrad.io.converting import convert
from npgrad.io.formats import (
    deep_compression,
    reading,
)
from npgrad.io.labels import imagenet_classes
from npgrad.models import squeezenet1_0

NAME = "squeezenet1_0_deep_compression.net"
SHA256 = "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261"


@pytest.fixture(scope="module")
def parts():
    """A small valid file taken apart: its counts, and per convolution codebook, bias, codes and places."""
    tensors = sparse_squeezenet(np.random.default_rng(1), kept=0.01)
    data, counts = encode(tensors)
    bodies, position = [], 4 * 26
    for count, (_, shape) in zip(counts, deep_compression.CONVOLUTIONS, strict=True):
        body = []
        for dtype, size in (("<f4", 256), ("<f4", shape[0]), ("u1", count), ("u1", (count + 1) // 2)):
            body.append(np.frombuffer(data, dtype, size, position))
            position += body[-1].nbytes
        bodies.append(body)
    assert position == len(data)
    return counts, bodies


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.001])
def test_round_trip(rng, kept):
    expected = sparse_squeezenet(rng, kept)
    data, counts = encode(expected)
    if kept < 0.1:  # the file must hold gaps over 15, bridged by zeros
        assert sum(counts) > sum(
            np.count_nonzero(expected[key]) for key in expected if key.endswith(".weight")
        )
    assert deep_compression.matches(data)
    found = deep_compression.read(data, "f.net")
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == np.float32
        assert found[key].flags.writeable
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.exhaustive
def test_the_real_file(shared):
    data = (shared / "weights" / NAME).read_bytes()
    assert hashlib.sha256(data).hexdigest() == SHA256
    assert deep_compression.matches(data[:104])
    counts = np.frombuffer(data, "<u4", 26)
    assert counts.sum() == 422_083
    tensors = deep_compression.read(data, "real.net")
    assert sum(array.size for array in tensors.values()) == 1_248_424
    # Encoding the weights again, zeros between distant ones and all, takes as many entries in every layer.
    assert encode(tensors)[1] == counts.tolist()
    with pytest.raises(WeightsError, match="expected 675763 bytes"):
        deep_compression.read(data + b"\x00", "real.net")


def test_decoding_is_fast(shared):
    data = (shared / "weights" / NAME).read_bytes()
    began = time.process_time()
    deep_compression.read(data, "real.net")
    assert time.process_time() - began < 0.5  # 0.01 s where it was measured


@pytest.mark.parametrize("what", ATTACKS)
def test_refused(parts, what):
    make, words = ATTACKS[what]
    with pytest.raises(WeightsError) as caught:
        deep_compression.read(make(parts), "attack.net")
    assert str(caught.value).startswith("attack.net: ")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_last_place_is_still_inside(parts):
    """The place that the attack above goes past: one less is the weight's last."""
    counts, bodies = parts
    counts, bodies = list(counts), list(bodies)
    counts[2] = 64
    bodies[2] = [*bodies[2][:2], np.ones(64, np.uint8), np.full(32, 0xFF, np.uint8)]  # 64 * 16 places
    weight = deep_compression.read(assemble(counts, bodies), "f")["fire2/expand1x1.weight"].ravel()
    np.testing.assert_array_equal(np.flatnonzero(weight), np.arange(15, 1024, 16))


def read_or_refuse(data):
    deep_compression.matches(data)
    try:
        tensors = deep_compression.read(data, "some file")
    except WeightsError as error:
        assert str(error).startswith("some file: ")
    else:
        assert len(tensors) == 52
        assert all(np.isfinite(array).all() for array in tensors.values())


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_random_bytes(data):
    read_or_refuse(data)


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_changed_and_cut_bytes(parts, data):
    valid = bytearray(assemble(*parts))
    places = st.one_of(st.integers(0, 103), st.integers(0, len(valid) - 1))
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        valid[place] = byte
    read_or_refuse(bytes(valid[: data.draw(st.one_of(st.just(len(valid)), places))]))


def test_deep_compressions_convolutions_are_squeezenets():
    made = deep_compression._convolutions()
    expected = [
        array.shape for name, array in squeezenet1_0(1000).parameters().items() if name.endswith("weight")
    ]
    assert [shape for _, shape in made] == expected
    squeezes = [f"fire{i}/{part}" for i in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")]
    assert [name for name, _ in made] == ["conv1", *squeezes, "conv10"]


def test_a_deep_compression_file_among_the_others(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(net())
    contents = reading.read(path)
    assert (contents.format, contents.details, len(contents.tensors)) == ("Deep Compression .net", {}, 52)
    weight, bias = contents.tensors["conv1.weight"], contents.tensors["conv1.bias"]
    assert np.flatnonzero(weight).tolist() == [3] and weight.flat[3] == 2.5 and (bias == 0.5).all()
    path.write_bytes(net(spoil=1))
    assert line(reading.read, path) == f"{path}: conv1: code 0: expected the value 0, found 1"
    path.write_bytes(net()[:-1])
    assert line(reading.read, path).startswith(
        f"{path}: expected {len(net())} bytes according to its first 26 counts, found {len(net()) - 1}"
    )
    assert line(deep_compression.read, b"", "f").startswith("f: expected 26 counts at its beginning")


def test_a_deep_compression_file_becomes_a_model(tmp_path):
    path = tmp_path / "f.net"
    path.write_bytes(net())
    model = convert(path, source={"license": "none"})
    assert model.architecture == {
        "name": "squeezenet1_0",
        "options": {"num_classes": 1000, "conv10_padding": 1},
    }
    assert model.classes == imagenet_classes() and model.preprocessing.crop == 227
    assert set(model.source) == {"file", "format", "sha256", "license"}
    assert (model.source["file"], model.source["format"]) == ("f.net", "Deep Compression .net")
    weight, bias = model.parameters()["conv1.weight"], model.parameters()["conv1.bias"]
    factor = 255 * np.array(model.preprocessing.std)
    offset = 255 * np.array(model.preprocessing.mean) - np.array([123.0, 117.0, 104.0])
    assert np.flatnonzero(weight).tolist() == [
        2 * 49 + 3
    ]  # the file's first channel is blue, npgrad's the last
    np.testing.assert_allclose(weight.max(), 2.5 * factor[2] / 64, rtol=1e-6)
    np.testing.assert_allclose(bias, [(0.5 + 2.5 * offset[2]) / 64, *[0.5 / 64] * 95], rtol=1e-5)
    assert (model.parameters()["fire5.squeeze.bias"] == np.float32(0.5 / 64)).all()
    assert (model.parameters()["conv10.bias"] == 0.5).all()
    assert model.parameters()["conv10.weight"].max() == 2.5 * 64
