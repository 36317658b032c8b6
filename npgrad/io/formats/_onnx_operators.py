"""The table of ONNX operators: for each one a row, with the function that makes a layer of a node.

The operators and their attributes by version: https://onnx.ai/onnx/operators. A builder returns (layer, its input
value or values, the output's shape without the batch axis). It refuses, with a WeightsError that names the node, what
no layer does, and what would not treat every image of a batch alone. `_onnx_windows.py` and `_onnx_axes.py` have more
builders, and `_onnx_folding.py` has the operators on constants.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from npgrad.io.formats import _onnx_folding as folding
from npgrad.io.formats._onnx_axes import concat, flatten, reshape, squeeze, unsqueeze
from npgrad.io.formats._onnx_node import same
from npgrad.io.formats._onnx_windows import avg_pool, conv, global_avg_pool, max_pool, reduce_mean
from npgrad.layers import Add, BatchNorm2d, Clip, Conv2d, Dropout, Linear, ReLU, ReLU6, Softmax

LARGEST = float(np.finfo(np.float32).max)  # Clip's bound before opset 11 where none is meant


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
    """The sum of outputs; or of an output and a constant, which becomes the bias of the previous layer."""
    places = range(len(node.proto.input))
    constants = [place for place in places if node.is_constant(place)]
    if not constants:
        if len(places) == 1:
            return same, node.value(), node.shape()
        return Add(), tuple(map(node.value, places)), node.one_shape()
    if len(places) != 2:
        raise node.refuse("expected inputs that are computed, found a constant")
    constant, place = node.constant(constants[0]), 1 - constants[0]
    value, shape = node.value(place), node.shape(place)
    layer = node.reading.made_only_for_one(value)
    if not isinstance(layer, (Linear, Conv2d)) or layer.bias is not None:
        raise node.refuse("a constant can be added only to a MatMul, Gemm or Conv without bias, as its bias")
    if node.version < 7:  # then only the second input is broadcast, from the axis `axis` on
        node.expect("broadcast", 1)
        (axis,) = node.axes((node.attribute("axis", 1 + len(shape) - constant.ndim),), 1 + len(shape), 99)
        constant = constant.reshape(*constant.shape, *(1,) * (1 + len(shape) - axis - constant.ndim))
        if place != 0:
            raise node.refuse("expected the constant as the second input")
    bias = _row(node, constant, len(layer.weight), ndim=1 + len(shape))
    node.reading.replace(value, dataclasses.replace(layer, bias=bias))
    return same, value, shape


def batch_norm(node):
    if node.version < 7:
        node.expect("is_test", 1)
    node.expect("spatial", 1)
    node.expect("training_mode", 0)
    if any(node.proto.output[1:]):
        raise node.refuse("expected one output, found those of training mode")
    weight, bias, mean, var = (node.constant(place) for place in (1, 2, 3, 4))
    # ONNX gives the weight of the old statistics, PyTorch that of the new
    layer = BatchNorm2d(weight, bias, mean, var, node.attribute("epsilon"), 1 - node.attribute("momentum"))
    if len(shape := node.shape()) not in (1, 3):
        raise node.refuse(f"expected an input (N, C, H, W) or (N, C), found shape {node.shown()}")
    node.expect_count(shape[0], len(weight), "channels")
    return layer, node.value(), shape


def softmax(node):
    shape, axis = node.shape(), node.attribute("axis")
    (axis,) = node.axes((axis,), 1 + len(shape), 11)
    axes = (axis,) if node.version >= 13 else tuple(range(axis, 1 + len(shape)))
    if axes[0] == 0 or len(shape) > 3:
        raise node.refuse(f"axis: expected axes of an image, found axis {axis} of shape {node.shown()}")
    axes = tuple(one for one in axes if shape[one - 1] != 1) or axes[:1]
    return Softmax(axes if len(axes) > 1 else axes[0]), node.value(), shape


def relu(node):
    return ReLU(), node.value(), node.shape()


def clip(node):
    low, high = node.number(1, "min"), node.number(2, "max")
    if node.version < 11:
        low, high = (None if one is None or abs(one) >= LARGEST else one for one in (low, high))
    known = {(0, None): ReLU(), (0, 6): ReLU6()}
    return known[low, high] if (low, high) in known else Clip(low, high), node.value(), node.shape()


def dropout(node):
    if node.version < 7:
        node.expect("is_test", 1)
    training = node.constant(2, needed=False)
    if training is not None and training.any():
        raise node.refuse("training_mode: expected false, found true")
    ratio = node.number(1, "ratio")
    return Dropout(0.5 if ratio is None else float(ratio)), node.value(), node.shape()


def identity(node):
    return same, node.value(), node.shape()


@dataclasses.dataclass(frozen=True)
class Operator:
    """One row of the table.

    newest: the newest version of the operator that is understood here; a later one is refused.
    build: from a node to (layer, sources, shape). fold: from a node whose inputs are constants to an array.
    """

    newest: int
    build: Callable | None = None
    fold: Callable | None = None


OPERATORS = {
    "Add": Operator(14, add, folding.arithmetic(np.add)),
    "AveragePool": Operator(22, avg_pool),
    "BatchNormalization": Operator(15, batch_norm),
    "Cast": Operator(25, fold=folding.cast),
    "Clip": Operator(13, clip),
    "Concat": Operator(13, concat, folding.concat),
    "Constant": Operator(25, fold=folding.constant),
    "Conv": Operator(22, conv),
    "Div": Operator(14, fold=folding.arithmetic(np.divide)),
    "Dropout": Operator(22, dropout),
    "Flatten": Operator(25, flatten),
    "Gather": Operator(13, fold=folding.gather),
    "Gemm": Operator(13, gemm),
    "GlobalAveragePool": Operator(22, global_avg_pool),
    "Identity": Operator(25, identity, folding.identity),
    "MatMul": Operator(13, matmul),
    "MaxPool": Operator(22, max_pool),
    "Mul": Operator(14, fold=folding.arithmetic(np.multiply)),
    "ReduceMean": Operator(18, reduce_mean),
    "Relu": Operator(14, relu),
    "Reshape": Operator(25, reshape, folding.reshape),
    "Shape": Operator(25, fold=folding.shape),
    "Slice": Operator(13, fold=folding.slice_),
    "Softmax": Operator(13, softmax),
    "Squeeze": Operator(25, squeeze, folding.squeeze),
    "Sub": Operator(14, fold=folding.arithmetic(np.subtract)),
    "Sum": Operator(13, add),
    "Transpose": Operator(25, fold=folding.transpose),
    "Unsqueeze": Operator(25, unsqueeze, folding.unsqueeze),
}


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


def _row(node, array, count, ndim=2):
    """A bias of shape (count,), from a constant that is the same for every image."""
    shape = (1,) * (ndim - np.ndim(array)) + np.shape(array)
    allowed = [(1, count, 1, 1)[:ndim], (1,) * ndim]
    if shape not in allowed:
        raise node.refuse(f"bias: expected {count} values, one per feature, found shape {np.shape(array)}")
    return np.broadcast_to(array.reshape(-1), (count,))
