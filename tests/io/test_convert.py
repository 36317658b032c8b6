"""Weights of other libraries: every format ends in the same numbers, and what does not fit is named."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import caffe_writer
import numpy as np
import pytest
import torch
from messages import FINITE_NUMBERS
from onnx_files import constant, graph
from refusals import line
from safetensors.numpy import save_file
from torch_nets import torch_state, torch_twin

import npgrad
from npgrad.images import preprocessing
from npgrad.io import converting
from npgrad.io._known_files import known
from npgrad.io.converting import CAFFE_MEAN, CAFFE_SCALE, convert
from npgrad.io.formats import reading
from npgrad.io.labels import imagenet_classes, read_labels
from npgrad.models import squeezenet1_0, squeezenet1_1

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "convert_weights.py"


def save_zip(state, path):
    torch.save(state, path)


def save_legacy(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_npz(state, path):
    np.savez(path, **{key: value.numpy() for key, value in state.items()})


def save_safetensors(state, path):
    save_file({key: value.numpy() for key, value in state.items()}, path)


@pytest.fixture(scope="module", params=["squeezenet1_0", "squeezenet1_1"])
def model(request):
    return getattr(npgrad.models, request.param)(num_classes=11, rng=5)


@pytest.mark.parametrize("suffix", [".pth", ".legacy.pth", ".npz", ".safetensors"])
def test_every_format_gives_the_same_model(model, suffix, tmp_path):
    save = {".pth": save_zip, ".legacy.pth": save_legacy, ".npz": save_npz, ".safetensors": save_safetensors}[
        suffix
    ]
    path = tmp_path / f"weights{suffix}"
    save(torch_state(model), path)
    back = convert(path, source={"license": "none"})
    assert back.architecture == model.architecture
    assert back.preprocessing == npgrad.Preprocessing(resize=256, crop=224)
    assert back.source["license"] == "none"
    assert len(back.source["sha256"]) == 64
    assert back.classes is None
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(back.parameters()[name], array)


def test_a_checkpoint_of_data_parallel(model, tmp_path):
    state = {f"module.{key}": value for key, value in torch_state(model).items()}
    save_zip({"epoch": 3, "state_dict": state}, tmp_path / "checkpoint.pth")
    back = convert(tmp_path / "checkpoint.pth")
    np.testing.assert_array_equal(back.parameters()["conv1.weight"], model.parameters()["conv1.weight"])


def test_own_names(model, tmp_path):
    np.savez(tmp_path / "own.npz", **model.parameters())
    back = convert(tmp_path / "own.npz")
    np.testing.assert_array_equal(
        back.parameters()["fire9.squeeze.bias"], model.parameters()["fire9.squeeze.bias"]
    )


class TorchCaffe(torch.nn.Module):
    """The original network on its own input: pixels 0..255, BGR, minus Caffe's mean."""

    def __init__(self, tensors, padding=1):
        super().__init__()
        self.net = torch_twin(squeezenet1_0(len(tensors["conv10.bias"]), conv10_padding=padding))
        own = {
            key.replace("/squeeze1x1", ".squeeze").replace("/", "."): torch.tensor(value.astype(np.float64))
            for key, value in tensors.items()
        }
        names = squeezenet1_0(1).aliases
        state = {}
        for key in self.net.state_dict():
            layer, _, part = key.rpartition(".")
            state[key] = own[f"{names[layer]}.{part}"]
        self.net.load_state_dict(state)

    def forward(self, pixels):
        """pixels (N, H, W, 3), RGB, 0..255."""
        bgr = pixels.flip(-1) - torch.tensor([104.0, 117.0, 123.0], dtype=pixels.dtype)
        return self.net(bgr.permute(0, 3, 1, 2))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ["modern", "V1"])
