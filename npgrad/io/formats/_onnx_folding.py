"""Operators on constants only, such as a transposed weight or a computed shape: the result is a constant again.

An array of whole numbers may contain a `Size` where it comes from the shape of a value and the file leaves that size
open; such arrays can be taken apart and put together, but nothing is computed with them.
"""

import math

import numpy as np

from npgrad.io.formats._onnx_sizes import BATCH, PROBE

MOST = 1 << 28  # elements of all constants of a file that are computed


def arithmetic(function):
    def fold(node):
        a, b = node.constant(0), node.constant(1)
        if a.dtype.kind not in "fi" or a.dtype != b.dtype:
            raise node.refuse(f"expected constants of one type of numbers, found {a.dtype} and {b.dtype}")
        if node.version < 7:
            raise node.refuse("expected opset 7 or newer, for constants")
        _room(node, math.prod(np.broadcast_shapes(a.shape, b.shape)))
        whole = function is np.divide and a.dtype.kind == "i"
        if whole and (a.min(initial=0) < 0 or b.min(initial=1) < 1):  # there rounding is another than NumPy's
            raise node.refuse("expected whole numbers >= 0, and divisors >= 1, found others")
        with np.errstate(all="ignore"):
            result = np.asarray((np.floor_divide if whole else function)(a, b))
        return _finite(node, result)

    return fold


def cast(node):
    import onnx

    array, to = node.constant(0), node.attribute("to")
    kinds = {
        onnx.TensorProto.FLOAT: np.float32,
        onnx.TensorProto.DOUBLE: np.float64,
        onnx.TensorProto.INT64: np.int64,
    }
    if array.dtype.kind == "O" and to == onnx.TensorProto.INT64:
        return array
    if to not in kinds or array.dtype.kind not in ("i" if kinds[to] is np.int64 else "fi"):
        raise node.refuse(
            f"to: expected whole numbers or floats as FLOAT, DOUBLE or INT64, found {array.dtype} to {to}"
        )
    _room(node, array.size)
    with np.errstate(over="ignore"):
        return _finite(node, array.astype(kinds[to]))


def concat(node):
    arrays = [node.constant(place) for place in range(len(node.proto.input))]
    types = sorted({"int64" if array.dtype == object else str(array.dtype) for array in arrays})
    if len(types) > 1:
        raise node.refuse(f"expected constants of one type, found {' and '.join(types)}")
    _room(node, sum(array.size for array in arrays))
    return np.concatenate(arrays, node.axes((node.attribute("axis", 1),), arrays[0].ndim, 11)[0])


def constant(node):
    types = {
        "value_int": np.int64,
        "value_ints": np.int64,
        "value_float": np.float32,
        "value_floats": np.float32,
    }
    name, *more = node.attributes or ["nothing"]
    if more or name not in {"value", *types}:
        raise node.refuse(f"expected one value of numbers, found {', '.join([name, *more])}")
    return np.asarray(node.attribute(name), types.get(name))


def constant_of_shape(node):
    shape, value = node.wholes("shape", 0), node.attribute("value", np.zeros(1, np.float32))
    if min(shape, default=0) < 0 or value.size != 1:
        raise node.refuse(f"expected sizes >= 0 and one value, found {shape[:9]} and {value.size} values")
    _room(node, math.prod(shape))
    return np.full(shape, value.item(), value.dtype)


def gather(node):
    array, indices = node.constant(0), node.constant(1)
    (axis,) = node.axes((node.attribute("axis"),), array.ndim, 11)
    _room(node, indices.size * array.size // max(array.shape[axis], 1))
    return np.asarray(np.take(array, indices, axis))


def range_(node):
    """Numbers from a start up to a limit, which may be the size of the batch, of which the file says nothing."""
    bounds = [node.constant(place) for place in range(3)]
    if any(one.dtype.kind not in "iO" or one.ndim for one in bounds):
        raise node.refuse(f"expected three whole numbers, found {[str(one)[:20] for one in bounds]}")
    start, limit, step = (one.item() for one in bounds)
    if limit == BATCH and (start, step) == (0, 1):
        node.reading.by_batch[node.proto.output[0]] = np.arange(PROBE)
        return None
    if step == 0 or not all(isinstance(one, int) for one in (start, limit, step)):
        raise node.refuse(f"expected known numbers and a step, found {[str(one)[:20] for one in bounds]}")
    _room(node, len(range(start, limit, step)))
    return np.arange(start, limit, step)


def reshape(node):
    array, shape = node.constant(0), node.wholes("shape", 1)
    if shape is None or min(shape, default=0) < -1:
        raise node.refuse(f"shape: expected sizes, 0 or -1, found {shape}")
    if not node.attribute("allowzero", 0):
        shape = tuple(array.shape[i] if one == 0 else one for i, one in enumerate(shape))
    return array.reshape(shape)


def shape(node):
    batch, sizes = node.reading.batch, node.shape() if not node.is_constant(0) else None
    full = node.constant(0).shape if sizes is None else (batch, *sizes)
    full = full[slice(node.attribute("start", 0), node.attribute("end"))]
    known = all(isinstance(size, int) for size in full)
    return np.array(full, np.int64 if known else object)


def slice_(node):
    array = node.constant(0)
    starts, ends, axes, steps = (
        node.wholes(name, i) for i, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    slices = [slice(None)] * array.ndim
    for axis, *numbers in zip(node.axes(axes, array.ndim, 10), starts, ends, steps, strict=True):
        start, end, step = numbers
        if step < 1:
            raise node.refuse(f"steps: expected numbers >= 1, found {step}")
        slices[axis] = slice(start, end, step)
    return array[tuple(slices)]


def squeeze(node):
    array, axes = node.constant(0), node.wholes("axes", 1)
    if axes == ():  # none by the standard, all in ONNX Runtime
        raise node.refuse("axes: expected one or more, found ()")
    return array.squeeze(None if axes is None else tuple(node.axes(axes, array.ndim, 11)))


def unsqueeze(node):
    array, axes = node.constant(0), node.wholes("axes", 1)
    return np.expand_dims(array, tuple(node.axes(axes, array.ndim + len(axes), 11)))


def transpose(node):
    array = node.constant(0)
    perm = node.attribute("perm", range(array.ndim)[::-1])
    return array.transpose(node.axes(perm, array.ndim, 99))


def identity(node):
    return node.constant(0)


def _finite(node, array):
    if not np.isfinite(array).all():
        raise node.refuse("expected finite numbers, found NaN or Inf")
    return array


def _room(node, count):
    """Count `count` more elements that are computed from constants: a small file can ask for any number of them."""
    node.reading.computed += count
    if node.reading.computed > MOST:
        raise node.refuse(
            f"expected constants of at most {MOST} elements in all, found {node.reading.computed}"
        )
