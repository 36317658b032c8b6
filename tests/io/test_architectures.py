"""Which network a file's tensors belong to, from their names and shapes."""

import numpy as np
import pytest
from refusals import line

from npgrad.io.architectures import VGG, architecture_of

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
