"""ONNX in: networks that torch exports, equal to ONNX Runtime and to the network built directly."""

import backbones
import checks
import numpy as np
import onnxruntime
import pytest
import torch

import npgrad
from benchmarks import torch_networks
from npgrad import WeightsError, attribution

LARGE = [
    "alexnet",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
    "resnet34",
]
NAMES = [  # ResNeXt-50 has ResNet-50's blocks
    pytest.param(name, marks=pytest.mark.slow) if name in (*LARGE, "resnet50") else name
    for name in torch_networks.NAMES
]


def images(name):
    """One image; of the size that it is made for, where torch cannot export its adaptive pooling otherwise."""
    if name.startswith(("vgg", "alexnet")):
        return np.random.default_rng(0).normal(size=(1, 3, 224, 224))
    return backbones.images(name, batch=1)


def runtime(path, x):
    """ONNX Runtime's output."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
def test_exported_networks_come_back(name, tmp_path):
    x = images(name)
    net = backbones.torch_net(name)
    path = backbones.export(net, torch.tensor(x, dtype=torch.float32), tmp_path / "net.onnx")
    model, x32 = npgrad.load(path), x.astype(np.float32)
    assert model(x32).dtype == np.float32
    checks.assert_close(model(x32), runtime(path, x32), 1e-5, "float32, ONNX Runtime")
    direct = backbones.converted(net, tmp_path).astype(np.float64)
    path = backbones.export(net.double(), torch.tensor(x), path)
    checks.assert_close(npgrad.load(path)(x), direct(x), 1e-12, "float64, built directly")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["vgg11", pytest.param("vgg16_bn", marks=pytest.mark.slow)])
def test_vggs_with_fewer_hidden_units_come_back(name, tmp_path):
    direct, net = backbones.narrow_vgg(name)
    x = images(name)
    path = backbones.export(net, torch.tensor(x), tmp_path / "net.onnx")
    checks.assert_close(npgrad.load(path)(x), direct(x), 1e-12, "float64, built directly")
    x = x.astype(np.float32)
    path = backbones.export(net.float(), torch.tensor(x), path)
    checks.assert_close(npgrad.load(path)(x), runtime(path, x), 1e-5, "float32, ONNX Runtime")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name",
    ["resnet18", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenet_v2", "alexnet"))],
)
def test_the_newer_exporter_does_too(name, tmp_path):
    pytest.importorskip("onnxscript", reason="torch's newer exporter needs onnxscript")
    x = images(name)
    net = backbones.torch_net(name)
    direct = backbones.converted(net, tmp_path).astype(np.float64)
    path = backbones.export(net.double(), torch.tensor(x), tmp_path / "net.onnx", dynamo=True)
    model = npgrad.load(path)
    checks.assert_close(model(x), direct(x), 1e-12)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """(ResNet-18 from ONNX, the same built directly, a batch for it), in float64."""
    folder = tmp_path_factory.mktemp("resnet")
    net = backbones.torch_net("resnet18")
    direct = backbones.converted(net, folder).astype(np.float64)
    x = backbones.images("resnet18")
    return npgrad.load(backbones.export(net.double(), torch.tensor(x), folder / "net.onnx")), direct, x


@pytest.mark.exhaustive
def test_names_are_the_graphs_own(resnet):
    model, _, _ = resnet
    assert model.layer_names()[:3] == ["/conv1/Conv", "/relu/Relu", "/maxpool/MaxPool"]
    assert model.resolve("/relu/Relu_output_0") == "/relu/Relu"  # a value's name serves, too
    assert model.resolve("fc") == "/fc/Gemm"  # and the module's, where its weights still have it
    assert (model.preprocessing.resize, model.preprocessing.crop) == (64, 64)  # as the input is declared


@pytest.mark.exhaustive
def test_attributions_are_those_of_the_network_built_directly(resnet):
    model, direct, x = resnet
    for method in (attribution.saliency, attribution.guided_backprop, attribution.deep_lift):
        checks.assert_close(method(model, x), method(direct, x), 1e-9, method.__name__)
    maps = attribution.grad_cam(model, x)
    assert maps.shape == (2, 2, 2)  # the last layer with a spatial size
    checks.assert_close(maps, attribution.grad_cam(direct, x), 1e-9)


@pytest.mark.exhaustive
def test_saved_and_loaded_it_is_the_same(resnet, tmp_path):
    model, _, x = resnet
    model.save(tmp_path / "net.h5")
    again = npgrad.load(tmp_path / "net.h5")
    assert again.layer_names() == model.layer_names()
    assert np.array_equal(again(x), model(x))
    assert again.source == model.source


@pytest.mark.exhaustive
def test_the_converter_takes_it(tmp_path, resnet):
    from npgrad.io.converting import convert

    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 2)
    )
    path = backbones.export(net, torch.zeros(1, 3, 6, 6), tmp_path / "net.onnx")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    model = convert(path, labels=tmp_path / "names.txt", source={"url": "there"})
    assert (model.classes, model.source["url"], model.source["format"]) == (("cat", "dog"), "there", "ONNX")
    with pytest.raises(
        WeightsError, match="expected resnet18, found an ONNX file, which names no architecture"
    ):
        convert(path, architecture="resnet18")
