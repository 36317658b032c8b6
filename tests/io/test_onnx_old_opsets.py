"""Opsets 1 to 6, which ONNX Runtime does not run: each operator's old form is the same network as its new form."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_files import W, constant, graph, value

from npgrad import WeightsError, layers
from npgrad.io.formats import _onnx_node as node
from npgrad.io.formats import onnx as reader
from npgrad.io.formats._onnx_operators import OPERATORS
from npgrad.io.formats._onnx_sizes import Size, count_windows, quotient
from npgrad.layers.im2col import output_size

rng = np.random.default_rng(3)
CONV, FLAT = ("Conv", ["x", "w"], "c"), ("Flatten", ["x"], "f")
MATRIX, BIAS, ROW = (
    constant("m", rng.normal(size=(32, 3))),
    constant("b", [1.0, 2, 3]),
    ("MatMul", ["f", "m"], "p"),
)
FOUR = [constant(name, [1.5, 2]) for name in "sbev"]
NORM = ["x", "s", "b", "e", "v"]
SAME = {  # old nodes, opset, new nodes, constants
    "a bias from an axis on": (
        [CONV, ("Add", ["c", "b"], "y", {"broadcast": 1, "axis": 1})], 6,
        [("Conv", ["x", "w", "b"], "y")], [W, BIAS]),
    "a bias at the end": (
        [FLAT, ROW, ("Add", ["p", "b"], "y", {"broadcast": 1})], 6,
        [FLAT, ("Gemm", ["f", "m", "b"], "y")], [MATRIX, BIAS]),
    "Gemm that broadcasts": (
        [FLAT, ("Gemm", ["f", "m", "b"], "y", {"broadcast": 1})], 6,
        [FLAT, ("Gemm", ["f", "m", "b"], "y")], [MATRIX, BIAS]),
    "a normalization in use": (
        [("BatchNormalization", NORM, "y", {"is_test": 1})], 6, [("BatchNormalization", NORM, "y")], FOUR),
    "the first normalization": (
        [("BatchNormalization", NORM, "y", {"is_test": 1, "consumed_inputs": [0, 0, 0, 1, 1]})], 1,
        [("BatchNormalization", NORM, "y")], FOUR),
    "dropout in use": ([("Dropout", ["x"], "y", {"is_test": 1})], 6, [("Dropout", ["x"], "y")], []),
    "a shape as attribute": ([("Reshape", ["x"], "y", {"shape": [0, -1]})], 4, [("Flatten", ["x"], "y")], []),
    "concat without axis": ([("Concat", ["x", "x"], "y")], 3, [("Concat", ["x", "x"], "y", {"axis": 1})], []),
    "sums": ([("Add", ["x", "x"], "y")], 6, [("Sum", ["x", "x"], "y")], []),
    "a mean without padding": (
        [("AveragePool", ["x"], "y", {"kernel_shape": [3, 3], "pads": [1] * 4})], 6,
        [("AveragePool", ["x"], "y", {"kernel_shape": [3, 3], "pads": [1] * 4})], []),
    "no bounds": ([("Clip", ["x"], "y", {"min": 0.0})], 6, [("Relu", ["x"], "y")], []),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_old_forms_are_the_new_ones(case):
    old, opset, new, constants = SAME[case]
    x = rng.normal(size=(2, 2, 4, 4)).astype(np.float32)
    old, new = (
        reader.from_bytes(graph(nodes, constants, opset=version), "f")
        for nodes, version in ((old, opset), (new, 17))
    )
    assert np.array_equal(old(x), new(x))
    assert [type(layer) for layer in old.network.parts().values()][-1] is not layers.Clip


REFUSED = {
    "a normalization in training": (
        [("BatchNormalization", NORM, "y")], 6, FOUR, "is_test: expected 1, found 0$"),
    "dropout in training": ([("Dropout", ["x"], "y")], 6, [], "is_test: expected 1, found 0$"),
    "a sum that does not broadcast": (
        [CONV, ("Add", ["c", "b"], "y", {"axis": 1})], 6, [W, BIAS], "broadcast: expected 1, found 0$"),
    "a constant broadcast from the wrong side": (
        [CONV, ("Add", ["b", "c"], "y", {"broadcast": 1})], 6, [W, BIAS], "expected the constant as the second input$"),
    "a bias along the width": (
        [CONV, ("Add", ["c", "b"], "y", {"broadcast": 1, "axis": 3})], 6, [W, BIAS],
        "expected a constant that is one float, or one per channel"),
    "Gemm with a row for every image": (
        [FLAT, ("Gemm", ["f", "m", "b"], "y")], 6, [MATRIX, BIAS], "broadcast: expected 1, found 0$"),
    "no axis where it is needed": ([("Concat", ["x", "x"], "y")], 4, [], "axis: expected a whole number, found none$"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_old_forms_that_no_layer_has(case):
    nodes, opset, constants, line = REFUSED[case]
    with pytest.raises(WeightsError, match=line):
        reader.from_bytes(graph(nodes, constants, opset=opset), "f")


def changed(change, **options):
    model = onnx.ModelProto.FromString(graph([("Relu", ["x"], "y")], **options))
    change(model)
    return model.SerializeToString()


def own_relu(model):
    model.functions.append(helper.make_function("", "Relu", ["x"], ["y"], [], [helper.make_opsetid("", 17)]))


def of_type(kind):
    return lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", kind)


NEWEST = onnx.defs.onnx_opset_version()
FILES = {
    "no opset": (lambda model: model.ClearField("opset_import"), {}, rf"one opset from 1 to {NEWEST}, found \[\]$"),
    "two opsets": (lambda model: model.opset_import.add(domain="ai.onnx", version=9), {}, r"found \[17, 9\]$"),
    "an opset of the future": (lambda model: None, {"opset": NEWEST + 1}, rf"found \[{NEWEST + 1}\]$"),
    "an operator of its own": (own_relu, {}, "found the model's own definition of one$"),
    "whole numbers": (of_type(7), {}, "input 'x': expected floats, found another type$"),
    "no shape": (
        lambda model: model.graph.input[0].type.tensor_type.ClearField("shape"), {}, r"or \(N, C\), found no shape$"),
    "one axis": (lambda model: None, {"x": ("n",)}, r"or \(N, C\), found 1 axes$"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_what_the_file_must_declare(case):
    change, options, line = FILES[case]
    with pytest.raises(WeightsError, match=line):
        reader.from_bytes(changed(change, **options), "f")


def test_other_floats_are_read():
    for kind in (10, 11):
        assert reader.from_bytes(changed(of_type(kind)), "f").layer_names() == ["y"]


def test_the_table_knows_versions_that_exist():
    for name, operator in OPERATORS.items():
        found = [node.schema_of(name, opset) for opset in range(1, NEWEST + 1)]
        versions = {one[0].since_version for one in found if one}
        assert operator.newest in versions, name


def test_a_version_that_nobody_has_read_is_refused(monkeypatch):
    monkeypatch.setitem(OPERATORS, "Relu", OPERATORS["Identity"].__class__(13, OPERATORS["Relu"].build))
    assert reader.from_bytes(graph([("Relu", ["x"], "y")], opset=13), "f").layer_names() == ["y"]
    with pytest.raises(WeightsError, match=r"node 'y' \(Relu\): expected version 13 or older, found 14$"):
        reader.from_bytes(graph([("Relu", ["x"], "y")], opset=14), "f")


def at(size, height):
    return (height + size.shift) // size.stride


def test_open_sizes_count_windows_as_the_layers_do():
    height = Size("height")
    for kernel, stride, padding, ceil_mode in np.ndindex(4, 3, 2, 2):
        kernel, stride = kernel + 1, stride + 1
        if padding > kernel // 2:
            continue
        size = count_windows(height, kernel, stride, padding, padding, bool(ceil_mode))
        if size.name == "height":
            for side in range(8, 20):
                assert at(size, side) == output_size(side, kernel, stride, padding, bool(ceil_mode))
        else:
            assert ceil_mode and stride > kernel - padding


def test_quotients_of_open_sizes():
    h, w = Size("h"), Size("w", 2)
    assert quotient((3, h, 4, w), (h, 6, w)) == 2 and quotient((h,), ()) == h
    assert quotient((3, h, w), (w,)) == quotient((h, 3), ()) != quotient((h, 2), ())
    for divisors in ((w,), (2,), (h, 2), (0,), (h, 0)):
        assert quotient((3, h), divisors) is None


def branches(kernel, padding, x):
    """A convolution and a 1x1 convolution, both at stride 2, and their sum."""
    wide = constant("k", rng.normal(size=(2, 2, kernel, kernel)))
    nodes = [("Conv", ["x", "k"], "a", {"strides": [2, 2], "pads": [padding] * 4}),
             ("Conv", ["x", "i"], "b", {"strides": [2, 2]}), ("Add", ["a", "b"], "y")]  # fmt: skip
    return graph(nodes, [wide, constant("i", rng.normal(size=(2, 2, 1, 1)))], inputs=[value("x", *x)])


def test_branches_must_agree_for_every_size_that_is_left_open():
    model = reader.from_bytes(branches(3, 1, ("n", 2, "h", "w")), "f")
    for side in range(1, 9):
        assert model(np.zeros((1, 2, side, side + 1), np.float32)).shape[2:] == (
            (side + 1) // 2,
            side // 2 + 1,
        )
    with pytest.raises(WeightsError, match=r"equal shapes, found \(N, 2, floor.* and \(N, 2, floor"):
        reader.from_bytes(branches(2, 0, ("n", 2, "h", "w")), "f")
    assert reader.from_bytes(branches(2, 0, ("n", 2, 4, 6)), "f")(
        np.zeros((1, 2, 4, 6), np.float32)
    ).shape == (1, 2, 2, 3)
