"""What holds for the files that are read: what was saved comes back, and a flipped byte does no harm in any format."""

import functools
import io

import numpy as np
import pytest
from caffe_writer import random_squeezenet, squeezenet
from deep_compression_files import encode, sparse_squeezenet
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LAYERS, array, seeds

from npgrad import Model, Preprocessing, WeightsError, layers
from npgrad.io.formats import caffe, deep_compression, hdf5, npz, onnx, safetensors, torch_pth

SINGLE = (
    "Add",
    "Concat",
    "Multiply",
    "Subtract",
)  # they take several arrays, and cannot stand alone in a network


@pytest.mark.sampled(6)
@pytest.mark.parametrize("kind", [name for name in LAYERS if name not in SINGLE])
@settings(max_examples=15)
@given(data=st.data(), seed=seeds, single=st.booleans())
def test_a_saved_network_comes_back_to_the_bit(kind, data, seed, single):
    layer, shape = data.draw(LAYERS[kind])
    count = Model(layer).num_classes
    some = st.lists(st.sampled_from(["cat", "Größe", "日本"]), min_size=count or 1, max_size=count or 5)
    names = data.draw(st.none() | some)
    preprocessing = Preprocessing(resize=data.draw(st.integers(9, 300)), crop=9, mean=(0.1, 0.2, 0.3))
    model = Model(layer, names, preprocessing, source={"url": "there", "seed": seed})
    model = model.astype(np.float32) if single else model
    again = hdf5.from_bytes(hdf5.to_bytes(model), "net.h5")
    x = array(seed, 2, *shape).astype(np.float32 if single else np.float64)
    np.testing.assert_array_equal(again.network(x), model.network(x))
    assert again.layer_names() == model.layer_names()
    assert (again.classes, again.preprocessing, again.source) == (model.classes, preprocessing, model.source)
    assert hdf5.to_bytes(again) == hdf5.to_bytes(model)


@pytest.fixture(scope="module")
def own():
    """A small network's .h5."""
    network = layers.Sequential({"conv": layers.Conv2d.init(2, 3, 1), "relu": layers.ReLU()})
    return hdf5.to_bytes(Model(network, classes=["a", "b", "c"]))


def test_every_flipped_bit_of_an_npgrad_file_is_refused(own):
    """All of the header and each 7th byte after it, by one bit each; the SHA-256 does not care which."""
    rng = np.random.default_rng(0)
    for place in [*range(hdf5.HEADER), *range(hdf5.HEADER, len(own), 7)]:
        changed = bytearray(own)
        changed[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(WeightsError):
            hdf5.from_bytes(bytes(changed), "net.h5")


@given(data=st.data())
def test_any_changed_byte_of_an_npgrad_file_is_refused(own, data):
    place, value = data.draw(st.integers(0, len(own) - 1)), data.draw(st.integers(1, 255))
    changed = bytearray(own)
    changed[place] ^= value
    with pytest.raises(WeightsError):
        hdf5.from_bytes(bytes(changed), "net.h5")


def _tensors():
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.normal(size=(3, 2, 2, 2)).astype(np.float32),
        "a.bias": np.arange(3, dtype=np.float32),
    }


def _pth(zipped):
    import torch

    file = io.BytesIO()
    state = {name: torch.tensor(array) for name, array in _tensors().items()}
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def _npz():
    file = io.BytesIO()
    np.savez(file, **_tensors())
    return file.getvalue()


def _safetensors():
    from safetensors.numpy import save

    return save(_tensors())


def _onnx():
    import onnx_files

    return onnx_files.graph(*onnx_files.LITTLE["MatMul and Add"])


# A file's bytes, and what reads {name: array} from it.
FORMATS = {
    "pth, zip": (lambda: _pth(True), lambda data: torch_pth.read(data, "w")),
    "pth, legacy": (lambda: _pth(False), lambda data: torch_pth.read(data, "w")),
    "npz": (_npz, lambda data: npz.read(data, "w")),
    "safetensors": (_safetensors, lambda data: safetensors.read(data, "w")),
    "caffe": (
        lambda: squeezenet(random_squeezenet(np.random.default_rng(0))),
        lambda d: caffe.read(d, "w")[0],
    ),
    "deep compression": (
        lambda: encode(sparse_squeezenet(np.random.default_rng(0), 0.02))[0],
        lambda data: deep_compression.read(data, "w"),
    ),
    "onnx": (_onnx, lambda data: onnx.from_bytes(data, "w").network.arrays()),
}


@functools.cache
def written(name):
    """A good file of a format."""
    return FORMATS[name][0]()


@pytest.mark.parametrize("name", ["pth, zip", "pth, legacy", "npz", "safetensors"])
def test_what_others_wrote_comes_back(name):
    found = FORMATS[name][1](written(name))
    assert sorted(found) == sorted(_tensors())
    for key, expected in _tensors().items():
        np.testing.assert_array_equal(found[key], expected)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=80)
@given(where=st.floats(0, 1, exclude_max=True), early=st.booleans(), value=st.integers(1, 255))
def test_a_flipped_byte_does_no_harm(name, where, early, value):
    """It is refused, or only the numbers are others; never another exception, never many more numbers."""
    whole, read = written(name), FORMATS[name][1]
    changed = bytearray(whole)
    changed[int(where * min(len(whole), 3000 if early else len(whole)))] ^= value
    try:
        found = read(bytes(changed))
    except WeightsError as error:
        assert "\n" not in str(error)
        return
    most = {name: array.size for name, array in read(whole).items()}
    assert sum(array.size for array in found.values()) <= 2 * sum(most.values())
