"""Ablation at a layer, and permutation, against Captum and on networks where the answer is known."""

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, quick, squeezenets

from npgrad import InputError, Model
from npgrad.attribution import (
    feature_ablation,
    feature_permutation,
    layer_ablation,
    layer_feature_permutation,
    saliency,
)
from npgrad.attribution.ablation import _permutation
from npgrad.layers import Flatten, Linear, Sequential

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}
LAYERS = {
    "convolutions": ["conv1", "relu2", "conv3"],
    "max pools": ["pool1", "fc3"],
    "overlapping pools": ["conv2"],
    "average pools": ["relu3"],
    "fires": ["fire2", "fire3.squeeze_relu", "fire4.expand3x3"],
    "linears": ["fc1", "relu2"],
    "squeezenet1_0": ["fire9"],
    "squeezenet1_1": ["fire3.expand1x1_relu"],
}
AT = [
    pytest.param(name, layer, marks=[pytest.mark.exhaustive] * name.startswith("squeezenet"))
    for name, layers in LAYERS.items()
    for layer in layers
]


def masks_for(shape):
    """Features of a layer's output (N, ...): positions, channels, and at random, of all images."""
    rng = np.random.default_rng(4)
    if len(shape) == 2:
        return [np.arange(shape[1]), rng.integers(3, size=shape[1])]
    channels = np.broadcast_to(np.arange(shape[1])[:, None, None] // 3, shape[1:])
    return [np.arange(shape[2] * shape[3]).reshape(shape[2:]) // 7, channels, rng.integers(4, size=shape[1:])]


def theirs(mask, shape):
    """A mask for Captum: (1, ...) of the whole shape, or one map per image."""
    return torch.tensor(
        np.broadcast_to(mask, shape if np.ndim(mask) == len(shape) else (1, *shape[1:])).copy()
    )


class OwnScores(torch.nn.Module):
    """The score of each image's target: Captum's LayerFeaturePermutation fails if it is given a target itself."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)[range(3), TARGETS]


def in_captum(monkeypatch, seed, n):
    """Make Captum permute the batch as we do."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(torch, "randperm", lambda count: torch.tensor(_permutation(n, rng)))


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("name", "layer"), AT)
def test_layer_ablation_equals_captum(name, layer):
    pair = PAIRS[name]
    shape = pair.model.forward(pair.x)[layer].shape
    rng = np.random.default_rng(1)
    per_image = rng.integers(4, size=shape)
    for mask in [*masks_for(shape), per_image]:
        baseline = rng.normal(size=shape)
        expected = C.LayerFeatureAblation(pair.net, pair.layer(layer)).attribute(
            pair.tensor(), torch.tensor(baseline), target=TARGETS, layer_mask=theirs(mask, shape)
        )
        for batch_size in (None, 3):
            found = layer_ablation(pair.model, pair.x, TARGETS, layer, mask, baseline, batch_size=batch_size)
            checks.assert_close(found, expected.detach().numpy(), 1e-8)
    assert found.any()


def test_layer_ablation_of_each_element_equals_captum():
    pair = PAIRS["average pools"]
    expected = C.LayerFeatureAblation(pair.net, pair.layer("pool2")).attribute(pair.tensor(), target=TARGETS)
    checks.assert_close(layer_ablation(pair.model, pair.x, TARGETS, "pool2"), expected.detach().numpy(), 1e-8)


def test_layer_ablation_at_the_input_is_feature_ablation():
    pair = PAIRS["fires"]
    mask = np.arange(33 * 29).reshape(33, 29) // 100
    found = layer_ablation(pair.model, pair.x, TARGETS, "input", mask, 0.5)
    checks.assert_close(found, feature_ablation(pair.model, pair.x, TARGETS, mask, 0.5), 1e-12)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", quick(PAIRS))
def test_feature_permutation_equals_captum(name, monkeypatch):
    pair = PAIRS[name]
    for mask in masks_for(pair.x.shape):
        in_captum(monkeypatch, 5, len(pair.x))
        expected = C.FeaturePermutation(pair.net).attribute(
            pair.tensor(), target=TARGETS, feature_mask=theirs(mask, pair.x.shape)
        )
        found = feature_permutation(pair.model, pair.x, TARGETS, mask, rng=5)
        assert found.any()
        checks.assert_close(found, expected.detach().numpy(), 1e-8)


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("name", "layer"), AT)
def test_layer_feature_permutation_equals_captum(name, layer, monkeypatch):
    pair = PAIRS[name]
    shape = pair.model.forward(pair.x)[layer].shape
    for mask in masks_for(shape):
        in_captum(monkeypatch, 5, len(pair.x))
        expected = C.LayerFeaturePermutation(OwnScores(pair.net), pair.layer(layer)).attribute(
            pair.tensor(), layer_mask=theirs(mask, shape)
        )
        found = layer_feature_permutation(pair.model, pair.x, TARGETS, layer, mask, rng=5)
        checks.assert_close(found, expected.detach().numpy(), 1e-8)


