"""Each ONNX operator's attributes, defaults, axes and ranks, against ONNX Runtime; and the lines of what is refused."""

import numpy as np
import onnxruntime
import pytest
from onnx_files import constant, graph, runtime

from npgrad import WeightsError, layers
from npgrad.io.formats import onnx as reader
from npgrad.io.formats._onnx_sizes import BATCH, Size, scaled, text

rng = np.random.default_rng(4)
OPEN, FEATURES, SQUARE = ("n", 3, 4, 4), ("Flatten", ["x"], "f"), ("n", 3, "h", "w")


def weights(name, *shape):
    return constant(name, rng.normal(size=shape))


def ints(name, *values):
    return constant(name, values, np.int64)


def one(operator, attributes=None, constants=(), inputs="xsb"):
    """A node, which takes x and as many constants as there are."""
    return [(operator, [*inputs[: 1 + len(constants)]], "y", attributes or {})], [*constants]


def floats(name, *values):
    return constant(name, values)


THREE, BIAS, SLOPES = floats("s", 0.5, 1, -2), floats("b", 3, -1, 0.5), weights("s", 3, 1, 1)
TWICE = floats("s", 1, 1, 2, 3)
FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
EQUAL = {  # nodes, constants, opset, shape of the input
    "PRelu of channels": (*one("PRelu", {}, [SLOPES]), 16, OPEN),
    "PRelu of channels of one": (*one("PRelu", {}, [floats("s", 0.2)]), 9, OPEN),
    "PRelu of features": (*one("PRelu", {}, [THREE]), 7, ("n", 3)),
    "Swish": (*one("Swish"), 24, OPEN),
    "Softmax 12 of a sequence": (*one("Softmax"), 12, ("n", 3, 4)),
    "Softmax 11 from the height on": (*one("Softmax", {"axis": -2}), 11, OPEN),
    "Softmax 13 of the height": (*one("Softmax", {"axis": 2}), 13, OPEN),
    "LogSoftmax 13 of the width": (*one("LogSoftmax", {"axis": 3}), 13, OPEN),
    "Concat of open channels": (*one("Concat", {"axis": 1}, [], "xx"), 13, ("n", "c", 4, 4)),
    "Flatten from 0 on": (*one("Flatten", {"axis": 0}), 9, (1, 3, 4, 4)),
    "Flatten behind the last axis": (*one("Flatten", {"axis": 4}), 9, ("n", 1, 1, 1)),
    "Squeeze of what is 1": (*one("Squeeze"), 13, (2, 1, 4, 3)),
    "Squeeze of one axis": (*one("Squeeze", {}, [ints("s", -3)]), 13, ("n", 1, 4, 3)),
    "Squeeze of two axes": (*one("Squeeze", {"axes": [3, 1]}), 11, ("n", 1, 4, 1, 3)),
    "Unsqueeze 13": (*one("Unsqueeze", {}, [ints("s", 3, 1)]), 13, OPEN),
    "Unsqueeze 11": (*one("Unsqueeze", {"axes": [-1]}), 11, OPEN),
    "Unsqueeze of an open height": (*one("Unsqueeze", {}, [ints("s", 2)]), 13, ("n", 3, "h", 4)),
    "Slice 9": (*one("Slice", {"starts": [1, 0], "ends": [3, -1], "axes": [2, 3]}), 9, OPEN),
    "Slice 9 of all axes": (*one("Slice", {"starts": [0, 1], "ends": [2**31 - 1, 3]}), 9, OPEN),
    "Slice 10 of the last axis": (*one("Slice", {}, [ints("s", 1), ints("b", 3), ints("c", -1)], "xsbc"), 10, OPEN),
    "LayerNormalization": (*one("LayerNormalization", {}, [weights("s", 4), weights("b", 4)]), 17, OPEN),
    "LayerNormalization, three axes": (
        *one("LayerNormalization", {"axis": 1, "epsilon": 0.5}, [weights("s", 3, 1, 4)]), 17, OPEN),
    "LayerNormalization, two axes": (
        *one("LayerNormalization", {"axis": -2, "stash_type": 1}, [floats("s", 2.0), weights("b", 4)]), 17, OPEN),
    "GroupNormalization 18": (
        *one("GroupNormalization", {"num_groups": 2}, [floats("s", 0.5, 2), floats("b", 1, -1)]), 18, ("n", 4, 3, 3)),
    "GroupNormalization 18, one group": (
        *one("GroupNormalization", {"num_groups": 1, "epsilon": 0.5}, [floats("s", 2), floats("b", 1)]), 18, OPEN),
    "GroupNormalization 21": (
        *one("GroupNormalization", {"num_groups": 2}, [weights("s", 4), weights("b", 4)]), 21, ("n", 4, 3)),
    "InstanceNormalization": (*one("InstanceNormalization", {}, [THREE, BIAS]), 13, OPEN),
    "InstanceNormalization of a sequence": (
        *one("InstanceNormalization", {"epsilon": 0.5}, [THREE, BIAS]), 13, ("n", 3, 4)),
    "LRN": (*one("LRN", {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 2.0}), 13, ("n", 5, 3, 3)),
    "LRN, defaults": (*one("LRN", {"size": 3}), 13, OPEN),
    "BatchNormalization 7": (
        [("BatchNormalization", [*"xsbbv"], "y", {"epsilon": 0.5})], [THREE, BIAS, floats("v", 1, 2, 3)], 7, OPEN),
    "Pad 10": (*one("Pad", {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 0.5}), 10, OPEN),
    "Pad 10, edge": (*one("Pad", {"pads": [0, 0, 5, 2, 0, 0, 3, 0], "mode": "edge"}), 10, OPEN),
    "Pad, reflected as far as can be": (*one("Pad", {"mode": "reflect"}, [ints("s", 0, 0, 3, 1, 0, 0, 2, 4)]), 13,
                                        ("n", 3, 4, 5)),
    "Pad 18 of axes from the end": (
        [("Pad", ["x", "s", "", "b"], "y")], [ints("s", 1, 0, 2, 3), ints("b", -1, -2)], 18, OPEN),
    "Pad of none": ([("Pad", ["x", "s"], "p"), ("Relu", ["p"], "y")], [ints("s", *[0] * 6)], 13, ("n", 3, 4)),
    "Upsample 7": (*one("Upsample", {"scales": [1.0, 1, 2, 3]}), 7, OPEN),
    "Upsample 9": (*one("Upsample", {"mode": "nearest"}, [TWICE]), 9, OPEN),
    "Resize 10": (*one("Resize", {}, [TWICE]), 10, OPEN),
    "Resize 10 of the height": (*one("Resize", {}, [floats("s", 1, 1, 2, 1)]), 10, OPEN),
    "Resize 10 of the width": (*one("Resize", {}, [floats("s", 1, 1, 1, 2)]), 10, OPEN),
    "Resize, nearest half pixels": (
        [("Resize", ["x", "", "s"], "y", {"nearest_mode": "round_prefer_ceil"})], [TWICE], 13, OPEN),
    "Resize, defaults": ([("Resize", ["x", "", "s"], "y")], [TWICE], 13, OPEN),
    "Resize from corner to corner": (
        [("Resize", ["x", "", "s"], "y", {"mode": "linear", "coordinate_transformation_mode": "align_corners"})],
        [TWICE], 13, OPEN),
    "Resize to one pixel": (
        [("Resize", ["x", "", "s"], "y", {"mode": "linear"})], [floats("s", 1, 1, 0.25, 0.25)], 13, OPEN),
    "Resize to a smaller image": ([("Resize", ["x", "", "s"], "y", FLOOR)], [floats("s", 1, 1, 0.5, 1.5)], 13, OPEN),
    "Resize to sizes": ([("Resize", ["x", "", "", "s"], "y", {"mode": "linear"})], [ints("s", 2, 3, 7, 9)], 13,
                        (2, 3, 4, 4)),
    "Resize of the last axis": (
        [("Resize", ["x", "", "", "s"], "y", {"mode": "linear", "axes": [-1]})], [ints("s", 7)], 18, OPEN),
    "Resize to the same size": ([("Resize", ["x", "", "s"], "r"), ("Relu", ["r"], "y")], [floats("s", *[1] * 4)], 13,
                                SQUARE),
    "padding on one side, counted": (
        [("AveragePool", ["x"], "p", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
         ("Flatten", ["p"], "f"), ("Gemm", ["f", "m"], "y")], [weights("m", 27, 2)], 13, ("n", 3, 5, 5)),
    "an input and a constant": (*one("Add", {}, [weights("s", 1, 3, 1, 1)]), 13, OPEN),
}  # fmt: skip


# what ONNX Runtime 1.23, the last for Python 3.10, does not run, or crashes at
NEWER = ("Swish", "LayerNormalization, three axes", "LayerNormalization, two axes", "Resize of the last axis")
OLD = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24)


