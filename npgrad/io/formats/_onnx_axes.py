"""Builders for ONNX operators that put axes together, apart or in another order; every image of a batch stays one."""

import itertools

import numpy as np

from npgrad.io.formats._onnx_formulas import Step
from npgrad.io.formats._onnx_node import same
from npgrad.io.formats._onnx_sizes import BATCH, PROBE, Size, quotient, text
from npgrad.layers import Concat, Flatten, Permute, Reshape, Sequential, Slice, Squeeze

ALL = 2**31 - 1  # an end that means all that there is


def concat(node):
    places, shape = range(len(node.proto.input)), node.shape()
    [axis] = node.axes((node.attribute("axis", 1),), 1 + len(shape), 11)
    if axis == 0:
        raise node.refuse(f"axis: expected an axis within an image, not 0, found {node.attribute('axis')}")
    node.one_shape(of=lambda shape: (*shape[: axis - 1], *shape[axis:]))
    sizes = [node.shape(place)[axis - 1] for place in places]
    together = sum(sizes) if all(isinstance(one, int) for one in sizes) else Size(" + ".join(map(str, sizes)))
    return Concat(axis), tuple(map(node.value, places)), (*shape[: axis - 1], together, *shape[axis:])


def flatten(node):
    shape, batch = node.shape(), node.reading.batch
    axis = node.attribute("axis")
    if not (-len(shape) - 1 if node.version >= 11 else 0) <= axis <= len(shape) + 1:
        raise node.refuse(f"axis: expected one of {len(shape) + 1} axes, found {axis}")
    axis = axis + len(shape) + 1 if axis < 0 else axis
    if any(size != 1 for size in shape[: max(axis - 1, 0)]) or (axis == 0 and batch != 1):
        raise node.refuse(f"axis: expected 1, one row per image, found {axis} for shape {node.shown()}")
    return _reshaped(node, (quotient(shape, ()),))


def reshape(node):
    """The batch stays, and the values of each image get another shape."""
    target, shape, batch = node.wholes("shape", 1, open_sizes=True), node.shape(), node.reading.batch
    sizes, copies = [*(target or ())], not node.attribute("allowzero", 0)
    for i, size in enumerate(sizes):
        if size == 0 and copies and i <= len(shape):
            sizes[i] = (batch, *shape)[i]
    inferred = [i for i, size in enumerate(sizes) if size == -1]
    rest = quotient(shape, [size for size in sizes[1:] if size != -1])
    if inferred and inferred[0] > 0 and rest is not None:
        sizes[inferred[0]], rest = rest, 1
    if not sizes or len(inferred) > 1 or sizes[0] not in (-1, batch) or rest != 1:
        expected = f"expected a shape (N, ...) of the images of {node.shown()}"
        refusal = node.refuse(f"{expected}, found {text(target or ())}")
        if target == (-1,):
            return Step("flat", refusal), node.value(), ()
        raise refusal
    return _reshaped(node, tuple(sizes[1:]))


def squeeze(node):
    shape, axes = node.shape(), node.wholes("axes", 1)
    if axes is None:  # all axes of size 1, which must be known
        if any(not isinstance(size, int) for size in shape) or node.reading.batch in (1, BATCH):
            raise node.refuse(f"axes: expected axes, found none, for shape {node.shown()}")
        axes = [i for i, size in enumerate(shape, start=1) if size == 1]
    elif not axes:  # none by the standard, all in ONNX Runtime
        raise node.refuse("axes: expected one or more, found ()")
    axes = node.axes(axes, 1 + len(shape), 11)
    if any(axis == 0 or shape[axis - 1] != 1 for axis in axes):
        raise node.refuse(f"axes: expected axes of size 1, found {axes} for shape {node.shown()}")
    left = tuple(size for i, size in enumerate(shape, start=1) if i not in axes)
    if len(left) < 2 or not axes:
        return _reshaped(node, left)
    return Squeeze(tuple(sorted(axes))), node.value(), left


def unsqueeze(node):
    shape, axes = node.shape(), node.wholes("axes", 1)
    rank = 1 + len(shape) + len(axes)
    sizes, axes = iter(shape), node.axes(axes, rank, 11)
    if 0 in axes:
        raise node.refuse("axes: expected axes after the batch, found 0")
    layer, (source, *_) = node.reading.made(node.value())
    taken = getattr(layer, "layers", {})
    if list(taken) == ["part", "squeeze"] and taken["squeeze"].axes == tuple(axes):  # x[:, i].unsqueeze(1)
        return taken["part"], source, (*shape[: axes[0] - 1], 1, *shape[axes[0] - 1 :])
    return _reshaped(node, tuple(1 if axis in axes else next(sizes) for axis in range(1, rank)))