@pytest.mark.parametrize("padding", [0, 1])
def test_caffe_weights_take_the_common_input(kind, padding, tmp_path, rng):
    tensors = caffe_writer.random_squeezenet(rng)
    tensors = {
        key: value / (np.sqrt(value[0].size / 2) if value.ndim > 1 else 1) for key, value in tensors.items()
    }
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffe_writer.squeezenet(tensors, conv10_pad=padding, v1=kind == "V1"))
    model = convert(path).astype(np.float64)
    assert model.preprocessing.crop == 227
    pixels = rng.uniform(0, 255, (2, 60, 50, 3))
    x = ((pixels / 255 - model.preprocessing.mean) / model.preprocessing.std).transpose(0, 3, 1, 2)
    expected = TorchCaffe(tensors, padding)(torch.tensor(pixels)).detach().numpy()
    # conv1 is rounded to float32 once: that is all the difference there is
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=2e-7 * np.abs(expected).max())


def test_other_options_of_a_caffe_layer_are_noticed(tmp_path, rng):
    tensors = caffe_writer.random_squeezenet(rng)
    data = caffe_writer.squeezenet(tensors)
    path = tmp_path / "net.caffemodel"
    stride = caffe_writer.convolution_param(num_output=96, kernel_size=7, stride=2)
    assert data.count(stride) == 1
    path.write_bytes(
        data.replace(stride, caffe_writer.convolution_param(num_output=96, kernel_size=7, stride=3))
    )
    with pytest.raises(npgrad.WeightsError, match="net.caffemodel: conv1: expected stride 2, found"):
        convert(path)


def decoder_name(key):
    """The name that the Deep Compression repository's decoder writes for a layer."""
    for caffe, decoder in {
        "squeeze1x1": "conv1x1_1", "expand1x1": "conv1x1_2", "expand3x3": "conv3x3_2", "conv10": "conv_final",
    }.items():  # fmt: skip
        key = key.replace(caffe, decoder)
    return key


def test_the_names_of_the_deep_compression_decoder(tmp_path, rng):
    tensors = caffe_writer.random_squeezenet(rng)
    layers = []
    for key in tensors:
        name, _, part = key.rpartition(".")
        if part == "weight":
            pad = 1 if "expand3x3" in name or name == "conv10" else 0
            options = caffe_writer.convolution_param(
                num_output=len(tensors[key]),
                kernel_size=tensors[key].shape[-1],
                pad=pad,
                stride=2 if name == "conv1" else 1,
            )
            blobs = [caffe_writer.blob(tensors[key]), caffe_writer.blob(tensors[f"{name}.bias"])]
            layers.append(caffe_writer.layer(decoder_name(name), blobs, options))
    (tmp_path / "decoded.caffemodel").write_bytes(caffe_writer.network(layers))
    (tmp_path / "original.caffemodel").write_bytes(caffe_writer.squeezenet(tensors))
    decoded, original = convert(tmp_path / "decoded.caffemodel"), convert(tmp_path / "original.caffemodel")
    assert decoded.architecture == original.architecture
    for name, array in original.parameters().items():
        np.testing.assert_array_equal(decoded.parameters()[name], array)


def test_the_scale_changes_no_bit(deep_compression):
    """Dividing by a power of two, and multiplying by it later, is exact: see `to_torchvision_input`."""
    model = convert(deep_compression)
    arrays = {}
    for name, array in model.parameters().items():
        if name == "conv10.weight":
            array = array / CAFFE_SCALE
        elif name == "conv1.weight" or (name.endswith(".bias") and name != "conv10.bias"):
            array = array * CAFFE_SCALE
        arrays[name] = array
    x = np.random.default_rng(0).normal(size=(1, 3, 100, 100)).astype(np.float32)
    np.testing.assert_array_equal(model.with_parameters(arrays)(x), model(x))


def test_real_weights_name_the_photos(real_model, shared):
    names = ["Egyptian_cat", "bald_eagle", "hyena", "castle"]
    for name, found in zip(
        names, real_model.predict([shared / "images" / f"{n}.jpg" for n in names]), strict=True
    ):
        assert found[0][1].replace(" ", "_") == name
    [kitten] = real_model.predict(shared / "images" / "kitten.jpg", top=6)
    assert "tabby" in [name for _, name, _ in kitten]