@pytest.mark.parametrize("case", EQUAL)
def test_equal_to_the_runtime(case):
    if OLD and case in NEWER:
        pytest.skip("ONNX Runtime 1.23 does not run it")
    nodes, constants, opset, shape = EQUAL[case]
    data = graph(nodes, constants, x=shape, opset=opset)
    x = rng.normal(size=[{"n": 2, "h": 4, "w": 5}.get(one, one) for one in shape if one != "c"])
    x = (x if "c" not in shape else x[:, None].repeat(3, 1)).astype(np.float32)
    y, expected = reader.from_bytes(data, "f")(x), runtime(data, x)
    assert (y.dtype, y.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=2e-6)


def last(nodes, constants=(), opset=13, x=OPEN):
    model = reader.from_bytes(graph(nodes, constants, opset=opset, x=x), "f")
    return model.layer(model.layer_names()[-1])


def test_the_first_slopes_are_for_each_channel():
    x = rng.normal(size=(2, 3, 4, 4)).astype(np.float32)
    y = reader.from_bytes(graph(*one("PRelu", {}, [THREE]), opset=6, x=OPEN), "f")(x)
    slopes = np.array([0.5, 1, -2], np.float32)[:, None, None]
    np.testing.assert_array_equal(y, np.where(x < 0, slopes * x, x))


