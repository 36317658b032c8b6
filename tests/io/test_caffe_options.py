"""Options of Caffe's convolutions: read in every form, and named where they do not fit the network."""

import caffe_writer as w
import numpy as np
import pytest
from refusals import line

from npgrad.io import converting
from npgrad.io.converting import convert
from npgrad.io.formats import (
    caffe,
)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return {
        key: rng.standard_normal(array.shape, np.float32) for key, array in w.random_squeezenet(rng).items()
    }


def written(tmp_path, tensors, before, after):
    """A .caffemodel with one convolution's options replaced."""
    data = w.squeezenet(tensors)
    old, new = w.convolution_param(**before), w.convolution_param(**after)
    assert data.count(old) == 1 and len(old) == len(new)
    path = tmp_path / "f"
    path.write_bytes(data.replace(old, new))
    return path


CONV1 = {"num_output": 96, "kernel_size": 7, "stride": 2}
DEFAULTS = {"pad": 0, "stride": 1, "group": 1, "dilation": 1, "kernel_size": 7}


@pytest.mark.parametrize(
    ("after", "option", "expected"),
    [
        ({"num_output": 96, "kernel_size": 7, "stride": 3}, "stride", 2),
        ({"num_output": 96, "kernel_size": 7, "pad": 1}, "stride", 2),
        ({"kernel_size": 7, "stride": 2, "pad": 3}, "pad", 0),
        ({"kernel_size": 7, "stride": 2, "pad_h": 3}, "pad", 0),
        ({"kernel_size": 7, "stride": 2, "pad_w": 3}, "pad", 0),
        ({"kernel_size": 7, "stride": 2, "group": 3}, "group", 1),
    ],
)
def test_other_options_in_caffe_are_named(arrays, tmp_path, after, option, expected):
    found = {**DEFAULTS, **{key: value for key, value in after.items() if key != "num_output"}}
    if {"pad_h", "pad_w"} & set(after):
        assert found["pad"] == 0
    text = line(convert, written(tmp_path, arrays, CONV1, after))
    assert text.startswith(f"{tmp_path / 'f'}: conv1: expected {option} {expected}, found {{")
    assert all(f"{key!r}: {value}" in text for key, value in found.items())


def test_the_padding_of_conv10(arrays, tmp_path):
    for details, expected in (
        ({}, 1),
        ({"conv10": {"pad": 0}}, 0),
        ({"conv10": {"pad": 1}}, 1),
        ({"conv1": {}}, 1),
    ):
        assert converting._conv10_padding("squeezenet1_0", details, "f") == expected
    assert converting._conv10_padding("squeezenet1_1", {}, "f") == 0
    for options in ({"pad": 2}, {"pad_h": 1}, {"pad_w": 0, "pad": 1}):
        found = line(converting._conv10_padding, "squeezenet1_0", {"conv10": options}, "f")
        assert found == f"f: conv10: expected pad 0 or 1, found {options}"
    assert (
        converting._conv10_padding("squeezenet1_0", {"conv_final": {"pad": 0}}, "f") == 0
    )  # the decoder's name
    path = tmp_path / "f"
    for pad in (0, 1):
        path.write_bytes(w.squeezenet(arrays, conv10_pad=pad))
        assert convert(path).architecture["options"] == {"num_classes": 1000, "conv10_padding": pad}


def test_caffes_convolutions_in_one_word_where_one_is_enough():
    blob = w.blob(np.ones((2, 3, 2, 2), np.float32))

    def options(**given):
        return caffe.read(w.network([w.layer("c", [blob], w.convolution_param(**given))]), "f")[1]["c"]

    plain = {"pad": 0, "stride": 1, "group": 1, "dilation": 1}
    assert options(kernel_size=[3, 3]) == options(kernel_h=3, kernel_w=3) == {**plain, "kernel_size": 3}
    assert options(pad_h=0, pad_w=0, stride_h=2, stride_w=2) == {**plain, "stride": 2}
    assert options(kernel_h=3) == {**plain, "kernel_h": 3}
    found = line(caffe.read, w.network([w.layer("c", [w.string(5, b"\0" * 4) + w.integer(1, 1)])]), "f")
    assert found == "f: layer 'c': weight: expected dimensions of at least 1, found shape (1, 0, 0, 0)"
