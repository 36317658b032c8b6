"""Read NumPy's .npz: a zip archive of .npy files, each a text header and the values of one array.

The header is a Python literal; it is matched as text, not evaluated, and only numeric arrays are read.
Source: numpy/lib/format.py, which describes the .npy format.
"""

import math
import os
import re
from typing import TYPE_CHECKING

import numpy as np

from npgrad._files import shown
from npgrad._typing import Array, Path
from npgrad.errors import WeightsError
from npgrad.io.formats import _pickles, _zips
from npgrad.io.formats._numpy_globals import NUMBERS, NUMPY_GLOBALS, ObjectArray

if TYPE_CHECKING:
    from npgrad.io.formats.reading import FileBytes

MAX_HEADER = 10_000  # bytes, NumPy's own limit
MAX_DIMENSIONS = 32
HEADER = re.compile(  # Python 2 wrote "L" after long integers
    r"\{'descr': '(?P<type>[^']*)', *'fortran_order': (?P<fortran>True|False), *"
    r"'shape': \((?P<shape>(\d{1,18}L?, ?)*(\d{1,18}L?)?)\),? *\}\s*"
)


def read(data: "bytes | FileBytes", name: str) -> dict[str, Array]:
    """Read the arrays of an .npz file.

    Parameters
    ----------
    data : bytes or FileBytes
        The content of the file.
    name : str
        The file, for error messages.

    Returns
    -------
    dict of ndarray
        By name; C-contiguous, writable, in native byte order.

    Raises
    ------
    WeightsError
        If the file is damaged or disproportionately large, or contains an object array, which would be a pickle.
    """
    archive = _zips.Zip(data, name)
    for member in archive.members:
        if not member.endswith(".npy"):
            raise WeightsError(f"{name}: expected only .npy files in the archive, found {member[:80]!r}")
    return {member.removesuffix(".npy"): _read_array(archive, member) for member in archive.members}


def read_imagenet_val(path: Path) -> tuple[Array, Array, dict[int, str]]:
    """Read the course's imagenet_val_25.npz.

    Its `label_map` is a pickled dict, which is read without running the pickle.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    X : ndarray (N, H, W, 3), uint8
        The images.
    y : ndarray (N,), int64
        Their classes.
    names : dict of str
        Class names by index.

    Raises
    ------
    WeightsError
        If the file cannot be read, or contains something else.
    """
    name = shown(path)
    if not os.path.isfile(path):  # a pipe or device might never end
        raise WeightsError(f"{name}: expected a regular file, found none")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read: {error.strerror}") from error
    archive = _zips.Zip(data, name)
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
    # Bytes other than 0 and 1 are invalid bools for NumPy, so they are compared with 0 instead of reinterpreted.
    logical = dtype.kind == "b"
    values = np.ndarray(shape, "u1" if logical else dtype, content, start, order="F" if fortran else "C")
    # copies what is not writable, that is, not read from a file into memory of its own
    return np.require(values != 0 if logical else values, dtype.newbyteorder("="), "CAW")


def _read_header(content, part):
    """(offset of the values, type, whether in Fortran order, shape) of a .npy file's bytes."""
    if bytes(content[:6]) != b"\x93NUMPY" or len(content) < 12 or content[6] not in (1, 2, 3):
        raise WeightsError(f"{part}: expected a .npy file of version 1 to 3, found {bytes(content[:8])!r}")
    begin = 10 if content[6] == 1 else 12
    size = int.from_bytes(content[8:begin], "little")
    text = str(content[begin : begin + min(size, MAX_HEADER)], "latin-1")
    header = HEADER.fullmatch(text)
    if len(text) != size or not header:
        raise WeightsError(f"{part}: expected a header with type, order and shape, found {text[:60]!r}")
    shape = tuple(map(int, re.findall(r"\d+", header["shape"])))
    # NumPy refuses overly large shapes even if a size is 0; otherwise, the number of bytes limits the shape.
    if len(shape) > MAX_DIMENSIONS or (0 in shape and math.prod(max(size, 1) for size in shape) > 2**31):
        raise WeightsError(f"{part}: expected a shape that NumPy supports, found {str(shape)[:60]}")
    return begin + size, header["type"], header["fortran"] == "True", shape


def _read_label_map(archive):
    """{index: names} from label_map, a zero-dimensional object array: a header, then a pickle."""
    part = f"{archive.name}: label_map.npy"
    content = archive.read("label_map.npy")
    start, type_, _, shape = _read_header(content, part)
    if type_ not in ("|O", "O") or shape != ():
        raise WeightsError(f"{part}: expected one Python object, found type {type_[:40]!r}, shape {shape}")
    array = _pickles.load_whole(content[start:], part, NUMPY_GLOBALS)
    labels = array.value if type(array) is ObjectArray else array
    if type(labels) is not dict or not all(type(k) is int and type(v) is str for k, v in labels.items()):
        raise WeightsError(f"{part}: expected a dict of class names by index, found {_pickles.kind(labels)}")
    return labels
