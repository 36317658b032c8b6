"""Builders for ONNX operators that add and multiply: matrices, two values, or a value and a constant."""

import dataclasses

import numpy as np

from npgrad.io.formats import _onnx_formulas as formulas
from npgrad.io.formats._onnx_node import same
from npgrad.layers import Add, Affine, Conv2d, LayerNorm, Linear, Multiply, Permute, Sequential, Subtract


def gemm(node):
    """y = alpha * x @ B + beta * C, with B transposed or not."""
    node.expect("transA", 0)
    weight, bias = node.constant(1), node.constant(2, needed=False)
    if weight.ndim != 2:
        raise node.refuse(f"B: expected a matrix, found shape {weight.shape}")
    weight = weight if node.attribute("transB") else weight.T
    weight = _scaled(node, weight, "alpha")
    if bias is not None:
        if node.version < 7:
            node.expect("broadcast", 1)  # otherwise C has a row for every image
        bias = _scaled(node, _row(node, bias, len(weight)), "beta")
    return _linear(node, weight, bias)


def matmul(node):
    weight = node.constant(1)
    if weight.ndim != 2:
        raise node.refuse(f"expected a constant matrix on the right, found shape {weight.shape}")
    return _linear(node, weight.T, None)


def add(node):
    """The sum of outputs; or of an output and a constant, which becomes the bias of a layer before it that has none."""
    if (found := _constant(node)) is None:
        if len(node.proto.input) == 1:
            return same, node.value(), node.shape()
        return Add(), _values(node), node.one_shape()
    constant, place, axis = found
    value, shape = node.value(place), node.shape(place)
    if (
        layer := _with_bias(node.reading.made_only_for_one(value), constant, axis, 1 + len(shape))
    ) is not None:
        node.reading.replace(value, layer)
        return same, value, shape
    return _along(axis, len(shape), Affine(shift=constant)), value, shape


def sub(node):
    if (found := _constant(node)) is None:
        if (step := formulas.deviation(node)) is not None:
            return step, node.value(), node.shape()
        return Subtract(), _values(node), node.one_shape()
    constant, place, axis = found
    layer = Affine(shift=-constant) if place == 0 else Affine(-1.0, constant)
    return _along(axis, len(node.shape(place)), layer), node.value(place), node.shape(place)


def mul(node):
    if (found := _constant(node)) is None:
        if (step := formulas.square(node)) is not None:
            return step, node.value(), node.shape()
        shape = _broadcast(node) if node.version >= 7 else node.one_shape()
        if (found := formulas.gelu(node)) is not None:
            return *found, shape
        return Multiply(), _values(node), shape
    constant, place, axis = found
    value, shape = node.value(place), node.shape(place)
    if (found := formulas.scaled_gelu(node, constant)) is not None:
        return *found, shape
    if (
        layer := _with_weight(node.reading.made_only_for_one(value), constant, axis, 1 + len(shape))
    ) is not None:
        node.reading.replace(value, layer)
        return same, value, shape
    return _along(axis, len(shape), Affine(constant)), value, shape


def div(node):
    """By a constant, or by the standard deviation in a LayerNorm."""
    if (
        not node.is_constant(0)
        and not node.is_constant(1)
        and (found := formulas.layer_norm(node)) is not None
    ):
        return *found, node.shape()
    node.constant(1)
    constant, _, axis = _constant(node)
    with np.errstate(all="ignore"):
        factor = 1 / np.asarray(constant)
    if not np.isfinite(factor).all():
        raise node.refuse("expected a divisor with a finite reciprocal, found 0 or nearly 0")
    layer = Affine(factor if factor.ndim else factor.item())
    return _along(axis, len(node.shape()), layer), node.value(), node.shape()


def per_axis(node, array, shape):
    """(a number or an array (C,), the axis of the value's that it belongs to), for a constant that broadcasts."""
    rank, full = 1 + len(shape), (1,) * (1 + len(shape) - array.ndim) + array.shape
    axes = [axis for axis, side in enumerate(full) if side != 1] or [1]
    count = shape[axes[0] - 1]
    fits = len(full) == rank and len(axes) == 1 and axes[0] > 0
    if array.dtype.kind != "f" or not (fits and (full[axes[0]] in (1, count) or not isinstance(count, int))):
        wanted = (1, shape[0], 1, 1)[:rank] + (1,) * (rank - 4)
        raise node.refuse(
            f"expected a constant that is one float, or one per channel, ({', '.join(map(str, wanted))}); "
            f"found shape {array.shape} of {array.dtype}"
        )
    return (array.item() if array.size == 1 else array.reshape(-1)), axes[0]


