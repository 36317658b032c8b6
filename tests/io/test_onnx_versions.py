"""What an ONNX operator means at each opset and rank: the standard's cases that are easily read otherwise."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_files import constant, graph, runtime

from npgrad import WeightsError
from npgrad.io.formats import onnx as reader

rng = np.random.default_rng(2)


def weights(*shape, name="w"):
    return constant(name, rng.normal(size=shape))


def ints(name, *values):
    return constant(name, values, np.int64)


def load(*arguments, **options):
    return reader.from_bytes(graph(*arguments, **options), "f")


POOLED, FLAT = ("GlobalAveragePool", ["x"], "g"), ("Flatten", ["x"], "f")
CONV, MATRIX, ABOVE = ("Conv", ["x", "w"], "c"), weights(3, 3, 1, 1), weights(3, 1, 1, name="a")
POSITIVE = constant("a", [0.5, 1.0, 2.0])
EQUAL = {  # nodes, constants, opset, shape of the input
    "softmax, 13, no axis": ([("Softmax", ["x"], "y")], [], 13, ("n", 3, 4, 4)),
    "softmax, 13, last axis": ([("Softmax", ["x"], "y", {"axis": -1})], [], 13, ("n", 3, 4, 4)),
    "softmax, 13, one axis of a sequence": ([("Softmax", ["x"], "y", {"axis": 1})], [], 13, ("n", 3, 4)),
    "softmax, 13, no axis, vectors": ([("Softmax", ["x"], "y")], [], 13, ("n", 3)),
    "softmax, 12, no axis": ([("Softmax", ["x"], "y")], [], 12, ("n", 3, 4, 4)),
    "softmax, 11, from the end": ([("Softmax", ["x"], "y", {"axis": -2})], [], 11, ("n", 3, 4, 4)),
    "softmax, 9, from the height on": ([("Softmax", ["x"], "y", {"axis": 2})], [], 9, ("n", 3, 4, 4)),
    "softmax, 11, after a mean": ([POOLED, ("Softmax", ["g"], "y")], [], 11, ("n", 3, 4, 4)),
    "reshape, the rest": ([("Reshape", ["x", "s"], "y")], [ints("s", 0, -1)], 13, ("n", 3, 4, 4)),
    "reshape, the row, any batch": ([("Reshape", ["x", "s"], "y")], [ints("s", -1, 48)], 13, ("n", 3, 4, 4)),
    "reshape, one image": ([("Reshape", ["x", "s"], "y")], [ints("s", 1, -1)], 13, (1, 3, 4, 4)),
    "reshape, two images": ([("Reshape", ["x", "s"], "y")], [ints("s", 2, -1)], 13, (2, 3, 4, 4)),
    "reshape, as it was": (
        [("Reshape", ["x", "s"], "r"), ("Relu", ["r"], "y")], [ints("s", 0, 0, 4, -1)], 13, ("n", 3, 4, 4)),
    "reshape, the size of the batch computed": (
        [("Shape", ["x"], "all"), ("Gather", ["all", "zero"], "size"), ("Unsqueeze", ["size", "axes"], "one"),
         ("Concat", ["one", "rest"], "s", {"axis": 0}), ("Reshape", ["x", "s"], "y")],
        [constant("zero", 0, np.int64), ints("axes", 0), ints("rest", -1)], 13, ("n", 3, 4, 4)),
    "reshape, a part of the shape": (
        [("Shape", ["x"], "size", {"start": -4, "end": 1}), ("Concat", ["size", "rest"], "s", {"axis": 0}),
         ("Reshape", ["x", "s"], "y")], [ints("rest", -1)], 15, ("n", 3, 4, 4)),
    "concat from the end": ([("Concat", ["x", "x"], "y", {"axis": -3})], [], 13, ("n", 3, 4, 4)),
    "concat of sequences": ([("Concat", ["x", "x"], "y", {"axis": -2})], [], 13, ("n", 3, 4)),
    "flatten from the end": ([("Flatten", ["x"], "y", {"axis": -3})], [], 13, ("n", 3, 4, 4)),
    "flatten behind an axis of one": ([("Flatten", ["x"], "y", {"axis": 2})], [], 13, ("n", 1, 4, 4)),
    "flatten from 0, one image": ([("Flatten", ["x"], "y", {"axis": 0})], [], 13, (1, 3, 4, 4)),
    "normalized vectors": (
        [FLAT, ("BatchNormalization", ["f", "a", "b", "b", "a"], "y")], [POSITIVE, weights(3, name="b")], 15, ("n", 3)),
    "normalized after Flatten": (
        [FLAT, ("BatchNormalization", ["f", "a", "b", "b", "a"], "y")], [POSITIVE, weights(3, name="b")], 9,
        ("n", 3, 1, 1)),
    "squeezed": ([POOLED, ("Squeeze", ["g", "s"], "y")], [ints("s", 2, 3)], 13, ("n", 3, 4, 4)),
    "squeezed, attribute": ([POOLED, ("Squeeze", ["g"], "y", {"axes": [2, 3]})], [], 11, ("n", 3, 4, 4)),
    "squeezed where it is 1": ([POOLED, ("Squeeze", ["g"], "y")], [], 13, (2, 3, 4, 4)),
    "a matrix from a cube": (
        [FLAT, ("Reshape", ["w", "s"], "m"), ("MatMul", ["f", "m"], "y")], [weights(12, 2, 5), ints("s", 12, 10)], 13,
        ("n", 3, 2, 2)),
    "a matrix transposed, halved and cast": (
        [FLAT, ("Transpose", ["w"], "t"), ("Mul", ["t", "h"], "p"), ("Cast", ["p"], "m", {"to": 1}),
         ("MatMul", ["f", "m"], "y")], [weights(5, 12), constant("h", [0.5])], 13, ("n", 3, 2, 2)),
    "a mean over windows to the edge": (
        [("AveragePool", ["x"], "y", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1,
                                      "count_include_pad": 1})], [], 19, ("n", 3, 6, 6)),
    "the same size by name, even padding": (
        [("MaxPool", ["x"], "y", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"})], [], 12,
        ("n", 3, 5, 7)),
    "a constant added to what another takes": (
        [CONV, ("Add", ["c", "a"], "s"), ("Add", ["s", "c"], "y")], [MATRIX, ABOVE], 13, ("n", 3, 4, 4)),
    "a constant added to what another takes by another name": (
        [CONV, ("Identity", ["c"], "i"), ("Add", ["i", "a"], "s"), ("Add", ["s", "c"], "y")], [MATRIX, ABOVE], 13,
        ("n", 3, 4, 4)),
    "a constant added to what two names give to two others": (
        [CONV, ("Identity", ["c"], "i"), ("Relu", ["c"], "r"), ("Relu", ["i"], "q"), ("Add", ["i", "a"], "s"),
         ("Concat", ["s", "r", "q"], "y", {"axis": 1})], [MATRIX, ABOVE], 13, ("n", 3, 4, 4)),
    "a constant added to a sum": (
        [("Conv", ["x", "w", "b"], "c"), ("Add", ["c", "a"], "y")], [MATRIX, weights(3, name="b"), ABOVE], 13,
        ("n", 3, 4, 4)),
    "sums of three": ([("Relu", ["x"], "r"), ("Sum", ["x", "r", "x"], "y")], [], 13, ("n", 3, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("case", EQUAL)
def test_equal_to_the_runtime(case):
    nodes, constants, opset, shape = EQUAL[case]
    data = graph(nodes, constants, x=shape, opset=opset)
    x = rng.normal(size=[2 if one == "n" else one for one in shape]).astype(np.float32)
    y, expected = reader.from_bytes(data, "f")(x), runtime(data, x)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_a_mean_of_no_axes_is_the_input():
    nodes = [("ReduceMean", ["x"], "r", {"noop_with_empty_axes": 1}), ("Relu", ["r"], "y")]
    x = rng.normal(size=(2, 3, 4, 4)).astype(np.float32)
    # said by the specification; ONNX Runtime 1.23 does not run it
    np.testing.assert_array_equal(load(nodes, [], opset=18, x=("n", 3, 4, 4))(x), np.maximum(x, 0))


def test_after_a_mean_the_last_axis_has_one_element():
    y = load([POOLED, ("Softmax", ["g"], "y")], x=("n", 3, 4, 4), opset=13)(np.ones((2, 3, 4, 4), np.float32))
    assert y.shape == (2, 3, 1, 1) and (y == 1).all()


OPEN = ("n", 3, 4, 4)
REFUSED = {  # nodes, constants, opset, shape of the input, line
    "reshape to rows of another length": (
        [("Reshape", ["x", "s"], "y")], [ints("s", -1, 16)], 13, OPEN, "of the images of .*, found .-1, 16.$"),
    "reshape to one row, open batch": (
        [("Reshape", ["x", "s"], "y")], [ints("s", 1, -1)], 13, OPEN, r"of \(N, 3, 4, 4\), found \(1, -1\)$"),
    "reshape to one row, two images": (
        [("Reshape", ["x", "s"], "y")], [ints("s", 1, -1)], 13, (2, 3, 4, 4),
        r"of \(2, 3, 4, 4\), found \(1, -1\)$"),
    "reshape to one column": (
        [("Reshape", ["x", "s"], "y")], [ints("s", -1, 1)], 13, ("n", 3, 1, 1), r"found \(-1, 1\)$"),
    "reshape where 0 is 0": (
        [("Reshape", ["x", "s"], "y", {"allowzero": 1})], [ints("s", 0, -1)], 14, OPEN, r"found \(0, -1\)$"),
    "reshape to rows of half an image, open size": (
        [("Reshape", ["x", "s"], "y")], [ints("s", 0, 24)], 13, ("n", 3, "h", "w"), r"'h', 'w'\), found \(0, 24\)$"),
    "concat of the batch": ([("Concat", ["x", "x"], "y", {"axis": -3})], [], 13, ("n", 3, 4), "axis: .* found -3$"),
    "concat of unequal sizes": (
        [("MaxPool", ["x"], "p", {"kernel_shape": [2, 2]}), ("Concat", ["x", "p"], "y", {"axis": 1})], [], 13, OPEN,
        r"equal shapes, found \(N, 3, 4, 4\) and \(N, 3, 3, 3\)$"),
    "sum that would broadcast": (
        [POOLED, ("Add", ["x", "g"], "y")], [], 13, OPEN, r"equal shapes, found \(N, 3, 4, 4\) and \(N, 3, 1, 1\)$"),
    "flatten to one row": ([("Flatten", ["x"], "y", {"axis": 0})], [], 13, OPEN, "axis: expected 1, one row per image"),
    "negative axis before 11": ([("Softmax", ["x"], "y", {"axis": -1})], [], 10, OPEN, "axes from 0 to 3, found .-1.$"),
    "squeeze that may take the batch": ([POOLED, ("Squeeze", ["g"], "y")], [], 13, OPEN, "axes: expected axes, found"),
    "squeeze of what is not 1": ([("Squeeze", ["x", "s"], "y")], [ints("s", 2)], 13, OPEN, "expected axes of size 1"),
    "mean of everything": ([("ReduceMean", ["x"], "y")], [], 13, OPEN, "axes: .* found None$"),
    "matrix product of sequences": (
        [("MatMul", ["x", "w"], "y")], [weights(4, 5)], 13, ("n", 3, 4), r"\(N, C\), found shape \(N, 3, 4\)$"),
    "matrix product of other pixels": (
        [("MatMul", ["x", "w"], "y")], [weights(5, 4)], 13, OPEN, "expected an input of 5 features, found 4$"),
    "matrix product of other rows": (
        [FLAT, ("MatMul", ["f", "w"], "y")], [weights(4, 5)], 13, OPEN, "expected an input of 4 features, found 48$"),
    "convolution of other channels": (
        [("Conv", ["x", "w"], "y")], [weights(2, 4, 1, 1)], 13, OPEN, "expected an input of 4 channels, found 3$"),
    "convolution of a sequence": (
        [("Conv", ["x", "w"], "y")], [weights(2, 3, 1, 1)], 13, ("n", 3, 4),
        r"\(N, C, H, W\), found shape \(N, 3, 4\)$"),
    "convolution larger than the image": (
        [("Conv", ["x", "w"], "y")], [weights(2, 3, 5, 5)], 13, OPEN, r"kernel \(5, 5\) fits into, found \(4, 4\) px$"),
    "normalized sequences": (
        [("BatchNormalization", ["x", "a", "a", "a", "a"], "y")], [POSITIVE], 15, ("n", 3, 4), r"or \(N, C\), found"),
    "normalized, other channels": (
        [("BatchNormalization", ["x", "a", "a", "a", "a"], "y")], [POSITIVE], 15, ("n", 2), "3 channels, found 2$"),
    "statistics of pixels": (
        [("BatchNormalization", ["x", "a", "a", "a", "a"], "y", {"spatial": 0})], [POSITIVE], 8, OPEN,
        "spatial: expected 1, found 0$"),
    "training by its outputs": (
        [helper.make_node("BatchNormalization", [*"xaaaa"], ["y", "m", "v"], name="y")], [POSITIVE], 9, OPEN,
        "expected one output, found those of training mode$"),
    "an attribute of a later opset": (
        [("MaxPool", ["x"], "y", {"kernel_shape": [2, 2], "ceil_mode": 1})], [], 9, OPEN,
        "expected an attribute of opset 9, found ceil_mode$"),
    "an attribute of an earlier opset": (
        [("Clip", ["x"], "y", {"min": 0.0})], [], 11, OPEN, "expected an attribute of opset 11, found min$"),
    "an attribute twice": (
        [helper.make_node("Softmax", ["x"], ["y"], name="y", axis=1)], [], 13, OPEN, "every attribute once"),
    "pads beside their rule": (
        [("MaxPool", ["x"], "y", {"kernel_shape": [3, 3], "pads": [1] * 4, "auto_pad": "VALID"})], [], 13, OPEN,
        "pads: expected none beside auto_pad VALID"),
    "the same size, negative padding": (
        [("AveragePool", ["x"], "y", {"kernel_shape": [1, 1], "strides": [3, 3], "auto_pad": "SAME_UPPER"})], [], 19,
        ("n", 3, 6, 6), "expected a kernel that covers 6 px, found 1, stride 3$"),
    "the same size, unknown": (
        [("MaxPool", ["x"], "y", {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"})], [], 13,
        ("n", 3, "h", "w"), "expected images of a known size, found 'h'$"),
    "a computed divisor": ([("Relu", ["x"], "r"), ("Div", ["x", "r"], "y")], [], 13, OPEN, "1: expected a const"),
    "constants of two types": (
        [FLAT, ("Concat", ["w", "s"], "m", {"axis": 0}), ("MatMul", ["f", "m"], "y")],
        [weights(2), ints("s", 1)], 13, OPEN, "constants of one type, found float32 and int64$"),
    "constants without end": (
        [("Constant", [], "c0", {"value": constant("c", np.ones(1 << 16))}),
         *(("Concat", [f"c{i}"] * 16, f"c{i + 1}", {"axis": 0}) for i in range(9)), ("Clip", ["x", "c9"], "y")],
        [], 13, OPEN, "expected constants of at most 268435456 elements in all, found [0-9]+$"),
    "a constant of no rows": (
        [FLAT, ("Reshape", ["w", "s"], "m", {"allowzero": 1}), ("MatMul", ["f", "m"], "y")],
        [weights(48, 2), ints("s", 0, -1)], 14, OPEN, "node 'm' .Reshape.: cannot reshape"),
    "an infinite quotient": (
        [FLAT, ("Div", ["w", "z"], "m"), ("MatMul", ["f", "m"], "y")], [weights(48, 2), constant("z", [0.0])], 13, OPEN,
        "expected finite numbers, found NaN or Inf$"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_when_loaded(case):
    nodes, constants, opset, shape, line = REFUSED[case]
    data = graph(nodes, constants, x=shape, opset=opset)
    if "twice" in case:
        model = onnx.ModelProto.FromString(data)
        model.graph.node[0].attribute.append(model.graph.node[0].attribute[0])
        data = model.SerializeToString()
    with pytest.raises(WeightsError, match=line) as refusal:
        reader.from_bytes(data, "f")
    assert "\n" not in str(refusal.value)
