"""Read NumPy's .npz: a zip archive of .npy files, each a header of text and the numbers of one array.

Source: numpy/lib/format.py, which describes the .npy format. Its header is a Python literal; here it is
matched as text, not evaluated, and only arrays of numbers are read.
"""

import math
import os
import re

import numpy as np

from npgrad._files import shown
from npgrad.errors import WeightsError
from npgrad.io.formats import pickles, zips
from npgrad.io.formats.pickles import Refused, unpack

MAX_HEADER = 10_000  # bytes, as NumPy has it
MAX_DIMENSIONS = 32
NUMBERS = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16)")
HEADER = re.compile(  # "L" stood behind Python 2's long integers
    r"\{'descr': '(?P<type>[^']*)', *'fortran_order': (?P<fortran>True|False), *"
    r"'shape': \((?P<shape>(\d{1,18}L?, ?)*(\d{1,18}L?)?)\),? *\}\s*"
)


def read(data, name):
    """{name: array} of an .npz file's bytes; `name` is the file's, for messages.

    Arrays are C-contiguous, independent of `data` and in the machine's byte order. Object arrays, which are
    pickles, are refused, as is anything damaged or out of proportion: a WeightsError.
    """
    archive = zips.Zip(data, name)
    for member in archive.members:
        if not member.endswith(".npy"):
            raise WeightsError(f"{name}: expected only .npy files in the archive, found {member[:80]!r}")
    return {member.removesuffix(".npy"): _read_array(archive, member) for member in archive.members}


def read_imagenet_val(path):
    """The course's imagenet_val_25.npz: X uint8 (N, H, W, 3), y int64 (N,), and class names {int: str}.

    Its `label_map` is a pickled dict, read without running the pickle. A file that cannot be read or holds
    something else is a WeightsError.
    """
    name = shown(path)
    if not os.path.isfile(path):  # a pipe or device might never come to an end
        raise WeightsError(f"{name}: expected a regular file, found none")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read: {error.strerror}") from error
    archive = zips.Zip(data, name)
    for member in ("X.npy", "y.npy", "label_map.npy"):
        if member not in archive.members:
            raise WeightsError(f"{name}: expected arrays X, y and label_map, found no {member}")
    x, y = _read_array(archive, "X.npy"), _read_array(archive, "y.npy")
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[3] != 3:
        raise WeightsError(f"{name}: X: expected uint8 (N, H, W, 3), found {x.dtype} {x.shape}")
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise WeightsError(f"{name}: y: expected {len(x)} whole numbers, found {y.dtype} {y.shape}")
    return x, y.astype(np.int64), _read_label_map(archive)


def _read_array(archive, member):
    part = f"{archive.name}: {member[:80]!r}"
    content = archive.read(member)
    start, type_, fortran, shape = _read_header(content, part)
    if not NUMBERS.fullmatch(type_):
        raise WeightsError(f"{part}: expected an array of numbers, found type {type_[:40]!r}")
    dtype = np.dtype(type_)
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(content) - start:
        found = len(content) - start
        raise WeightsError(f"{part}: expected {expected} bytes for {dtype} {shape}, found {found}")
    if 0 in shape:
        return np.empty(shape, dtype.newbyteorder("="))
    # A byte other than 0 and 1 is no bool that NumPy could work with: so compare, and never take it as one.
    logical = dtype.kind == "b"
    values = np.ndarray(shape, "u1" if logical else dtype, content, start, order="F" if fortran else "C")
    return np.array(values != 0 if logical else values, dtype.newbyteorder("="), order="C")


def _read_header(content, part):
    """(where the numbers begin, type, whether in Fortran's order, shape) of a .npy file's bytes."""
    if bytes(content[:6]) != b"\x93NUMPY" or len(content) < 12 or content[6] not in (1, 2, 3):
        raise WeightsError(f"{part}: expected a .npy file of version 1 to 3, found {bytes(content[:8])!r}")
    begin = 10 if content[6] == 1 else 12
    size = int.from_bytes(content[8:begin], "little")
    text = str(content[begin : begin + min(size, MAX_HEADER)], "latin-1")
    header = HEADER.fullmatch(text)
    if len(text) != size or not header:
        raise WeightsError(f"{part}: expected a header with type, order and shape, found {text[:60]!r}")
    shape = tuple(map(int, re.findall(r"\d+", header["shape"])))
    # NumPy refuses overlarge shapes even if a size is 0; without a 0, the bytes at hand set the limit.
    if len(shape) > MAX_DIMENSIONS or (0 in shape and math.prod(max(size, 1) for size in shape) > 2**31):
        raise WeightsError(f"{part}: expected a shape that NumPy can make, found {str(shape)[:60]}")
    return begin + size, header["type"], header["fortran"] == "True", shape


def _read_label_map(archive):
    """{index: names} out of label_map, an object array without dimensions: a header, then a pickle."""
    part = f"{archive.name}: label_map.npy"
    content = archive.read("label_map.npy")
    start, type_, _, shape = _read_header(content, part)
    if type_ not in ("|O", "O") or shape != ():
        raise WeightsError(f"{part}: expected one Python object, found type {type_[:40]!r}, shape {shape}")
    array = pickles.load_whole(content[start:], part, NUMPY_GLOBALS)
    labels = array.value if type(array) is ObjectArray else array
    if type(labels) is not dict or not all(type(k) is int and type(v) is str for k, v in labels.items()):
        raise WeightsError(f"{part}: expected a dict of class names by index, found {pickles.kind(labels)}")
    return labels


class ObjectArray:
    """An object array of one element while it is unpickled: first made empty, then filled by its state."""

    value = None

    def __init__(self, *arguments):
        pass

    def set_state(self, state):
        _, shape, _, _, values = unpack(state, "an array of", int, tuple, DataType, object, list)
        if shape != () or len(values) != 1:
            raise Refused(f"expected an array of one object, found {len(values)}")
        self.value = values[0]


class DataType:
    """A NumPy dtype while it is unpickled: "i8" first, its byte order with the state."""

    def __init__(self, *arguments):
        self.code, self.order = unpack(arguments, "a dtype of", str, object, object)[0], "="

    def set_state(self, state):
        order = state[1] if type(state) is tuple and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise Refused("expected a dtype's state with its byte order, found another")
        self.order = order


def make_scalar(*arguments):
    """numpy.core.multiarray.scalar: a Python number, from a dtype and bytes (a str of Python 2)."""
    dtype, raw = unpack(arguments, "a NumPy number of", DataType, object)
    if type(raw) is str:
        raw = raw.encode("latin-1", "replace")
    code = dtype.order + dtype.code
    if not NUMBERS.fullmatch(code) or type(raw) is not bytes or np.dtype(code).itemsize != len(raw):
        raise Refused("expected a number and its bytes, found another NumPy value")
    return np.frombuffer(raw, code)[0].item()


def encode(*arguments):
    """_codecs.encode: how Python 3 writes bytes for Python 2."""
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
