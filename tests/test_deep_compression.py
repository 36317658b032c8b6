"""Deep Compression's .net: decoded exactly, and refused where counts, places or sizes do not fit."""

import hashlib
import time

import numpy as np
import pytest
from caffe_writer import random_squeezenet
from hypothesis import given, settings
from hypothesis import strategies as st

from npgrad.errors import WeightsError
from npgrad.io.formats import deep_compression

NAME = "squeezenet1_0_deep_compression.net"
SHA256 = "e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261"


def encode(tensors):
    """The .net of sparse weights, and its counts; each weight has at most 255 different values besides 0.

    Written from the format's description, one weight at a time: a place more than 16 after the one before it
    is reached by way of stored zeros.
    """
    counts, bodies = [], []
    for key, weight in tensors.items():
        if not key.endswith(".weight"):
            continue
        flat = weight.ravel()
        values = np.unique(flat[flat != 0])
        codebook = np.zeros(256, "<f4")
        codebook[1 : len(values) + 1] = values
        codes, skipped, last = [], [], -1
        for place in np.flatnonzero(flat):
            while place - last > 16:
                codes.append(0)
                skipped.append(15)
                last += 16
            codes.append(1 + int(np.searchsorted(values, flat[place])))
            skipped.append(int(place) - last - 1)
            last = place
        counts.append(len(codes))
        halves = [*skipped, 0]
        packed = bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=False))
        bias = tensors[key.replace(".weight", ".bias")].astype("<f4")
        bodies.append([codebook, bias, np.array(codes, np.uint8), np.frombuffer(packed, np.uint8)])
    return assemble(counts, bodies), counts


def assemble(counts, bodies):
    parts = [part.tobytes() for body in bodies for part in body]
    return np.array(counts, "<u4").tobytes() + b"".join(parts)


def sparse_squeezenet(rng, kept):
    """Random SqueezeNet 1.0 arrays whose weights keep a share `kept` of their places, with few values."""
    tensors = random_squeezenet(rng)
    for key, array in tensors.items():
        if key.endswith(".weight"):
            values = np.concatenate([[0.0], rng.standard_normal(rng.integers(1, 256))]).astype(np.float32)
            places = rng.random(array.size) < kept
            places[rng.integers(array.size)] = True
            codes = np.where(places, rng.integers(1, len(values), array.size), 0)
            tensors[key] = values[codes].reshape(array.shape)
    return tensors


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


@pytest.mark.parametrize("kept", [0.3, 0.05, 0.001])
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


def changed(parts, layer, part, place, value):
    """The file with one number changed in a codebook (part 0), biases (1), codes (2) or places (3)."""
    counts, bodies = parts
    bodies = [list(body) for body in bodies]
    bodies[layer][part] = bodies[layer][part].copy()
    bodies[layer][part][place] = value
    return assemble(counts, bodies)


def with_count(parts, layer, count):
    counts, bodies = parts
    counts = list(counts)
    counts[layer] = count
    return assemble(counts, bodies)


ATTACKS = {
    "empty": (lambda parts: b"", "26 counts"),
    "103 bytes": (lambda parts: assemble(*parts)[:103], "26 counts"),
    "a count of 0": (lambda parts: with_count(parts, 3, 0), "26 counts"),
    "a count over the weights": (lambda parts: with_count(parts, 0, 96 * 3 * 49 + 1), "26 counts"),
    "a huge count": (lambda parts: with_count(parts, 25, 2**32 - 1), "26 counts"),
    "one more entry": (
        lambda parts: with_count(parts, 5, parts[0][5] + 1),
        "according to its first 26 counts",
    ),
    "cut short": (lambda parts: assemble(*parts)[:-1], "according to its first 26 counts"),
    "cut after the counts": (lambda parts: assemble(*parts)[:104], "according to its first 26 counts"),
    "a byte too many": (lambda parts: assemble(*parts) + b"\x00", "according to its first 26 counts"),
    "NaN in a codebook": (
        lambda parts: changed(parts, 4, 0, 7, np.nan),
        "fire3/squeeze1x1: codebook: expected finite",
    ),
    "infinity in a codebook": (
        lambda parts: changed(parts, 0, 0, 255, -np.inf),
        "conv1: codebook: expected finite",
    ),
    "NaN in a bias": (lambda parts: changed(parts, 25, 1, 999, np.nan), "conv10: biases: expected finite"),
    "code 0 is not 0": (
        lambda parts: changed(parts, 1, 0, 0, 0.5),
        "fire2/squeeze1x1: code 0: expected the value 0, found 0.5",
    ),
    "past the last weight": (
        lambda parts: past_the_end(parts, 2),
        "fire2/expand1x1: expected positions below 1024, found a weight at 1024",
    ),
}


def past_the_end(parts, layer):
    """All places of one convolution 16 apart up to its last, and then one more."""
    counts, bodies = parts
    shape = deep_compression.CONVOLUTIONS[layer][1]
    count = int(np.prod(shape)) // 16 + 1
    counts, bodies = list(counts), list(bodies)
    counts[layer] = count
    packed = np.full((count + 1) // 2, 0xFF, np.uint8)
    packed[-1] = 0xF0
    bodies[layer] = [*bodies[layer][:2], np.ones(count, np.uint8), packed]
    return assemble(counts, bodies)


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
