"""Read .safetensors: eight bytes of header length, a JSON header, and the values.

The `safetensors` package (``pip install safetensors``) reads the file. The header is checked here first, so that errors
name the tensor, and duplicate names are refused.
Source: https://github.com/huggingface/safetensors#format
"""

import json
import math

import numpy as np

from npgrad._typing import Array
from npgrad.errors import WeightsError

MAX_HEADER = 2_000_000  # bytes; SqueezeNet's has 5,000
MAX_AXES = 32
DTYPES = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}  # I64: BatchNorm's counter


def matches(head: bytes) -> bool:
    """Check whether a file begins with a header length and a JSON object.

    Parameters
    ----------
    head : bytes
        The beginning of the file.

    Returns
    -------
    bool
    """
    return head[8:9] == b"{" and head[9:10] in (b'"', b"}", b" ") and head[5:8] == bytes(3)


def read(data: bytes, name: str) -> dict[str, Array]:
    """Read the tensors of a .safetensors file.

    Parameters
    ----------
    data : bytes
        The content of the file.
    name : str
        The file, for error messages.

    Returns
    -------
    dict of ndarray
        By name, in the types stored; bfloat16 becomes float32.

    Raises
    ------
    WeightsError
        If the file is damaged or contains other types, or the safetensors package is not installed.
    """
    _check_header(data, name)
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError as error:
        raise WeightsError(
            f"{name}: reading .safetensors needs the safetensors package: pip install safetensors"
        ) from error
    try:
        entries = deserialize(data)
    except SafetensorError as error:
        raise WeightsError(f"{name}: damaged .safetensors: {' '.join(str(error).split())[:200]}") from error
    return {key: _array(entry["data"], entry["dtype"], entry["shape"]) for key, entry in entries}


def _check_header(data, name):
    if len(data) < 8:
        raise WeightsError(f"{name}: expected 8 bytes of header length and more, found {len(data)} bytes")
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise WeightsError(f"{name}: the header: expected at most {MAX_HEADER} bytes, found {length}")
    if length > len(data) - 8:
        raise WeightsError(f"{name}: the header: expected {length} bytes, found {len(data) - 8} (truncated?)")
    header = _json(data[8 : 8 + length], name)
    if not isinstance(header, dict):
        raise WeightsError(f"{name}: the header: expected a JSON object, found a {type(header).__name__}")
    for key, entry in header.items():
        if key != "__metadata__":
            _check_entry(entry, len(data) - 8 - length, f"{name}: tensor {key[:80]!r}")


def _json(text, name):
    def without_repeats(pairs):
        names = set()
        for key, _ in pairs:
            if key in names:
                raise WeightsError(f"{name}: the header names {key[:80]!r} twice")
            names.add(key)
        return dict(pairs)

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=without_repeats)
    except WeightsError:
        raise
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{name}: the header: expected JSON ({str(error)[:100]})") from error


def _check_entry(entry, available, part):
    """Refuse a tensor that is not of a known type, not inside the file, or not of the size its shape says."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f"{part}: its header entry: expected dtype, shape and data_offsets, nothing else")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise WeightsError(f"{part}: dtype: expected one of {', '.join(DTYPES)}, found {str(dtype)[:20]!r}")
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        raise WeightsError(f"{part}: expected a list of sizes as shape, and two places as data_offsets")
    begin, end = offsets
    if not begin <= end <= available:
        raise WeightsError(
            f"{part}: expected within {available} bytes, found at {begin} to {end} (truncated?)"
        )
    needed = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if needed != end - begin:
        raise WeightsError(f"{part}: expected {needed} bytes for {dtype} {tuple(shape)}, found {end - begin}")


def _sizes(values):
    """Whether `values` is a short list of non-negative ints (unlike isinstance, this excludes bool)."""
    if not isinstance(values, list) or len(values) > MAX_AXES:
        return False
    return all(type(value) is int and 0 <= value < 2**63 for value in values)


def _array(raw, dtype, shape):
    values = np.frombuffer(raw, DTYPES[dtype]) if raw else np.zeros(0, DTYPES[dtype])
    if dtype == "BF16":  # the upper half of a float32; NumPy has no such type
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False).reshape(shape)
