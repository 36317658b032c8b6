"""Small ONNX graphs made by hand: good ones, LITTLE, and files that lie, LIES."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import npgrad


def value(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def constant(name, array, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(array, dtype), name)


def graph(nodes, constants=(), inputs=None, outputs=None, x=("n", 2, 4, 4), opset=17):
    """A model's bytes; `nodes` are (operator, inputs, output, attributes)."""
    made = [
        node if isinstance(node, onnx.NodeProto) else
        helper.make_node(node[0], node[1], [node[2]], name=node[2], **(node[3] if len(node) > 3 else {}))
        for node in nodes
    ]  # fmt: skip
    last = made[-1].output[0] if made and made[-1].output else "x"
    proto = helper.make_graph(
        made, "g", inputs or [value("x", *x)], outputs or [value(last)], initializer=list(constants)
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model.SerializeToString()


rng = np.random.default_rng(0)
W = constant("w", rng.normal(size=(3, 2, 3, 3)))
LITTLE = {
    "a convolution with padding and stride": (
        [("Conv", ["x", "w"], "y", {"pads": [1, 1, 1, 1], "strides": [2, 2]})], [W]),
    "padding by name": ([("Conv", ["x", "w"], "y", {"auto_pad": "SAME_UPPER"})], [W]),
    "padding by name, none": ([("Conv", ["x", "w"], "y", {"auto_pad": "VALID"})], [W]),
    "a bias added later": (
        [("Conv", ["x", "w"], "c"), ("Add", ["c", "b"], "y")], [W, constant("b", rng.normal(size=(3, 1, 1)))]),
    "a bias added after an identity": (
        [("Conv", ["x", "w"], "c"), ("Identity", ["c"], "i"), ("Identity", ["i"], "j"), ("Add", ["j", "b"], "y")],
        [W, constant("b", rng.normal(size=(3, 1, 1)))]),
    "MatMul and Add": (
        [("Flatten", ["x"], "f"), ("MatMul", ["f", "m"], "p"), ("Add", ["b", "p"], "y")],
        [constant("m", rng.normal(size=(32, 5))), constant("b", rng.normal(size=5))]),
    "Gemm with factors": (
        [("Flatten", ["x"], "f"), ("Gemm", ["f", "m", "b"], "y", {"alpha": 0.5, "beta": 2.0, "transB": 1})],
        [constant("m", rng.normal(size=(5, 32))), constant("b", rng.normal(size=5))]),
    "Gemm with one number as bias": (
        [("Flatten", ["x"], "f"), ("Gemm", ["f", "m", "b"], "y")],
        [constant("m", rng.normal(size=(32, 5))), constant("b", [0.7])]),
    "a normalization": (
        [("BatchNormalization", ["x", "s", "b", "m", "v"], "y", {"epsilon": 1e-3})],
        [constant("s", [1, 2]), constant("b", [3, 4]), constant("m", [0.5, 1]), constant("v", [2, 3])]),
    "clip as an input": ([("Clip", ["x", "lo", "hi"], "y")], [constant("lo", -0.5), constant("hi", 0.25)]),
    "clip below": ([("Clip", ["x", "lo"], "y")], [constant("lo", -0.5)]),
    "pools": (
        [("MaxPool", ["x"], "m", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
         ("AveragePool", ["m"], "y", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]})], []),
    "a mean with padding counted": (
        [("AveragePool", ["x"], "y", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})], []),
    "a fork": (
        [("Relu", ["x"], "r"), ("Concat", ["r", "x", "r"], "c", {"axis": 1}), ("Softmax", ["c"], "y", {"axis": 1})],
        []),
    "dropout and identity": (
        [("Dropout", ["x"], "d"), ("Identity", ["d"], "i"), ("GlobalAveragePool", ["i"], "y")], []),
    "a reshape to one row": (
        [("GlobalAveragePool", ["x"], "p"), ("Reshape", ["p", "s"], "y")], [constant("s", [0, -1], np.int64)]),
    "a node that leads nowhere": ([("Relu", ["x"], "dead"), ("Softmax", ["x"], "y", {"axis": 1})], []),
    "a constant node": (
        [helper.make_node("Constant", [], ["w"], value=W), ("Conv", ["x", "w"], "y")], []),
}  # fmt: skip


