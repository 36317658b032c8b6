"""Read weights files of other libraries: the format is detected from the content, the result is arrays by name.

`npgrad.io.architectures` recognizes the network that the arrays belong to.
"""

import hashlib
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from npgrad._files import shown
from npgrad._typing import Array, Path
from npgrad.errors import WeightsError
from npgrad.io.formats import caffe, deep_compression, safetensors, signatures

MAX_SIZE = 4 * 2**30  # bytes of a weights file


@dataclass(frozen=True)
class Contents:
    """The contents of a weights file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    format : str
        In words, such as "torch .pth (zip)".
    tensors : dict of ndarray
        By the names in the file.
    details : dict
        For Caffe, the options of each convolution by layer name; otherwise empty.
    sha256 : str
        SHA-256 of the whole file, 64 hex digits.
    size : int
        Size of the file in bytes.
    """

    path: FilePath
    format: str
    tensors: dict[str, Array] = field(repr=False)
    details: dict[str, Any] = field(repr=False)
    sha256: str
    size: int


def read(path: Path, key: str | None = None) -> Contents:
    """Read a weights file.

    Parameters
    ----------
    path : str or path
        A .pth, .npz, .safetensors, .caffemodel or Deep Compression .net file.
    key : str or None, default None
        The key of the state dict in a .pth file that contains several.

    Returns
    -------
    Contents

    Raises
    ------
    WeightsError
        If the file is missing, too large, damaged, in another format, contains no tensors, or NaN or infinity.
    """
    path = FilePath(path)
    name = shown(path)
    data = read_regular_file(path, name, look=lambda head: _refuse_unknown(head, name))
    format_, tensors, details = _parse(data, name, key)
    if not tensors:
        raise WeightsError(f"{name}: expected the tensors of a network, found none")
    for key, tensor in tensors.items():
        if tensor.dtype.kind == "c":
            raise WeightsError(f"{name}: tensor {key!r}: expected real numbers, found {tensor.dtype}")
        if not np.isfinite(tensor).all():
            raise WeightsError(f"{name}: tensor {key!r}: expected finite numbers, found NaN or Inf")
    return Contents(path, format_, tensors, details, hashlib.sha256(data).hexdigest(), len(data))


def read_regular_file(path: Path, name: str, look: Callable[[bytes], object] | None = None) -> bytes:
    """Read a regular file of at most MAX_SIZE bytes; pipes and devices, which may never end, are refused.

    Parameters
    ----------
    path : str or path
        The file.
    name : str
        The file, for error messages.
    look : callable or None, default None
        Called with the first ``signatures.HEAD`` bytes before the rest is read; it may raise.

    Returns
    -------
    bytes

    Raises
    ------
    WeightsError
        If the file cannot be read, is not a regular file, or is too large.
    """
    if "\0" in str(path):
        raise WeightsError(f"{name}: cannot be read: a path cannot contain a zero byte")
    try:
        status = FilePath(path).stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise WeightsError(f"{name}: expected a weights file, found {kind}")
        if status.st_size > MAX_SIZE:
            raise WeightsError(f"{name}: expected at most {MAX_SIZE >> 30} GiB, found {status.st_size} bytes")
        with FilePath(path).open("rb") as file:
            if look is not None:
                look(file.read(signatures.HEAD))
                file.seek(0)
            return file.read(status.st_size)  # a larger size would be allocated immediately
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read: {error.strerror or error}") from error


def _refuse_unknown(head, name):
    format_ = signatures.detect(head)
    if format_ in ("npgrad", "hdf5"):
        found = f"{signatures.describe(head)}; npgrad.load reads npgrad's own"
        raise WeightsError(f"{name}: expected another library's weights, found {found}")
    if format_ is None:
        raise WeightsError(f"{name}: not a weights file: it looks like {signatures.describe(head)}")


def _parse(data, name, key):
    """(format in words, tensors, details), from the reader for the detected format."""
    format_ = signatures.detect(data[: signatures.HEAD])
    pth = format_ == "legacy pth" or (format_ == "zip" and not signatures.first_member(data).endswith(".npy"))
    if key is not None and not pth:
        raise WeightsError(f"{name}: key: expected a .pth file, found {signatures.describe(data)}")
    if format_ == "zip":
        return *_parse_zip(data, name, key), {}
    if format_ == "legacy pth":
        from npgrad.io.formats import torch_pth

        return "torch .pth (legacy)", torch_pth.read(data, name, key), {}
    if format_ == "safetensors":
        return "safetensors", safetensors.read(data, name), {}
    if format_ == "deep compression":
        return "Deep Compression .net", deep_compression.read(data, name), {}
    return "Caffe .caffemodel", *caffe.read(data, name)


def _parse_zip(data, name, key):
    # Distinguished without the archive's directory, which may be hostile; the two readers verify that.
    if signatures.first_member(data).endswith(".npy"):
        from npgrad.io.formats import npz

        return "NumPy .npz", npz.read(data, name)
    if b"data.pkl" in data:
        from npgrad.io.formats import torch_pth

        return "torch .pth (zip)", torch_pth.read(data, name, key)
    raise WeightsError(f"{name}: not a weights file: it looks like {signatures.describe(data)}")
