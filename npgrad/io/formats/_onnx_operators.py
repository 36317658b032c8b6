"""Maps ONNX operators to layers: for each operator, a function from a node to (layer, its input value or values).

The operators and their attributes: https://onnx.ai/onnx/operators. If no layer supports an attribute's value (dilation,
asymmetric padding, ...), a WeightsError names the node and the attribute.
"""

import dataclasses

import numpy as np

from npgrad.io.formats.structure import MOST
from npgrad.layers import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Softmax,
)

same = object()  # returned instead of a layer if the node's output equals its input


def conv(node):
    weight, bias = node.constant(1), node.constant(2, needed=False)
    if weight.ndim != 4:
        raise node.refuse(f"weight: expected (F, C, KH, KW), found shape {weight.shape}")
    _expect_kernel(node, weight.shape[2:])
    stride, padding = _strides(node), _padding(node, weight.shape[2:])
    return Conv2d(weight, bias, stride, padding, node.attribute("group", 1)), node.value()


def gemm(node):
    """y = alpha * x @ B + beta * C, with B transposed or not."""
    node.expect("transA", 0)
    weight = node.constant(1)
    if weight.ndim != 2:
        raise node.refuse(f"B: expected a matrix, found shape {weight.shape}")
    weight = weight if node.attribute("transB", 0) else weight.T
    weight = _scaled(node, weight, "alpha")
    bias = node.constant(2, needed=False)
    if bias is not None:
        bias = _scaled(node, _row(node, bias, len(weight)), "beta")
    return Linear(weight, bias), node.value()


def matmul(node):
    weight = node.constant(1)
    if weight.ndim != 2:
        raise node.refuse(f"expected a constant matrix on the right, found shape {weight.shape}")
    return Linear(weight.T), node.value()


def add(node):
    """The sum of two outputs; or of an output and a constant, which becomes the bias of the previous layer."""
    if len(node.proto.input) != 2:
        raise node.refuse(f"expected two inputs, found {len(node.proto.input)}")
    places = [place for place in (0, 1) if node.is_constant(place)]
    if not places:
        return Add(), (node.value(0), node.value(1))
    if len(places) == 2:
        raise node.refuse("expected at least one input that is computed, found two constants")
    constant, value = node.constant(places[0]), node.value(1 - places[0])
    layer = node.reading.made_only_for_one(value)
    if not isinstance(layer, (Linear, Conv2d)) or layer.bias is not None:
        raise node.refuse("a constant can be added only to a MatMul, Gemm or Conv without bias, as its bias")
    bias = _row(node, constant, len(layer.weight), ndim=layer.weight.ndim)
    node.reading.replace(value, dataclasses.replace(layer, bias=bias))
    return same, value


def batch_norm(node):
    node.expect("training_mode", 0)
    weight, bias, mean, var = (node.constant(place) for place in (1, 2, 3, 4))
    momentum = 1 - node.attribute(
        "momentum", 0.9
    )  # ONNX gives the weight of the old statistics, PyTorch that of the new
    return BatchNorm2d(weight, bias, mean, var, node.attribute("epsilon", 1e-5), momentum), node.value()


def max_pool(node):
    node.expect("storage_order", 0)
    return MaxPool2d(*_window(node)), node.value()


def avg_pool(node):
    return AvgPool2d(
        *_window(node), count_include_pad=bool(node.attribute("count_include_pad", 0))
    ), node.value()


def global_avg_pool(node):
    return AdaptiveAvgPool2d(1), node.value()


def reduce_mean(node):
    axes = node.attribute("axes")
    if axes is None:
        axes = tuple(int(axis) for axis in np.ravel(node.constant(1)))
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise node.refuse(f"axes: expected the height and width, 2 and 3, found {axes[:6]}")
    return (AdaptiveAvgPool2d(1) if node.attribute("keepdims", 1) else GlobalAvgPool2d()), node.value()


def concat(node):
    node.expect("axis", 1, -3)
    if not node.proto.input:
        raise node.refuse("expected inputs, found none")
    return Concat(), tuple(node.value(place) for place in range(len(node.proto.input)))


def flatten(node):
    node.expect("axis", 1)
    return Flatten(), node.value()


def reshape(node):
    """Only to one row per image, (N, -1)."""
    shape = tuple(int(side) for side in np.ravel(node.constant(1)))
    batch = node.reading.shape[0] if node.reading.shape else None
    if len(shape) != 2 or shape[0] not in (0, -1, 1, batch) or (shape[0] == -1 and shape[1] < 1):
        raise node.refuse(f"expected a shape (N, -1), one row per image, found {shape[:6]}")
    return Flatten(), node.value()


def clip(node):
    low, high = node.number(1, "min"), node.number(2, "max")
    if low == 0 and high is None:
        return ReLU(), node.value()
    return (ReLU6() if (low, high) == (0, 6) else Clip(low, high)), node.value()


def relu(node):
    return ReLU(), node.value()


def dropout(node):
    if node.is_constant(2) and bool(node.constant(2)):
        raise node.refuse("training_mode: expected false, found true")
    ratio = node.number(1, "ratio")
    return Dropout(0.5 if ratio is None else float(ratio)), node.value()


def softmax(node):
    node.expect("axis", node.attribute("axis", 1) if node.attribute("axis") in (1, -1) else 1)
    return Softmax(), node.value()


OPERATORS = {
    "Add": add,
    "AveragePool": avg_pool,
    "BatchNormalization": batch_norm,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_avg_pool,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "ReduceMean": reduce_mean,
    "Relu": relu,
    "Reshape": reshape,
    "Softmax": softmax,
}


def _window(node):
    """kernel, stride, padding, ceil_mode of a pool."""
    kernel = node.attribute("kernel_shape", ())
    if len(kernel) != 2:
        raise node.refuse(f"kernel_shape: expected height and width, found {kernel[:6]}")
    _expect_kernel(node, kernel)
    return kernel, _strides(node), _padding(node, kernel), bool(node.attribute("ceil_mode", 0))


def _expect_kernel(node, kernel):
    node.expect("kernel_shape", tuple(kernel))
    node.expect("dilations", (1, 1))


def _strides(node):
    strides = node.attribute("strides", (1, 1))
    if len(strides) != 2:
        raise node.refuse(f"strides: expected two numbers, found {strides[:6]}")
    if max(strides) > MOST:
        raise node.refuse(f"strides: expected at most {MOST}, found {strides}")
    return strides


def _padding(node, kernel):
    """(height, width) of ONNX's (top, left, bottom, right), or of the older attribute auto_pad."""
    auto = node.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER") and _strides(node) == (1, 1) and all(k % 2 for k in kernel):
        return tuple(k // 2 for k in kernel)
    node.expect("auto_pad", "NOTSET", "VALID", "")
    if auto == "VALID":
        return 0, 0
    pads = node.attribute("pads", (0,) * 4)
    if len(pads) != 4:
        raise node.refuse(f"pads: expected four numbers, found {pads[:6]}")
    top, left, bottom, right = pads
    if (top, left) != (bottom, right):
        raise node.refuse(f"pads: expected equal padding on both sides, found {pads}")
    if max(top, left) > MOST:
        raise node.refuse(f"pads: expected at most {MOST}, found {pads}")
    return top, left


def _scaled(node, array, name):
    """The array times a factor given by an attribute."""
    with np.errstate(over="ignore"):
        scaled = array * array.dtype.type(node.attribute(name, 1.0))
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