def test_layers_in_their_simplest_form():
    assert last(*one("Softmax", {"axis": 1})) == layers.Softmax(1)
    assert last(*one("Softmax"), opset=12, x=("n", 3, 1, 1)) == layers.Softmax(1)
    assert last(*one("Softmax"), opset=12) == layers.Softmax((1, 2, 3))
    assert last(*one("Squeeze", {"axes": [3, 1]}), opset=11, x=("n", 1, 4, 1, 3)) == layers.Squeeze((1, 3))
    assert last(*one("Squeeze", {"axes": [2, 3]}), opset=11, x=("n", 3, 1, 1)) == layers.Flatten()
    assert last(*one("PRelu", {}, [floats("s", 0.2)])).weight.dtype == np.float32
    assert last(*one("LayerNormalization", {"axis": 1}, [floats("s", 2)]), opset=17).weight.shape == (3, 4, 4)
    as_it_is = [("Relu", ["x"], "r"), ("Resize", ["r", "s"], "y")]
    assert last(as_it_is, [floats("s", 1, 1, 1, 1)], opset=10) == layers.ReLU()
    made = last([("Resize", ["x", "", "s"], "y")], [floats("s", 1, 1, 64, 64)], x=("n", 1, 64, 64))
    assert made == layers.Upsample((64, 64), mode="nearest")


def test_a_constant_joins_the_layer_that_only_it_takes():
    conv, bias = ("Conv", ["x", "w"], "c"), weights("a", 3, 1, 1)
    for more, names in (([], ["c"]), ([("Add", ["y", "c"], "z")], ["c", "y", "z"])):
        nodes = [conv, ("Add", ["c", "a"], "y"), *more]
        model = reader.from_bytes(graph(nodes, [weights("w", 3, 3, 1, 1), bias], x=OPEN), "f")
        assert model.layer_names() == names


def test_sizes_in_messages():
    shape = (BATCH, Size("h", 2), Size("h", -2), Size("h", 0, 2), Size("h", -1, 3))
    assert text(shape) == "(N, h + 2, h - 2, floor((h) / 2), floor((h - 1) / 3))"
    assert (text((7,)), text(range(9))) == ("(7,)", "(0, 1, 2, 3, 4, 5, 6, 7)")
    assert scaled(5, 1.5) == 7 and scaled(Size("h"), 1) == Size("h")


