"""Style transfer and inversion with layers that are chosen by the network's structure."""

import numpy as np
import pytest

import npgrad
from npgrad import Model, losses
from npgrad.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
from npgrad.synthesis import invert_features, presets, style_transfer
from npgrad.synthesis.structure import SHARE, fitted

rng = np.random.default_rng(0)


def strided(*strides):
    """A network of convolutions with these strides, each with a ReLU."""
    layers = {}
    for i, stride in enumerate(strides, start=1):
        layers[f"conv{i}"] = Conv2d.init(3 if i == 1 else 6, 6, 3, stride=stride, padding=1, rng=i)
        layers[f"relu{i}"] = ReLU()
    return Model(Sequential({**layers, "pool": GlobalAvgPool2d(), "fc": Linear.init(6, 4)})).astype(
        np.float64
    )


@pytest.mark.parametrize(("strides", "content_layer", "style_layers"), [
    ((1, 2, 2, 2, 2), "relu4", ("relu1", "relu2", "relu3", "relu4")), ((2, 1, 2), "relu3", ("relu2", "relu3")),
    ((1, 1), "relu2", ("relu2",)), ((8, 2), "relu1", ("relu1",)),
])  # fmt: skip
def test_layers_by_structure(strides, content_layer, style_layers):
    x, other = rng.normal(size=(2, 1, 3, 32, 32))
    model = strided(*strides)
    chosen = fitted(model, presets.PRESETS["structure"], x, [other, x], growth=4)
    assert (chosen["content_layer"], tuple(chosen["style_layers"])) == (content_layer, style_layers)
    # one unit of each loss is the square of what it compares
    tapes = [model.forward(image) for image in (x, other)]
    assert np.isclose(chosen["content_weight"] * (tapes[0][content_layer] ** 2).sum(), x.size)
    for layer, weight in zip(style_layers, chosen["style_weights"], strict=True):
        grams = np.mean([(losses.gram_matrix(tape[layer]) ** 2).sum() for tape in tapes])
        assert np.isclose(4 * weight * grams * len(style_layers), SHARE * x.size)


def test_any_network_transfers_style_and_inverts_without_named_layers():
    x, other = rng.normal(size=(2, 1, 3, 32, 32))
    model = strided(2, 2, 2, 2)
    result = style_transfer(model, x, other, steps=60)
    assert result.losses["style"][-1] < result.losses["style"][0] / 3
    assert invert_features(model, x, steps=1).layer == "relu3"
    given = style_transfer(model, x, other, steps=2, content_layer="conv1", style_layers="relu1")
    weights = {"style_layers": ["relu1", "relu2"], "style_weights": np.array([1.0, 2.0])}
    assert (
        style_transfer(model, x, other, steps=1, content_layer="conv1", content_weight=1, **weights).steps
        == 1
    )
    assert set(given.losses) == {"content", "style", "tv"}


def test_a_network_without_maps_has_no_layer_to_invert():
    flat = Model(Sequential({"flatten": Flatten(), "fc": Linear.init(27, 2)}))
    with pytest.raises(
        npgrad.InputError, match="layer: expected its name, found none; no layer of this network"
    ):
        invert_features(flat, rng.normal(size=(1, 3, 3, 3)))


def test_a_network_of_one_size_transfers_style_at_any():
    layers = {"conv": Conv2d.init(3, 4, 3, stride=2, padding=1), "relu": ReLU(), "flatten": Flatten()}
    model = Model(
        Sequential({**layers, "fc": Linear.init(4 * 36, 2)}), preprocessing=npgrad.Preprocessing(crop=12)
    )
    x, other = rng.normal(size=(2, 1, 3, 32, 32)).astype(np.float32)
    assert style_transfer(model, x, other, steps=1).image.shape == x.shape
    assert invert_features(model, x, steps=1).layer == "relu"
