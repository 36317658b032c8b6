"""Formulas that exporters spell out, outputs that are split, and networks of TensorFlow, against ONNX Runtime."""

import checks
import numpy as np
import onnxruntime
import pytest
from onnx import helper
from onnx_files import constant, graph

from npgrad import WeightsError, layers
from npgrad.io.formats import onnx

rng = np.random.default_rng(0)
X = rng.normal(size=(2, 4, 6, 6)).astype(np.float32)
NHWC = (0, 2, 3, 1)


def weights(name, *shape):
    return constant(name, rng.normal(size=shape))


def ints(name, *numbers):
    return constant(name, numbers, np.int64)


def runtime(data, x):
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def gelu(half, swapped=False):
    """x / 2 * (1 + erf(x / sqrt(2))), with the half before, within or after."""
    root = ("Mul", ["x", "r"], "d") if swapped else ("Div", ["x", "s"], "d")
    gate = [root, ("Erf", ["d"], "e"), ("Add", ["o", "e"] if swapped else ["e", "o"], "g")]
    numbers = [constant("s", 2**0.5), constant("r", 0.5**0.5), constant("o", 1), constant("h", 0.5)]
    last = {
        "before": [("Mul", ["x", "h"], "a"), ("Mul", ["a", "g"], "y")],
        "within": [("Mul", ["g", "h"], "a"), ("Mul", ["x", "a"], "y")],
        "after": [("Mul", ["x", "g"], "a"), ("Mul", ["a", "h"], "y")],
    }[half]
    return gate + last, numbers


def norm(axis, square, shape):
    """(x - mean) / sqrt(var + eps) * w + b"""
    nodes = [
        ("ReduceMean", ["x"], "m", {"axes": [axis]}), ("Sub", ["x", "m"], "d"),
        ("Pow", ["d", "two"], "q") if square == "Pow" else ("Mul", ["d", "d"], "q"),
        ("ReduceMean", ["q"], "v", {"axes": [axis]}), ("Add", ["v", "eps"], "u"), ("Sqrt", ["u"], "r"),
        ("Div", ["d", "r"], "n"), ("Mul", ["n", "w"], "p"), ("Add", ["p", "b"], "y"),
    ]  # fmt: skip
    return nodes, [constant("two", 2), constant("eps", 1e-3), weights("w", *shape), weights("b", *shape)]


