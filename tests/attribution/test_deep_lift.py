"""DeepLIFT against Captum where Captum is right, and against its own axiom everywhere else."""

import numpy as np
import pytest
import torch
from captum.attr import DeepLift, DeepLiftShap, LayerDeepLift
from captum_nets import TARGETS, Pair, TorchNet, pairs, squeezenets, to_npgrad
from checks import additions_in, assert_close, assert_rounding, same_bits
from torch import nn

from npgrad import InputError, Model, TargetError, UnknownName
from npgrad.attribution.deep_lift import deep_lift, deep_lift_shap, layer_deep_lift
from npgrad.attribution.deep_lift_rules import elementwise
from npgrad.layers import Sequential


def separated_pools():
    """Max pools as Captum needs them: no overlaps, and a convolution on either side."""
    torch.manual_seed(3)
    modules = {
        "conv1": nn.Conv2d(3, 6, 3, padding=1),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(6, 7, 3, stride=2),
        "pool2": nn.MaxPool2d(2, ceil_mode=True),
        "conv3": nn.Conv2d(7, 6, 1),
        "relu3": nn.ReLU(),
        "conv4": nn.Conv2d(6, 8, 2),
        "pool4": nn.MaxPool2d((2, 3)),
        "conv5": nn.Conv2d(8, 5, 1),
        "mean": nn.AdaptiveAvgPool2d(1),
    }
    net = TorchNet(modules).double().eval()
    model = Model(Sequential({name: to_npgrad(module) for name, module in modules.items()}))
    return Pair("separated pools", model, net, np.random.default_rng(5).normal(size=(3, 3, 23, 27)))


ALL = [*pairs(), separated_pools(), *squeezenets()]
RIGHT = [pair for pair in ALL if pair.name in ("convolutions", "average pools", "linears", "separated pools")]
pytestmark = [  # what Captum says about its own work
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
    pytest.mark.filterwarnings("ignore:.*Setting forward, backward hooks and attributes on non-linear"),
]
ids = {"ids": lambda pair: pair.name}


def baselines(x):
    """A number, noise, and x itself but for one corner: most differences from the reference are then 0."""
    corner = x.copy()
    corner[:, :, :5, :5] = 0.25
    return {"zero": 0.0, "noise": np.random.default_rng(1).normal(size=x.shape[1:]), "corner": corner}


@pytest.mark.parametrize("pair", RIGHT, **ids)
@pytest.mark.parametrize("kind", ["zero", "noise"])
def test_equals_captum_where_no_pool_touches_a_relu(pair, kind):
    baseline = np.broadcast_to(baselines(pair.x)[kind], pair.x.shape)
    found = deep_lift(pair.model, pair.x, TARGETS, baseline=baseline)
    expected = DeepLift(pair.net).attribute(
        pair.tensor(), torch.tensor(baseline.copy()), target=torch.tensor(TARGETS)
    )
    assert_close(found, expected.detach(), 1e-10)


@pytest.mark.parametrize("pair", RIGHT, **ids)
def test_layers_equal_captum(pair):
    for name in pair.model.layer_names():
        if not name.startswith(("conv", "fc")):
            continue
        found = layer_deep_lift(pair.model, pair.x, TARGETS, layer=name)
        captum = LayerDeepLift(pair.net, pair.layer(name))
        expected = captum.attribute(pair.tensor(), target=torch.tensor(TARGETS))
        assert_close(found, expected.detach(), 1e-10, name)


@pytest.mark.parametrize("pair", RIGHT, **ids)
def test_shap_equals_captum(pair):
    baseline = np.random.default_rng(2).normal(size=(4, *pair.x.shape[1:]))
    found, delta = deep_lift_shap(pair.model, pair.x, TARGETS, baseline, return_delta=True)
    captum = DeepLiftShap(pair.net)
    expected = captum.attribute(pair.tensor(), torch.tensor(baseline), target=torch.tensor(TARGETS))
    assert_close(found, expected.detach(), 1e-10)
    score = pair.model(pair.x)[np.arange(3), TARGETS] - pair.model(baseline)[:, TARGETS].mean(axis=0)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), score, rtol=1e-9)
    np.testing.assert_allclose(delta, 0, atol=1e-12)


@pytest.mark.sampled(7)
@pytest.mark.parametrize("pair", ALL, **ids)
@pytest.mark.parametrize("kind", ["zero", "corner"])
def test_attributions_sum_to_the_difference_of_the_scores(pair, kind):
    baseline = np.broadcast_to(baselines(pair.x)[kind], pair.x.shape)
    image = np.arange(3)
    score = (pair.model(pair.x) - pair.model(baseline))[image, TARGETS]
    assert np.abs(score).min() > 1e-5
    found, delta = deep_lift(pair.model, pair.x, TARGETS, baseline=baseline, return_delta=True)
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), score, rtol=1e-9)
    np.testing.assert_allclose(delta, found.sum(axis=(1, 2, 3)) - score, atol=1e-12)
    assert (found[pair.x == baseline] == 0).all()
    for name in ("conv1", "relu1", "pool1", "fire2", "fire4", "fire8", "relu2", "fc3"):
        if name in pair.model.layer_names():
            found = layer_deep_lift(pair.model, pair.x, TARGETS, layer=name, baseline=baseline)
            assert found.shape == pair.model.forward(pair.x, upto=name).output.shape
            np.testing.assert_allclose(found.reshape(3, -1).sum(axis=1), score, rtol=1e-9, err_msg=name)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["zero", "flat areas", "corner"])
