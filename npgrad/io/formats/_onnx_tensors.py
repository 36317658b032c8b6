"""Tensors of an ONNX file as arrays; their data may be in a second file beside it."""

import hashlib
import math
import stat
from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad.errors import WeightsError
from npgrad.io.formats.reading import read_regular_file

MOST_DIMENSIONS = 8
FLOATS, WHOLES = ("float16", "float32", "float64"), ("int32", "int64", "bool")
ENTRIES = {"location", "offset", "length", "checksum"}


class Tensors:
    """Reads the tensors of one model.

    folder: where the model's file is, or None. files: {name: content} of the files beside it that were read.
    """

    def __init__(self, folder=None):
        self.folder, self.files, self.checksums = folder, {}, {}

    def array(self, tensor):
        """The array of a TensorProto. The number of bytes is compared with its shape before anything is allocated."""
        import onnx

        label = f"tensor {tensor.name[:60]!r}"
        kinds = {number: kind for kind, number in onnx.TensorProto.DataType.items()}
        kind = kinds.get(tensor.data_type, f"type {tensor.data_type}")
        dtype = {"FLOAT": "float32", "DOUBLE": "float64"}.get(kind, kind.lower())
        if dtype not in (*FLOATS, *WHOLES):
            raise WeightsError(f"{label}: expected floats or whole numbers, found {kind}")
        if len(tensor.dims) > MOST_DIMENSIONS or any(side < 0 for side in tensor.dims):
            raise WeightsError(f"{label}: expected a shape, found {list(tensor.dims)[:6]}")
        count, itemsize = math.prod(tensor.dims), np.dtype(dtype).itemsize
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            data = self._external(tensor, label, count * itemsize)
            array = np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(tuple(tensor.dims))
            array = array.astype(dtype, copy=False)
        else:
            fields = {"float32": tensor.float_data, "float64": tensor.double_data, "int64": tensor.int64_data}
            field = fields.get(dtype, tensor.int32_data)
            stored = len(tensor.raw_data) / itemsize if tensor.raw_data else len(field)
            if stored != count:
                raise WeightsError(
                    f"{label}: shape {list(tensor.dims)[:6]} has {count} elements, found {stored:g}"
                )
            array = onnx.numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise WeightsError(f"{label}: expected finite numbers, found NaN or Inf")
        return array.astype(np.float32) if array.dtype == np.float16 else array

    def _external(self, tensor, label, size):
        """The bytes of a tensor whose data are in a file beside the model: at most the part of it that is named."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        strange = sorted(entries.keys() - ENTRIES)
        if len(entries) < len(tensor.external_data) or strange or "location" not in entries:
            found = strange or [entry.key for entry in tensor.external_data]
            raise WeightsError(
                f"{label}: its data are in another file: expected where, found {found[:4]}"[:200]
            )
        data, numbers = self._file(entries, label), []
        for name, default in (("offset", 0), ("length", size)):
            value = entries.get(name, str(default))
            if not (value.isascii() and value.isdigit() and len(value) < 20):
                raise WeightsError(f"{label}: {name}: expected a whole number, found {value[:40]!r}")
            numbers.append(int(value))
        offset, length = numbers
        if length != size or offset + length > len(data):
            raise WeightsError(
                f"{label}: shape {list(tensor.dims)[:6]} has {size} bytes; found {length} from byte {offset} on, in a "
                f"file of {len(data)}"
            )
        return memoryview(data)[offset : offset + length]

    def _file(self, entries, label):
        """The content of the file beside the model: a plain file, not a link, and never elsewhere."""
        name = entries["location"]
        if name not in self.files:
            described = f"{label}: its data are in the file {shown(name[:60])}"
            if self.folder is None:
                raise WeightsError(f"{described}, and only the model's own file was given")
            if name in ("", ".", "..") or set(name) & set("/\\:\0") or len(name) > 255:
                raise WeightsError(f"{described}: expected the name of a file beside the model")
            path = Path(self.folder) / name
            try:
                regular = stat.S_ISREG(path.lstat().st_mode)
            except OSError as error:
                reason = f"{error.strerror}; it must be beside the model"
                raise WeightsError(f"{described}, which cannot be read: {reason}") from None
            if not regular:
                raise WeightsError(f"{described}: expected a plain file, found a link, a folder or a device")
            self.files[name] = read_regular_file(path, described)
        if "checksum" in entries and entries["checksum"].lower() != self._checksum(name):
            raise WeightsError(
                f"{label}: expected data of the SHA-1 {entries['checksum'][:40]}, found others"
            )
        return self.files[name]

    def _checksum(self, name):
        if name not in self.checksums:  # every tensor may give it
            self.checksums[name] = hashlib.sha1(self.files[name], usedforsecurity=False).hexdigest()
        return self.checksums[name]
