"""Read weights files of other libraries: the format is detected from the content, the result is arrays by name.

`npgrad.io.architectures` recognizes the network that the arrays belong to.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, BinaryIO

import numpy as np

from npgrad._files import shown
from npgrad._typing import Array, Path
from npgrad._validate import all_finite
from npgrad.errors import WeightsError
from npgrad.io.formats import _zips, caffe, deep_compression, safetensors, signatures

MAX_SIZE = 4 * 2**30  # bytes of a weights file
PART = 1 << 20  # bytes that are hashed at a time
CHANGED = "expected a file that stays as it is, found it changed while it was read"


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
    with regular_file(path, name) as data:
        _refuse_unknown(bytes(data[: signatures.HEAD]), name)
        format_, tensors, details = _parse(data, name, key)
        if not tensors:
            raise WeightsError(f"{name}: expected the tensors of a network, found none")
        for key, tensor in tensors.items():
            if tensor.dtype.kind == "c":
                raise WeightsError(f"{name}: tensor {key!r}: expected real numbers, found {tensor.dtype}")
            if not all_finite(tensor):
                raise WeightsError(f"{name}: tensor {key!r}: expected finite numbers, found NaN or Inf")
        return Contents(path, format_, tensors, details, data.sha256(), len(data))


class FileBytes:
    """The bytes of an open file: ``content[a:b]`` reads some of them, so that no more memory is taken than needed.

    Parameters
    ----------
    file : binary file
        Can be read and positioned.
    size : int
        Its size in bytes.
    """

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size = file, size

    def __len__(self):
        return self.size

    def __getitem__(self, part: slice) -> memoryview:
        start, stop, _ = part.indices(self.size)
        found = np.empty(max(stop - start, 0), np.uint8)  # writable: an array can be a view of it
        self.file.seek(start)
        if self.file.readinto(found) != found.size:
            raise OSError(CHANGED)
        return memoryview(found)

    def whole(self) -> bytes:
        """Return all bytes.

        Returns
        -------
        bytes
        """
        self.file.seek(0)
        return self.file.read(self.size)  # a larger size would be allocated immediately

    def sha256(self, start: int = 0) -> str:
        """Return the SHA-256 of the bytes from one on.

        Parameters
        ----------
        start : int, default 0
            The first byte.

        Returns
        -------
        str
            64 hex digits.
        """
        digest = hashlib.sha256()
        for at in range(start, self.size, PART):
            digest.update(self[at : at + PART])
        return digest.hexdigest()


@contextmanager
def regular_file(path: Path, name: str) -> Iterator[FileBytes]:
    """Open a regular file of at most MAX_SIZE bytes; pipes and devices, which may never end, are refused.

    A file that is larger, smaller or newer at the end of the block than at its beginning is refused, too.

    Parameters
    ----------
    path : str or path
        The file.
    name : str
        The file, for error messages.

    Yields
    ------
    FileBytes

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
            yield FileBytes(file, status.st_size)
            after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            raise OSError(CHANGED)
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read: {error.strerror or error}") from error


def read_regular_file(path: Path, name: str) -> bytes:
    """Read a file that `regular_file` opens.

    Parameters
    ----------
    path : str or path
        The file.
    name : str
        The file, for error messages.

    Returns
    -------
    bytes

    Raises
    ------
    WeightsError
        As for `regular_file`.
    """
    with regular_file(path, name) as content:
        return content.whole()


def _refuse_unknown(head, name):
    format_ = signatures.detect(head)
    if format_ in ("npgrad", "hdf5"):
        found = f"{signatures.describe(head)}; npgrad.load reads npgrad's own"
        raise WeightsError(f"{name}: expected another library's weights, found {found}")
    if format_ is None:
        raise WeightsError(f"{name}: not a weights file: it looks like {signatures.describe(head)}")


def _parse(data, name, key):
    """(format in words, tensors, details), from the reader for the detected format."""
    head = bytes(data[: signatures.HEAD])
    format_ = signatures.detect(head)
    # npz is distinguished without the archive's directory, which may be hostile; the two readers verify that
    npz_ = format_ == "zip" and signatures.first_member(head).endswith(".npy")
    if key is not None and (npz_ or format_ not in ("zip", "legacy pth")):
        raise WeightsError(f"{name}: key: expected a .pth file, found {signatures.describe(head)}")
    if npz_:
        from npgrad.io.formats import npz

        return "NumPy .npz", npz.read(data, name), {}
    if format_ == "zip":
        if not any(member.endswith("data.pkl") for member in _zips.Zip(data, name).members):
            raise WeightsError(f"{name}: not a weights file: it looks like {signatures.describe(head)}")
        from npgrad.io.formats import torch_pth

        return "torch .pth (zip)", torch_pth.read(data, name, key), {}
    if format_ == "legacy pth":
        from npgrad.io.formats import torch_pth

        return "torch .pth (legacy)", torch_pth.read(data, name, key), {}
    if format_ == "safetensors":
        return "safetensors", safetensors.read(data, name), {}
    if format_ == "deep compression":
        return "Deep Compression .net", deep_compression.read(data.whole(), name), {}
    return "Caffe .caffemodel", *caffe.read(data.whole(), name)
