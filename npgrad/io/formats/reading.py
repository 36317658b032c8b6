"""Reading weights files: whatever the format, a dict of arrays by name.

`read(path)` recognizes the format by content. What network the arrays make is asked elsewhere.
"""

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad.errors import WeightsError
from npgrad.io.formats import caffe, deep_compression, safetensors, signatures

MAX_SIZE = 4 * 2**30  # bytes


@dataclass(frozen=True)
class Contents:
    """What a weights file holds.

    path: the file, a Path
    format: in words, such as "torch .pth (zip)"
    tensors: {name: array}, names as in the file
    details: for Caffe, {layer: what its convolution_param says}; else {}
    sha256: of the whole file, 64 hex digits
    size: of the file, in bytes
    """

    path: Path
    format: str
    tensors: dict = field(repr=False)
    details: dict = field(repr=False)
    sha256: str
    size: int


def read(path):
    """The Contents of a weights file: .pth, .npz, .safetensors, .caffemodel or Deep Compression .net.

    A file that is missing, too large, damaged, of another kind, without tensors, or with NaN or infinity in
    them is a WeightsError.
    """
    path = Path(path)
    name = shown(path)
    data = read_regular_file(path, name, look=lambda head: _refuse_unknown(head, name))
    format_, tensors, details = _parse(data, name)
    if not tensors:
        raise WeightsError(f"{name}: expected the tensors of a network, found none")
    for key, tensor in tensors.items():
        if tensor.dtype.kind == "c":
            raise WeightsError(f"{name}: tensor {key!r}: expected real numbers, found {tensor.dtype}")
        if not np.isfinite(tensor).all():
            raise WeightsError(f"{name}: tensor {key!r}: expected finite numbers, found NaN or Inf")
    return Contents(path, format_, tensors, details, hashlib.sha256(data).hexdigest(), len(data))


def read_regular_file(path, name, look=None):
    """The bytes of a regular file of at most MAX_SIZE; a pipe or device, which may never end, is refused.

    look: a function that sees the first bytes (signatures.HEAD of them) and may refuse the rest.
    """
    if "\0" in str(path):
        raise WeightsError(f"{name}: cannot be read: no path has a zero byte in it")
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise WeightsError(f"{name}: expected a weights file, found {kind}")
        if status.st_size > MAX_SIZE:
            raise WeightsError(f"{name}: expected at most {MAX_SIZE >> 30} GiB, found {status.st_size} bytes")
        with Path(path).open("rb") as file:
            if look is not None:
                look(file.read(signatures.HEAD))
                file.seek(0)
            return file.read(status.st_size)  # a larger number would be allocated at once
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read: {error.strerror or error}") from error


def _refuse_unknown(head, name):
    format_ = signatures.detect(head)
    if format_ in ("npgrad", "hdf5"):
        found = f"{signatures.describe(head)}; npgrad.load reads npgrad's own"
        raise WeightsError(f"{name}: expected another library's weights, found {found}")
    if format_ is None:
        raise WeightsError(f"{name}: not a weights file: it looks like {signatures.describe(head)}")


def _parse(data, name):
    """(format in words, tensors, details) by the reader that the content asks for."""
    format_ = signatures.detect(data[: signatures.HEAD])
    if format_ == "zip":
        return *_parse_zip(data, name), {}
    if format_ == "legacy pth":
        from npgrad.io.formats import torch_pth

        return "torch .pth (legacy)", torch_pth.read(data, name), {}
    if format_ == "safetensors":
        return "safetensors", safetensors.read(data, name), {}
    if format_ == "deep compression":
        return "Deep Compression .net", deep_compression.read(data, name), {}
    return "Caffe .caffemodel", *caffe.read(data, name)


def _parse_zip(data, name):
    # Told apart without the archive's directory, which may be hostile; the two readers look into that.
    if signatures.first_member(data).endswith(".npy"):
        from npgrad.io.formats import npz

        return "NumPy .npz", npz.read(data, name)
    if b"data.pkl" in data:
        from npgrad.io.formats import torch_pth

        return "torch .pth (zip)", torch_pth.read(data, name)
    raise WeightsError(f"{name}: not a weights file: it looks like {signatures.describe(data)}")