AXES = "expected different axes from"
LINES = {  # nodes, constants, opset, shape of the input, line
    "a slope for each column": (*one("PRelu", {}, [weights("s", 4)]), 16, OPEN,
                                "(PRelu): slope: expected one per channel, found shape (4,) for (N, 3, 4, 4)"),
    "another Swish": (*one("Swish", {"alpha": 2.0}), 24, OPEN, "(Swish): alpha: expected 1.0, found 2.0"),
    "Softmax past the end": (*one("Softmax", {"axis": 4}), 13, OPEN, f"(Softmax): {AXES} -4 to 3, found [4]"),
    "Softmax of 5 axes": (*one("Softmax", {"axis": 4}), 13, ("n", 3, 2, 2, 2), "(Softmax): axis: expected axes of an "
                          "image, found axis 4 of shape (N, 3, 2, 2, 2)"),
    "Concat past the end": (*one("Concat", {"axis": 4}, [], "xx"), 13, OPEN, f"(Concat): {AXES} -4 to 3, found [4]"),
    "Concat of unequal heights": (
        [("Slice", ["x"], "p", {"starts": [1], "ends": [3], "axes": [2]}), ("Concat", ["x", "p"], "y", {"axis": 1})],
        [], 9, OPEN, "(Concat): expected inputs of equal shapes, found (N, 3, 4, 4) and (N, 3, 2, 4)"),
    "Concat of open channels, and another": (
        [("Concat", ["x", "x"], "c", {"axis": 1}), ("Add", ["c", "x"], "y")], [], 13, ("n", "c", 4, 4),
        "(Add): expected inputs of equal shapes, found (N, 'c' + 'c', 4, 4) and (N, 'c', 4, 4)"),
    "Flatten past the end": (*one("Flatten", {"axis": 5}), 13, OPEN,
                             "(Flatten): axis: expected one of 4 axes, found 5"),
    "Flatten from the end, too early": (*one("Flatten", {"axis": -3}), 9, OPEN,
                                        "(Flatten): axis: expected one of 4 axes, found -3"),
    "Squeeze of all": (*one("Squeeze", {}, [ints("s", 1)]), 13, ("n", 1),
                       "(Squeeze): expected at least one axis per image and at most one open size, found (N,)"),
    "Squeeze of the batch": (*one("Squeeze", {}, [ints("s", 0)]), 13, (1, 3, 4, 4),
                             "(Squeeze): axes: expected axes of size 1, found [0] for shape (1, 3, 4, 4)"),
    "Squeeze at no axis": (*one("Squeeze", {}, [ints("s")]), 13, ("n", 3, 1, 1),
                           "(Squeeze): axes: expected one or more, found ()"),
    "Unsqueeze before the batch": (*one("Unsqueeze", {}, [ints("s", 0)]), 13, OPEN,
                                   "(Unsqueeze): axes: expected axes after the batch, found 0"),
    "Unsqueeze past the end": (*one("Unsqueeze", {}, [ints("s", 5)]), 13, OPEN,
                               f"(Unsqueeze): {AXES} -5 to 4, found [5]"),
    "Unsqueeze of two open sizes": (
        *one("Unsqueeze", {}, [ints("s", 1)]), 13, SQUARE, "(Unsqueeze): expected at least one axis per image and at "
        "most one open size, found (N, 1, 3, 'h', 'w')"),
    "a Reshape to 9 axes": (
        *one("Reshape", {}, [ints("s", 0, 7, *[1] * 7)]), 13, OPEN, "(Reshape): expected a shape (N, ...) of the "
        "images of (N, 3, 4, 4), found (0, 7, 1, 1, 1, 1, 1, 1)"),
    "a Slice of the batch": (*one("Slice", {"starts": [0], "ends": [1]}), 9, OPEN,
                             "(Slice): axes: expected axes after the batch, found 0, from 0 to 1"),
    "a Slice of nothing": (*one("Slice", {"starts": [4], "ends": [9], "axes": [2]}), 9, OPEN,
                           "(Slice): expected a part of 4 at axis 2, found from 4 to 9"),
    "LayerNormalization in double": (*one("LayerNormalization", {"stash_type": 11}, [weights("s", 4)]), 17, OPEN,
                                     "(LayerNormalization): stash_type: expected 1, found 11"),
    "GroupNormalization in double": (
        *one("GroupNormalization", {"stash_type": 11, "num_groups": 1}, [THREE, BIAS]), 21, OPEN,
        "(GroupNormalization): stash_type: expected 1, found 11"),
    **{f"LayerNormalization of {axis}, {shape}": (
        *one("LayerNormalization", {"axis": axis}, [floats("s", 1)]), 17, shape, "(LayerNormalization): axis: expected "
        f"at most 3 axes of an image, all known, found axis {axis} of {shown}")
       for axis, shape, shown in ((0, OPEN, "(N, 3, 4, 4)"), (1, ("n", 2, 2, 2, 2), "(N, 2, 2, 2, 2)"),
                                  (2, SQUARE, "(N, 3, 'h', 'w')"))},
    "GroupNormalization 18, unequal groups": (
        *one("GroupNormalization", {"num_groups": 2}, [floats("s", 1, 2), floats("b", 1, 2)]), 18, OPEN,
        "(GroupNormalization): expected num_groups that divide the channels, and a scale for each; found 2 for shape "
        "(N, 3, 4, 4), and (2,)"),
    "GroupNormalization 21, unequal groups": (
        *one("GroupNormalization", {"num_groups": 2}, [THREE, BIAS]), 21, OPEN,
        "(GroupNormalization): num_groups: 2 does not divide 3 channels"),
    "InstanceNormalization of other channels": (
        *one("InstanceNormalization", {}, [THREE, BIAS]), 13, ("n", 2, 4, 4),
        "(InstanceNormalization): expected an input of 3 channels, found 2"),
    "InstanceNormalization of features": (
        *one("InstanceNormalization", {}, [THREE, BIAS]), 13, ("n", 3),
        "(InstanceNormalization): expected an input (N, C, ...) of 3 axes or more, found shape (N, 3)"),
    "LRN of a sequence": (*one("LRN", {"size": 3}), 13, ("n", 3, 4), "(LRN): expected an input (N, C, H, W), found "
                          "shape (N, 3, 4)"),
    "Pad 10 in another mode": (*one("Pad", {"pads": [0, 0, 1, 1] * 2, "mode": "wrap"}), 10, OPEN,
                               "(Pad): mode: expected constant or reflect or edge, found wrap"),
    "Pad, too few": (*one("Pad", {}, [ints("s", 1, 1)]), 13, OPEN, "(Pad): pads: expected 8 numbers, found 2"),
    "Pad of less": (*one("Pad", {}, [ints("s", 0, 0, -1, 0, 0, 0, 0, 0)]), 13, OPEN,
                    "(Pad): pads: expected numbers from 0 to 64, found (0, 0, -1, 0, 0, 0, 0, 0)"),
    "Pad, reflected too far": (
        *one("Pad", {"mode": "reflect"}, [ints("s", 0, 0, 0, 0, 0, 0, 4, 0)]), 13, ("n", 3, 4, 5), "(Pad): pads: "
        "expected fewer than the pixels of (N, 3, 4, 5) to reflect, found (0, 0, 0, 0, 0, 0, 4, 0)"),
    "the first Pad": (*one("Pad", {"paddings": [0, 1, 0, 0, 0, 0, 0, 0]}), 1, OPEN,
                      "(Pad): pads: expected a border of height and width, found (0, 1, 0, 0, 0, 0, 0, 0) for "
                      "(N, 3, 4, 4)"),
    "the first Upsample": (*one("Upsample", {"height_scale": 2.0, "width_scale": 2.0}), 1, OPEN,
                           "(Upsample): expected opset 7 or newer"),
    "Upsample in another mode": (*one("Upsample", {"scales": [1.0] * 4, "mode": "cubic"}), 7, OPEN,
                                 "(Upsample): mode: expected nearest or linear, found cubic"),
    "Upsample of an open size": (
        [*one("Upsample", {"scales": [1.0, 1, 2, 1.5]})[0], ("Add", ["y", "x"], "z")], [], 7, SQUARE,
        "(Add): expected inputs of equal shapes, found (N, 3, floor(2 * ('h')), floor(1.5 * ('w'))) and "
        "(N, 3, 'h', 'w')"),
    **{f"Resize with {name}": (
        [("Resize", ["x", "", "", "s"], "y", {name: given})], [ints("s", 2, 3, 8, 8)], 18, (2, 3, 4, 4),
        f"(Resize): {name}: expected {wanted}, found {given}")
       for name, given, wanted in (("exclude_outside", 1, 0), ("antialias", 1, 0),
                                   ("mode", "cubic", "nearest or linear"),
                                   ("keep_aspect_ratio_policy", "not_larger", "stretch"))},
    "Resize by whole numbers": ([("Resize", ["x", "s"], "y")], [ints("s", 1, 1, 2, 2)], 10, OPEN,
                                "(Resize): scales: expected 4 floats, found shape (4,)"),
    "Resize by three numbers": ([("Resize", ["x", "s"], "y")], [floats("s", 1, 2, 2)], 10, OPEN,
                                "(Resize): scales: expected 4 floats, found shape (3,)"),
    "Resize to more pixels than can be": (
        [("Resize", ["x", "s"], "y")], [floats("s", 1, 1, 64, 1)], 10, ("n", 1, 65, 4),
        "(Resize): expected an output of from 1 to 4096 pixels a side, found (4160, 4)"),
    "Resize to no pixel": ([("Resize", ["x", "", "s"], "y", FLOOR)], [floats("s", 1, 1, 0.125, 1)], 13, OPEN,
                           "(Resize): expected an output of from 1 to 4096 pixels a side, found (0, 4)"),
    "Resize 10 to a smaller image": (
        [("Resize", ["x", "s"], "y")], [floats("s", 1, 1, 0.5, 1)], 10, OPEN, "(Resize): expected another rule for the "
        "places of pixels, found nearest by 0.5, 1, asymmetric, floor"),
    "Resize, nearest of half pixels, to a smaller image": (
        [("Resize", ["x", "", "s"], "y")], [floats("s", 1, 1, 1.5, 1)], 13, OPEN, "(Resize): expected another rule for "
        "the places of pixels, found nearest by 1.5, 1, half_pixel, round_prefer_floor"),
    "windows of open images": (
        [("MaxPool", ["x"], "p", {"kernel_shape": [3, 1]}), ("Add", ["p", "x"], "y")], [], 13, ("n", 3, None, "w" * 41),
        "(Add): expected inputs of equal shapes, found (N, 3, axis 2 - 2, axis 3) and (N, 3, axis 2, axis 3)"),
    "windows past the edge of images that differ": (
        [("AveragePool", ["x"], "a", {"kernel_shape": [1, 1], "strides": [3, 3], "ceil_mode": 1}),
         ("Pad", ["x"], "p", {"pads": [0] * 6 + [1, 1], "mode": "edge"}),
         ("AveragePool", ["p"], "b", {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1}),
         ("Add", ["a", "b"], "y")], [], 10, ("n", 3, "h", "h"), "(Add): expected inputs of equal shapes, found "
        "(N, 3, ceil('h' - 1 / 3, 'h') + 1, ceil('h' - 1 / 3, 'h') + 1) and "
        "(N, 3, ceil('h' - 1 / 3, 'h' + 1) + 1, ceil('h' - 1 / 3, 'h' + 1) + 1)"),
    "numbers that are not whole": (
        *one("MaxPool", {"kernel_shape": [2, 2], "pads": [1.5] * 10}), 13, OPEN,
        f"(MaxPool): pads: expected whole numbers, found {[1.5] * 9}"),
    "words": (*one("MaxPool", {"kernel_shape": ["a", "b"]}), 13, OPEN,
              "(MaxPool): kernel_shape: expected whole numbers, found another kind of attribute"),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_the_line_of_a_refusal(case):
    nodes, constants, opset, shape, line = LINES[case]
    with pytest.raises(WeightsError) as refusal:
        reader.from_bytes(graph(nodes, constants, x=shape, opset=opset), "f")
    assert str(refusal.value) == f"f: node {nodes[-1][2]!r} {line}"
