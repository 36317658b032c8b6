"""Quadrature, integrated gradients and gradient SHAP, against Captum and the axioms."""

import subprocess
import sys

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum.attr._utils.approximation_methods import approximation_parameters
from captum_nets import TARGETS, captums_gradient_shap, pairs, squeezenets
from messages import A_NUMBER, A_WHOLE_NUMBER, FINITE_NUMBERS

from npgrad import InputError, UnknownName
from npgrad._targets import one_hot
from npgrad._validate import baseline_set
from npgrad.attribution._quadrature import RULES, quadrature
from npgrad.attribution.gradient_shap import draw, gradient_shap
from npgrad.attribution.gradients import input_x_gradient
from npgrad.attribution.integrated_gradients import integrated_gradients

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_steps", [1, 2, 3, 10, 50, 200])
def test_the_weights_of_every_rule_sum_to_1(rule, n_steps):
    if rule == "riemann_trapezoid" and n_steps == 1:
        pytest.skip("a trapezoid has two ends")
    nodes, weights = quadrature(rule, n_steps)
    assert len(nodes) == len(weights) == n_steps
    assert abs(weights.sum() - 1) < 1e-14
    assert (weights > 0).all() and (np.diff(nodes) > 0).all() and nodes[0] >= 0 and nodes[-1] <= 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_steps", [2, 7, 50])
def test_nodes_and_weights_are_captums(rule, n_steps):
    """But for the trapezoid, whose weights sum to (n - 1)/n there."""
    step_sizes, alphas = approximation_parameters(rule)
    nodes, weights = quadrature(rule, n_steps)
    if rule == "riemann_trapezoid":
        weights = weights * (n_steps - 1) / n_steps
    np.testing.assert_allclose(weights, step_sizes(n_steps), rtol=1e-14)
    np.testing.assert_allclose(nodes, alphas(n_steps), rtol=0, atol=1e-7)  # Captum's are float32


@pytest.mark.parametrize(
    ("rule", "n_steps", "degree"),
    [
        ("gausslegendre", 1, 1),
        ("gausslegendre", 3, 5),
        ("gausslegendre", 50, 99),
        ("riemann_trapezoid", 2, 1),
        ("riemann_trapezoid", 9, 1),
        ("riemann_middle", 1, 1),
        ("riemann_middle", 6, 1),
        ("riemann_left", 4, 0),
        ("riemann_right", 4, 0),
    ],
)
def test_polynomials_up_to_a_rules_degree_are_integrated_exactly(rule, n_steps, degree):
    nodes, weights = quadrature(rule, n_steps)
    powers = np.arange(degree + 2)
    errors = np.abs((weights[:, None] * nodes[:, None] ** powers).sum(axis=0) - 1 / (powers + 1))
    assert errors[:-1].max() < 1e-14
    assert n_steps == 50 or errors[-1] > 1e-4  # and no further


@pytest.mark.sampled(8)
@pytest.mark.parametrize(
    ("name", "rule"),
    [(pair.name, rule) for pair in pairs() for rule in RULES]
    + [(pair.name, "gausslegendre") for pair in squeezenets()],
)
def test_integrated_gradients_equals_captum(name, rule):
    pair, n = PAIRS[name], 5
    baseline = np.random.default_rng(2).normal(size=pair.x.shape)
    expected, delta = C.IntegratedGradients(pair.net).attribute(
        pair.tensor(),
        torch.tensor(baseline),
        target=TARGETS,
        n_steps=n,
        method=rule,
        return_convergence_delta=True,
    )
    found, own_delta = integrated_gradients(
        pair.model, pair.x, TARGETS, baseline, n_steps=n, method=rule, return_delta=True
    )
    scale = n / (n - 1) if rule == "riemann_trapezoid" else 1  # Captum's weights do not sum to 1 here
    checks.assert_close(found, expected.detach().numpy() * scale, 1e-7)
    if rule != "riemann_trapezoid":
        np.testing.assert_allclose(own_delta, delta.detach().numpy(), rtol=0, atol=1e-5 * np.abs(found).sum())


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", PAIRS)
def test_integrated_gradients_is_its_formula_to_the_last_digits(name):
    """With Captum's own loop in torch, but nodes and weights that are not rounded to float32."""
    pair = PAIRS[name]
    t, w = np.polynomial.legendre.leggauss(4)
    total = 0
    for node, weight in zip((1 + t) / 2, w / 2, strict=True):
        point = (0.5 + node * (pair.tensor() - 0.5)).requires_grad_()
        (gradient,) = torch.autograd.grad(pair.net(point)[[0, 1, 2], TARGETS].sum(), point)
        total = total + weight * gradient
    expected = (pair.x - 0.5) * total.numpy()
    found = integrated_gradients(pair.model, pair.x, TARGETS, baseline=0.5, n_steps=4)
    checks.assert_close(found, expected, 1e-10)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("rule", RULES)