@pytest.mark.exhaustive
def test_real_weights_on_the_courses_photos(real_model, deep_compression, shared):
    from npgrad.io.formats.npz import read_imagenet_val

    photos, y, _ = read_imagenet_val(shared / "data" / "imagenet_val_25.npz")
    logits = real_model(real_model.preprocess(list(photos), resize=False))
    assert logits.dtype == np.float32
    assert (logits.argmax(axis=1) == y).sum() == 22
    net = TorchCaffe(reading.read(deep_compression).tensors).float()
    with torch.no_grad():
        expected = net(torch.tensor(photos, dtype=torch.float32)).numpy()
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()
    error = np.abs(logits - expected).max(axis=1) / np.abs(expected).max(axis=1)
    assert error.max() <= 5e-6


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_real_weights_equal_torch(real_model, shared, dtype):
    """Logits and input gradient on photos, with a little noise against ties in flat areas."""
    model = real_model.astype(dtype)
    names = ["kitten", "bald_eagle", "sky"]
    x = model.preprocess([shared / "images" / f"{name}.jpg" for name in names])
    x = (x + np.random.default_rng(0).normal(0, 1e-3, x.shape)).astype(dtype)
    dy = np.random.default_rng(1).normal(size=(3, 1000)).astype(dtype)
    tape = model.forward(x)
    dx = tape.backward(dy)["input"]
    given = torch.tensor(np.ascontiguousarray(x), requires_grad=True)
    logits = torch_twin(model, torch.float64 if dtype == np.float64 else torch.float32)(given)
    logits.backward(torch.tensor(dy))
    expected, gradient = logits.detach().numpy(), given.grad.numpy()
    relative = np.abs(tape.output - expected).max() / np.abs(expected).max()
    if dtype == np.float64:
        assert relative <= 1e-10
        assert np.abs(dx - gradient).max() / np.abs(gradient).max() <= 1e-10
    else:
        assert relative <= 5e-6
        for a, b in zip(dx.reshape(3, -1).astype(float), gradient.reshape(3, -1).astype(float), strict=True):
            assert 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) <= 1e-5


def test_a_thousand_classes_get_imagenets_names(real_model, tmp_path):
    assert real_model.classes == imagenet_classes()
    assert CAFFE_MEAN == (123, 117, 104)


def test_labels(model, tmp_path):
    save_npz(torch_state(model), tmp_path / "w.npz")
    lines = [f"n0{i:07d} name {i}, another name" for i in range(11)]
    (tmp_path / "labels.txt").write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    converted = convert(tmp_path / "w.npz", labels=tmp_path / "labels.txt")
    assert converted.classes == tuple(f"name {i}" for i in range(11))
    assert converted.source["wordnet_ids"] == [f"n0{i:07d}" for i in range(11)]
    assert npgrad.io.convert is convert and npgrad.io.load is npgrad.load
    with pytest.raises(
        npgrad.WeightsError, match="labels.txt: expected 12 class names, one per line; found 11"
    ):
        read_labels(tmp_path / "labels.txt", 12)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(npgrad.WeightsError, match="bad.txt: expected class names in UTF-8"):
        read_labels(tmp_path / "bad.txt", 11)
    with pytest.raises(npgrad.WeightsError, match="none.txt: cannot be read"):
        read_labels(tmp_path / "none.txt", 11)


def change(**arrays):
    return lambda state: {**state, **{key.replace("__", "."): value for key, value in arrays.items()}}


