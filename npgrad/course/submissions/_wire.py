"""Values that a student's function returned, as bytes: numbers, texts, arrays, images, and lists of these.

A student's process writes them, so reading them runs no code: JSON, then the arrays' bytes. What else a function may
return arrives as `Other`, which only says what it was.
"""

import json
from dataclasses import dataclass

import numpy as np

from npgrad.errors import InputError

LONGEST = 2000  # characters of a text, and entries of a list
LARGEST = 256 * 2**20  # bytes of a message
NUMBERS = "biuf"  # kinds of arrays


@dataclass(frozen=True)
class Other:
    """A value of another type."""

    kind: str


def encode(value):
    """The bytes of a value."""
    arrays = []
    header = json.dumps(_described(value, arrays, 0)).encode()
    parts = [len(header).to_bytes(8, "little"), header, *(each.tobytes() for each in arrays)]
    return b"".join(parts)


def _described(value, arrays, depth):
    if type(value) is float:
        return {"float": repr(value)}
    if value is None or (type(value) in (bool, int) and abs(value) < 2**1000):
        return {"is": value}
    if isinstance(value, str):
        return {"is": str(value[:LONGEST])}
    if isinstance(value, np.generic):
        return {**_array(np.asarray(value), arrays), "scalar": True}
    if isinstance(value, np.ndarray):
        return _array(np.asarray(value), arrays)
    if _is_image(value):
        return {**_array(np.asarray(value), arrays), "image": value.mode}
    if isinstance(value, dict) and depth < 5:
        items = list(value.items())[:LONGEST]
        return {"dict": [[str(key), _described(each, arrays, depth + 1)] for key, each in items]}
    if depth < 5 and hasattr(type(value), "__len__") and hasattr(type(value), "__getitem__"):
        try:
            items = [_described(value[i], arrays, depth + 1) for i in range(min(len(value), LONGEST))]
        except Exception:  # a sequence with indices of its own
            return {"other": type(value).__name__[:100]}
        return {"tuple" if isinstance(value, tuple) else "list": items}
    return {"other": type(value).__name__[:100]}


def _is_image(value):
    return any(each.__module__ == "PIL.Image" and each.__name__ == "Image" for each in type(value).__mro__)


def _array(value, arrays):
    if value.dtype.kind not in NUMBERS:
        return {"other": f"array of {value.dtype}"[:100]}
    value = value.astype(value.dtype.newbyteorder("="))
    arrays.append(value)
    return {"dtype": value.dtype.str, "shape": value.shape}


def decode(data):
    """The value; InputError for bytes that `encode` does not write."""
    try:
        length = int.from_bytes(data[:8], "little")
        found = _Reader(data, 8 + length)
        return found.value(json.loads(data[8 : 8 + length]))
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        raise InputError(f"expected a value, found bytes that are none: {error}") from None


class _Reader:
    """The arrays of a message, one after another."""

    def __init__(self, data, begin):
        self.data, self.at = data, begin

    def value(self, found):
        (kind, content), *more = found.items()
        if kind == "is":
            return content if isinstance(content, (str, int, type(None))) else Other("value")
        if kind == "float":
            return float(content)
        if kind == "dict":
            return {str(key): self.value(each) for key, each in content}
        if kind in ("list", "tuple"):
            items = [self.value(each) for each in content]
            return tuple(items) if kind == "tuple" else items
        if kind == "dtype":
            return self.array(np.dtype(content), tuple(map(int, found["shape"])), dict(more))
        return Other(str(content)[:100])

    def array(self, dtype, shape, about):
        if dtype.kind not in NUMBERS or len(shape) > 8 or any(n < 0 for n in shape):
            raise ValueError("no array of numbers")
        count = int(np.prod(shape, dtype=object)) if shape else 1
        end = self.at + count * dtype.itemsize
        if end > len(self.data):
            raise ValueError("an array is cut off")
        array = np.frombuffer(self.data, dtype, count, self.at).reshape(shape).copy()
        self.at = end
        if about.get("image"):
            from PIL import Image

            return Image.fromarray(array) if array.dtype == np.uint8 else array
        return array[()] if about.get("scalar") else array