def test_more_steps_come_nearer_to_completeness(rule):
    pair = PAIRS["fires"]
    errors = []
    for n_steps in 4, 16, 64, 256:
        attributions, delta = integrated_gradients(
            pair.model, pair.x, TARGETS, n_steps=n_steps, method=rule, return_delta=True
        )
        change = pair.model(pair.x) - pair.model(np.zeros_like(pair.x))
        expected = attributions.sum(axis=(1, 2, 3)) - change[[0, 1, 2], TARGETS]
        np.testing.assert_allclose(delta, expected, rtol=0, atol=1e-12)
        errors.append(np.abs(delta).max() / np.abs(change[[0, 1, 2], TARGETS]).max())
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.01


def test_on_a_linear_network_one_step_is_complete_and_equals_gradient_times_input():
    pair = PAIRS["convolutions"]
    linear = {name: layer for name, layer in pair.model.network.parts().items() if "relu" not in name}
    model = type(pair.model)(pair.model.network.with_parts(linear))
    found, delta = integrated_gradients(model, pair.x, TARGETS, n_steps=1, return_delta=True)
    checks.assert_close(found, input_x_gradient(model, pair.x, TARGETS), 1e-14)
    assert np.abs(delta).max() < 1e-14


def test_baselines_come_as_number_image_or_batch():
    pair = PAIRS["convolutions"]

    def run(baseline):
        return integrated_gradients(pair.model, pair.x, TARGETS, baseline, n_steps=3)

    assert np.array_equal(run(None), run(0))
    assert np.array_equal(run(0.5), run(np.full_like(pair.x, 0.5)))
    image = np.random.default_rng(0).normal(size=pair.x.shape[1:])
    assert np.array_equal(run(image), run(np.stack([image] * 3)))
    assert not np.array_equal(run(0), run(0.5))
    assert run(np.zeros((3, 1, 1), np.float32)).dtype == np.float64


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("name", "noise"), [("fires", 0.0), ("linears", 0.0)] + [(name, 0.3) for name in PAIRS]
)
def test_gradient_shap_equals_captum_on_the_same_samples(name, noise, monkeypatch):
    pair = PAIRS[name]
    baselines = np.random.default_rng(3).normal(size=(4, *pair.x.shape[1:]))
    samples = list(draw(pair.x, baselines, 4, noise, np.random.default_rng(9)))
    expected = captums_gradient_shap(pair, samples, monkeypatch)
    found = gradient_shap(pair.model, pair.x, TARGETS, baselines, n_samples=4, noise=noise, rng=9)
    checks.assert_close(found, expected, 1e-10)


def test_the_samples_are_what_the_docstring_says():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    baselines = np.random.default_rng(1).normal(size=(3, 3, 4, 5))
    noisy, start, a = map(
        np.stack, zip(*draw(x, baselines, 2000, 0.3, np.random.default_rng(2)), strict=True)
    )
    which = np.argmax((start[:, None] == baselines).all(axis=(2, 3, 4)), axis=1)
    assert (start == baselines[which]).all()
    assert (np.bincount(which) > 1200).all()  # of 4000, a third each
    assert 0 <= a.min() < 0.01 and 0.99 < a.max() < 1 and abs(a.mean() - 0.5) < 0.02
    away = noisy - np.repeat(x, 2000, axis=0)
    assert abs(away.mean()) < 0.01 and abs(away.std() - 0.3) < 0.01
    assert abs(np.corrcoef(which, a)[0, 1]) < 0.06


