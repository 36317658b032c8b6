"""Attributions without the factor of the inputs: Captum's multiply_by_inputs=False."""

import captum.attr as C
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs
from checks import assert_close

from npgrad import InputError, attribution
from npgrad.attribution.gradient_shap import draw

PAIRS = {pair.name: pair for pair in pairs()}
PAIR = PAIRS["convolutions"]  # without the max pools at which Captum's DeepLIFT errs
X0 = np.random.default_rng(3).normal(scale=0.1, size=PAIR.x.shape)
TARGET = torch.tensor(TARGETS)
LAYER = "relu1"
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Setting forward, backward hooks and attributes on non-linear"
)


@pytest.mark.parametrize(
    ("name", "captums", "ours", "theirs", "tolerance"),
    [
        ("integrated_gradients", C.IntegratedGradients, {"n_steps": 7}, {"n_steps": 7}, 1e-7),
        ("deep_lift", C.DeepLift, {}, {}, 1e-8),
        ("layer_integrated_gradients", C.LayerIntegratedGradients, {"n_steps": 7}, {"n_steps": 7}, 1e-7),
        ("layer_deep_lift", C.LayerDeepLift, {}, {}, 1e-8),
    ],
)
def test_equals_captum(name, captums, ours, theirs, tolerance):
    layer = name.startswith("layer")
    method = captums(PAIR.net, *([PAIR.layer(LAYER)] if layer else []), multiply_by_inputs=False)
    x = PAIR.tensor().requires_grad_()
    expected = method.attribute(x, torch.tensor(X0), target=TARGET, **theirs).detach().numpy()
    options = {**ours, **({"layer": LAYER} if layer else {}), "multiply_by_inputs": False, "baseline": X0}
    found = getattr(attribution, name)(PAIR.model, PAIR.x, TARGETS, **options)
    assert_close(found, expected, tolerance)
    if name == "deep_lift":
        full = attribution.deep_lift(PAIR.model, PAIR.x, TARGETS, baseline=X0)
        assert_close(found * (PAIR.x - X0), full, 1e-12)


def test_means_over_samples_and_baselines():
    x, model = PAIR.x, PAIR.model
    options = {"baseline": X0[:1], "multiply_by_inputs": False}
    product = attribution.gradient_shap(model, x, TARGETS, baseline=X0[:1], n_samples=4, rng=5)
    alone = attribution.gradient_shap(model, x, TARGETS, **options, n_samples=4, rng=5)
    assert alone.any()
    assert_close(alone * (x - X0[:1]), product, 1e-12)
    several = [
        attribution.deep_lift(model, x, TARGETS, baseline=one, multiply_by_inputs=False) for one in X0[:2]
    ]
    found = attribution.deep_lift_shap(model, x, TARGETS, baseline=X0[:2], multiply_by_inputs=False)
    assert_close(found, sum(several) / 2, 1e-12)


@pytest.mark.parametrize("name", ["integrated_gradients", "deep_lift", "deep_lift_shap"])
def test_there_is_no_sum_to_check(name):
    with pytest.raises(InputError, match="return_delta: expected multiply_by_inputs=True"):
        getattr(attribution, name)(PAIR.model, PAIR.x, return_delta=True, multiply_by_inputs=False)


def test_gradient_shap_at_a_layer_is_the_mean_over_its_own_samples(rng):
    model, x, baselines = PAIR.model, PAIR.x, rng.normal(size=(2, *PAIR.x.shape[1:]))
    options = {"layer": LAYER, "baseline": baselines, "n_samples": 3, "noise": 0.2, "rng": 4}
    for multiply in (True, False):
        expected = np.zeros_like(model.forward(x)[LAYER])
        for k, (noisy, start, a) in enumerate(draw(x, baselines, 3, 0.2, np.random.default_rng(4))):
            tape = model.forward((start + a * (noisy - start))[None])
            dy = np.zeros_like(tape.output)
            dy[0, TARGETS[k // 3]] = 1
            gradient = tape.backward(dy, at=(LAYER,))[LAYER][0]
            change = (model.forward(noisy[None])[LAYER] - model.forward(start[None])[LAYER])[0]
            expected[k // 3] += gradient * (change if multiply else 1) / 3
        found = attribution.layer_gradient_shap(model, x, TARGETS, multiply_by_inputs=multiply, **options)
        assert_close(found, expected, 1e-10)
    alone = attribution.layer_gradient_shap(model, x[1:2], TARGETS[1], multiply_by_inputs=False, **options)
    assert_close(found[1:2], alone, 1e-12)


def test_deep_lift_shap_at_a_layer(rng):
    """The mean over baselines; complete where everything goes through the layer; Captum's of single images."""
    model, x, baselines = PAIR.model, PAIR.x, rng.normal(size=(2, *PAIR.x.shape[1:]))
    found = attribution.layer_deep_lift_shap(model, x, TARGETS, layer=LAYER, baseline=baselines)
    several = [attribution.layer_deep_lift(model, x, TARGETS, layer=LAYER, baseline=one) for one in baselines]
    assert_close(found, sum(several) / 2, 1e-12)
    drop = model(x)[np.arange(3), TARGETS] - model(baselines)[:, TARGETS].mean(axis=0)
    assert_close(found.sum(axis=(1, 2, 3)), drop, 1e-9)
    method = C.LayerDeepLiftShap(PAIR.net, PAIR.layer(LAYER))
    expected = method.attribute(PAIR.tensor(), torch.tensor(baselines), target=TARGET).detach().numpy()
    assert_close(found, expected, 1e-8)
