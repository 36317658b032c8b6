"""Targets that are more than a class, through every method: equal to Captum's with a wrapped forward, and complete."""

from dataclasses import replace

import captum.attr as C
import numpy as np
import pytest
import torch
from captum_nets import pairs, squeezenets
from checks import assert_close, same_bits
from heads import drawn_net
from messages import AN_INDEX
from torch import nn

import npgrad
from npgrad import attribution, evaluation, synthesis, targets
from npgrad._asked import FORMS
from npgrad._outputs import KINDS
from npgrad.attribution import methods
from npgrad.attribution.explain import answer as explain
from npgrad.attribution.request import Request
from npgrad.layers import Conv2d, ReLU, Sequential

NET = {pair.name: pair for pair in pairs()}["fires"]
ASKED = {  # name: (the target, the same of torch's logits)
    "difference": ("0 - 2", lambda y: y[:, 0] - y[:, 2]),
    "negative": ("- 1", lambda y: -y[:, 1]),
    "probability": ("prob(3)", lambda y: y.softmax(1)[:, 3]),
    "log-probability": ("logprob(3) - 0.5*4", lambda y: y.log_softmax(1)[:, 3] - 0.5 * y[:, 4]),
    "entropy": (targets.entropy(), lambda y: -(y.softmax(1) * y.log_softmax(1)).sum(1)),
}
X0 = np.random.default_rng(3).normal(scale=0.1, size=NET.x.shape)


class Wrapped(nn.Module):
    def __init__(self, net, value):
        super().__init__()
        self.net, self.value = net, value

    def forward(self, x):
        return self.value(self.net(x))[:, None]


