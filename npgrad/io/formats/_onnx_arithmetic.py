"""Builders for ONNX operators that add and multiply: matrices, two values, or a value and a constant."""

import dataclasses

import numpy as np

from npgrad.io.formats._onnx_node import same
from npgrad.layers import Add, Affine, Conv2d, Linear, Multiply, Subtract


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
    constant, place = found
    value, shape = node.value(place), node.shape(place)
    layer = node.reading.made_only_for_one(value)
    if isinstance(layer, (Linear, Conv2d)) and layer.bias is None:
        bias = np.broadcast_to(np.asarray(constant, layer.weight.dtype), len(layer.weight))
        node.reading.replace(value, dataclasses.replace(layer, bias=bias))
        return same, value, shape
    return Affine(shift=constant), value, shape


def sub(node):
    if (found := _constant(node)) is None:
        return Subtract(), _values(node), node.one_shape()
    constant, place = found
    layer = Affine(shift=-constant) if place == 0 else Affine(-1.0, constant)
    return layer, node.value(place), node.shape(place)


def mul(node):
    if (found := _constant(node)) is None:
        return Multiply(), _values(node), _broadcast(node) if node.version >= 7 else node.one_shape()
    constant, place = found
    return Affine(constant), node.value(place), node.shape(place)


def div(node):
    """By a constant."""
    node.constant(1)
    constant, _ = _constant(node)
    with np.errstate(all="ignore"):
        factor = 1 / np.asarray(constant)
    if not np.isfinite(factor).all():
        raise node.refuse("expected a divisor with a finite reciprocal, found 0 or nearly 0")
    return Affine(factor if factor.ndim else factor.item()), node.value(), node.shape()


def per_channel(node, array, shape):
    """A constant that broadcasts against a value of this shape: a number, or an array (C,), one for each channel."""
    ndim, count = 1 + len(shape), shape[0]
    full = (1,) * (ndim - array.ndim) + array.shape
    of_channels = (
        len(full) == ndim
        and (*full[:1], *full[2:]) == (1,) * (ndim - 1)
        and full[1] > 0
        and (full[1] in (1, count) or not isinstance(count, int))
    )
    if array.dtype.kind != "f" or not of_channels:
        wanted = (1, count, 1, 1)[:ndim] + (1,) * (ndim - 4)
        raise node.refuse(
            f"expected a constant that is one float, or one per channel, ({', '.join(map(str, wanted))}); "
            f"found shape {array.shape} of {array.dtype}"
        )
    return array.item() if array.size == 1 else array.reshape(-1)


def _constant(node):
    """(the constant, the place of the other input), or None if no input is a constant."""
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
    return per_channel(node, array, shape), place


def _values(node):
    return tuple(map(node.value, range(len(node.proto.input))))


def _broadcast(node):
    """The shape of two values together, where a side of 1 is repeated."""
    a, b = node.shape(0), node.shape(1)
    if len(a) != len(b) or any(i != j and 1 not in (i, j) for i, j in zip(a, b, strict=True)):
        raise node.refuse(f"expected equal shapes, or sides of 1, found {node.shown(0)} and {node.shown(1)}")
    return tuple(j if i == 1 else i for i, j in zip(a, b, strict=True))


def _linear(node, weight, bias):
    if len(shape := node.shape()) != 1:
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
