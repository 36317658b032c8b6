"""SmoothGrad over any method with the options of Captum's noise tunnel, on the same samples."""

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, inject, noise_drawn, pairs, squeezenets
from messages import A_NUMBER, A_WHOLE_NUMBER

from npgrad import InputError, attribution
from npgrad.attribution import smoothgrad

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}
NET = PAIRS["average pools"]
X0 = np.random.default_rng(1).normal(size=NET.x.shape)
MASK = np.add.outer(np.arange(21) // 7 * 3, np.arange(21) // 7)
MASKED = {"feature_mask": torch.tensor(MASK)[None, None]}
# our method, Captum's, our options and Captum's, and how near: some of Captum's numbers are rounded to float32
TUNNELS = {
    "saliency": (lambda pair: C.Saliency(pair.net), {}, {}, 1e-8),
    "input_x_gradient": (lambda pair: C.InputXGradient(pair.net), {}, {}, 1e-8),
    "guided_backprop": (lambda pair: C.GuidedBackprop(pair.net), {}, {}, 1e-8),
    "integrated_gradients": (lambda pair: C.IntegratedGradients(pair.net), {"n_steps": 4}, {"n_steps": 4}, 1e-7),
    "deep_lift": (lambda pair: C.DeepLift(pair.net), {}, {}, 1e-8),
    "feature_ablation": (lambda pair: C.FeatureAblation(pair.net), {"mask": MASK}, MASKED, 1e-8),
    "layer_gradient_x_activation": (
        lambda pair: C.LayerGradientXActivation(pair.net, pair.layer("relu2")), {"layer": "relu2"}, {}, 1e-8,
    ),
    "neuron_gradient": (
        lambda pair: C.NeuronGradient(pair.net, pair.layer("relu2")),
        {"layer": "relu2", "neuron": (1, 2, 3)}, {"neuron_selector": (1, 2, 3)}, 1e-8,
    ),
}  # fmt: skip
KINDS = ("smoothgrad", "smoothgrad_sq", "vargrad")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations"),  # Captum's own
    pytest.mark.filterwarnings("ignore:.*Setting forward, backward hooks and attributes on non-linear"),
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
]


@pytest.mark.sampled(10)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TUNNELS)
def test_any_method_is_as_in_captum(name, kind, monkeypatch):
    theirs, options, captums, rtol = TUNNELS[name]
    noisy = NET.x + 0.2 * noise_drawn(3, NET.x, 4)
    inject(monkeypatch, noisy)
    target = {} if name.startswith("neuron") else {"target": torch.tensor(TARGETS)}
    x = NET.tensor().requires_grad_()
    tunnel = C.NoiseTunnel(theirs(NET))
    expected = tunnel.attribute(x, nt_type=kind, nt_samples=4, **target, **captums).detach().numpy()
    assert expected.any()
    for together in (None, 3):
        found = smoothgrad(
            NET.model, NET.x, TARGETS, method=name, kind=kind, n_samples=4, noise_absolute=0.2, rng=3,
            samples_at_once=together, **options,
        )  # fmt: skip
        checks.assert_close(found, expected, rtol, name)


def test_a_baseline_drawn_for_each_sample(monkeypatch):
    """Captum's draw_baseline_from_distrib, with the baselines that we draw."""
    baselines = np.random.default_rng(5).normal(size=(4, *NET.x.shape[1:]))
    seen = []

    def spy(model, x, target, baseline):
        seen.append((x, baseline))
        return x

    options = {"n_samples": 6, "noise_absolute": 0.2, "rng": 3, "baselines": baselines}
    smoothgrad(NET.model, NET.x, TARGETS, method=spy, **options)
    drawn = [int(np.flatnonzero((baselines == own[0]).all(axis=(1, 2, 3)))[0]) for _, own in seen]
    assert len(set(drawn)) > 1 and all((own == own[0]).all() for _, own in seen)
    inject(monkeypatch, np.stack([noisy for noisy, _ in seen]))
    monkeypatch.setattr(np.random, "choice", lambda count, size: np.tile(drawn, 3))  # image by image
    expected = C.NoiseTunnel(C.IntegratedGradients(NET.net)).attribute(
        NET.tensor(), nt_samples=6, target=TARGETS, n_steps=4, baselines=torch.tensor(baselines),
        draw_baseline_from_distrib=True,
    )  # fmt: skip
    found = smoothgrad(NET.model, NET.x, TARGETS, method="integrated_gradients", n_steps=4, **options)
    checks.assert_close(found, expected.detach().numpy(), 1e-7)
    alone = smoothgrad(NET.model, NET.x[1:2], TARGETS[1], method="integrated_gradients", n_steps=4, **options)
    checks.assert_close(found[1:2], alone, 1e-12)


@pytest.mark.parametrize("key", ["noise", "noise_absolute"])
def test_a_deviation_for_each_image(key):
    levels = np.array([0.0, 0.1, 0.3])
    options = {"method": "input_x_gradient", "n_samples": 3}
    found = smoothgrad(NET.model, NET.x, TARGETS, **{key: levels}, **options)
    for i, level in enumerate(levels):
        alone = smoothgrad(NET.model, NET.x[i : i + 1], TARGETS[i], **{key: float(level)}, **options)
        checks.assert_close(found[i : i + 1], alone, 1e-12)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_samples_at_once_change_rounding_alone(name):
    pair = PAIRS[name]
    for method in (None, "saliency", "grad_cam"):
        options = {"method": method, "n_samples": 5, "rng": 2}
        expected = smoothgrad(pair.model, pair.x, TARGETS, **options)
        for together in (1, 2, 5, 9):
            found = smoothgrad(pair.model, pair.x, TARGETS, samples_at_once=together, **options)
            checks.assert_close(found, expected, 1e-11)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": [0.1, 0.2]}, "noise: expected one number, or 3, one per image; found 2"),
        (
            {"noise_absolute": np.array([0.1, -0.2, 0])},
            f"noise_absolute: {A_NUMBER} >= 0, found .*-0.2",
        ),
        ({"samples_at_once": 0}, f"samples_at_once: {A_WHOLE_NUMBER} >= 1, found 0"),
        (
            {"samples_at_once": 2, "method": "gradient_shap"},
            "samples_at_once: expected 1 with a method that draws for each sample; found 2",
        ),
        (
            {"samples_at_once": 2, "method": "deep_lift", "baseline": X0},
            "samples_at_once: expected 1 with the option baseline, which has an entry per image; found 2",
        ),
        ({"baselines": X0}, "baselines: expected a method with an option `baseline`"),
        (
            {"baselines": X0, "baseline": 0, "method": "deep_lift"},
            "baselines: expected a method with an option `baseline` that is not given as well",
        ),
        ({"baselines": X0[:, :2], "method": "deep_lift"}, "baseline: .* broadcasts to"),
        ({"baselines": X0[:0], "method": "deep_lift"}, "baseline: expected a set"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        smoothgrad(NET.model, NET.x, TARGETS, n_samples=2, **options)


def test_what_a_name_of_captums_means():
    for own, theirs in zip(("mean", "squares", "variance"), KINDS, strict=True):
        found = [smoothgrad(NET.model, NET.x, TARGETS, kind=kind, n_samples=3) for kind in (own, theirs)]
        np.testing.assert_array_equal(*found)
    assert smoothgrad(NET.model, NET.x, TARGETS, method=attribution.lime, n_samples=2, mask=MASK).any()
