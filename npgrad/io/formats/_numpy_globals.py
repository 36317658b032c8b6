"""The globals that the pickle in a .npy file may name, and npgrad's replacements for them."""

import re

import numpy as np

from npgrad.io.formats._pickles import Refused, unpack

NUMBERS = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16)")


class ObjectArray:
    """Represents an object array of one element during unpickling: created empty, then filled by its state."""

    value = None

    def __init__(self, *arguments):
        pass

    def set_state(self, state):
        _, shape, _, _, values = unpack(state, "an array of", int, tuple, DataType, object, list)
        if shape != () or len(values) != 1:
            raise Refused(f"expected an array of one object, found {len(values)}")
        self.value = values[0]


class DataType:
    """Represents a NumPy dtype during unpickling: "i8" first, its byte order with the state."""

    def __init__(self, *arguments):
        self.code, self.order = unpack(arguments, "a dtype of", str, object, object)[0], "="

    def set_state(self, state):
        order = state[1] if type(state) is tuple and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise Refused("expected a dtype's state with its byte order, found another")
        self.order = order


def make_scalar(*arguments):
    """Stands in for numpy.core.multiarray.scalar: a Python number from a dtype and bytes (a str in Python 2)."""
    dtype, raw = unpack(arguments, "a NumPy number of", DataType, object)
    if type(raw) is str:
        raw = raw.encode("latin-1", "replace")
    code = dtype.order + dtype.code
    if not NUMBERS.fullmatch(code) or type(raw) is not bytes or np.dtype(code).itemsize != len(raw):
        raise Refused("expected a number and its bytes, found another NumPy value")
    return np.frombuffer(raw, code)[0].item()


def encode(*arguments):
    """Stands in for _codecs.encode, with which Python 3 writes bytes for Python 2."""
    text, encoding = unpack(arguments, "bytes of", str, str)
    if encoding != "latin1":
        raise Refused(f"expected latin1, found {encoding[:20]!r}")
    return text.encode("latin-1", "replace")


NUMPY_GLOBALS = {
    ("numpy", "dtype"): DataType,
    ("numpy", "ndarray"): "ndarray",
    ("_codecs", "encode"): encode,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since NumPy 2
    NUMPY_GLOBALS[_module, "_reconstruct"] = ObjectArray
    NUMPY_GLOBALS[_module, "scalar"] = make_scalar
