"""The layer at which activation maps are made by default, by the structure of the network."""

import numpy as np
import pytest

from npgrad import InputError, Model
from npgrad.layers import Conv2d, Dropout, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential

X = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
STEM = {"a": Conv2d.init(3, 4, 3, rng=1), "relu_a": ReLU(), "drop": Dropout()}


def default(layers, x=X, **options):
    model = Model(Sequential(layers))
    return model.map_layer(model.forward(x, **options))


def test_before_a_classifier_that_is_a_convolution():
    head = {"b": Conv2d.init(4, 5, 1, rng=2), "relu_b": ReLU(), "mean": GlobalAvgPool2d()}
    assert default(STEM | head) == "relu_a"
    wider = {**head, "fc": Linear.init(5, 6)}  # the convolution is no classifier
    assert default(STEM | wider) == "relu_b"
    assert (
        default({"b": Conv2d.init(3, 5, 1, rng=2), "mean": GlobalAvgPool2d()}) == "b"
    )  # there is nothing before it


def test_the_last_output_with_a_spatial_size():
    head = {"pool": MaxPool2d(3), "flat": Flatten(), "fc": Linear.init(16, 5)}
    assert default(STEM | head) == "pool"
    row = X[:, :, :3]  # one pixel high, but several wide
    assert default(STEM | {"flat": Flatten(), "fc": Linear.init(24, 5)}, row) == "relu_a"
    narrow = {"b": Conv2d.init(4, 2, (6, 5), rng=2), "c": Conv2d.init(2, 2, (1, 2)), "flat": Flatten()}
    assert default(STEM | narrow | {"fc": Linear.init(2, 5)}) == "b"  # 1 x 2; c's output is a single pixel


def test_a_pass_that_does_not_tell_the_shapes():
    with pytest.raises(InputError, match="the default needs a pass that keeps all outputs"):
        default(STEM | {"flat": Flatten()}, keep=("a",))
    with pytest.raises(
        InputError, match="expected a network with a layer that has a spatial size, found none"
    ):
        default({"flat": Flatten(), "fc": Linear.init(192, 5)})
    model = Model(Sequential(STEM))
    assert model.map_layer(None, "a") == "a"