def test_gradient_shap_comes_to_integrated_gradients_with_many_samples():
    pair = PAIRS["linears"]
    exact = integrated_gradients(pair.model, pair.x, TARGETS, n_steps=300)
    errors = [
        np.abs(gradient_shap(pair.model, pair.x, TARGETS, n_samples=n) - exact).max() / np.abs(exact).max()
        for n in (5, 4000)
    ]
    assert errors[1] < 0.05 < errors[0] * 2


def test_gradient_shaps_baselines():
    pair = PAIRS["convolutions"]
    shape = pair.x.shape[1:]
    assert np.array_equal(baseline_set(None, pair.x), np.zeros((1, *shape)))
    assert np.array_equal(baseline_set(0.5, pair.x), np.full((1, *shape), 0.5))
    image = np.random.default_rng(0).normal(size=shape)
    assert np.array_equal(baseline_set(image, pair.x), image[None])
    assert baseline_set(np.zeros((7, 3, 1, 1)), pair.x).shape == (7, *shape)
    with pytest.raises(InputError, match="at least one baseline"):
        baseline_set(np.zeros((0, *shape)), pair.x)


def test_a_seed_and_a_generator_of_that_seed_draw_the_same():
    pair = PAIRS["convolutions"]
    by_seed = gradient_shap(pair.model, pair.x, TARGETS, rng=4)
    assert np.array_equal(by_seed, gradient_shap(pair.model, pair.x, TARGETS, rng=np.random.default_rng(4)))
    assert not np.array_equal(by_seed, gradient_shap(pair.model, pair.x, TARGETS, rng=5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, f"n_steps: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"n_steps": -3}, f"n_steps: {A_WHOLE_NUMBER} >= 1, found -3"),
        ({"n_steps": 2.0}, f"n_steps: {A_WHOLE_NUMBER} >= 1, found 2.0"),
        ({"n_steps": True}, f"n_steps: {A_WHOLE_NUMBER} >= 1, found True"),
        (
            {"n_steps": 1, "method": "riemann_trapezoid"},
            f"n_steps: {A_WHOLE_NUMBER} >= 2, found 1",
        ),
        (
            {"baseline": np.zeros((2, 2))},
            r"baseline: .* broadcasts to \(3, 3, 11, 13\), found shape \(2, 2\)",
        ),
        ({"baseline": np.nan}, f"baseline: {FINITE_NUMBERS}"),
        ({"baseline": "black"}, f"baseline: {FINITE_NUMBERS}"),
    ],
)
def test_integrated_gradients_wrong_arguments_are_named(options, message):
    pair = PAIRS["convolutions"]
    with pytest.raises(InputError, match=f"^{message}"):
        integrated_gradients(pair.model, pair.x, TARGETS, **options)


def test_an_unknown_rule_is_said():
    with pytest.raises(UnknownName, match="'riemann_center'; nearest: riemann_"):
        quadrature("riemann_center", 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, f"n_samples: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"noise": -1}, f"noise: {A_NUMBER} >= 0, found -1"),
        ({"rng": -1}, "rng: expected a Generator or a whole number >= 0, found -1"),
        ({"baseline": np.zeros((2, 3, 5, 5))}, r"baseline: .* broadcasts to \(2, 3, 11, 13\)"),
    ],
)
def test_gradient_shaps_wrong_arguments_are_named(options, message):
    pair = PAIRS["convolutions"]
    with pytest.raises(InputError, match=f"^{message}"):
        gradient_shap(pair.model, pair.x, TARGETS, **options)


def test_a_path_through_kinks_is_not_smoothed_over():
    """At the middle of the path the gradient is that of the point itself, with each image's own target."""
    pair = PAIRS["fires"]
    found = integrated_gradients(pair.model, pair.x, TARGETS, n_steps=1, method="riemann_middle")
    tape = pair.model.forward(pair.x / 2)
    gradient = tape.backward(one_hot(pair.model, tape.output, np.array(TARGETS)))["input"]
    checks.assert_close(found, pair.x * gradient, 1e-13)


MEMORY = """
import numpy as np
from npgrad.attribution.integrated_gradients import integrated_gradients
from npgrad.models import squeezenet1_0

x = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
integrated_gradients(squeezenet1_0(), x, n_steps=50, baseline=0.1)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_fifty_steps_at_224_px_stay_under_350_mb():
    """The process's own peak. getrusage would not do: a child begins with its parent's peak."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 350e6
