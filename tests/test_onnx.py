"""ONNX in: networks that torch exports, equal to ONNX Runtime and to the network built directly; and files that lie."""

import warnings

import backbones
import checks
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import npgrad
from benchmarks import torch_networks
from npgrad import WeightsError, attribution

LARGE = ["vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in torch_networks.NAMES
]


def export(net, x, path, dynamo=False):
    """Write a torch network to an .onnx file, weights inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporters warn of themselves
        if dynamo:
            torch.onnx.export(net, (x,), dynamo=True, verbose=False).save(path, external_data=False)
        else:
            torch.onnx.export(net, (x,), path, dynamo=False)
    return path


def pictures(name):
    """One picture; of the size that it is made for, where torch cannot export its adaptive pooling otherwise."""
    if name.startswith(("vgg", "alexnet")):
        return np.random.default_rng(0).normal(size=(1, 3, 224, 224))
    return backbones.pictures(name, batch=1)


def runtime(path, x):
    """ONNX Runtime's output."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("name", NAMES)
def test_exported_networks_come_back(name, tmp_path):
    x = pictures(name)
    net = backbones.torch_net(name)
    path = export(net, torch.tensor(x, dtype=torch.float32), tmp_path / "net.onnx")
    model, x32 = npgrad.load(path), x.astype(np.float32)
    assert model(x32).dtype == np.float32
    checks.assert_close(model(x32), runtime(path, x32), 1e-5, "float32, ONNX Runtime")
    direct = backbones.converted(net, tmp_path).astype(np.float64)
    path = export(net.double(), torch.tensor(x), path)
    checks.assert_close(npgrad.load(path)(x), direct(x), 1e-12, "float64, built directly")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "alexnet"])
def test_the_newer_exporter_does_too(name, tmp_path):
    pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript")
    x = pictures(name)
    net = backbones.torch_net(name)
    direct = backbones.converted(net, tmp_path).astype(np.float64)
    path = export(net.double(), torch.tensor(x), tmp_path / "net.onnx", dynamo=True)
    model = npgrad.load(path)
    checks.assert_close(model(x), direct(x), 1e-12)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """(ResNet-18 from ONNX, the same built directly, a batch for it), in float64."""
    folder = tmp_path_factory.mktemp("resnet")
    net = backbones.torch_net("resnet18")
    direct = backbones.converted(net, folder).astype(np.float64)
    x = backbones.pictures("resnet18")
    return npgrad.load(export(net.double(), torch.tensor(x), folder / "net.onnx")), direct, x


def test_names_are_the_graphs_own(resnet):
    model, _, _ = resnet
    assert model.layer_names()[:3] == ["/conv1/Conv", "/relu/Relu", "/maxpool/MaxPool"]
    assert model.resolve("/relu/Relu_output_0") == "/relu/Relu"  # a value's name serves, too
    assert model.resolve("fc") == "/fc/Gemm"  # and the module's, where its weights still have it
    assert (model.preprocessing.resize, model.preprocessing.crop) == (73, 64)  # as the input is declared


def test_attributions_are_those_of_the_network_built_directly(resnet):
    model, direct, x = resnet
    for method in (attribution.saliency, attribution.guided_backprop, attribution.deep_lift):
        checks.assert_close(method(model, x), method(direct, x), 1e-9, method.__name__)
    maps = attribution.grad_cam(model, x)
    assert maps.shape == (2, 2, 2)  # the last layer with an extent
    checks.assert_close(maps, attribution.grad_cam(direct, x), 1e-9)


def test_saved_and_loaded_it_is_the_same(resnet, tmp_path):
    model, _, x = resnet
    model.save(tmp_path / "net.h5")
    again = npgrad.load(tmp_path / "net.h5")
    assert again.layer_names() == model.layer_names()
    assert np.array_equal(again(x), model(x))
    assert again.source == model.source


def test_the_converter_takes_it(tmp_path, resnet):
    from npgrad.formats.convert import convert

    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 2)
    )
    path = export(net, torch.zeros(1, 3, 6, 6), tmp_path / "net.onnx")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    model = convert(path, labels=tmp_path / "names.txt", source={"url": "there"})
    assert (model.classes, model.source["url"], model.source["format"]) == (("cat", "dog"), "there", "ONNX")
    with pytest.raises(WeightsError, match="an ONNX file names no architecture, expected resnet18"):
        convert(path, architecture="resnet18")