def compare(pair, target, value, x0):
    net, x, x0t = Wrapped(pair.net, value), pair.tensor(), torch.tensor(x0)
    theirs = {
        "saliency": (C.Saliency(net), {}, {}),
        "input_x_gradient": (C.InputXGradient(net), {}, {}),
        "integrated_gradients": (
            C.IntegratedGradients(net),
            {"baselines": x0t, "n_steps": 7},
            {"baseline": x0, "n_steps": 7},
        ),
        "feature_ablation": (
            C.FeatureAblation(net),
            {"feature_mask": torch.arange(x.shape[2])[:, None].expand(x.shape[2:]) // 9},
            {"mask": np.arange(x.shape[2])[:, None].repeat(x.shape[3], axis=1) // 9},
        ),
    }
    for name, (method, options, own) in theirs.items():
        expected = method.attribute(x.clone().requires_grad_(), target=0, **options).detach().numpy()
        found = getattr(attribution, name)(pair.model, pair.x, target, **own)
        assert_close(
            found, expected, 1e-7 if name == "integrated_gradients" else 1e-8, name
        )  # it rounds steps


@pytest.mark.parametrize("name", ASKED)
def test_equals_captum_with_a_wrapped_forward(name):
    compare(NET, *ASKED[name], X0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("pair", [*pairs(), *squeezenets()], ids=lambda pair: pair.name)
def test_equals_captum_on_every_network(pair, name):
    compare(pair, *ASKED[name], np.random.default_rng(3).normal(scale=0.1, size=pair.x.shape))


MORE = {
    **{name: target for name, (target, _) in ASKED.items()},
    "one per image": ["0 - 2", "prob(3)", 1],
    "sum of the highest": targets.top_k_sum(2),
    "distance": targets.distance(np.arange(5.0)),
}


def test_every_kind_of_outputs_says_what_can_be_asked_of_it():
    assert FORMS.keys() == set(KINDS)


@pytest.mark.parametrize("outputs", ["value", "features"])
def test_values_and_features_have_differences_and_no_probabilities(outputs):
    model = replace(NET.model, outputs=outputs)
    assert_close(
        attribution.input_x_gradient(model, NET.x, "0 - 2"),
        attribution.input_x_gradient(NET.model, NET.x, "0 - 2"),
        1e-12,
    )
    with pytest.raises(npgrad.InputError, match="prob"):
        attribution.saliency(model, NET.x, "prob(3)")


def value_of(model, x, target):
    """The value by the targets' own functions, one image at a time."""
    several = target if isinstance(target, list) else [target] * len(x)
    made = [targets.expression(str(one)) if isinstance(one, (str, int)) else one for one in several]
    return np.array([one(model(x[i : i + 1]))[0][0] for i, one in enumerate(made)])


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", MORE)
def test_integrated_gradients_and_deep_lift_are_complete(name):
    model, x, target = NET.model, NET.x, MORE[name]
    difference = value_of(model, x, target) - value_of(model, X0, target)
    for method, options, tolerance in (
        (attribution.deep_lift, {}, 1e-9 if name != "sum of the highest" else 0.05),
        (attribution.integrated_gradients, {"n_steps": 200}, 1e-2),
    ):
        found, delta = method(model, x, target, baseline=X0, return_delta=True, **options)
        np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), difference, atol=tolerance)
        np.testing.assert_allclose(found.sum(axis=(1, 2, 3)) - difference, delta, atol=1e-9)


def test_lrp_of_a_difference_is_the_difference_of_lrps():
    """Relevance starts as the value, divided between the two scores in proportion."""
    model, x = NET.model, NET.x
    both = [attribution.lrp(model, x, k) for k in (0, 2)]
    assert_close(attribution.lrp(model, x, "0 - 2"), both[0] - both[1], 1e-9)
    with pytest.raises(npgrad.InputError, match="lrp: expected a class or an expression as the target"):
        attribution.lrp(model, x, targets.entropy())


MANY_PASSES = ("blur_ig", "guided_ig", "shapley_values", "shapley_value_sampling", "xrai")


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=pytest.mark.exhaustive) if name in MANY_PASSES else name
        for name in methods.METHODS
        if name != "finer_cam"
    ],
)
def test_every_method_takes_an_expression(method):
    """Of one class, it is what the class's index gives; a model and its images are as before."""
    model, x = NET.model, NET.x[:2]
    before = {name: array.copy() for name, array in model.parameters().items()}
    function, options = methods.function_of(method), methods.defaults(method, model, x)
    if method in ("lime", "kernel_shap", "shapley_value_sampling"):
        options |= {"n_samples": 12, "rng": 0}
    if method == "shapley_values":
        options |= {"mask": np.arange(x[0, 0].size).reshape(x.shape[2:]) // 100}
    if method in ("occlusion", "rise"):
        options |= {"window": 9, "stride": 8} if method == "occlusion" else {"n_samples": 12}
    expected = function(model, x, [2, 1], **options)
    assert_close(function(model, x, ["1*2", "score(1)"], **options), expected, 1e-9)
    assert np.isfinite(function(model, x, "prob(2) - 0.25*0", **options)).all()
    assert same_bits(model.parameters(), before)


def test_alone_or_in_a_batch():
    model, x = NET.model, NET.x
    together = attribution.saliency(model, x, ["0 - 2", targets.probability(1), "- 3"])
    as_array = attribution.saliency(model, x, np.array(["0 - 2", "prob(1)", "- 3"]))
    assert_close(as_array, together, 1e-12)
    assert_close(together[1], attribution.saliency(model, x[1:2], "prob(1)")[0], 1e-12)
    assert_close(together[2], attribution.saliency(model, x[2:], "- 3")[0], 1e-12)


@pytest.mark.parametrize("outputs", ["logits", "scores", "probabilities", "value"])
@pytest.mark.parametrize("count", [1, 4])
def test_outputs_of_every_kind(outputs, count):
    """prob is the network's own probability; of one output, class 0 has the negative score."""
    head = "logits" if outputs != "probabilities" else "Sigmoid" if count == 1 else "Softmax"
    model, _, x = drawn_net(11, count, head=head, outputs=outputs)
    score = attribution.saliency(model, x, 0)
    assert_close(attribution.saliency(model, x, "1*0"), score, 1e-12)
    if outputs == "value":
        with pytest.raises(npgrad.InputError, match="probability of a network whose outputs are value"):
            attribution.saliency(model, x, "prob(0)")
        return
    if count == 1 and outputs == "probabilities":
        with pytest.raises(
            npgrad.InputError, match="probability of a network whose outputs are probabilities"
        ):
            attribution.saliency(model, x, "prob(1)")
        return
    deleted = evaluation.deletion_auc(model, x, x, "prob(1)", n_steps=3)
    expected = evaluation.deletion_auc(model, x, x, 1, n_steps=3)
    np.testing.assert_allclose(deleted, expected, rtol=1e-6)


def test_a_region_of_a_segmentation(rng):
    model = npgrad.Model(
        Sequential(
            {"a": Conv2d.init(3, 4, 3, rng=0), "r": ReLU(), "b": Conv2d.init(4, 5, 3, padding=1, rng=1)}
        )
    ).astype(np.float64)
    x, mask = rng.normal(size=(2, 3, 9, 8)), np.zeros((7, 6), bool)
    mask[2:4, 1:5] = True
    tape = model.forward(x)
    dy = np.zeros_like(tape.output)
    dy[:, 3, mask] = 1 / mask.sum()
    expected = np.abs(tape.backward(dy)["input"])
    assert_close(attribution.saliency(model, x, targets.region(3, mask)), expected, 1e-12)
    both = attribution.saliency(model, x, targets.region(3, np.stack([mask, ~mask])))
    assert_close(both[0], expected[0], 1e-12)
    assert_close(both[1], attribution.saliency(model, x[1:], targets.region(3, ~mask))[0], 1e-12)
    found, delta = attribution.deep_lift(model, x, targets.region(3, mask), return_delta=True)
    assert found.any() and np.abs(delta).max() < 1e-9
    for wrong, words in (
        (targets.region(5, mask), "expected a class from 0 to 4"),
        (
            targets.region(3, mask[1:]),
            r"mask: expected \(7, 6\), the spatial size of the outputs; found \(6, 6\)",
        ),
        ("0 - 1", r"outputs: expected \(N, classes\)"),
    ):
        with pytest.raises(npgrad.InputError, match=words):
            attribution.saliency(model, x, wrong)
    with pytest.raises(npgrad.InputError, match="a region is one of maps"):
        attribution.saliency(NET.model, NET.x, targets.region(0, mask))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("tabbi - lynx", "target 'tabbi - lynx', position 1: no class 'tabbi'; nearest: tabby"),
        ("lynx - 9", f"target 'lynx - 9', position 8: class index: {AN_INDEX} 4; found 9"),
        (["lynx - tabby"] * 2, "target: expected one, or 3, one per image; found 2"),
        (lambda y: y, "target: expected a function outputs -> "),
        (lambda y: (y, y), "target: expected a function that returns a value"),
        (lambda y: (np.full(len(y), np.nan), y), "target: expected a function with finite values"),
        (["lynx - tabby", targets.entropy(), "-lynx"], "all images' targets to be expressions, or all to be functions"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(target, words):
    from dataclasses import replace

    model = replace(NET.model, classes=("tabby", "lynx", "fox", "hen", "eel"))
    with pytest.raises(npgrad.NpgradError) as refused:
        attribution.saliency(model, NET.x, target)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_an_explanation_and_an_image_of_an_expression(rng):
    model, _, x = drawn_net(11, 4)
    small = npgrad.Model(model.network, preprocessing=npgrad.Preprocessing(resize=12, crop=12))
    photo = rng.integers(0, 256, (16, 16, 3), np.uint8)
    found = explain(small, photo, Request("saliency", "1 - 2"))
    seen = small.preprocess(photo)
    assert found.target == (None, "1 - 2", pytest.approx(float(np.subtract(*small(seen)[0, 1:3])), rel=1e-5))
    assert found.measure == "value" and found.array.shape == seen.shape[1:]
    assert_close(found.array, attribution.saliency(small, seen, targets.difference(1, 2))[0], 1e-6)
    result = synthesis.create_class_visualization(small, "1 - 2", size=12, num_iterations=20, rng=0)
    assert result.losses["score"][-1] > result.losses["score"][0] and result.probability is None
    assert result.score == pytest.approx(float(np.subtract(*small(result.image)[0, 1:3])), rel=1e-4)


def test_the_layers_of_a_network_keep_their_names():
    model, x = NET.model, NET.x
    names = [name for name in attribution.every_layer(model, x, "0 - 2") if not name.startswith("target")]
    assert names == model.layer_names()
    measured = evaluation.randomization(model, x, attribution.saliency, "0 - 2")
    assert measured.layers == evaluation.randomization(model, x, attribution.saliency, 0).layers
