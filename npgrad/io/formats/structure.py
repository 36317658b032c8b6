"""A network's structure as plain data (dicts, lists, numbers), and back.

Every layer is {"type", its options, "arrays": {name: shape}}; composites contain their parts in order. So a file can
describe a network that is not among npgrad's named architectures.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from npgrad import layers
from npgrad.errors import InputError, NpgradError, WeightsError
from npgrad.layers import Layer
from npgrad.layers.base import zeros

TYPES = {name: getattr(layers, name) for name in layers.__all__ if name not in ("Layer", "Composite")}
DEEPEST = 20  # levels of nested composites
MOST = 64  # pixels of padding, stride, or the output of an adaptive pool


def describe(layer: Layer) -> dict[str, Any]:
    """Describe the structure of a layer as data that JSON can represent.

    Parameters
    ----------
    layer : Layer
        A layer of npgrad, possibly a composite.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the layer, or a part of it, is of a type of your own.

    Examples
    --------
    >>> describe(layers.ReLU())
    {'type': 'ReLU'}
    """
    kind = type(layer).__name__
    if TYPES.get(kind) is not type(layer):
        raise InputError(f"layer of type {kind}: cannot be saved: expected one of npgrad's layers")
    described = {"type": kind}
    arrays = {}
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = list(value.shape)
        elif isinstance(value, Layer):
            described[field.name] = describe(value)
        elif isinstance(value, dict):
            described[field.name] = {name: _describe_part(part) for name, part in value.items()}
        else:
            described[field.name] = list(value) if isinstance(value, tuple) else value
    if arrays:
        described["arrays"] = arrays
    return described


def _describe_part(part):
    """A layer; or, in a Graph, [a layer, where its input comes from]."""
    if isinstance(part, Layer):
        return describe(part)
    layer, source = part
    return [describe(layer), list(source) if isinstance(source, tuple) else source]


def build(described: Any, room: int) -> Layer:
    """Build the layer that a structure describes.

    Parameters
    ----------
    described : dict
        What `describe` returned.
    room : int
        The largest number of elements that all arrays together may have.

    Returns
    -------
    Layer
        All arrays are zero.

    Raises
    ------
    WeightsError
        If the structure is invalid.
    """
    return _build(described, [room], DEEPEST)


def _build(described, room, depth):
    if depth == 0:
        raise WeightsError(f"structure: expected at most {DEEPEST} levels, found more")
    if not isinstance(described, dict) or described.get("type") not in TYPES:
        kind = described.get("type") if isinstance(described, dict) else described
        raise WeightsError(f"structure: expected one of {', '.join(TYPES)}; found {str(kind)[:40]!r}")
    cls = TYPES[described["type"]]
    names = {field.name for field in dataclasses.fields(cls)}
    values = {}
    for name, value in described.items():
        if name == "type":
            continue
        if name == "arrays":
            values.update({key: _zeros(shape, room) for key, shape in _entries(value)})
        elif isinstance(value, dict) and isinstance(value.get("type"), str):
            values[name] = _build(value, room, depth - 1)
        elif isinstance(value, dict):
            values[name] = {key: _build_part(part, room, depth - 1) for key, part in value.items()}
        else:
            values[name] = _option(cls, name, value)
    if not set(values) <= names:
        raise WeightsError(f"structure: {cls.__name__} has no {sorted(set(values) - names)}")
    try:
        return cls(**values)
    except (TypeError, AttributeError, NpgradError) as error:
        raise WeightsError(f"structure: {cls.__name__} cannot be made: {error}") from None


def _build_part(part, room, depth):
    if not isinstance(part, list):
        return _build(part, room, depth)
    if len(part) != 2 or not isinstance(part[1], (str, list)) or not all(isinstance(s, str) for s in part[1]):
        raise WeightsError(f"structure: expected [layer, source], found {str(part)[:40]!r}")
    return _build(part[0], room, depth), part[1]


def _option(cls, name, value):
    """A number, string or pair; values with which a pass would exhaust the memory are refused."""
    numbers = value if isinstance(value, list) else [value]
    if name in ("padding", "stride", "output_size") and any(isinstance(n, int) and n > MOST for n in numbers):
        raise WeightsError(f"structure: {cls.__name__} {name}: expected at most {MOST}, found {value}")
    return tuple(value) if isinstance(value, list) else value


def _entries(value):
    if not isinstance(value, dict):
        raise WeightsError(f"structure: arrays: expected names with shapes, found {str(value)[:40]!r}")
    return value.items()


def _zeros(shape, room):
    """A zero array, refused if it has more elements than the file can contain."""
    if not isinstance(shape, list) or not all(type(side) is int and side >= 1 for side in shape):
        raise WeightsError(f"structure: expected a shape of whole numbers >= 1, found {str(shape)[:40]!r}")
    room[0] -= math.prod(shape)
    if room[0] < 0:
        raise WeightsError(f"structure: shape {shape} has more elements than the file")
    return zeros(shape)


def check_names_and_shapes(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], name: str
) -> None:
    """Compare the names and shapes of a network's tensors with those of a file.

    Parameters
    ----------
    expected, found : dict of tuple
        Shapes by name, of the network and of the file.
    name : str
        The file, for the error message.

    Raises
    ------
    WeightsError
        If they differ; the message lists the first eight differences.
    """
    wrong = [f"{key} is missing" for key in expected if key not in found]
    wrong += [f"{key} is not of this network" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        if tuple(expected[key]) != tuple(found[key]):
            turned = " (transposed?)" if sorted(expected[key]) == sorted(found[key]) else ""
            wrong.append(f"{key}: expected shape {tuple(expected[key])}, found {tuple(found[key])}{turned}")
    if wrong:
        more = f"; and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise WeightsError(f"{name}: {'; '.join(wrong[:8])}{more}")
