"""Builders for ONNX operators that put axes together or apart; every image of a batch must stay one."""

from npgrad.io.formats._onnx_node import same
from npgrad.io.formats._onnx_sizes import BATCH, Size, quotient, text
from npgrad.layers import Concat, Flatten


def concat(node):
    places, shape = range(len(node.proto.input)), node.shape()
    if node.axes((node.attribute("axis", 1),), 1 + len(shape), 11) != [1]:
        raise node.refuse(f"axis: expected the channels, 1, found {node.attribute('axis')}")
    node.one_shape(of=lambda shape: shape[1:])
    channels = [node.shape(place)[0] for place in places]
    together = (
        sum(channels)
        if all(isinstance(one, int) for one in channels)
        else Size(" + ".join(map(str, channels)))
    )
    return Concat(), tuple(map(node.value, places)), (together, *shape[1:])


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
    """To one row per image: the batch stays, and everything else becomes one axis."""
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
        expected = f"expected a shape (N, -1) for {node.shown()}"
        raise node.refuse(f"{expected}, one row per image, found {text(target or ())}")
    return _reshaped(node, tuple(sizes[1:]))


def squeeze(node):
    shape, axes = node.shape(), node.wholes("axes", 1)
    if axes is None:  # all axes of size 1, which must be known
        if any(not isinstance(size, int) for size in shape) or node.reading.batch in (1, BATCH):
            raise node.refuse(f"axes: expected axes, found none, for shape {node.shown()}")
        axes = [i for i, size in enumerate(shape, start=1) if size == 1]
    axes = node.axes(axes, 1 + len(shape), 11)
    if any(axis == 0 or shape[axis - 1] != 1 for axis in axes):
        raise node.refuse(f"axes: expected axes of size 1, found {axes} for shape {node.shown()}")
    return _reshaped(node, tuple(size for i, size in enumerate(shape, start=1) if i not in axes))


def unsqueeze(node):
    shape, axes = node.shape(), node.wholes("axes", 1)
    rank = 1 + len(shape) + len(axes)
    sizes, axes = iter(shape), node.axes(axes, rank, 11)
    if 0 in axes:
        raise node.refuse("axes: expected axes after the batch, found 0")
    return _reshaped(node, tuple(1 if axis in axes else next(sizes) for axis in range(1, rank)))


def _reshaped(node, shape):
    if shape == node.shape():
        return same, node.value(), shape
    if len(shape) != 1:
        raise node.refuse(f"expected one row per image as output, found {text((BATCH, *shape))}")
    return Flatten(), node.value(), shape
