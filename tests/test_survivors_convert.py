"""What mutation testing found unseen in converting: which network it is, Caffe's options, where a file is from."""

import caffe_writer as w
import numpy as np
import pytest
from deep_compression_files import net
from onnx_files import constant, graph
from refusals import line

from npgrad.io import converting
from npgrad.io.architectures import VGG, architecture_of
from npgrad.io.converting import convert
from npgrad.io.formats import _numpy_globals as npy
from npgrad.io.formats import _pickles as pickles
from npgrad.io.formats import npz, reading
from npgrad.io.labels import imagenet_classes

CONV, ROWS, LINE = np.zeros((6, 3, 3, 3)), np.zeros((7, 2)), np.zeros(6)


def tensors(first, last, *others):
    """Tensors by name, in little: convolutions, and the last layer's rows."""
    return {first: CONV, **{name: LINE if name.endswith("mean") else CONV for name in others}, last: ROWS}


def convolutions(count):
    return [f"features.{i}.weight" for i in range(1, count)]


NETWORKS = [
    ("squeezenet1_0", {"conv1.weight": np.zeros((96, 3, 7, 7)), "conv10.weight": np.zeros((7, 2, 1, 1))}),
    ("squeezenet1_1", {"features.0.weight": np.zeros((64, 3, 3, 3)), "classifier.1.weight": np.zeros((7, 2, 1, 1))}),
    ("mobilenet_v2", tensors("features.0.0.weight", "classifier.1.weight", "features.1.conv.1.weight")),
    ("mobilenet_v2", tensors("conv1.weight", "fc.weight", "bottleneck1.project.weight")),
    ("resnet18", tensors("conv1.weight", "fc.weight", "layer1.0.conv1.weight")),
    ("resnet18", tensors("conv1.weight", "fc.weight", "conv2_1.conv1.weight")),
    ("resnet34", tensors("conv1.weight", "fc.weight", "layer1.0.conv1.weight", "layer1.2.conv1.weight")),
    ("resnet34", tensors("conv1.weight", "fc.weight", "conv2_1.conv1.weight", "conv2_3.conv1.weight")),
    ("resnet50", tensors("conv1.weight", "fc.weight", "layer1.0.conv1.weight", "layer1.0.conv3.weight")),
    ("resnet50", tensors("conv1.weight", "fc.weight", "conv2_1.conv1.weight", "conv2_1.conv3.weight")),
    ("alexnet", {"features.0.weight": np.zeros((6, 3, 11, 11)), "classifier.6.weight": ROWS}),
    ("alexnet", {"conv1.weight": np.zeros((6, 3, 11, 11)), "fc8.weight": ROWS}),
    *((name, tensors("features.0.weight", "classifier.6.weight", *convolutions(count)))
      for count, name in VGG.items()),
    *((name + "_bn", tensors("conv1_1.weight", "fc8.weight", *convolutions(count), "features.1.running_mean"))
      for count, name in VGG.items()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file"), NETWORKS)
def test_which_network_it_is(name, file):
    assert architecture_of(file, "f") == (name, 7)


def test_what_is_none_of_the_networks():
    first, last = {"conv1.weight": CONV}, {"fc.weight": ROWS}
    none = (
        "f: expected one of the networks in npgrad.models, first tensor conv1.weight or features.0.weight or "
    )
    for file in ({}, first, last, {"conv1.weight": ROWS, **last}, {**first, "fc.weight": LINE},
                 {**first, "fc.weight": ROWS[:0]}):  # fmt: skip
        assert line(architecture_of, file, "f").startswith(none)
    assert line(architecture_of, dict.fromkeys("ebcda"), "f").endswith("; found a, b, c, d ...")
    assert line(architecture_of, {**first, **last}, "f") == (
        "f: expected one of the networks in npgrad.models, found a first convolution of shape (6, 3, 3, 3), "
        "1 convolutions in all, and last weights of shape (7, 2)"
    )
    for shape in ((96, 3, 3, 3), (64, 3, 7, 7)):
        odd = {"conv1.weight": np.zeros(shape), "conv10.weight": np.zeros((7, 2, 1, 1))}
        assert line(architecture_of, odd, "f").startswith(
            f"f: expected one of the networks in npgrad.models, found a first convolution of shape {shape}"
        )


@pytest.fixture(scope="module")
def caffe():
    rng = np.random.default_rng(0)
    return {
        key: rng.standard_normal(array.shape, np.float32) for key, array in w.random_squeezenet(rng).items()
    }


def written(tmp_path, tensors, before, after):
    """A .caffemodel with one convolution's options replaced."""
    data = w.squeezenet(tensors)
    old, new = w.convolution_param(**before), w.convolution_param(**after)
    assert data.count(old) == 1 and len(old) == len(new)
    path = tmp_path / "f"
    path.write_bytes(data.replace(old, new))
    return path


CONV1 = {"num_output": 96, "kernel_size": 7, "stride": 2}
DEFAULTS = {"pad": 0, "stride": 1, "group": 1, "dilation": 1, "kernel_size": 7}


@pytest.mark.parametrize(
    ("after", "option", "expected"),
    [
        ({"num_output": 96, "kernel_size": 7, "stride": 3}, "stride", 2),
        ({"num_output": 96, "kernel_size": 7, "pad": 1}, "stride", 2),
        ({"kernel_size": 7, "stride": 2, "pad": 3}, "pad", 0),
        ({"kernel_size": 7, "stride": 2, "pad_h": 3}, "pad", 0),
        ({"kernel_size": 7, "stride": 2, "pad_w": 3}, "pad", 0),
        ({"kernel_size": 7, "stride": 2, "group": 3}, "group", 1),
    ],
)
def test_other_options_in_caffe_are_named(caffe, tmp_path, after, option, expected):
    found = {**DEFAULTS, **{key: value for key, value in after.items() if key != "num_output"}}
    if {"pad_h", "pad_w"} & set(after):
        assert found["pad"] == 0
    text = line(convert, written(tmp_path, caffe, CONV1, after))
    assert text.startswith(f"{tmp_path / 'f'}: conv1: expected {option} {expected}, found {{")
    assert all(f"{key!r}: {value}" in text for key, value in found.items())


def test_the_padding_of_conv10(caffe, tmp_path):
    for details, expected in (
        ({}, 1),
        ({"conv10": {"pad": 0}}, 0),
        ({"conv10": {"pad": 1}}, 1),
        ({"conv1": {}}, 1),
    ):
        assert converting._conv10_padding("squeezenet1_0", details, "f") == expected
    assert converting._conv10_padding("squeezenet1_1", {}, "f") == 0
    for options in ({"pad": 2}, {"pad_h": 1}, {"pad_w": 0, "pad": 1}):
        found = line(converting._conv10_padding, "squeezenet1_0", {"conv10": options}, "f")
        assert found == f"f: conv10: expected pad 0 or 1, found {options}"
    assert (
        converting._conv10_padding("squeezenet1_0", {"conv_final": {"pad": 0}}, "f") == 0
    )  # the decoder's name
    path = tmp_path / "f"
    for pad in (0, 1):
        path.write_bytes(w.squeezenet(caffe, conv10_pad=pad))
        assert convert(path).architecture["options"] == {"num_classes": 1000, "conv10_padding": pad}


def test_a_deep_compression_file_becomes_a_model(tmp_path):
    path = tmp_path / "f.net"
    path.write_bytes(net())
    model = convert(path, source={"license": "none"})
    assert model.architecture == {
        "name": "squeezenet1_0",
        "options": {"num_classes": 1000, "conv10_padding": 1},
    }
    assert model.classes == imagenet_classes() and model.preprocessing.crop == 227
    assert set(model.source) == {"file", "format", "sha256", "license"}
    assert (model.source["file"], model.source["format"]) == ("f.net", "Deep Compression .net")
    weight, bias = model.parameters()["conv1.weight"], model.parameters()["conv1.bias"]
    factor = 255 * np.array(model.preprocessing.std)
    offset = 255 * np.array(model.preprocessing.mean) - np.array([123.0, 117.0, 104.0])
    assert np.flatnonzero(weight).tolist() == [
        2 * 49 + 3
    ]  # the file's first channel is blue, npgrad's the last
    np.testing.assert_allclose(weight.max(), 2.5 * factor[2] / 64, rtol=1e-6)
    np.testing.assert_allclose(bias, [(0.5 + 2.5 * offset[2]) / 64, *[0.5 / 64] * 95], rtol=1e-5)
    assert (model.parameters()["fire5.squeeze.bias"] == np.float32(0.5 / 64)).all()
    assert (model.parameters()["conv10.bias"] == 0.5).all()
    assert model.parameters()["conv10.weight"].max() == 2.5 * 64


def test_an_onnx_file_becomes_a_model(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(graph([("GlobalAveragePool", ["x"], "p"), ("Flatten", ["p"], "f"), ("Gemm", ["f", "m"], "y")],
                           [constant("m", np.ones((2, 3)))]))  # fmt: skip
    model = convert(path, source={"url": "there"})
    assert model.classes is None and list(model.source) == ["file", "format", "sha256", "url"]
    (tmp_path / "names.txt").write_text("n01234567 a b, c\n\n d \ne\n", encoding="utf-8-sig")
    assert convert(path, labels=tmp_path / "names.txt").classes == ("a b", "d", "e")
    found = line(lambda: convert(path, architecture="resnet18"))
    assert found == f"{path}: expected resnet18, found an ONNX file, which names no architecture"
    assert convert(path).source["file"] == "net.onnx"


def test_the_same_tensor_by_two_names(tmp_path):
    path = tmp_path / "f"
    np.savez(path, **{"conv1.weight": CONV, "module.conv1.weight": CONV})
    path = tmp_path / "f.npz"
    assert line(convert, path) == f"{path}: some tensors occur twice under different names"


def test_a_file_may_be_as_large_as_the_bound(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(net())
    monkeypatch.setattr(reading, "MAX_SIZE", len(net()))
    contents = reading.read(path)
    assert (contents.size, contents.path) == (len(net()), path)
    monkeypatch.setattr(reading, "MAX_SIZE", len(net()) - 1)
    assert line(reading.read, path) == f"{path}: expected at most 0 GiB, found {len(net())} bytes"


def test_names_that_are_no_text(tmp_path):
    import h5py
    from hdf5_files import forge

    from npgrad.io.formats import hdf5

    found = line(hdf5.from_bytes, forge(lambda file: h5py.h5g.create(file.id, b"\xff")), "f")
    assert found == "f: expected 'metadata' and 'arrays', found ['arrays', 'metadata', '\ufffd']"


def test_numpys_pickled_parts():
    assert npy.encode("a\u20ac", "latin1") == b"a?"
    for call, words in (
        (lambda: npy.encode(1, "latin1"), "expected bytes of (str, str), found (int, str)"),
        (lambda: npy.encode("a", "utf-8"), "expected latin1, found 'utf-8'"),
        (lambda: npy.make_scalar(1, b""), "expected a NumPy number of (DataType, object), found (int, bytes)"),
        (lambda: npy.DataType("i8"), "expected a dtype of (str, object, object), found (str)"),
        (lambda: npy.ObjectArray().set_state(1), "expected an array of, found int"),
        (lambda: npy.DataType("i8", False, True).set_state((3,)),
         "expected a dtype's state with its byte order, found another"),
    ):  # fmt: skip
        with pytest.raises(pickles.Refused) as refusal:
            call()
        assert str(refusal.value) == words


def test_object_arrays_may_say_so_without_a_byte_order(tmp_path):
    from imagenet_val_files import NAMES, PYTHON_2, course_file
    from npy_writer import header, npy

    labels = npy(header=header("O", shape="()"), content=PYTHON_2)
    assert npz.read_imagenet_val(course_file(tmp_path, labels=labels))[2] == NAMES


def test_a_deflated_member_is_not_taken_further_than_it_says():
    import tracemalloc

    from zip_writer import DEFLATED, Entry, deflate, write

    data = write([Entry(b"a.npy", bytes(100), DEFLATED, body=deflate(bytes(50 << 20)))])
    tracemalloc.start()
    try:
        found = line(npz.read, data, "f")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == "f: 'a.npy': expected 100 deflated bytes, found another number"
    assert peak < 1 << 20
    for drive in (b"c:a.npy", b"Z:a.npy"):
        assert "expected a member name inside the archive" in line(npz.read, write([Entry(drive, b"")]), "f")


def test_bfloat16_in_any_order_becomes_rows():
    from torch_writer import one, storage, zip_file

    from npgrad.io.formats import torch_pth

    halves = np.arange(1, 7, dtype=np.float32).view(np.uint16)[1::2]  # the upper half of each
    value = one(stored=storage("0", 6, "BFloat16Storage"), shape=(3, 2), strides=(1, 3))
    found = torch_pth.read(zip_file(value, {"0": halves.tobytes()}), "f")["w"]
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert found.tolist() == [[1, 4], [2, 5], [3, 6]]


def test_every_format_names_the_file(tmp_path):
    from format_files import TENSORS, WRITERS

    for kind, writer in WRITERS.items():
        path = tmp_path / "net.bin"
        path.write_bytes(writer(TENSORS)[:-1])
        assert line(reading.read, path).startswith(f"{path}: "), kind


def test_the_end_of_an_archive_is_the_last_that_looks_like_one():
    from npy_writer import npy
    from zip_writer import Entry, write

    inside = np.frombuffer(b"PK\x05\x06" * 30, np.float32).copy()
    inside = np.nan_to_num(inside)
    archive = write([Entry(b"a.npy", npy(inside))])
    assert archive.count(b"PK\x05\x06") > 1
    assert np.array_equal(npz.read(archive, "f")["a"], inside)
