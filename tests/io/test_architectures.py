"""Which network a file's tensors belong to, from their names and shapes."""

import math

import numpy as np
import pytest
from refusals import line

from npgrad.io.architectures import architecture_of, own_name
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


def test_the_last_layer_is_missing():
    file = tensors("resnet18", torchvision=True)
    del file["fc.weight"], file["fc.bias"]
    assert line(architecture_of, file, "f").startswith(
        "f: the last layer, with a row for each class, is missing"
    )
