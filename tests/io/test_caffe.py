"""Caffe's .caffemodel files: read what Caffe has written in any year, refuse what nobody should have."""

import time
import tracemalloc

import caffe_writer as w
import numpy as np
import pytest
from caffe_files import BIAS, REFUSED, WEIGHT, nested, one_layer
from hypothesis import given, settings
from hypothesis import strategies as st

from npgrad.errors import WeightsError
from npgrad.io.formats import caffe

DEFAULTS = {"pad": 0, "stride": 1, "group": 1, "dilation": 1}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize("v1", [False, True])
def test_a_whole_squeezenet(rng, v1):
    expected = w.random_squeezenet(rng)
    data = w.squeezenet(expected, conv10_pad=1, v1=v1)
    assert caffe.matches(data[:200])
    tensors, convolutions = caffe.read(data, "net.caffemodel")
    assert_same(tensors, expected)
    assert len(convolutions) == 26
    assert convolutions["conv1"] == {**DEFAULTS, "kernel_size": 7, "stride": 2}
    assert convolutions["fire9/expand3x3"] == {**DEFAULTS, "kernel_size": 3, "pad": 1}
    assert convolutions["conv10"]["pad"] == 1


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_packed_and_one_by_one(packed, dtype):
    weight, bias = WEIGHT.astype(dtype), BIAS.astype(dtype)
    data = one_layer(w.blob(weight, packed=packed), w.blob(bias, packed=packed))
    assert_same(caffe.read(data, "f")[0], {"conv1.weight": weight, "conv1.bias": bias})


def test_numbers_in_several_pieces_are_put_together():
    values = WEIGHT.ravel()
    pieces = [
        w.numbers(5, values[:1], packed=False),
        w.numbers(5, values[1:4]),
        w.numbers(5, values[:0]),
        w.shape_field(WEIGHT.shape),
        # the same field with its tag in two bytes where one would do
        b"".join(b"\xad\x00" + w.float_bytes(value) for value in values[4:20]),
        w.numbers(6, values, packed=False),  # `diff`, which is left alone
        w.numbers(5, values[20:], packed=False),
    ]
    assert_same(caffe.read(one_layer(b"".join(pieces)), "f")[0], {"conv1.weight": WEIGHT})


@given(st.lists(st.sampled_from([5, 6, 20]), max_size=100))
@settings(deadline=None, max_examples=60)
def test_unpacked_rows_end_where_the_tag_changes(keys):
    pieces = [w.numbers(key, np.float32([place]), packed=False) for place, key in enumerate([5, *keys])]
    expected = np.float32([place for place, key in enumerate([5, *keys]) if key == 5])
    data = one_layer(b"".join(pieces) + w.shape_field(expected.shape))
    assert_same(caffe.read(data, "f")[0], {"conv1.weight": expected})


def test_the_arrays_are_the_readers_own():
    tensors, _ = caffe.read(one_layer(w.blob(WEIGHT)), "f")
    assert tensors["conv1.weight"].flags.writeable
    assert tensors["conv1.weight"].flags.c_contiguous


def test_an_older_bias_becomes_one_row():
    tensors, _ = caffe.read(one_layer(w.blob(WEIGHT, legacy=True), w.blob(BIAS, legacy=True)), "f")
    assert_same(tensors, {"conv1.weight": WEIGHT, "conv1.bias": BIAS})
    tensors, _ = caffe.read(one_layer(w.blob(WEIGHT), w.blob(BIAS.reshape(1, 2))), "f")
    assert tensors["conv1.bias"].shape == (2,)


