"""Attributions without the factor of the inputs: Captum's multiply_by_inputs=False."""

import captum.attr as C
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs
from checks import assert_close

from npgrad import InputError, attribution

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
