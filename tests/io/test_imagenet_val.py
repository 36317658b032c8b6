"""The course's labeled photos: its own file, files like it from other times, and hostile ones."""

import os
import pickle

import numpy as np
import pytest
from npy_writer import header, npy
from pickle_writer import build, call, named, program
from zip_writer import archive

from npgrad import WeightsError
from npgrad.io.formats import npz


def test_the_course_photos(shared):
    path = shared / "data" / "imagenet_val_25.npz"
    x, y, names = npz.read_imagenet_val(path)
    with np.load(path, allow_pickle=True) as expected:
        np.testing.assert_array_equal(x, expected["X"])
        np.testing.assert_array_equal(y, expected["y"])
        assert names == expected["label_map"].item()
    assert x.dtype == np.uint8 and x.shape == (25, 224, 224, 3) and y.dtype == np.int64 and len(names) == 1000


TENCH = "tench, Tinca tinca"
NUMPY_NAMES = {np.int64(0): TENCH, np.uint8(7): "cock"}
X, Y, NAMES = np.zeros((2, 4, 5, 3), np.uint8), np.array([0, 7]), {0: TENCH, 7: "cock"}


def label_file(pickled):
    return npy(header=header("|O", shape="()"), content=pickled)


def label_map(value, protocol=4):
    return label_file(pickle.dumps(value, protocol))


def course_file(tmp_path, x=X, y=Y, labels=None):
    labels = label_map(np.array(NAMES, object)) if labels is None else labels
    members = {"X.npy": npy(x), "y.npy": npy(y), "label_map.npy": labels}
    path = tmp_path / "val.npz"
    path.write_bytes(archive({name: content for name, content in members.items() if content}))
    return path


def array_of(*values, shape=()):
    """The instructions for an object array."""
    empty = call(named("numpy.core.multiarray", "_reconstruct"), named("numpy", "ndarray"), (0,), "b")
    return build(empty, (1, shape, call(named("numpy", "dtype"), "O8", False, True), False, list(values)))


def scalar(type_, raw, state=(3, "<")):
    """The instructions for a NumPy number."""
    dtype = build(call(named("numpy", "dtype"), type_, False, True), state)
    return call(named("numpy.core.multiarray", "scalar"), dtype, raw)


# Python 2's pickle, by NumPy 1, of np.array({np.int64(0): TENCH, 7: "cock"}, object).
PYTHON_2 = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
    b"(K\x01)cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
    b"\x89]q\x06}q\x07(cnumpy.core.multiarray\nscalar\nq\x08h\x04U\x02i8K\x00K\x01\x87Rq\x09"
    b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbU\x08\x00\x00\x00\x00\x00\x00\x00\x00\x86R"
    b"U\x12tench, Tinca tincaK\x07U\x04cockuatb."
)


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
