"""Which network a file's tensors belong to, from their names and shapes."""

import math

import numpy as np
import pytest
from refusals import line

from npgrad.io.architectures import architecture_of, one_head, own_name, own_shape
from npgrad.models import registry

ROWS = np.zeros((7, 2))


class Shape:
    """A tensor of which only the shape is looked at."""

    def __init__(self, array):
        self.shape, self.ndim, self.size = array.shape, array.ndim, array.size

    def __len__(self):
        return self.shape[0]


def tensors(known, num_classes=7, torchvision=False):
    """The tensors of a network by npgrad's names, or by torchvision's."""
    options = {"num_classes": num_classes}
    model = registry.skeleton({"name": known, "options": options}, room=math.inf)
    own = {key: Shape(array) for key, array in model.network.arrays(buffers=True).items()}
    if not torchvision:
        return own
    # of a layer's several names, the one of the layer itself is the longest; others are of what ends with it
    theirs = {model.aliases[alias]: alias for alias in sorted(model.aliases, key=lambda one: one.count("."))}
    found = {}
    for key, array in own.items():
        layer, _, parameter = key.rpartition(".")
        found[f"{theirs.get(layer, layer)}.{parameter}"] = array
    assert {own_name(key, model) for key in found} == set(own)
    return found


@pytest.mark.sampled(14)
@pytest.mark.parametrize("torchvision", [False, True])
@pytest.mark.parametrize("name", registry.ARCHITECTURES)
def test_which_network_it_is(name, torchvision):
    file = tensors(name, torchvision=torchvision)
    assert architecture_of(file, "f") == (name, 7)
    last = next(key for key in reversed(file) if key.endswith("weight"))
    damaged = [key for key in file if key.count(".") and key != last][3]
    del file[damaged]  # then it is the one with most in common
    assert architecture_of(file, "f") == (name, 7)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", registry.ARCHITECTURES)
def test_number_of_parameters_is_as_published(name):
    file = tensors(name, 1000)
    count = sum(
        array.size for key, array in file.items() if not key.endswith(("running_mean", "running_var"))
    )
    assert count == registry.ARCHITECTURES[name].parameters


def test_what_is_none_of_the_networks():
    conv = np.zeros((6, 3, 3, 3))
    first, last = {"conv1.weight": conv}, {"fc.weight": ROWS}
    none = "f: expected one of the networks in npgrad.models, first layer conv1 or features.0 or "
    for file in ({}, first, last, {"conv1.weight": ROWS, **last}, {**first, "fc.weight": np.zeros(6)},
                 {**first, "fc.weight": ROWS[:0]}):  # fmt: skip
        assert line(architecture_of, file, "f").startswith(none)
    assert line(architecture_of, dict.fromkeys("ebcda"), "f").endswith("; found a, b, c, d ...")
    assert line(architecture_of, {**first, **last}, "f") == (
        "f: expected one of the networks in npgrad.models, found 1 convolutions and last weights of shape (7, 2)"
    )


def test_the_head_belongs_to_the_network_with_the_first_layer():
    """A Linear "classifier" is DenseNet's own and MobileNetV2's without Dropout; "classifier.1" is the reverse."""
    dense, mobile = (tensors(name, torchvision=True) for name in ("densenet121", "mobilenet_v2"))
    assert one_head(dense, "f") is dense
    assert one_head(mobile, "f") is mobile
    moved = {key.replace("classifier.", "classifier.1."): array for key, array in dense.items()}
    with pytest.warns(UserWarning, match="f: classifier.1 is taken for the only layer of the head"):
        assert list(one_head(moved, "f")) == list(dense)
    moved = {key.replace("classifier.1.", "classifier."): array for key, array in mobile.items()}
    with pytest.warns(UserWarning, match="f: classifier is taken for the only layer of the head"):
        assert list(one_head(moved, "f")) == list(mobile)


def test_1x1_convolutions_that_files_have_as_linear_layers():
    file = tensors("convnext_tiny", torchvision=True)
    flat = {
        key: np.broadcast_to(0, array.shape[:2] if "block.3" in key or "block.5" in key else array.shape)
        for key, array in file.items()
    }
    del flat["features.0.1.weight"]  # so that shapes count
    assert architecture_of(flat, "f") == ("convnext_tiny", 7)
    model = registry.skeleton({"name": "convnext_tiny", "options": {}}, room=math.inf)
    assert own_shape((384, 96), (384, 96, 1, 1), model) == (384, 96, 1, 1)
    assert own_shape((96, 1, 1), (96, 1, 1, 1), model) == (96, 1, 1, 1)
    for shape, own in (((96, 384), (384, 96, 1, 1)), ((384, 96), None), ((96,), (96, 1, 7, 7))):
        assert own_shape(shape, own, model) == shape
    other = registry.skeleton({"name": "mobilenet_v2", "options": {}}, room=math.inf)
    assert own_shape((384, 96), (384, 96, 1, 1), other) == (384, 96)


def test_the_last_layer_is_missing():
    file = tensors("resnet18", torchvision=True)
    del file["fc.weight"], file["fc.bias"]
    assert line(architecture_of, file, "f").startswith(
        "f: the last layer, with a row for each class, is missing"
    )