# Small graphs, made by hand.


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


def read(data, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    return npgrad.load(path)


rng = np.random.default_rng(0)
W = constant("w", rng.normal(size=(3, 2, 3, 3)))
LITTLE = {
    "a convolution with padding and stride": (
        [("Conv", ["x", "w"], "y", {"pads": [1, 1, 1, 1], "strides": [2, 2]})], [W]),
    "padding by name": ([("Conv", ["x", "w"], "y", {"auto_pad": "SAME_UPPER"})], [W]),
    "padding by name, none": ([("Conv", ["x", "w"], "y", {"auto_pad": "VALID"})], [W]),
    "a bias added later": (
        [("Conv", ["x", "w"], "c"), ("Add", ["c", "b"], "y")], [W, constant("b", rng.normal(size=(3, 1, 1)))]),
    "MatMul and Add": (
        [("Flatten", ["x"], "f"), ("MatMul", ["f", "m"], "p"), ("Add", ["b", "p"], "y")],
        [constant("m", rng.normal(size=(32, 5))), constant("b", rng.normal(size=5))]),
    "Gemm with factors": (
        [("Flatten", ["x"], "f"), ("Gemm", ["f", "m", "b"], "y", {"alpha": 0.5, "beta": 2.0, "transB": 1})],
        [constant("m", rng.normal(size=(5, 32))), constant("b", rng.normal(size=5))]),
    "Gemm with one number as bias": (
        [("Flatten", ["x"], "f"), ("Gemm", ["f", "m", "b"], "y")],
        [constant("m", rng.normal(size=(32, 5))), constant("b", [0.7])]),
    "a normalisation": (
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


@pytest.mark.parametrize("name", LITTLE)
def test_little_graphs_are_those_of_the_runtime(name, tmp_path):
    data = graph(*LITTLE[name])
    model, x = read(data, tmp_path), rng.normal(size=(2, 2, 4, 4)).astype(np.float32)
    checks.assert_close(model(x), runtime(data, x), 1e-6)


def test_old_clips_have_their_bounds_as_attributes(tmp_path):
    model = read(graph([("Clip", ["x"], "y", {"min": 0.0, "max": 6.0})], opset=6), tmp_path)
    assert isinstance(model.layer("y"), npgrad.layers.ReLU6)


def external(name="w"):
    """A weight that says its data lie in another file."""
    tensor = constant(name, np.zeros((3, 2, 3, 3)))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def declared(*dims, raw=b"\0" * 8):
    """A weight whose shape is not that of its bytes."""
    return TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=raw)


CONV = [("Conv", ["x", "w"], "y")]
RELU = [("Relu", ["x"], "y")]
LIES = {
    "external data": (graph(CONV, [external()]), "its data lie in another file, which is never opened"),
    "64 GiB declared": (graph(CONV, [declared(1 << 17, 1 << 17)]), r"17179869184 numbers, found 2"),
    "a negative side": (graph(CONV, [declared(-1, 2)]), "expected a shape"),
    "too few bytes": (graph(CONV, [declared(3, 2, 3, 3)]), "54 numbers, found 2"),
    "infinity": (graph(CONV, [constant("w", np.full((3, 2, 3, 3), np.inf))]), "expected finite numbers"),
    "words": (graph(CONV, [helper.make_tensor("w", TensorProto.STRING, [1], [b"a"])]), "found STRING"),
    "a type that is none": (graph(CONV, [TensorProto(name="w", data_type=49, dims=[1])]), "found type 49"),  # fuzzed
    "115 dimensions": (graph(CONV, [declared(*[1] * 115, raw=b"\0" * 4)]), "expected a shape"),  # fuzzed
    "a weight twice": (graph(CONV, [W, W]), "tensor 'w' stands there twice"),
    "an operator that is missing": (
        graph([("Relu", ["x"], "r"), ("LSTM", ["r"], "y")]), "node 'y': the operator LSTM is not among those"),
    "another's operator": (
        graph([helper.make_node("Conv", ["x", "w"], ["y"], domain="com.evil")], [W]), "the operator com.evil.Conv"),
    "a loop": (graph([("Relu", ["y"], "y")]), r"node 'y' \(Relu\): takes 'y', which nothing before it makes"),
    "a circle": (graph([("Relu", ["b"], "a"), ("Relu", ["a"], "b")]), "which nothing before it makes"),
    "a name twice": (graph([("Relu", ["x"], "y"), ("Relu", ["x"], "y")]), "made twice"),
    "a node called input": (graph([("Relu", ["x"], "input"), ("Relu", ["input"], "y")]), "this name is taken"),
    "two inputs": (graph(RELU, inputs=[value("x", 1), value("z", 1)]), "expected one input"),
    "two outputs": (graph(RELU, outputs=[value("y"), value("x")]), "expected one output"),
    "an output that nothing makes": (graph(RELU, outputs=[value("z")]), "no node makes it"),
    "no nodes": (graph([]), "expected an ONNX model with nodes"),
    "dilation": (graph([(*CONV[0], {"dilations": [2, 2]})], [W]), r"\(Conv\): dilations: expected \(1, 1\)"),
    "padding on one side": (graph([(*CONV[0], {"pads": [0, 0, 1, 1]})], [W]), "pads: expected as much on both"),
    "padding by name with a stride": (
        graph([(*CONV[0], {"auto_pad": "SAME_UPPER", "strides": [2, 2]})], [W]), "auto_pad: expected NOTSET"),
    "a weight that is computed": (
        graph([("Relu", ["x"], "r"), ("Conv", ["x", "r"], "y")]), "input 1: expected a constant, found 'r'"),
    "a weight of rank 3": (graph(CONV, [constant("w", np.zeros((3, 2, 3)))]), r"expected \(F, C, KH, KW\)"),
    "groups that do not fit": (graph([(*CONV[0], {"group": 2})], [W]), "does not divide"),
    "a kernel in one dimension": (
        graph([("MaxPool", ["x"], "y", {"kernel_shape": [2]})]), "kernel_shape: expected height and width"),
    "a reshape to anything": (
        graph([("Reshape", ["x", "s"], "y")], [constant("s", [2, 4, -1], np.int64)]), "expected a shape"),
    "a constant added to a picture": (
        graph([("Add", ["x", "b"], "y")], [constant("b", [1.0])]), "can be added only to a MatMul"),
    "the second output of a pool": (
        graph([helper.make_node("MaxPool", ["x"], ["m", "i"], kernel_shape=[2, 2]), ("Relu", ["i"], "y")]),
        "its second output 'i' is used"),
    "training": (
        graph([("BatchNormalization", ["x", "s", "s", "s", "s"], "y", {"training_mode": 1})],
              [constant("s", [1, 2])]), "training_mode: expected 0"),
    "low above high": (
        graph([("Clip", ["x", "lo", "hi"], "y")], [constant("lo", 1), constant("hi", -1)]), "expected low <= high"),
    "padding without end": (
        graph([(*CONV[0], {"pads": [10**9] * 4})], [W]), "pads: expected at most"),
    "a subgraph": (
        graph([helper.make_node("If", ["x"], ["y"], name="y", then_branch=helper.make_graph([], "t", [], []))]),
        "the operator If is not among those"),
    "cut off": (graph(CONV, [W])[:-40], "expected an ONNX model"),
    "nonsense": (b"\x08\x08\x12\x07pytorch" + b"\xff" * 50, "expected an ONNX model"),
    "an HTML page": (b"<!doctype html><html>404</html>", "HTML page|damaged"),
    "nothing": (b"", "an empty file"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_files_that_lie_are_refused_in_one_line(name, tmp_path):
    data, message = LIES[name]
    with pytest.raises(WeightsError, match=message) as caught:
        read(data, tmp_path)
    assert "net.onnx: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_no_cut_of_a_file_makes_another_network(tmp_path):
    data, x = graph(*LITTLE["MatMul and Add"]), np.ones((1, 2, 4, 4), np.float32)
    whole, refused = read(data, tmp_path)(x), 0
    for length in range(len(data)):
        try:
            assert np.array_equal(read(data[:length], tmp_path)(x), whole)
        except WeightsError:
            refused += 1
    assert refused > 0.95 * len(data)  # what is said after the graph can be missing


def test_without_the_onnx_package_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(WeightsError, match=r"takes the onnx package: pip install 'npgrad\[onnx\]'"):
        read(graph(RELU), tmp_path)
