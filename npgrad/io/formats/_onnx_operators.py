"""The table of ONNX operators: for each one a row, with the function that makes a layer of a node.

The operators and their attributes by version: https://onnx.ai/onnx/operators. A builder returns (layer, its input
value or values, the output's shape without the batch axis). It refuses, with a WeightsError that names the node, what
no layer does, and what would not treat every image of a batch alone. The builders are in the modules
`_onnx_activations.py` to `_onnx_windows.py`, and `_onnx_folding.py` has the operators on constants.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from npgrad import layers
from npgrad.io.formats import _onnx_folding as folding
from npgrad.io.formats._onnx_activations import clip, elementwise, hard_sigmoid, prelu, selu, softmax, swish
from npgrad.io.formats._onnx_arithmetic import add, div, gemm, matmul, mul, sub
from npgrad.io.formats._onnx_axes import (
    concat,
    flatten,
    gather,
    permute,
    reshape,
    slice_,
    split,
    squeeze,
    unsqueeze,
)
from npgrad.io.formats._onnx_formulas import power, step
from npgrad.io.formats._onnx_node import same
from npgrad.io.formats._onnx_norms import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
)
from npgrad.io.formats._onnx_resizing import pad, resize, upsample
from npgrad.io.formats._onnx_windows import (
    avg_pool,
    conv,
    global_avg_pool,
    global_max_pool,
    max_pool,
    reduce,
)
from npgrad.layers import Dropout


def dropout(node):
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
    "ConstantOfShape": Operator(25, fold=folding.constant_of_shape),
    "Conv": Operator(22, conv),
    "Div": Operator(14, div, folding.arithmetic(np.divide)),
    "Dropout": Operator(22, dropout),
    "Elu": Operator(22, elementwise(layers.ELU, alpha="alpha")),
    "Erf": Operator(13, step("erf", "an Erf in a GELU")),
    "Flatten": Operator(25, flatten),
    "Gather": Operator(13, gather, folding.gather),
    "Gelu": Operator(20, elementwise(layers.GELU, approximate="approximate")),
    "Gemm": Operator(13, gemm),
    "GlobalAveragePool": Operator(22, global_avg_pool),
    "GlobalMaxPool": Operator(22, global_max_pool),
    "GroupNormalization": Operator(21, group_norm),
    "HardSigmoid": Operator(22, hard_sigmoid),
    "HardSwish": Operator(22, elementwise(layers.HardSwish)),
    "Identity": Operator(25, identity, folding.identity),
    "InstanceNormalization": Operator(22, instance_norm),
    "LRN": Operator(13, local_response_norm),
    "LayerNormalization": Operator(17, layer_norm),
    "LeakyRelu": Operator(16, elementwise(layers.LeakyReLU, negative_slope="alpha")),
    "LogSoftmax": Operator(13, softmax(layers.LogSoftmax)),
    "MatMul": Operator(13, matmul),
    "MaxPool": Operator(22, max_pool),
    "Mish": Operator(22, elementwise(layers.Mish)),
    "Mul": Operator(14, mul, folding.arithmetic(np.multiply)),
    "Pow": Operator(15, power),
    "PRelu": Operator(16, prelu),
    "Pad": Operator(25, pad),
    "Range": Operator(11, fold=folding.range_),
    "ReduceMax": Operator(20, reduce("max", layers.GlobalMaxPool2d(keepdims=True), layers.GlobalMaxPool2d())),
    "ReduceMean": Operator(18, reduce("mean", layers.AdaptiveAvgPool2d(1), layers.GlobalAvgPool2d())),
    "Relu": Operator(14, elementwise(layers.ReLU)),
    "Reshape": Operator(25, reshape, folding.reshape),
    "Resize": Operator(19, resize),
    "Selu": Operator(22, selu),
    "Shape": Operator(25, fold=folding.shape),
    "Sigmoid": Operator(13, elementwise(layers.Sigmoid)),
    "Slice": Operator(13, slice_, folding.slice_),
    "Softmax": Operator(13, softmax(layers.Softmax)),
    "Softplus": Operator(22, elementwise(layers.Softplus)),
    "Split": Operator(18, split),
    "Sqrt": Operator(13, step("root", "a square root in a LayerNorm")),
    "Squeeze": Operator(25, squeeze, folding.squeeze),
    "Sub": Operator(14, sub, folding.arithmetic(np.subtract)),
    "Sum": Operator(13, add),
    "Swish": Operator(24, swish),
    "Tanh": Operator(13, elementwise(layers.Tanh)),
    "Transpose": Operator(25, permute, folding.transpose),
    "Unsqueeze": Operator(25, unsqueeze, folding.unsqueeze),
    "Upsample": Operator(9, upsample),
}