def without(key):
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            without("features.0.weight"),
            "expected one of the networks .*, first layer conv1 or features.0 or",
        ),
        (without("features.4.expand1x1.bias"), "fire3.expand1x1.bias is missing"),
        (change(features__0__extra=torch.zeros(3)), "conv1.extra is not of this network"),
        (
            change(features__3__squeeze__weight=torch.zeros(64, 16, 1, 1)),
            r"found \(64, 16, 1, 1\) \(transposed\?\)",
        ),
        (change(features__3__squeeze__weight=torch.zeros(16, 64, 3, 3)), r"expected shape \(16, 64, 1, 1\)"),
        (
            change(features__0__weight=torch.zeros(64, 3, 5, 5)),
            r"conv1.weight: expected shape \(64, 3, 3, 3\), found \(64, 3, 5, 5\)",
        ),
        (change(features__0__bias=torch.full((64,), torch.nan)), FINITE_NUMBERS),
        (
            change(features__0__bias=torch.full((64,), 1e300, dtype=torch.float64)),
            "expected values within the range of float32",
        ),
        (
            change(classifier__1__weight=torch.zeros(11, 512)),
            r"conv10.weight: expected shape \(11, 512, 1, 1\), found \(11, 512\)",
        ),
        (lambda state: {"a.weight": torch.zeros(3)}, "expected one of the networks"),
    ],
)
def test_what_does_not_fit_is_named(spoil, message, tmp_path):
    state = torch_state(squeezenet1_1(num_classes=11))
    save_npz(spoil(state), tmp_path / "w.npz")
    with np.errstate(over="raise"), pytest.raises(npgrad.WeightsError, match=message) as caught:
        convert(tmp_path / "w.npz")
    assert "w.npz: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_architecture_can_be_demanded(model, tmp_path):
    save_npz(torch_state(model), tmp_path / "w.npz")
    name = model.architecture["name"]
    other = {"squeezenet1_0": "squeezenet1_1", "squeezenet1_1": "squeezenet1_0"}[name]
    assert convert(tmp_path / "w.npz", architecture=name).architecture == model.architecture
    with pytest.raises(npgrad.WeightsError, match=f"expected {other}, found the tensors of {name}"):
        convert(tmp_path / "w.npz", architecture=other)
    with pytest.raises(npgrad.UnknownName, match="no architecture 'squeezenet'; nearest"):
        convert(tmp_path / "w.npz", architecture="squeezenet")


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.mark.exhaustive
def test_the_script(model, tmp_path):
    save_zip(torch_state(model), tmp_path / "w.pth")
    done = run(tmp_path / "w.pth", "-o", tmp_path / "w.h5")
    assert (done.returncode, done.stderr) == (0, "")
    assert model.architecture["name"] in done.stdout
    np.testing.assert_array_equal(
        npgrad.load(tmp_path / "w.h5").parameters()["conv10.bias"], model.parameters()["conv10.bias"]
    )
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html></html>")
    failed = run(tmp_path / "page.pth", "-o", tmp_path / "x.h5")
    assert failed.returncode == 2
    assert "page.pth: not a weights file: it looks like an HTML page" in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert not (tmp_path / "x.h5").exists()
    assert "examples:" in run("--help").stdout


@pytest.mark.exhaustive
def test_what_is_assumed_of_the_input_is_said(model, tmp_path, monkeypatch):
    monkeypatch.setattr(preprocessing, "_said", set())
    save_zip(torch_state(model), tmp_path / "w.pth")
    done = run(tmp_path / "w.pth", "-o", tmp_path / "w.h5")
    assert done.stdout.count("assumed: RGB, the middle 224x224 of 256 px") == 1 and "--bgr" in done.stdout
    for found in (convert(tmp_path / "w.pth"), npgrad.load(tmp_path / "w.h5")):
        assert found.preprocessing.assumed
        monkeypatch.setattr(preprocessing, "_said", set())
        with pytest.warns(UserWarning, match="nothing says how images become this network's input") as caught:
            for _ in range(3):
                found.preprocess(np.zeros((8, 8, 3), np.uint8))
        assert len(caught) == 1
    options = ("--bgr", "--scale", "1", "--mean", "104,117,123", "--size", "96x128")
    done = run(tmp_path / "w.pth", "-o", tmp_path / "w.h5", *options)
    assert (
        "nothing says" not in done.stdout
        and "BGR, the middle resized to 96x128 px, (v - mean)/std" in done.stdout
    )
    found = npgrad.load(tmp_path / "w.h5")
    values = {"mean": (104, 117, 123), "std": 1, "scale": 1, "channels": "BGR"}
    assert found.preprocessing == npgrad.Preprocessing(**values, crop=(96, 128))
    x = found.preprocess(np.full((9, 9, 3), (10, 20, 30), np.uint8))  # no warning, which would be an error
    assert x.shape == (1, 3, 96, 128) and x[0, :, 0, 0].tolist() == [30 - 104, 20 - 117, 10 - 123]