def test_each_element_of_a_vector_is_permuted(monkeypatch):
    weight = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    model = Model(Sequential({"fc": Linear(weight, np.zeros(2))}), outputs="value")
    x = np.random.default_rng(0).normal(size=(4, 3))
    found = feature_permutation(model, x, 0, rng=3)
    rng = np.random.default_rng(3)
    others = np.stack([x[_permutation(4, rng), k] for k in range(3)], axis=1)
    checks.assert_close(found, weight[0] * (x - others), 1e-12)


def test_questions_can_be_asked():
    pair = PAIRS["fires"]
    mask = np.arange(33 * 29).reshape(33, 29) // 200
    difference = feature_permutation(pair.model, pair.x, "2 - 0", mask)
    both = [feature_permutation(pair.model, pair.x, k, mask) for k in (2, 0)]
    checks.assert_close(difference, both[0] - both[1], 1e-10)
    parts = [
        layer_ablation(pair.model, pair.x, k, "fire3", baseline=0.1, mask=np.zeros((1, 1), int))
        for k in (2, 0)
    ]
    found = layer_ablation(pair.model, pair.x, "2 - 0", "fire3", baseline=0.1, mask=np.zeros((1, 1), int))
    checks.assert_close(found, parts[0] - parts[1], 1e-10)


def test_nothing_is_lost_where_nothing_changes():
    """Exactly; and model and images stay as they were."""
    pair = PAIRS["fires"]
    y, before = pair.model.forward(pair.x)["fire3"], saliency(pair.model, pair.x, TARGETS)
    assert not layer_ablation(pair.model, pair.x, TARGETS, "fire3", baseline=y).any()
    same = np.repeat(pair.x[:1], 3, axis=0)
    assert not feature_permutation(pair.model, same, TARGETS, np.zeros((33, 29), int)).any()
    assert np.array_equal(saliency(pair.model, pair.x, TARGETS), before)


def test_progress_counts_the_features_of_each_image():
    pair, calls = PAIRS["fires"], []
    mask = np.zeros((3, 1, 33, 29), int)
    mask[0, 0, 10:] = np.arange(29)
    mask[2, 0, 20:] = 1
    feature_ablation(
        pair.model, pair.x, TARGETS, mask, batch_size=10, progress=lambda *call: calls.append(call)
    )
    assert calls == [(10, 32), (20, 32), (29, 32), (30, 32), (32, 32)]


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (
            feature_permutation,
            {"x": PAIRS["fires"].x[:1]},
            "input: expected at least two images, .* found one",
        ),
        (layer_feature_permutation, {"x": PAIRS["fires"].x[:1]}, "input: expected at least two images"),
        (
            feature_permutation,
            {"mask": np.random.default_rng(0).integers(3, size=(3, 1, 33, 29))},
            "mask: expected the same features in all images",
        ),
        (layer_ablation, {"mask": np.zeros((5, 5), int)}, r"mask: .* broadcasts to \(3, 14, 4, 3\), found"),
        (layer_ablation, {"mask": np.zeros((4, 3))}, "mask: expected integers, found float64"),
        (layer_ablation, {"baseline": np.zeros(5)}, r"baseline: .* broadcasts to \(3, 14, 4, 3\)"),
        (feature_permutation, {"rng": "x"}, "rng: expected a Generator"),
    ],
)
def test_wrong_arguments_are_named(method, options, message):
    pair = PAIRS["fires"]
    with pytest.raises(InputError, match=f"^{message}"):
        method(pair.model, **{"x": pair.x, "target": TARGETS, **options})


def test_a_linear_network_loses_the_products():
    weight = np.arange(6.0).reshape(1, 6) - 2
    parts = {"flatten": Flatten(), "fc": Linear(weight, np.ones(1))}
    model = Model(Sequential(parts), outputs="value")
    x = np.random.default_rng(0).normal(size=(2, 1, 2, 3))
    checks.assert_close(layer_ablation(model, x, 0, "flatten"), x.reshape(2, 6) * weight, 1e-12)