def test_real_network_on_a_photo_sums_to_the_difference_of_the_scores(real_model, shared, kind):
    model = real_model.astype(np.float64)
    x = model.preprocess(shared / "images" / "Egyptian_cat.jpg")[:, :, 40:171, 50:183].astype(np.float64)
    if kind == "flat areas":  # whole windows tie
        x[:, :, 30:90, 20:80] = 0.5
    baseline = baselines(x)["corner"] if kind == "corner" else 0.0
    score = model(x) - model(np.broadcast_to(baseline, x.shape))
    for target in [285, int(np.abs(score).argmax())]:
        found = deep_lift(model, x, target, baseline=baseline)
        np.testing.assert_allclose(found.sum(), score[0, target], rtol=1e-9)


def test_shap_is_the_mean_over_baselines_whatever_the_batch(rng):
    pair = ALL[2]
    baseline = rng.normal(size=(3, *pair.x.shape[1:]))
    each = [deep_lift(pair.model, pair.x, TARGETS, baseline=b) for b in baseline]
    calls = []
    found = {
        size: deep_lift_shap(
            pair.model, pair.x, TARGETS, baseline, batch_size=size, progress=lambda *done: calls.append(done)
        )
        for size in (None, 1, 2, 4, 100)
    }
    assert_close(found[1], np.mean(each, axis=0), 1e-12)
    for other in found.values():
        assert_rounding(other, found[1], additions_in(pair.model))
    assert calls[1:10] == [(i, 9) for i in range(1, 10)]
    assert_close(deep_lift_shap(pair.model, pair.x, TARGETS), deep_lift(pair.model, pair.x, TARGETS), 1e-14)


def test_each_image_is_explained_alone():
    for pair in (ALL[2], ALL[4]):
        together = deep_lift(pair.model, pair.x, TARGETS)
        for i, target in enumerate(TARGETS):
            assert_close(together[i : i + 1], deep_lift(pair.model, pair.x[i : i + 1], target), 1e-13)
        top = pair.model(pair.x).argmax(axis=1)
        assert np.array_equal(deep_lift(pair.model, pair.x), deep_lift(pair.model, pair.x, top))


def test_float32_stays_float32_and_nothing_is_changed():
    pair = ALL[4]
    model, x = pair.model.astype(np.float32), pair.x.astype(np.float32)
    before, copy = {k: v.copy() for k, v in model.parameters().items()}, x.copy()
    first, delta = deep_lift(model, x, TARGETS, return_delta=True)
    shap = deep_lift_shap(model, x, TARGETS, np.zeros((2, *x.shape[1:])))
    assert first.dtype == shap.dtype == delta.dtype == np.float32
    assert_close(first, deep_lift(pair.model, pair.x, TARGETS), 1e-2)
    assert np.abs(delta).max() < 1e-4
    assert np.array_equal(first, deep_lift(model, x, TARGETS))
    assert same_bits(model.parameters(), before) and np.array_equal(x, copy)


def shut_class_0():
    """The network of fires with its class 0 shut off by the last ReLU."""
    pair = ALL[4]
    bias = pair.model.parameters()["conv5.bias"].copy()
    bias[0] = -100
    return pair.model.with_parameters({"conv5.bias": bias}), pair.x


@pytest.mark.parametrize("method", [deep_lift, layer_deep_lift, deep_lift_shap])
def test_a_dead_class_gives_zeros_and_one_warning(method):
    model, x = shut_class_0()
    with pytest.warns(UserWarning, match="class 0 is exactly 0") as caught:
        found = method(model, x, [0, 1, 2])
    assert len(caught) == 1 and caught[0].filename == __file__
    assert (found[0] == 0).all() and np.isfinite(found).all() and found[1].any() and found[2].any()


def test_mistakes_are_named():
    model, x = ALL[0].model, ALL[0].x
    with pytest.raises(InputError, match="baseline"):
        deep_lift(model, x, baseline=np.zeros((3, 4, 4)))
    with pytest.raises(InputError, match="baseline"):
        deep_lift(model, x, baseline=np.nan)
    with pytest.raises(InputError, match="baseline: expected a set"):
        deep_lift_shap(model, x, baseline=np.zeros((0, *x.shape[1:])))
    with pytest.raises(InputError, match="baseline"):
        deep_lift_shap(model, x, baseline=np.zeros((2, 3, 5, 5)))
    with pytest.raises(InputError, match="batch_size"):
        deep_lift_shap(model, x, baseline=x, batch_size=0)
    with pytest.raises(TargetError):
        deep_lift(model, x, 5)
    with pytest.raises(UnknownName, match="nearest: conv1"):
        layer_deep_lift(model, x, layer="conv11")
    with pytest.raises(UnknownName):
        deep_lift(model, x, rules={"nowhere": elementwise})
    for rules in (np.negative, [], {"conv1": 3}):
        with pytest.raises(InputError, match="^rules: expected"):
            deep_lift(model, x, rules=rules)
