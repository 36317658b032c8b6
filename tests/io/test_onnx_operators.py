"""ONNX operators with every attribute and default, in small graphs: the layers they become, or a line of refusal."""

import checks
import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_files import constant, graph, read, runtime, value

from npgrad import WeightsError, layers
from npgrad.io.labels import imagenet_classes

rng = np.random.default_rng(1)


def weights(*shape, name="w", dtype=np.float32):
    return constant(name, rng.normal(size=shape), dtype)


def ints(name, *values):
    return constant(name, values, np.int64)


FLAT = ("Flatten", ["x"], "f")
MATRIX, ROW = weights(32, 5, name="m"), weights(5, name="b")
POOL = {"kernel_shape": [3, 2], "strides": [2, 1]}
GRAPHS = {  # each compared with ONNX Runtime
    "a convolution with bias": ([("Conv", ["x", "w", "b"], "y")], [weights(5, 2, 3, 2), ROW]),
    "in groups, kernel named": (
        [("Conv", ["x", "w"], "y", {"group": 2, "kernel_shape": [1, 3]})], [weights(4, 1, 1, 3)]),
    "pads of its own on each axis": (
        [("Conv", ["x", "w"], "y", {"pads": [1, 2, 1, 2], "strides": [1, 2]})], [weights(3, 2, 3, 3)]),
    "the same size, lower": ([("Conv", ["x", "w"], "y", {"auto_pad": "SAME_LOWER"})], [weights(3, 2, 3, 5)]),
    "no padding by name": (
        [("Conv", ["x", "w"], "y", {"auto_pad": "VALID", "strides": [2, 1]})], [weights(3, 2, 3, 3)]),
    "Gemm without C": ([FLAT, ("Gemm", ["f", "m"], "y")], [MATRIX]),
    "Gemm, transposed": ([FLAT, ("Gemm", ["f", "m", "b"], "y", {"transB": 1})], [weights(5, 32, name="m"), ROW]),
    "Gemm, alpha alone": ([FLAT, ("Gemm", ["f", "m"], "y", {"alpha": -2.0})], [MATRIX]),
    "MatMul alone": ([FLAT, ("MatMul", ["f", "m"], "y")], [MATRIX]),
    "a bias first": ([FLAT, ("MatMul", ["f", "m"], "p"), ("Add", ["b", "p"], "y")], [MATRIX, ROW]),
    "a bias of one row": (
        [FLAT, ("MatMul", ["f", "m"], "p"), ("Add", ["p", "b"], "y")], [MATRIX, weights(1, 5, name="b")]),
    "one number for all": (
        [("Conv", ["x", "w"], "c"), ("Add", ["c", "b"], "y")], [weights(3, 2, 1, 1), constant("b", 0.7)]),
    "a bias of four axes": (
        [("Conv", ["x", "w"], "c"), ("Add", ["c", "b"], "y")], [weights(3, 2, 1, 1), weights(1, 3, 1, 1, name="b")]),
    "two outputs added": (
        [("Relu", ["x"], "r"), ("Conv", ["r", "w"], "c"), ("Add", ["c", "r"], "y")], [weights(2, 2, 1, 1)]),
    "the largest": ([("MaxPool", ["x"], "y", POOL)], []),
    "the largest, to the edge": ([("MaxPool", ["x"], "y", {**POOL, "ceil_mode": 1})], []),
    "the largest, the same size": ([("MaxPool", ["x"], "y", {"kernel_shape": [3, 1], "auto_pad": "SAME_UPPER"})], []),
    "strides of 1 unless said": ([("MaxPool", ["x"], "y", {"kernel_shape": [2, 2]})], []),
    "means": ([("AveragePool", ["x"], "y", {**POOL, "pads": [1, 1, 1, 1]})], []),
    "means of it all": ([("GlobalAveragePool", ["x"], "g"), ("Flatten", ["g"], "y", {"axis": 1})], []),
    "height and width away": ([("ReduceMean", ["x"], "y", {"axes": [3, 2], "keepdims": 0})], []),
    "height and width of 1": ([("ReduceMean", ["x"], "y", {"axes": [-1, -2]})], []),
    "side by side, from the end": ([("Relu", ["x"], "r"), ("Concat", ["x", "r"], "y", {"axis": -3})], []),
    "one row an image": ([("Reshape", ["x", "s"], "y")], [ints("s", -1, 32)]),
    "one row, as long as it is": ([("Reshape", ["x", "s"], "y")], [ints("s", 0, -1)]),
    "no bound above": ([("Clip", ["x", "lo"], "y")], [constant("lo", 0)]),
    "no bound below": ([("Clip", ["x", "", "hi"], "y")], [constant("hi", 0.5)]),
    "from 0 to 6": ([("Clip", ["x", "lo", "hi"], "y")], [constant("lo", 0), constant("hi", 6)]),
    "padding on one side": (
        [("Conv", ["x", "w"], "y", {"pads": [0, 0, 1, 1], "strides": [2, 2]})], [weights(3, 2, 3, 3)]),
    "the same size by name, stride 2": (
        [("Conv", ["x", "w"], "y", {"auto_pad": "SAME_UPPER", "strides": [2, 2]})], [weights(3, 2, 3, 3)]),
    "dilated": ([("Conv", ["x", "w"], "y", {"dilations": [2, 3]})], [weights(3, 2, 2, 2)]),
    "the largest, dilated": ([("MaxPool", ["x"], "y", {"kernel_shape": [2, 2], "dilations": [3, 2]})], []),
    "divided at the input": ([("Div", ["x", "k"], "z"), ("Conv", ["z", "w"], "y")],
                             [weights(3, 2, 1, 1), constant("k", 255.0)]),
    "less a mean for each channel": (
        [("Sub", ["x", "k"], "z"), ("Conv", ["z", "w"], "y")], [weights(3, 2, 1, 1), weights(1, 2, 1, 1, name="k")]),
    "a number less it": ([("Sub", ["k", "x"], "y")], [constant("k", 1.0)]),
    "a gate for each channel": (
        [("GlobalAveragePool", ["x"], "g"), ("Sigmoid", ["g"], "s"), ("Mul", ["s", "x"], "y")], []),
    "the largest of it all": ([("GlobalMaxPool", ["x"], "y")], []),
    "channels shuffled": (
        [("Reshape", ["x", "s"], "r"), ("Transpose", ["r"], "t", {"perm": [0, 2, 1, 3, 4]}),
         ("Reshape", ["t", "u"], "y")],
        [ints("s", 0, 2, 1, 4, 4), ints("u", 0, -1, 4, 4)]),
    "reversed and cut": (
        [("Slice", ["x", "b", "e", "a", "s"], "y")], [ints("b", -1, 1), ints("e", -(2**40), 2**40), ints("a", 1, 3),
                                                     ints("s", -1, 2)]),
    "a border": ([("Pad", ["x", "p", "v"], "y")], [ints("p", 0, 0, 1, 0, 0, 0, 2, 3), constant("v", 0.5)]),
    "twice as large": (
        [("Resize", ["x", "", "s"], "y", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"})],
        [constant("s", [1, 1, 2, 3])]),
    "1.5 times as large": ([("Resize", ["x", "", "s"], "y", {"mode": "linear"})], [constant("s", [1, 1, 1.5, 2])]),
    "log-probabilities": ([FLAT, ("LogSoftmax", ["f"], "y")], []),
    "probabilities": ([FLAT, ("Softmax", ["f"], "y", {"axis": -1})], []),
    "a constant renamed": ([("Identity", ["w"], "v"), ("Conv", ["x", "v"], "y")], [weights(3, 2, 1, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_those_of_the_runtime(name, tmp_path):
    data, x = graph(*GRAPHS[name]), rng.normal(size=(2, 2, 4, 4)).astype(np.float32)
    model = read(data, tmp_path)
    checks.assert_close(model(x), runtime(data, x), 2e-6)


def test_axes_may_come_as_an_input(tmp_path):
    x = rng.normal(size=(2, 2, 4, 4)).astype(np.float32)
    for keep in (0, 1):
        nodes = [("ReduceMean", ["x", "a"], "y", {"keepdims": keep})]
        data = graph(nodes, [ints("a", 2, 3)], opset=18)
        checks.assert_close(read(data, tmp_path)(x), runtime(data, x), 1e-6)


def layer_of(nodes, constants, tmp_path):
    model = read(graph(nodes, constants), tmp_path)
    return model.layer(model.layer_names()[-1])


def test_what_layers_are_made(tmp_path):
    four = [constant(name, [1, 2]) for name in "sbmv"]
    norm = ["x", "s", "b", "m", "v"]
    made = layer_of([("BatchNormalization", norm, "y", {"momentum": 0.7, "epsilon": 0.5})], four, tmp_path)
    assert (round(made.momentum, 6), made.eps) == (0.3, 0.5)
    made = layer_of([("BatchNormalization", norm, "y")], four, tmp_path)
    assert (round(made.momentum, 6), made.eps) == (0.1, np.float32(1e-5))
    assert layer_of([("Dropout", ["x"], "y")], [], tmp_path) == layers.Dropout(0.5)
    assert layer_of([("Dropout", ["x", "r"], "y")], [constant("r", 0.25)], tmp_path) == layers.Dropout(0.25)
    no = constant("t", False, bool)
    assert layer_of([("Dropout", ["x", "", "t"], "y")], [no], tmp_path) == layers.Dropout(0.5)
    assert layer_of([("Clip", ["x", "lo"], "y")], [constant("lo", 0)], tmp_path) == layers.ReLU()
    made = layer_of([("Clip", ["x", "lo", "hi"], "y")], [constant("lo", 0), constant("hi", 6)], tmp_path)
    assert made == layers.ReLU6()
    assert layer_of([("Clip", ["x"], "y")], [], tmp_path) == layers.Clip()
    made = layer_of([("Clip", ["x", "", "hi"], "y")], [constant("hi", 6)], tmp_path)
    assert made == layers.Clip(None, 6.0)
    pads = {"kernel_shape": [2, 3], "pads": [1, 1, 1, 1]}
    made = layer_of([("AveragePool", ["x"], "y", pads)], [], tmp_path)
    assert made == layers.AvgPool2d((2, 3), (1, 1), (1, 1), False, count_include_pad=False)
    made = layer_of(
        [("AveragePool", ["x"], "y", {**pads, "count_include_pad": 1, "ceil_mode": 1})], [], tmp_path
    )
    assert made == layers.AvgPool2d((2, 3), (1, 1), (1, 1), True, count_include_pad=True)
    assert layer_of([("GlobalAveragePool", ["x"], "y")], [], tmp_path) == layers.AdaptiveAvgPool2d(1)
    made = layer_of([("ReduceMean", ["x"], "y", {"axes": [2, 3], "keepdims": 0})], [], tmp_path)
    assert made == layers.GlobalAvgPool2d()
    padded = layer_of([("Conv", ["x", "w"], "y", {"pads": [64] * 4})], [weights(3, 2, 1, 1)], tmp_path)
    assert padded.padding == (64, 64)


def test_constants_of_every_kind(tmp_path):
    def made(**attribute):
        nodes = [helper.make_node("Constant", [], ["c"], **attribute), ("Clip", ["x", "", "c"], "y")]
        return layer_of(nodes, [], tmp_path).high

    assert made(value_float=0.5) == 0.5 and made(value_int=3) == 3
    assert made(value_floats=[0.5]) == 0.5 and made(value_ints=[3]) == 3
    assert made(value=constant("any", 2.5)) == 2.5 and made(value=ints("any", 7)) == 7
    with pytest.raises(
        WeightsError, match="'c' .Constant.: expected one value of numbers, found value_string$"
    ):
        made(value_string="a")


@pytest.mark.parametrize(
    ("given", "kept"), [(np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)]
)
def test_weights_keep_their_precision_but_half(given, kept, tmp_path):
    made = layer_of([("Conv", ["x", "w"], "y")], [weights(3, 2, 1, 1, dtype=given)], tmp_path)
    assert made.weight.dtype == kept


def test_numbers_one_by_one_instead_of_bytes(tmp_path):
    for kind, numbers in (
        (TensorProto.FLOAT, [1.0, 2, 3, 4, 5, 6]),
        (TensorProto.DOUBLE, [1.0, 2, 3, 4, 5, 6]),
        (TensorProto.FLOAT16, [1.0, 2, 3, 4, 5, 6]),
    ):
        tensor = helper.make_tensor("w", kind, (3, 2, 1, 1), numbers)
        assert layer_of([("Conv", ["x", "w"], "y")], [tensor], tmp_path).weight.ravel().tolist() == numbers


def test_whole_numbers_one_by_one(tmp_path):
    shape = helper.make_tensor("s", TensorProto.INT64, (2,), [0, -1])
    nodes = [("GlobalAveragePool", ["x"], "p"), ("Reshape", ["p", "s"], "y")]
    assert isinstance(layer_of(nodes, [shape], tmp_path), layers.Flatten)
    for kind in (TensorProto.INT32, TensorProto.INT64):
        axes = helper.make_tensor("axes", kind, (2,), [2, 3])
        model = read(graph([("ReduceMean", ["x", "axes"], "y")], [axes], opset=18), tmp_path)
        assert isinstance(model.layer("y"), layers.AdaptiveAvgPool2d)


def test_names_of_nodes_values_and_modules(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "stem.weight"], ["c"]),  # without a name of its own
        helper.make_node("Identity", ["c"], ["same"], name="renamed"),
        helper.make_node("Relu", ["same"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "heads.weights"], ["y"], name="last"),
        helper.make_node("Relu", ["r"], ["nowhere"], name="dead"),
    ]
    model = read(graph(nodes, [weights(3, 2, 1, 1, name="stem.weight"), weights(2, 3, 1, 1, name="heads.weights")],
                       outputs=[value("y")]), tmp_path)  # fmt: skip
    assert model.layer_names() == ["c", "relu", "last"]
    assert {alias: model.resolve(alias) for alias in ("stem", "same", "r", "y")} == {
        "stem": "c", "same": "c", "r": "relu", "y": "last",
    }  # fmt: skip
    assert set(model.aliases) == {"stem", "same", "r", "y"}
    assert (model.source["file"], model.source["format"], len(model.source["sha256"])) == (
        "net.onnx",
        "ONNX",
        64,
    )


def test_classes_and_the_declared_side(tmp_path):
    def model(classes, *x):
        nodes = [("Conv", ["x", "w"], "c"), ("ReduceMean", ["c"], "y", {"axes": [2, 3], "keepdims": 0})]
        return read(graph(nodes, [weights(classes, 2, 1, 1)], x=x), tmp_path)

    assert model(1000, 1, 2, 4, 4).classes == imagenet_classes() and model(999, 1, 2, 4, 4).classes is None
    default = model(5, 1, 2, "h", "w").preprocessing
    for height, width, resize, crop in (
        (224, 224, 256, 224), (1, 1, 1, 1), (3584, 3584, 4096, 3584), (100, 101, 100, (100, 101)),
    ):  # fmt: skip
        made = model(5, 1, 2, height, width).preprocessing
        assert (made.resize, made.crop) == (resize, crop)
    for sides in ((100, "w"), (0, 0)):
        assert model(5, 1, 2, *sides).preprocessing == default


def one(operator, attributes=None, constants=(), inputs=("x", "w")):
    return [(operator, list(inputs), "y", attributes or {})], constants


TWO, THREE = weights(3, 2, 3, 3), constant("w", [1, 2, 3])
LINES = [
    (*one("Gemm", {"transA": 1}, [weights(4, 5)]), "node 'y' (Gemm): transA: expected 0, found 1"),
    (*one("Gemm", {}, [weights(4, 5, 1)]), "node 'y' (Gemm): B: expected a matrix, found shape (4, 5, 1)"),
    (*one("MatMul", {}, [weights(4, 5, 1)]),
     "node 'y' (MatMul): expected a constant matrix on the right, found shape (4, 5, 1)"),
    ([FLAT, ("Gemm", ["f", "m", "b"], "y")], [MATRIX, weights(4, name="b")],
     "node 'y' (Gemm): bias: expected 5 values, one per feature, found shape (4,)"),
    (*one("Add", {}, [TWO], ["x", "x", "x"]), "node 'y' (Add): expected 2 inputs, found 3"),
    (*one("Add", {}, [TWO], ["w", "w"]),
     "output 'y': no node computes it"),
    (*one("MaxPool", {"kernel_shape": [2, 2], "storage_order": 1}, [], ["x"]),
     "node 'y' (MaxPool): storage_order: expected 0, found 1"),
    (*one("MaxPool", {}, [], ["x"]), "node 'y' (MaxPool): kernel_shape: expected whole numbers, found none"),
    (*one("MaxPool", {"kernel_shape": [2, 2], "dilations": [1, 65]}, [], ["x"]),
     "node 'y' (MaxPool): dilations: expected numbers from 1 to 64, found (1, 65)"),
    (*one("MaxPool", {"kernel_shape": [2, 2], "dilations": [1, 2], "auto_pad": "SAME_LOWER"}, [], ["x"]),
     "node 'y' (MaxPool): auto_pad: expected pads as numbers beside dilations (1, 2), found SAME"),
    (*one("Conv", {"kernel_shape": [2, 2]}, [TWO]), "node 'y' (Conv): kernel_shape: expected (3, 3), found (2, 2)"),
    (*one("Conv", {"strides": [2]}, [TWO]), "node 'y' (Conv): strides: expected two numbers, found (2,)"),
    (*one("Conv", {"strides": [1, 65]}, [TWO]),
     "node 'y' (Conv): strides: expected numbers from 1 to 64, found (1, 65)"),
    (*one("Conv", {"pads": [1] * 5}, [TWO]), "node 'y' (Conv): pads: expected four numbers, found (1, 1, 1, 1, 1)"),
    (*one("Conv", {"pads": 1}, [TWO]), "node 'y' (Conv): pads: expected whole numbers, found 1"),
    (*one("Conv", {"pads": [65, 0, 65, 0]}, [TWO]), "node 'y' (Conv): pads: expected at most 64, found (65, 0, 65, 0)"),
    (*one("Conv", {"auto_pad": b"\xff"}, [TWO]),
     "node 'y' (Conv): auto_pad: expected NOTSET or VALID or SAME_UPPER or SAME_LOWER, found \ufffd"),
    (*one("Conv", {"auto_pad": 1.5}, [TWO]), "node 'y' (Conv): auto_pad: expected a word, found 1.5"),
    (*one("Conv", {"group": helper.make_tensor("t", 1, [1], [1.0])}, [TWO]),
     "node 'y' (Conv): group: expected a whole number, found another kind of attribute"),
    (*one("ReduceMean", {"axes": [1, 2]}, [], ["x"]),
     "node 'y' (ReduceMean): axes: expected the height and width, 2 and 3, found (1, 2)"),
    (*one("Concat", {"axis": 0}, [], ["x", "x"]),
     "node 'y' (Concat): axis: expected an axis within an image, not 0, found 0"),
    (*one("Flatten", {"axis": 2}, [], ["x"]),
     "node 'y' (Flatten): axis: expected 1, one row per image, found 2 for shape (N, 2, 4, 4)"),
    (*one("Reshape", {}, [ints("w", -1, 0)]),
     "node 'y' (Reshape): expected a shape (N, ...) of the images of (N, 2, 4, 4), found (-1, 0)"),
    (*one("Reshape", {}, [ints("w", 3, 32)]),
     "node 'y' (Reshape): expected a shape (N, ...) of the images of (N, 2, 4, 4), found (3, 32)"),
    (*one("Clip", {}, [THREE]), "node 'y' (Clip): min: expected one number, found shape (3,)"),
    (*one("Clip", {}, [THREE], ["x", "", "w"]), "node 'y' (Clip): max: expected one number, found shape (3,)"),
    (*one("Dropout", {}, [constant("w", True, bool)], ["x", "", "w"]),
     "node 'y' (Dropout): training_mode: expected false, found true"),
    (*one("Dropout", {}, [THREE]), "node 'y' (Dropout): ratio: expected one number, found shape (3,)"),
    (*one("Softmax", {"axis": 0}, [], ["x"]),
     "node 'y' (Softmax): axis: expected axes of an image, found axis 0 of shape (N, 2, 4, 4)"),
    (*one("Relu", {}, [TWO], ["w"]), "node 'y' (Relu): input 0: expected the output of another node, found 'w'"),
    (*one("Conv", {}, [], ["x"]), "node 'y' (Conv): expected 2 to 3 inputs, found 1"),
    (*one("BatchNormalization", {"training_mode": 1}, [], ["x", "", "", "", ""]),
     "node 'y' (BatchNormalization): training_mode: expected 0, found 1"),
    (*one("Div", {}, [THREE], ["w", "x"]), "node 'y' (Div): input 1: expected a constant, found 'x'"),
    (*one("Div", {}, [constant("w", 0.0)]),
     "node 'y' (Div): expected a divisor with a finite reciprocal, found 0 or nearly 0"),
    (*one("Transpose", {}, [], ["x"]),
     "node 'y' (Transpose): perm: expected 0, the batch, and then the 3 other axes, found (3, 2, 1, 0)"),
    (*one("Pad", {"mode": "wrap"}, [ints("w", 0, 0, 1, 1, 0, 0, 1, 1)]),
     "node 'y' (Pad): mode: expected constant or reflect or edge, found wrap"),
    (*one("Pad", {}, [ints("w", 0, 1, 0, 0, 0, 0, 0, 0)]),
     "node 'y' (Pad): pads: expected a border of height and width, found (0, 1, 0, 0, 0, 0, 0, 0) for (N, 2, 4, 4)"),
    (*one("Selu", {"alpha": 1.5}, [], ["x"]), "node 'y' (Selu): alpha: expected 1.6732631921768188, found 1.5"),
    (*one("LRN", {"size": 2}, [], ["x"]),
     "node 'y' (LRN): LocalResponseNorm size: expected an odd number, found 2"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "line"), LINES, ids=range(len(LINES)))
def test_the_whole_line_of_a_refusal(nodes, constants, line, tmp_path):
    with pytest.raises(WeightsError) as refusal:
        read(graph(nodes, constants), tmp_path)
    assert str(refusal.value) == f"{tmp_path / 'net.onnx'}: {line}"