def split(node):
    """A Slice for every output."""
    shape, count = node.shape(), len(node.proto.output)
    if node.version < 2:
        raise node.refuse("expected opset 2 or newer")
    (axis,) = node.axes((node.attribute("axis"),), 1 + len(shape), 11)
    if axis == 0 or not isinstance(size := shape[axis - 1], int):
        raise node.refuse(
            f"axis: expected an axis of known size after the batch, found {axis} of {node.shown()}"
        )
    if (sizes := node.wholes("split", 1)) is None:
        if node.attribute("num_outputs", count) != count or (node.version < 18 and size % count):
            raise node.refuse(
                f"expected {size} values along axis {axis} in equal parts, found {count} outputs"
            )
        each = -(-size // count)
        sizes = [*[each] * (count - 1), size - each * (count - 1)]
    elif node.attribute("num_outputs") is not None:
        raise node.refuse("num_outputs: expected none beside the sizes of the parts")
    if len(sizes) != count or sum(sizes) != size or min(sizes) < 1:
        raise node.refuse(f"split: expected {count} sizes, {size} in all, found {text(tuple(sizes))}")
    ends = list(itertools.accumulate(sizes))
    return [
        (Slice(axis, end - one, end), node.value(), (*shape[: axis - 1], one, *shape[axis:]))
        for one, end in zip(sizes, ends, strict=True)
    ]


def gather(node):
    """Evenly spaced indices are a Slice; a single one drops its axis."""
    layer, (source, *_) = node.reading.made(node.value())
    if isinstance(layer, Step) and layer.name == "flat":
        return _taken(node, source)
    indices, shape = node.constant(1), node.shape()
    (axis,) = node.axes((node.attribute("axis"),), 1 + len(shape), 11)
    if axis == 0 or not isinstance(size := shape[axis - 1], int):
        raise node.refuse(
            f"axis: expected an axis of known size after the batch, found {axis} of {node.shown()}"
        )
    found = indices.ravel().tolist()
    low = -size if node.version >= 11 else 0
    if (
        indices.dtype.kind != "i"
        or indices.ndim > 1
        or not found
        or not low <= min(found) <= max(found) < size
    ):
        raise node.refuse(f"indices: expected a row of numbers from {low} to {size - 1}, found {found[:6]}")
    places = [index % size for index in found]
    steps = {b - a for a, b in itertools.pairwise(places)} or {1}
    if len(steps) > 1 or 0 in steps:
        raise node.refuse(f"indices: expected evenly spaced ones, found {found[:6]}")
    (step,) = steps
    end = places[-1] + (1 if step > 0 else -1)
    part = Slice(axis, places[0], end if end >= 0 else None, step)
    before, after = shape[: axis - 1], shape[axis:]
    if indices.ndim:
        return part, node.value(), (*before, len(found), *after)
    if len(shape) < 2:
        raise node.refuse(f"expected at least one axis per image that is left of {node.shown()}")
    return Sequential({"part": part, "squeeze": Squeeze((axis,))}), node.value(), (*before, *after)


def _taken(node, source):
    """All values of a batch in a row, and taken from there in their order, as torch.export writes `as_strided`."""
    name, shape = node.proto.input[1], node.reading.shapes[source]
    indices, batch = node.reading.by_batch.get(name), PROBE
    if indices is None:
        indices, batch = node.constant(1), node.reading.batch
    count = quotient(shape, ())
    in_order = indices.ndim > 1 and len(indices) == batch and isinstance(count, int)
    if not in_order or not np.array_equal(indices.ravel(), np.arange(batch * count)):
        raise node.refuse(
            f"indices: expected all values of {text((node.reading.batch, *shape))} in their order"
        )
    return _reshaped(node, indices.shape[1:], source)


def permute(node):
    shape = node.shape()
    rank = 1 + len(shape)
    order = tuple(node.axes(node.attribute("perm", range(rank)[::-1]), rank, 99))
    if len(order) != rank or order[0] != 0:
        raise node.refuse(
            f"perm: expected 0, the batch, and then the {len(shape)} other axes, found {order[:9]}"
        )
    if order == tuple(range(rank)):
        return same, node.value(), shape
    layer, (source, *_) = node.reading.made(node.value())
    if isinstance(layer, Permute) and [layer.axes[axis] for axis in order] == list(range(rank)):
        return same, source, node.reading.shapes[source]
    return Permute(order), node.value(), tuple(shape[axis - 1] for axis in order[1:])


def slice_(node):
    """One Slice for each axis that is cut."""
    shape, given = [node.reading.batch, *node.shape()], {}
    starts, ends, axes, steps = (
        node.wholes(name, i) for i, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    axes = node.axes(range(len(starts)) if axes is None else axes, len(shape), 10)
    for axis, start, end, step in zip(axes, starts, ends, steps or (1,) * len(starts), strict=True):
        part = slice(start, end, step)
        if (start, step) == (0, 1) and end >= ALL:
            continue
        if axis == 0:
            raise node.refuse(f"axes: expected axes after the batch, found 0, from {start} to {end}")
        if isinstance(shape[axis], int):
            size = len(range(shape[axis])[part])
            if size == 0:
                raise node.refuse(
                    f"expected a part of {shape[axis]} at axis {axis}, found from {start} to {end}"
                )
        else:
            size = Size(f"({shape[axis]})[{start}:{end}:{step}]")
        given[f"axis{axis}"], shape[axis] = Slice(axis, start, end, step), size
    if not given:
        return same, node.value(), node.shape()
    layer = Sequential(given) if len(given) > 1 else next(iter(given.values()))
    return layer, node.value(), tuple(shape[1:])


def _reshaped(node, shape, value=None):
    value = value or node.value()
    if shape == node.reading.shapes[value]:
        return same, value, shape
    if len(shape) == 1:
        return Flatten(), value, shape
    sides = tuple(size if isinstance(size, int) else -1 for size in shape)
    if not shape or sides.count(-1) > 1:
        raise node.refuse(
            f"expected at least one axis per image and at most one open size, found {text((BATCH, *shape))}"
        )
    return Reshape(sides), value, shape