@pytest.mark.parametrize(
    ("given_options", "expected"),
    [
        ({}, {}),
        ({"kernel_size": [3]}, {"kernel_size": 3}),
        ({"pad": [2, 2], "group": 4}, {"pad": 2, "group": 4}),
        ({"kernel_size": [3, 5], "dilation": 2}, {"kernel_h": 3, "kernel_w": 5, "dilation": 2}),
        ({"kernel_h": 1, "kernel_w": 7}, {"kernel_h": 1, "kernel_w": 7}),
        ({"pad_h": 0, "pad_w": 3}, {"pad_h": 0, "pad_w": 3}),
        ({"stride_h": 2, "stride_w": 2, "pad_h": 1}, {"stride": 2, "pad_h": 1}),
        ({"stride": w.varint(300)}, {"stride": 300}),
    ],
)
def test_what_a_convolution_says(given_options, expected):
    _, convolutions = caffe.read(one_layer(w.blob(WEIGHT), **given_options), "f")
    assert convolutions == {"conv1": {**DEFAULTS, **expected}}


def test_layers_without_weights_are_passed_over():
    relu = w.layer("same name", kind="ReLU")
    data = w.network([relu, w.layer("same name", [w.blob(WEIGHT)]), relu])
    tensors, convolutions = caffe.read(data, "f")
    assert list(tensors) == ["same name.weight"]
    assert convolutions == {}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    data, words = REFUSED[what]
    began = time.process_time()
    with pytest.raises(WeightsError) as caught:
        caffe.read(data, "attack.caffemodel")
    assert time.process_time() - began < 2  # at most 0.5 s where it was measured
    message = str(caught.value)
    assert message.startswith("attack.caffemodel: ")
    assert words in message
    assert message.isprintable()
    assert len(message) < 1000


@pytest.mark.parametrize("what", [what for what in REFUSED if what.startswith("shape")])
def test_a_wrong_shape_is_seen_before_memory_is_taken(what):
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError):
            caffe.read(REFUSED[what][0], "attack.caffemodel")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_deep_nesting_in_a_field_nobody_opens_is_harmless():
    data = one_layer(w.blob(WEIGHT)) + w.string(6, nested(2000))
    assert_same(caffe.read(data, "f")[0], {"conv1.weight": WEIGHT})


def test_matches_needs_only_the_beginning():
    modern = one_layer(w.blob(WEIGHT))
    old = w.network([w.layer("c", [w.blob(WEIGHT)], kind=4, fields=w.V1)])
    for data in (modern, old, modern[len(w.string(1, "a network")) :]):
        assert caffe.matches(data)
        assert caffe.matches(data[:40])
    with_inputs = w.string(1, "n") + w.string(3, "data") + w.integer(4, 10) + w.integer(7, 0) + modern[11:]
    assert caffe.matches(with_inputs)
    for other in (b"", b"\x0a", b"<html>", b"\n\nlayer {\n", b"\x08\x07\x12\x07pytorch", w.string(9, modern)):
        assert not caffe.matches(other)


SMALL = w.network(
    [
        w.layer("data", kind="Data"),
        w.layer("conv1", [w.blob(WEIGHT), w.blob(BIAS)], w.convolution_param(kernel_size=2, pad=1)),
        w.layer("old", [w.blob(WEIGHT, legacy=True), w.blob(BIAS, packed=False)], kind=4, fields=w.V1),
    ]
)


def read_or_refuse(data):
    """Whatever the bytes: arrays, or a WeightsError of one line that names the file."""
    try:
        tensors, convolutions = caffe.read(data, "some file")
    except WeightsError as error:
        assert str(error).startswith("some file: ")
        assert str(error).isprintable()
    else:
        assert all(array.dtype.kind == "f" for array in tensors.values())
        assert set(convolutions) <= {key.rpartition(".")[0] for key in tensors}
    caffe.matches(data)


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=300)
def test_random_bytes(data):
    read_or_refuse(data)


@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=500)
def test_changed_bytes(changes):
    data = bytearray(SMALL)
    for place, byte in changes:
        data[place] = byte
    read_or_refuse(bytes(data))


@pytest.mark.sampled(30)
@pytest.mark.parametrize("end", range(len(SMALL)))
def test_cut_anywhere(end):
    read_or_refuse(SMALL[:end])
