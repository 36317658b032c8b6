"""The course's labeled photos: its own file, files like it from other times, and hostile ones."""

import os

import numpy as np
import pytest
from imagenet_val_files import (
    NAMES,
    PYTHON_2,
    TENCH,
    X,
    Y,
    array_of,
    course_file,
    label_file,
    label_map,
    scalar,
)
from npy_writer import header, npy
from pickle_writer import call, named, program

from npgrad import WeightsError
from npgrad.io.formats import _numpy_globals, npz
from npgrad.io.formats import _pickles as pickles


def test_the_course_photos(shared):
    path = shared / "data" / "imagenet_val_25.npz"
    x, y, names = npz.read_imagenet_val(path)
    with np.load(path, allow_pickle=True) as expected:
        np.testing.assert_array_equal(x, expected["X"])
        np.testing.assert_array_equal(y, expected["y"])
        assert names == expected["label_map"].item()
    assert x.dtype == np.uint8 and x.shape == (25, 224, 224, 3) and y.dtype == np.int64 and len(names) == 1000


NUMPY_NAMES = {np.int64(0): TENCH, np.uint8(7): "cock"}


@pytest.mark.parametrize(
    "labels",
    [
        label_file(program(array_of({scalar("i2", "\0\0"): TENCH, scalar("u2", "\0\7", (3, ">")): "cock"}))),
        *(label_map(np.array(NAMES, object), protocol) for protocol in (2, 3, 4, 5)),
        *(label_map(np.array(NUMPY_NAMES, object), protocol) for protocol in (2, 3, 4)),
        label_file(PYTHON_2),
    ],
)
def test_label_maps_of_other_times(tmp_path, labels):
    x, y, names = npz.read_imagenet_val(course_file(tmp_path, labels=labels, y=Y.astype(np.int32)))
    assert names == NAMES and all(type(key) is int for key in names)
    assert y.dtype == np.int64 and y.tolist() == [0, 7] and x.shape == X.shape


class Call:
    def __init__(self, *called):
        self.called = called

    def __reduce__(self):
        return self.called


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"labels": label_map(Call(eval, ("1/0",)))}, "builtin"),
        ({"labels": label_map(np.array(Call(exec, ("1/0",)), object))}, "builtin"),
        ({"labels": label_map(np.array([NAMES, NAMES], object))}, "array of one object"),
        ({"labels": label_map(np.array([0, 7]))}, "DataType"),
        ({"labels": label_map(np.array({0: b"tench"}, object))}, "class names"),
        ({"labels": label_map(np.array({"0": "tench"}, object))}, "class names"),
        ({"labels": label_map(np.array(["tench"], object).reshape(()))}, "class names"),
        ({"labels": label_map(np.array(NAMES, object))[:-1]}, "label_map"),
        ({"labels": label_map(np.array(NAMES, object)) + b"."}, "1 bytes more"),
        ({"labels": npy(np.ones(2))}, "one Python object"),
        ({"labels": npy(header=header(shape="()"), content=PYTHON_2)}, "one Python object"),
        ({"labels": npy(header=header("|O"), content=PYTHON_2)}, "one Python object"),
        ({"labels": label_file(program(array_of(NAMES, shape=(1,))))}, "array of one object"),
        ({"labels": label_file(program(array_of(NAMES, NAMES)))}, "array of one object"),
        ({"labels": label_file(program(array_of({scalar("i8", 5): "tench"})))}, "number and its bytes"),
        ({"labels": label_file(program(array_of({scalar("i8", "1234"): "tench"})))}, "number and its bytes"),
        (
            {"labels": label_file(program(array_of({scalar("O8", "12345678"): "tench"})))},
            "number and its bytes",
        ),
        ({"labels": label_file(program(array_of({scalar("i8", "12345678", 5): "tench"})))}, "byte order"),
        ({"labels": label_file(program(array_of({scalar("i8", "12345678", (3,)): "tench"})))}, "byte order"),
        (
            {"labels": label_file(program(array_of({scalar("i8", "12345678", (3, "?")): "tench"})))},
            "byte order",
        ),
        ({"labels": label_file(program(call(named("_codecs", "encode"), "a", "rot13")))}, "latin1"),
        ({"labels": b""}, "no label_map.npy"),
        ({"x": X[..., :1]}, "X: expected uint8"),
        ({"x": X[0]}, "X: expected uint8"),
        ({"x": X.astype(np.float32)}, "X: expected uint8"),
        ({"y": Y[:1]}, "y: expected 2 whole numbers"),
        ({"y": Y.astype(float)}, "y: expected 2 whole numbers"),
    ],
)
def test_other_things_for_the_course_photos(tmp_path, changes, word):
    with pytest.raises(WeightsError, match="val.npz: .*expected.*found") as error:
        npz.read_imagenet_val(course_file(tmp_path, **changes))
    assert word in str(error.value)


def test_no_file(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path, "a\0b", os.devnull):
        with pytest.raises(WeightsError, match="expected a regular file, found none"):
            npz.read_imagenet_val(path)
    (tmp_path / "text.npz").write_text("<html>")
    with pytest.raises(WeightsError, match="text.npz: expected a zip archive"):
        npz.read_imagenet_val(tmp_path / "text.npz")


def test_numpys_pickled_parts():
    assert _numpy_globals.encode("a\u20ac", "latin1") == b"a?"
    for act, words in (
        (lambda: _numpy_globals.encode(1, "latin1"), "expected bytes of (str, str), found (int, str)"),
        (lambda: _numpy_globals.encode("a", "utf-8"), "expected latin1, found 'utf-8'"),
        (lambda: _numpy_globals.make_scalar(1, b""),
         "expected a NumPy number of (DataType, object), found (int, bytes)"),
        (lambda: _numpy_globals.DataType("i8"), "expected a dtype of (str, object, object), found (str)"),
        (lambda: _numpy_globals.ObjectArray().set_state(1), "expected an array of, found int"),
        (lambda: _numpy_globals.DataType("i8", False, True).set_state((3,)),
         "expected a dtype's state with its byte order, found another"),
    ):  # fmt: skip
        with pytest.raises(pickles.Refused) as refusal:
            act()
        assert str(refusal.value) == words


def test_object_arrays_may_say_so_without_a_byte_order(tmp_path):
    labels = npy(header=header("O", shape="()"), content=PYTHON_2)
    assert npz.read_imagenet_val(course_file(tmp_path, labels=labels))[2] == NAMES