FORMULAS = {
    **{f"GELU, half {half}": (*gelu(half, half == "within"), layers.GELU) for half in ("before", "within", "after")},
    "LayerNorm of the last axis": (*norm(-1, "Pow", (6,)), layers.LayerNorm),
    "LayerNorm of the channels": (*norm(1, "Mul", (4, 1, 1)), layers.LayerNorm),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_becomes_its_layer(name):
    nodes, constants, kind = FORMULAS[name]
    data = graph(nodes, constants, x=("n", 4, 6, 6), opset=13)
    model = onnx.from_bytes(data, "f")
    assert [type(model.layer(one)) for one in model.layer_names()] == [kind]
    checks.assert_close(model(X), runtime(data, X), 2e-6)


GRAPHS = {
    "the parts of a split": (
        [helper.make_node("Split", ["x", "s"], ["a", "b"], name="s0", axis=1),
         ("Concat", ["b", "a", "a"], "y", {"axis": 1})],
        [ints("s", 1, 3)]),
    "equal parts, one used": (
        [helper.make_node("Split", ["x"], ["a", "b"], axis=1), ("Relu", ["b"], "y")], []),
    "each channel by itself": (
        [("Gather", ["x", "i"], "a", {"axis": 1}), ("Unsqueeze", ["a", "one"], "b"), ("Mul", ["b", "k"], "c"),
         ("Gather", ["x", "j"], "d", {"axis": 1}), ("Unsqueeze", ["d", "one"], "e"),
         ("Concat", ["c", "e"], "y", {"axis": 1})],
        [ints("one", 1), constant("i", 2, np.int64), constant("j", -1, np.int64), constant("k", 0.458)]),
    "channels backward": ([("Gather", ["x", "i"], "y", {"axis": 1})], [ints("i", 3, 2, 1, 0)]),
    "a maximum": ([("ReduceMax", ["x"], "y", {"axes": [2, 3], "keepdims": 0})], []),
    "a product for each pixel, and its bias": (
        [("Transpose", ["x"], "t", {"perm": NHWC}), ("MatMul", ["t", "w"], "m"), ("Add", ["b", "m"], "a"),
         ("Mul", ["a", "k"], "y")],
        [weights("w", 4, 5), weights("b", 5), weights("k", 5)]),
    "a product for each pixel that is used twice": (
        [("Transpose", ["x"], "t", {"perm": NHWC}), ("MatMul", ["t", "w"], "m"), ("Add", ["b", "m"], "a"),
         ("Add", ["m", "a"], "y")],
        [weights("w", 4, 5), weights("b", 5)]),
    "there and back, and a bias beside it": (
        [("Conv", ["x", "w"], "c"), ("Transpose", ["c"], "t", {"perm": NHWC}), ("Relu", ["t"], "r"),
         ("Transpose", ["t"], "u", {"perm": [0, 3, 1, 2]}), ("Add", ["u", "b"], "v"),
         ("Transpose", ["v"], "z", {"perm": NHWC}), ("Add", ["z", "r"], "y")],
        [weights("w", 4, 4, 1, 1), weights("b", 4, 1, 1)]),
    "all values in their order": (
        [("GlobalAveragePool", ["x"], "p"), ("Reshape", ["p", "flat"], "f"), ("Shape", ["x"], "s"),
         ("Gather", ["s", "zero"], "n"), ("Range", ["zero", "n", "step"], "r"), ("Mul", ["r", "four"], "q"),
         ("Reshape", ["q", "rows"], "o"), ("Add", ["o", "each"], "i"), ("Gather", ["f", "i"], "y")],
        [ints("flat", -1), constant("zero", 0, np.int64), constant("step", 1, np.int64), constant("four", 4, np.int64),
         ints("rows", -1, 1), constant("each", np.arange(4)[None], np.int64)]),
    "weights of a shape that is computed": (
        [("Shape", ["x"], "s"), ("Gather", ["s", "one"], "c"), ("Div", ["c", "two"], "h"),
         ("Concat", ["h", "c", "k"], "t", {"axis": 0}),
         ("ConstantOfShape", ["t"], "w", {"value": constant("v", [0.5])}), ("Conv", ["x", "w"], "y")],
        [ints("one", 1), ints("two", 2), ints("k", 1, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_those_of_the_runtime(name):
    data = graph(*GRAPHS[name], x=("n", 4, 6, 6), opset=13)
    model = onnx.from_bytes(data, "f")
    checks.assert_close(model(X), runtime(data, X), 2e-6)


def test_channels_by_themselves_need_no_known_size():
    nodes, constants = GRAPHS["each channel by itself"]
    data = graph(nodes, constants, x=("n", 4, "h", "w"), opset=13)
    checks.assert_close(onnx.from_bytes(data, "f")(X), runtime(data, X), 2e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_networks_of_tensorflow_take_images_as_all_networks_do(scaled):
    first = [("Mul", ["x", "k"], "s"), ("Sub", ["s", "m"], "z")] if scaled else [("Identity", ["x"], "z")]
    nodes = [*first, ("Transpose", ["z"], "t", {"perm": [0, 3, 1, 2]}),
             ("Conv", ["t", "w"], "c", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}), ("Add", ["c", "b"], "d"),
             ("ReduceMean", ["d"], "p", {"axes": [2, 3]}), ("Squeeze", ["p", "a"], "y")]  # fmt: skip
    data = graph(nodes, [weights("w", 5, 3, 3, 3), weights("b", 1, 5, 1, 1), constant("k", 0.5),
                         weights("m", 3), ints("a", 2, 3)], x=("n", 32, 33, 3), opset=13)  # fmt: skip
    model, x = onnx.from_bytes(data, "f"), rng.normal(size=(2, 32, 33, 3)).astype(np.float32)
    checks.assert_close(model(x.transpose(0, 3, 1, 2)), runtime(data, x), 2e-6)
    assert (model.source["layout"], model.preprocessing.crop, model.in_channels) == ("NHWC", (32, 33), 3)
    assert scaled or model.layer_names()[0] == "c"


def one(operator, attributes, constants=(), inputs=("x", "w")):
    return [(operator, list(inputs), "y", attributes)], constants


REFUSED = {
    "Erf": (*one("Erf", {}, (), ["x"]), "node 'y' .Erf.: expected an Erf in a GELU"),
    "a root": (*one("Sqrt", {}, (), ["x"]), "expected a square root in a LayerNorm"),
    "a cube": (*one("Pow", {}, [constant("w", 3)]), "expected the square in a LayerNorm, found another power"),
    "a square": (*one("Pow", {}, [constant("w", 2)]), "expected the square in a LayerNorm, found another power"),
    "half a GELU": (gelu("after")[0][:4], gelu("after")[1], "expected a GELU, .*, found 2 of it"),
    "maximum over channels": (*one("ReduceMax", {"axes": [1]}, (), ["x"]), "expected the height and width, 2 and 3"),
    "uneven indices": (*one("Gather", {"axis": 1}, [ints("w", 0, 1, 3)]), "expected evenly spaced ones"),
    "an index too large": (*one("Gather", {"axis": 1}, [ints("w", 4)]), "a row of numbers from -4 to 3, found .4"),
    "an image of the batch": (*one("Gather", {}, [ints("w", 0)]), "an axis of known size after the batch, found 0"),
    "parts of other sizes": ([helper.make_node("Split", ["x", "w"], ["y", "z"], axis=1)], [ints("w", 1, 2)],
                             "split: expected 2 sizes, 4 in all, found .1, 2"),
    "parts of the batch": ([helper.make_node("Split", ["x"], ["y", "z"])], [], "after the batch, found 0"),
    "a row of all values": (*one("Reshape", {}, [ints("w", -1)]), "expected a shape .*, found .-1,"),
    "a mean along rows": (*one("ReduceMean", {"axes": [2]}, (), ["x"]), "axes: expected the height and width"),
    "constants without end": (
        [("ConstantOfShape", ["s"], "a"), ("ConstantOfShape", ["s"], "b"), ("Conv", ["x", "b"], "y")],
        [ints("s", 1 << 20, 255)], "expected constants of at most 268435456 elements in all, found 534773760"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_when_loaded(name, monkeypatch):
    monkeypatch.setattr(
        np, "full", lambda shape, *_: np.broadcast_to(np.float32(0), shape)
    )  # no memory for the last
    nodes, constants, line = REFUSED[name]
    with pytest.raises(WeightsError, match=line):
        onnx.from_bytes(graph(nodes, constants, x=("n", 4, 6, 6), opset=13), "f")