def test_files_that_npgrad_knows_are_not_doubted(model, tmp_path, monkeypatch):
    save_zip(torch_state(model), tmp_path / "w.pth")
    sha256 = convert(tmp_path / "w.pth").source["sha256"]
    ours, own = replace(known()["squeezenet1_0"], sha256_prefix=None), {"resize": 40, "crop": 32}
    for sha in ({"sha256": sha256}, {"sha256_prefix": sha256[:8]}):
        entry = replace(ours, **sha, preprocessing=own)
        monkeypatch.setattr(
            converting, "known", lambda entry=entry: {"ours": entry, "x": known()["imagenet_val_25"]}
        )
        found = convert(tmp_path / "w.pth").preprocessing
        assert found == npgrad.Preprocessing(**own) and not found.assumed
    monkeypatch.setattr(converting, "known", lambda: {"other": replace(ours, sha256="0" * 64)})
    assert convert(tmp_path / "w.pth").preprocessing.assumed


def test_other_files_of_a_network_are_taken_to_have_its_usual_input(model, tmp_path, monkeypatch):
    usual = {"resize": 320, "crop": 300, "interpolation": "bicubic"}
    name = model.architecture["name"]
    entries = {"a": replace(known()[name], preprocessing=usual), "b": known()[name]}
    monkeypatch.setattr(converting, "known", lambda: entries)
    save_zip(torch_state(model), tmp_path / "w.pth")
    found = convert(tmp_path / "w.pth").preprocessing
    assert found == npgrad.Preprocessing(**usual) and found.assumed


CONV = np.zeros((6, 3, 3, 3))


@pytest.mark.parametrize(
    ("declared", "channels", "size"),
    [
        (("n", 3, 40, 60), "RGB", (40, 60)), (("n", 1, 28, 28), "gray", (28, 28)),
        (("n", 1, "h", "w"), "gray", (224, 224)),
        (("n", "c", "h", "w"), "gray", (224, 224)), ((1, 3, 5000, 40), "RGB", (224, 224)),
        ((1, 3, 2, 4000), "RGB", (2, 4000)),
    ],
)  # fmt: skip
def test_an_onnx_files_declared_input_is_used(tmp_path, declared, channels, size):
    count = {"RGB": 3, "gray": 1}[channels]
    weights = constant("w", np.ones((2, count, 1, 1)))
    path = tmp_path / "net.onnx"
    path.write_bytes(graph([("Conv", ["x", "w"], "c"), ("GlobalAveragePool", ["c"], "p"), ("Flatten", ["p"], "y")],
                           [weights], x=declared))  # fmt: skip
    for model in (npgrad.load(path), convert(path)):
        assert model.preprocessing == npgrad.Preprocessing(channels=channels, crop=size)
        assert model.preprocessing.assumed
    if size != (2, 4000):
        known = model.with_preprocessing()
        assert known.preprocess(np.zeros((8, 8, 3), np.uint8)).shape == (1, count, *size)


def test_an_onnx_file_becomes_a_model(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(graph([("GlobalAveragePool", ["x"], "p"), ("Flatten", ["p"], "f"), ("Gemm", ["f", "m"], "y")],
                           [constant("m", np.ones((2, 3)))]))  # fmt: skip
    model = convert(path, source={"url": "there"})
    assert model.classes is None and list(model.source) == ["file", "format", "sha256", "url"]
    (tmp_path / "names.txt").write_text("a b, c\n\n d \ne\n", encoding="utf-8-sig")
    assert convert(path, labels=tmp_path / "names.txt").classes == ("a b, c", "d", "e")
    found = line(lambda: convert(path, architecture="resnet18"))
    assert found == f"{path}: expected resnet18, found an ONNX file, which names no architecture"
    assert convert(path).source["file"] == "net.onnx"


def test_the_same_tensor_by_two_names(tmp_path):
    path = tmp_path / "f"
    np.savez(path, **{"fire2/squeeze1x1.weight": CONV, "fire2.squeeze.weight": CONV})
    path = tmp_path / "f.npz"
    assert line(convert, path) == f"{path}: some tensors occur twice under different names"