def external(name="w"):
    """A weight that says its data lie in another file."""
    tensor = constant(name, np.zeros((3, 2, 3, 3)))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def elsewhere(where, places):
    """The same, said in one way only."""
    tensor = constant("w", np.zeros((3, 2, 3, 3)))
    tensor.data_location = where
    for place in places:
        tensor.external_data.add(key="location", value=place)
    return tensor


def declared(*dims, raw=b"\0" * 8):
    """A weight whose shape is not that of its bytes."""
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=raw)


CONV = [("Conv", ["x", "w"], "y")]
RELU = [("Relu", ["x"], "y")]
LIES = {
    "external data, not said where": (
        graph(CONV, [elsewhere(TensorProto.EXTERNAL, [])]), "expected where, found \\[\\]"),
    "external data, said by its place alone": (
        graph(CONV, [elsewhere(TensorProto.DEFAULT, ["weights.bin"])]),
        "file weights.bin, which cannot be read: No such file or directory; it must be beside the model"),
    "external data": (graph(CONV, [external()]), "file ../../etc/passwd: expected the name of a file beside the model"),
    "64 GiB declared": (graph(CONV, [declared(1 << 17, 1 << 17)]), r"17179869184 elements, found 2"),
    "a negative side": (graph(CONV, [declared(-1, 2)]), "expected a shape"),
    "too few bytes": (graph(CONV, [declared(3, 2, 3, 3)]), "54 elements, found 2"),
    "infinity": (graph(CONV, [constant("w", np.full((3, 2, 3, 3), np.inf))]), "expected finite numbers"),
    "words": (graph(CONV, [helper.make_tensor("w", TensorProto.STRING, [1], [b"a"])]), "found STRING"),
    "a type that is none": (graph(CONV, [TensorProto(name="w", data_type=49, dims=[1])]), "found type 49"),  # fuzzed
    "numbers of another type": (
        graph(CONV, [TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 1], int32_data=[1])]),
        "has 1 elements, found 0",
    ),  # fuzzed
    "115 dimensions": (graph(CONV, [declared(*[1] * 115, raw=b"\0" * 4)]), "expected a shape"),  # fuzzed
    "an identity of nothing": (
        graph([("Identity", [], "i"), ("Relu", ["x"], "y")]), "expected 1 inputs, found 0"),  # fuzzed
    "an identity of two": (
        graph([("Identity", ["x", "x"], "i"), ("Relu", ["i"], "y")]), "expected 1 inputs, found 2"),  # fuzzed
    "an identity of an input left out": (
        graph([("Identity", [""], "i"), ("Relu", ["x"], "y")]), "input 0: expected a constant, found ''"),
    "a weight twice": (graph(CONV, [W, W]), "tensor 'w' occurs twice"),
    "an operator that is missing": (
        graph([("Relu", ["x"], "r"), ("LSTM", ["r"], "y")]), "node 'y': expected an operator .* compute, found LSTM$"),
    "another's operator": (
        graph([helper.make_node("Conv", ["x", "w"], ["y"], domain="com.evil")], [W]),
        "expected an operator that layers of npgrad compute, found com.evil.Conv$"),
    "a loop": (graph([("Relu", ["y"], "y")]), r"node 'y' \(Relu\): takes 'y', which no node before it computes"),
    "a circle": (graph([("Relu", ["b"], "a"), ("Relu", ["a"], "b")]), "which no node before it computes"),
    "a name twice": (graph([("Relu", ["x"], "y"), ("Relu", ["x"], "y")]), "computed twice"),
    "a node called input": (graph([("Relu", ["x"], "input"), ("Relu", ["input"], "y")]), "expected a unique name"),
    "two inputs": (graph(RELU, inputs=[value("x", 1), value("z", 1)]), "expected one input"),
    "two outputs": (graph(RELU, outputs=[value("y"), value("x")]), "expected one output"),
    "an output that nothing makes": (graph(RELU, outputs=[value("z")]), "no node computes it"),
    "an output that is the input": (graph(RELU, outputs=[value("x")]), "output 'x': no node computes it"),
    "no nodes": (graph([]), "expected an ONNX model with nodes"),
    "a dilated window larger than the image": (
        graph([(*CONV[0], {"dilations": [2, 2]})], [W]), r"a kernel \(5, 5\) fits into, found \(4, 4\) px"),
    "windows that step over the image": (
        graph([("MaxPool", ["x"], "y", {"kernel_shape": [2, 2], "dilations": [2, 2], "pads": [1] * 4})],
              x=("n", 2, 1, 4)),
        r"dilations: expected windows that meet the image, \(1, 4\) px, found \(2, 2\)"),
    "a weight that is computed": (
        graph([("Relu", ["x"], "r"), ("Conv", ["x", "r"], "y")]), "input 1: expected a constant, found 'r'"),
    "a weight of rank 3": (graph(CONV, [constant("w", np.zeros((3, 2, 3)))]), r"expected \(F, C, KH, KW\)"),
    "groups that do not fit": (graph([(*CONV[0], {"group": 2})], [W]), "does not divide"),
    "a kernel in one dimension": (
        graph([("MaxPool", ["x"], "y", {"kernel_shape": [2]})]), "kernel_shape: expected height and width"),
    "a reshape to anything": (
        graph([("Reshape", ["x", "s"], "y")], [constant("s", [2, 4, -1], np.int64)]), "expected a shape"),
    "a constant added to every pixel": (
        graph([("Add", ["x", "b"], "y")], [constant("b", np.ones((4, 4)))]),
        r"one float, or one per channel, \(1, 2, 1, 1\); found shape \(4, 4\) of float32"),
    "images that double 40 times": (
        graph([("Concat", [f"c{i}" if i else "x"] * 2, f"c{i + 1}", {"axis": 1}) for i in range(40)]),
        r"at most 1073741824 values per image, found shape \(134217728, 4, 4\)"),
    "images that grow 64 times 64 times": (
        graph([("Upsample", [f"u{i}" if i else "x"], f"u{i + 1}", {"scales": [1.0, 1, 64, 64]}) for i in range(6)],
              opset=7), r"from 1 to 4096 pixels a side, found \(16384, 16384\)"),
    "a border without end": (
        graph([("Pad", ["x"], "y", {"pads": [0, 0, 2**40, 0, 0, 0, 0, 0]})], opset=7),
        "pads: expected numbers from 0 to 64"),
    "a scale without end": (
        graph([("Upsample", ["x"], "y", {"scales": [1.0, 1.0, 65.0, 1.0]})], opset=7),
        "multiples of 1/8 up to 64, found 65"),
    "a size without end": (
        graph([("Resize", ["x", "", "", "s"], "y")],
              [constant("s", [1, 2, 1 << 14, 4], np.int64)], x=(1, 2, 4, 4)),
        r"from 1 to 4096 pixels a side, found \(16384, 4\)"),
    "an operator of a later opset": (
        graph([("Mish", ["x"], "y")], opset=17), "expected an operator of opset 17, found one of a later opset"),
    "the second output of a pool": (
        graph([helper.make_node("MaxPool", ["x"], ["m", "i"], kernel_shape=[2, 2]), ("Relu", ["i"], "y")]),
        "its output 'i' is used; only the first"),
    "training": (
        graph([("BatchNormalization", ["x", "s", "s", "s", "s"], "y", {"training_mode": 1})],
              [constant("s", [1, 2])]), "training_mode: expected 0"),
    "low above high": (
        graph([("Clip", ["x", "lo", "hi"], "y")], [constant("lo", 1), constant("hi", -1)]), "expected low <= high"),
    "padding without end": (
        graph([(*CONV[0], {"pads": [10**9] * 4})], [W]), "pads: expected at most"),
    "a subgraph": (
        graph([helper.make_node("If", ["x"], ["y"], name="y", then_branch=helper.make_graph([], "t", [], []))]),
        "expected an operator that layers of npgrad compute, found If$"),
    "cut off": (graph(CONV, [W])[:-40], "expected an ONNX model"),
    "nonsense": (b"\x08\x08\x12\x07pytorch" + b"\xff" * 50, "expected an ONNX model"),
    "an HTML page": (b"<!doctype html><html>404</html>", "HTML page|damaged"),
    "nothing": (b"", "an empty file"),
}  # fmt: skip


def read(data, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    return npgrad.load(path)


def runtime(path, x):
    """ONNX Runtime's output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]