def _constant(node):
    """(the constant, the place of the other input, the axis as of `per_axis`), or None if no input is a constant."""
    places = range(len(node.proto.input))
    constants = [place for place in places if node.is_constant(place)]
    if not constants:
        return None
    if len(places) != 2:
        raise node.refuse("expected inputs that are computed, found a constant")
    array, place = node.constant(constants[0]), 1 - constants[0]
    shape = node.shape(place)
    ndim = 1 + len(shape)
    if node.version < 7:  # then only the second input is broadcast, from the axis `axis` on
        node.expect("broadcast", 1)
        axis = node.attribute("axis", ndim - array.ndim)
        if not 0 <= axis <= ndim - array.ndim:
            raise node.refuse(f"axis: expected one of {ndim} axes, found {axis} for a constant {array.shape}")
        array = array.reshape(*array.shape, *(1,) * (ndim - axis - array.ndim))
        if place != 0:
            raise node.refuse("expected the constant as the second input")
    number, axis = per_axis(node, array, shape)
    return number, place, axis


def _along(axis, ndim, layer):
    """The layer, which has constants for the channels, for another axis of a value of `1 + ndim` dimensions."""
    if axis == 1:
        return layer
    order = [0, axis, *(one for one in range(1, 1 + ndim) if one != axis)]
    return Sequential(
        {"before": Permute(order), "values": layer, "after": Permute(np.argsort(order).tolist())}
    )


def _with_bias(layer, constant, axis, rank):
    """The layer, with a bias that is added to it; None if it is another layer, or has one."""
    if (
        isinstance(layer, Sequential)
        and list(layer.layers) == ["before", "values", "after"]
        and axis == rank - 1
    ):
        inner = _with_bias(layer.layers["values"], constant, 1, rank)
        return inner and layer.with_parts({**layer.layers, "values": inner})
    taken = isinstance(layer, (Linear, Conv2d, LayerNorm)) and layer.bias is None
    if not taken or axis != _axis_of_weights(layer, rank):
        return None
    shape = layer.weight.shape if isinstance(layer, LayerNorm) else len(layer.weight)
    return dataclasses.replace(layer, bias=np.broadcast_to(np.asarray(constant, layer.weight.dtype), shape))


def _with_weight(layer, constant, axis, rank):
    """A LayerNorm that has no weight and bias yet, with a weight that it is multiplied by; None if it is another."""
    plain = isinstance(layer, LayerNorm) and layer.bias is None and (layer.weight == 1).all()
    if not plain or axis != _axis_of_weights(layer, rank) or layer.weight.ndim > 1:
        return None
    dtype = np.asarray(constant).dtype if np.ndim(constant) else layer.weight.dtype
    return dataclasses.replace(layer, weight=np.broadcast_to(np.asarray(constant, dtype), layer.weight.shape))


def _axis_of_weights(layer, rank):
    return 1 if not isinstance(layer, LayerNorm) or layer.channels else rank - 1


def _values(node):
    return tuple(map(node.value, range(len(node.proto.input))))


def _broadcast(node):
    """The shape of two values together, where a side of 1 is repeated."""
    a, b = node.shape(0), node.shape(1)
    if len(a) != len(b) or any(i != j and 1 not in (i, j) for i, j in zip(a, b, strict=True)):
        raise node.refuse(f"expected equal shapes, or sides of 1, found {node.shown(0)} and {node.shown(1)}")
    return tuple(j if i == 1 else i for i, j in zip(a, b, strict=True))


def _linear(node, weight, bias):
    if len(shape := node.shape()) == 3 and node.proto.op_type == "MatMul":  # of the channels of each pixel
        layer = _along(3, 3, Conv2d(weight[:, :, None, None], bias))
        node.expect_count(shape[2], weight.shape[1], "features")
        return layer, node.value(), (*shape[:2], len(weight))
    if len(shape) != 1:
        raise node.refuse(f"expected an input (N, C), found shape {node.shown()}")
    layer = Linear(weight, bias)
    node.expect_count(shape[0], weight.shape[1], "features")
    return layer, node.value(), (len(weight),)


def _scaled(node, array, name):
    """The array times a factor given by an attribute."""
    with np.errstate(over="ignore"):
        scaled = array * array.dtype.type(node.attribute(name))
    if not np.isfinite(scaled).all():
        raise node.refuse(f"{name}: expected a factor for which all products are finite, found Inf")
    return scaled


def _row(node, array, count):
    """A bias of shape (count,), from a constant that is the same for every image."""
    shape = (1,) * (2 - np.ndim(array)) + np.shape(array)
    if shape not in [(1, count), (1, 1)]:
        raise node.refuse(f"bias: expected {count} values, one per feature, found shape {np.shape(array)}")
    return np.broadcast_to(array.reshape(-1), (count,))
