"""Builders for ONNX operators that are applied to every value: activations, and softmax."""

import numpy as np

from npgrad.io.formats._onnx_arithmetic import per_axis
from npgrad.layers import SELU, Clip, HardSigmoid, PReLU, ReLU, ReLU6, SiLU
from npgrad.layers.activations import SELU_ALPHA, SELU_SCALE

LARGEST = float(np.finfo(np.float32).max)  # Clip's bound before opset 11 where none is meant


def elementwise(kind, **options):
    """A builder of a layer of this kind; `options` maps its fields to the operator's attributes."""

    def build(node):
        given = {ours: node.attribute(theirs) for ours, theirs in options.items()}
        return kind(**given), node.value(), node.shape()

    return build


def prelu(node):
    """The slope broadcasts; before opset 7 it is a vector, one for each channel."""
    slope, shape = node.constant(1), node.shape()
    if node.version < 7 and slope.ndim == 1:
        slope = slope.reshape(-1, *(1,) * (len(shape) - 1))
    numbers, axis = per_axis(node, slope, shape)
    if axis != 1:
        raise node.refuse(f"slope: expected one per channel, found shape {slope.shape} for {node.shown()}")
    return PReLU(np.asarray(numbers, slope.dtype).reshape(-1)), node.value(), shape


def selu(node):
    for name, number in {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}.items():
        node.expect(name, float(np.float32(number)))
    return SELU(), node.value(), node.shape()


def swish(node):
    node.expect("alpha", 1.0)
    return SiLU(), node.value(), node.shape()


def hard_sigmoid(node):
    """PyTorch's slope is 1/6, which an attribute can only say in float32."""
    alpha, beta = node.attribute("alpha"), node.attribute("beta")
    return HardSigmoid(1 / 6 if alpha == np.float32(1 / 6) else alpha, beta), node.value(), node.shape()


def clip(node):
    low, high = node.number(1, "min"), node.number(2, "max")
    if node.version < 11:
        low, high = (None if one is None or abs(one) >= LARGEST else one for one in (low, high))
    known = {(0, None): ReLU(), (0, 6): ReLU6()}
    return known[low, high] if (low, high) in known else Clip(low, high), node.value(), node.shape()


def softmax(kind):
    """A builder of a Softmax or LogSoftmax."""

    def build(node):
        shape, axis = node.shape(), node.attribute("axis")
        (axis,) = node.axes((axis,), 1 + len(shape), 11)
        axes = (axis,) if node.version >= 13 else tuple(range(axis, 1 + len(shape)))
        if axes[0] == 0 or len(shape) > 3:
            raise node.refuse(f"axis: expected axes of an image, found axis {axis} of shape {node.shown()}")
        axes = tuple(one for one in axes if shape[one - 1] != 1) or axes[:1]
        return kind(axes if len(axes) > 1 else axes[0]), node.value(), shape

    return build
