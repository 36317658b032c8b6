"""ONNX operators on constants: the array that each becomes, with its type, is ONNX Runtime's; or a line of refusal."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_files import constant, graph, runtime, value

from npgrad import WeightsError
from npgrad.io.formats._onnx_graph import GraphReader
from npgrad.io.formats._onnx_tensors import Tensors


def ints(name, *values):
    return constant(name, values, np.int64)


def numbers(*values):
    """Constants a, b and s of one whole number each."""
    return [constant(name, one, np.int64) for name, one in zip("abs", values, strict=True)]


def folded(nodes, constants, opset, x=(2, 3, 4, 5)):
    """The array of the constant "c"."""
    data = graph([*nodes, ("Relu", ["x"], "y")], constants, x=x, opset=opset)
    reading = GraphReader(onnx.ModelProto.FromString(data), Tensors())
    reading.network()
    return reading.constants["c"]


CUBE = constant("a", np.arange(24).reshape(2, 3, 4))
ROW, COLUMN, ONES = (
    constant("a", [3.0, 0.5, -2]),
    constant("b", [[2.0], [5]]),
    constant("a", np.ones((1, 2, 1))),
)
CASES = {  # nodes, constants, opset
    "a sum": ([("Add", ["a", "b"], "c")], [ROW, COLUMN], 13),
    "a difference": ([("Sub", ["a", "b"], "c")], [ROW, COLUMN], 13),
    "a product": ([("Mul", ["a", "b"], "c")], [ROW, COLUMN], 7),
    "a quotient": ([("Div", ["a", "b"], "c")], [ROW, COLUMN], 13),
    "a quotient of whole numbers": ([("Div", ["a", "b"], "c")], [ints("a", 7, 0), ints("b", 2)], 13),
    "whole numbers as floats": ([("Cast", ["a"], "c", {"to": TensorProto.FLOAT})], [ints("a", 1, 2)], 13),
    "floats as doubles": ([("Cast", ["a"], "c", {"to": TensorProto.DOUBLE})], [ROW], 13),
    "short whole numbers as long": (
        [("Cast", ["a"], "c", {"to": TensorProto.INT64})], [constant("a", [1, 2], np.int32)], 13),
    "parts from the end": ([("Concat", ["a", "a"], "c", {"axis": -2})], [CUBE], 13),
    "parts in rows": ([("Concat", ["a", "a"], "c", {"axis": 1})], [CUBE], 9),
    "a float": ([("Constant", [], "c", {"value_float": 0.1})], [], 13),
    "floats": ([("Constant", [], "c", {"value_floats": [0.1, 2.0]})], [], 13),
    "a whole number": ([("Constant", [], "c", {"value_int": 3})], [], 13),
    "whole numbers": ([("Constant", [], "c", {"value_ints": [3, 4]})], [], 13),
    "a tensor": ([("Constant", [], "c", {"value": COLUMN})], [], 13),
    "zeros": ([("ConstantOfShape", ["a"], "c")], [ints("a", 2, 3)], 13),
    "sevens": ([("ConstantOfShape", ["a"], "c", {"value": ints("v", 7)})], [ints("a", 2)], 13),
    "one zero": ([("ConstantOfShape", ["a"], "c")], [ints("a")], 13),
    "an element": ([("Gather", ["a", "i"], "c")], [CUBE, constant("i", -1, np.int64)], 13),
    "elements of the last axis": (
        [("Gather", ["a", "i"], "c", {"axis": -1})], [CUBE, constant("i", [[0, 3], [2, -4]], np.int64)], 13),
    "a range": ([("Range", ["a", "b", "s"], "c")], numbers(2, 11, 3), 13),
    "a range downward": (
        [("Range", ["a", "b", "s"], "c")], numbers(5, -1, -2), 13),
    "another shape": ([("Reshape", ["a", "s"], "c")], [CUBE, ints("s", 0, -1)], 13),
    "a size that stays further on": ([("Reshape", ["a", "s"], "c")], [CUBE, ints("s", -1, 0)], 13),
    "a size of 0": (
        [("Reshape", ["a", "s"], "c", {"allowzero": 1})], [constant("a", np.zeros((0, 2))), ints("s", 3, 0)], 14),
    "the shape of images": ([("Shape", ["x"], "c")], [], 13),
    "the shape of a constant": ([("Shape", ["a"], "c")], [CUBE], 13),
    "the end of a shape": ([("Shape", ["x"], "c", {"start": -2})], [], 15),
    "the begin of a shape": ([("Shape", ["x"], "c", {"end": -1})], [], 15),
    "the middle of a shape": ([("Shape", ["a"], "c", {"start": 1, "end": 2})], [CUBE], 15),
    "a part, first opset": ([("Slice", ["a"], "c", {"starts": [0, 1], "ends": [1, -1]})], [CUBE], 9),
    "a part of named axes, first opset": (
        [("Slice", ["a"], "c", {"starts": [1, 2], "ends": [3, 9], "axes": [1, 2]})], [CUBE], 9),
    "a part": ([("Slice", ["a", "s", "e"], "c")], [CUBE, ints("s", 0, 1), ints("e", 1, -1)], 13),
    "a part of an axis from the end": (
        [("Slice", ["a", "s", "e", "i"], "c")], [CUBE, ints("s", 1), ints("e", 3), ints("i", -1)], 10),
    "every second": (
        [("Slice", ["a", "s", "e", "i", "t"], "c")],
        [CUBE, ints("s", 0, 0), ints("e", 3, 9), ints("i", 1, 2), ints("t", 2, 3)], 13),
    "squeezed": ([("Squeeze", ["a"], "c")], [ONES], 13),
    "squeezed at the end": ([("Squeeze", ["a"], "c", {"axes": [-1]})], [ONES], 11),
    "squeezed at the begin": ([("Squeeze", ["a", "i"], "c")], [ONES, ints("i", 0)], 13),
    "more axes": ([("Unsqueeze", ["a", "i"], "c")], [ROW, ints("i", -1, 0)], 13),
    "more axes, first opset": ([("Unsqueeze", ["a"], "c", {"axes": [0, 2]})], [ROW], 9),
    "backward": ([("Transpose", ["a"], "c")], [CUBE], 13),
    "in another order": ([("Transpose", ["a"], "c", {"perm": [1, 2, 0]})], [CUBE], 13),
    "renamed": ([("Identity", ["a"], "c")], [CUBE], 13),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_constants_are_those_of_the_runtime(case):
    nodes, constants, opset = CASES[case]
    x = np.zeros((2, 3, 4, 5), np.float32)
    whole = graph(nodes, constants, outputs=[onnx.ValueInfoProto(name="c")], x=x.shape, opset=opset)
    found, expected = folded(*CASES[case]), runtime(whole, x)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


def test_32_whole_numbers_are_read():
    assert folded([("Reshape", ["a", "s"], "c")], [constant("a", [2]), ints("s", *[1] * 32)], 13).ndim == 32


FLAT = ("Reshape", ["x", "all"], "f")
LINES = {  # nodes, constants, opset, line
    "two types": ([("Add", ["a", "b"], "c")], [ROW, ints("b", 1)], 13,
                  "(Add): expected constants of one type of numbers, found float32 and int64"),
    "truths": ([("Mul", ["a", "a"], "c")], [constant("a", True, bool)], 13,
               "(Mul): expected constants of one type of numbers, found bool and bool"),
    "an old sum": ([("Add", ["a", "a"], "c")], [ROW], 6, "(Add): expected opset 7 or newer, for constants"),
    "a sum without end": (
        [("Add", ["a", "b"], "c")], [constant("a", np.ones((1, 1 << 15))), constant("b", np.ones((1 << 15, 1)))], 13,
        "(Add): expected constants of at most 268435456 elements in all, found 1073741824"),
    "a negative dividend": ([("Div", ["a", "b"], "c")], [ints("a", -1), ints("b", 2)], 13,
                            "(Div): expected whole numbers >= 0, and divisors >= 1, found others"),
    "a divisor of 0": ([("Div", ["a", "b"], "c")], [ints("a", 1), ints("b", 0)], 13,
                       "(Div): expected whole numbers >= 0, and divisors >= 1, found others"),
    "a float as whole number": (
        [("Cast", ["a"], "c", {"to": TensorProto.INT64})], [ROW], 13,
        "(Cast): to: expected whole numbers or floats as FLOAT, DOUBLE or INT64, found float32 to 7"),
    "a double too large": ([("Cast", ["a"], "c", {"to": TensorProto.FLOAT})], [constant("a", 1e300, np.float64)], 13,
                           "(Cast): expected finite numbers, found NaN or Inf"),
    "a word": ([("Constant", [], "c", {"value_string": "a"})], [], 13,
               "(Constant): expected one value of numbers, found value_string"),
    "words": ([("Constant", [], "c", {"value_strings": ["a", "b"]})], [], 13,
              "(Constant): value_strings: expected nothing, found another kind of attribute"),
    "nothing": ([("Constant", [], "c")], [], 13, "(Constant): expected one value of numbers, found nothing"),
    "two values": ([("Constant", [], "c", {"value_float": 1.0, "value_int": 2})], [], 13,
                   "(Constant): expected one value of numbers, found value_float, value_int"),
    "negative sizes": ([("ConstantOfShape", ["a"], "c")], [ints("a", 2, -1)], 13,
                       "(ConstantOfShape): expected sizes >= 0 and one value, found (2, -1) and 1 values"),
    "two numbers for all": ([("ConstantOfShape", ["a"], "c", {"value": ints("v", 1, 2)})], [ints("a", 2)], 13,
                            "(ConstantOfShape): expected sizes >= 0 and one value, found (2,) and 2 values"),
    "a range of floats": ([("Range", ["a", "a", "a"], "c")], [constant("a", 1)], 13,
                          "(Range): expected three whole numbers, found ['1.0', '1.0', '1.0']"),
    "a range that stands": ([("Range", ["a", "a", "a"], "c")], [constant("a", 0, np.int64)], 13,
                            "(Range): expected known numbers and a step, found ['0', '0', '0']"),
    "a size of -2": ([("Reshape", ["a", "s"], "c")], [ROW, ints("s", -2)], 13,
                     "(Reshape): shape: expected sizes, 0 or -1, found (-2,)"),
    "33 sizes": ([("Reshape", ["a", "s"], "c")], [ROW, ints("s", *[1] * 33)], 13,
                 "(Reshape): shape: expected whole numbers, found (1, 1, 1, 1, 1, 1)"),
    "sizes as floats": ([("Reshape", ["a", "s"], "c")], [ROW, constant("s", [3])], 13,
                        "(Reshape): shape: expected whole numbers, found (3.0,)"),
    "sizes as a matrix": ([("Reshape", ["a", "s"], "c")], [ROW, constant("s", [[3]], np.int64)], 13,
                          "(Reshape): shape: expected whole numbers, found (3,)"),
    "backward parts": (
        [("Slice", ["a", "s", "e", "i", "t"], "c")], [ROW, ints("s", 2), ints("e", 0), ints("i", 0), ints("t", -1)], 13,
        "(Slice): steps: expected numbers >= 1, found -1"),
    "an axis from the end, too early": ([("Slice", ["a"], "c", {"starts": [0], "ends": [1], "axes": [-1]})], [CUBE], 9,
                                        "(Slice): expected different axes from 0 to 2, found [-1]"),
    "an axis past the end": ([("Gather", ["a", "i"], "c", {"axis": 3})], [CUBE, ints("i", 0)], 13,
                             "(Gather): expected different axes from -3 to 2, found [3]"),
    "squeezed from the end, too early": ([("Squeeze", ["a"], "c", {"axes": [-1]})], [ONES], 10,
                                         "(Squeeze): expected different axes from 0 to 2, found [-1]"),
    "squeezed at no axis": ([("Squeeze", ["a", "i"], "c")], [ONES, ints("i")], 13,
                            "(Squeeze): axes: expected one or more, found ()"),
    "an order from the end": ([("Transpose", ["a"], "c", {"perm": [-1, 0, 1]})], [CUBE], 13,
                              "(Transpose): expected different axes from 0 to 2, found [-1, 0, 1]"),
    "an activation of a constant": ([("Relu", ["a"], "c")], [ROW], 13,
                                    "(Relu): input 0: expected the output of another node, found 'a'"),
    "a range of images": ([("Range", ["x", "a", "a"], "c")], [constant("a", 1, np.int64)], 13,
                          "(Range): expected constants, found an input that is computed"),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_the_line_of_a_refusal(case):
    nodes, constants, opset, line = LINES[case]
    with pytest.raises(WeightsError) as refusal:
        folded(nodes, constants, opset)
    assert str(refusal.value) == f"node 'c' {line}"


@pytest.mark.parametrize("between", [[], [("Relu", ["f"], "g")], [("Unsqueeze", ["f", "one"], "g")]])
def test_values_of_all_images_in_a_row_have_no_shape_of_images(between):
    last = between[-1][2] if between else "f"
    with pytest.raises(
        WeightsError, match=r"'f' \(Reshape\): expected a shape .* \(2, 3, 4, 5\), found \(-1,\)$"
    ):
        folded([FLAT, *between, ("Shape", [last], "c")], [ints("all", -1), ints("one", 1)], 13)


def test_a_part_without_a_name_is_no_part():
    nodes = [helper.make_node("Split", ["x"], ["a", ""], axis=2), ("Clip", ["a", "", "hi"], "y")]
    data = graph(nodes, [constant("hi", 1)], opset=13, outputs=[value("y")])
    reading = GraphReader(onnx.ModelProto.FromString(data), Tensors())
    reading.network()
    assert "" not in reading.made_by
