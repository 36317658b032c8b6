"""The course's labeled photos: its file as it is, and as other versions of NumPy and Python write it."""

import pickle

import numpy as np
from npy_writer import header, npy
from pickle_writer import build, call, named
from zip_writer import archive

TENCH = "tench, Tinca tinca"
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
