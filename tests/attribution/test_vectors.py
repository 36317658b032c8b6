"""Inputs that are no images, (N, C) or (N, C, T): perturbations, Shapley values and measures, against Captum."""

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max as captum_sensitivity
from captum_nets import TARGETS, given
from messages import A_NUMBER

from npgrad import InputError, Model, attribution, evaluation
from npgrad.attribution import shapley_value_sampling, shapley_values
from npgrad.layers import Flatten, Linear, ReLU, Sequential


@pytest.fixture(autouse=True)
def captum_in_double(monkeypatch):
    """Captum adds up Shapley values in torch.float, whatever the inputs are; here in double precision."""
    monkeypatch.setattr(torch, "float", torch.float64)


def vectors(seed=0):
    """A network of vectors with 6 elements, twice, and three of them."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(8, 6)), rng.normal(size=8), rng.normal(size=(4, 8)), rng.normal(size=4)
    model = Model(Sequential({"fc1": Linear(*weights[:2]), "relu": ReLU(), "fc2": Linear(*weights[2:])}))
    w, b, v, c = map(torch.tensor, weights)
    return model, lambda x: torch.relu(x @ w.T + b) @ v.T + c, rng.normal(size=(3, 6))


def test_each_element_of_a_vector_is_a_feature():
    model, net, x = vectors()
    expected = C.ShapleyValues(net).attribute(torch.tensor(x), target=TARGETS)
    checks.assert_close(shapley_values(model, x, TARGETS), expected.numpy(), 1e-8)
    orders = np.random.default_rng(0)
    orders = [orders.permutation(6).tolist() for _ in range(4)]
    method = C.ShapleyValueSampling(net)
    method.permutation_generator = lambda features, samples: orders
    expected = method.attribute(torch.tensor(x), target=TARGETS, n_samples=4)
    found = shapley_value_sampling(model, x, TARGETS, n_samples=4)
    checks.assert_close(found, expected.numpy(), 1e-8)


def test_one_segment_has_the_whole_difference():
    model, _, x = vectors(1)
    for method in (shapley_values, shapley_value_sampling):
        found = method(model, x, 1, np.zeros(6, int), baseline=0.5)
        difference = model(x)[:, 1] - model(np.full_like(x, 0.5))[:, 1]
        checks.assert_close(found, np.repeat(difference[:, None], 6, axis=1), 1e-12)


MODEL, NET, X = vectors()
FLAT = Model(Sequential({"flatten": Flatten(), **MODEL.network.layers}))  # the same of images


@pytest.mark.parametrize(
    ("window", "stride"), [((1,), (1,)), ((3,), (2,)), ((4,), (4,)), ((2,), (1,)), ((6,), (1,))]
)
def test_occlusion_of_vectors_is_captums(window, stride):
    expected = C.Occlusion(NET).attribute(torch.tensor(X), window, stride, baselines=0.5, target=TARGETS)
    for given_window in (window, window[0]):
        found = attribution.occlusion(MODEL, X, TARGETS, given_window, stride, baseline=0.5)
        checks.assert_close(found, expected.numpy(), 1e-7)
    if window == (1,):
        checks.assert_close(attribution.occlusion(MODEL, X, TARGETS, baseline=0.5), found, 1e-14)


def test_occlusion_of_sequences_is_captums():
    """(N, C, T): a window has a number for each axis, or one for both."""
    x = X.reshape(3, 2, 3)
    for window, stride in (((2, 2), (1, 1)), ((1, 3), (1, 1)), ((2, 1), (2, 1))):
        expected = C.Occlusion(lambda x: NET(x.flatten(1))).attribute(
            torch.tensor(x), window, stride, target=TARGETS
        )
        found = attribution.occlusion(FLAT, x, TARGETS, window, stride)
        checks.assert_close(found, expected.numpy(), 1e-7)
    same = attribution.occlusion(FLAT, x, TARGETS, 2, 1)
    checks.assert_close(same, attribution.occlusion(FLAT, x, TARGETS, (2, 2), (1, 1)), 1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (2, 2)}, rf"window: {A_NUMBER}, or a tuple of 1, found \(2, 2\)"),
        ({"window": 7}, r"window: expected at most the image \(6,\), found \(7,\)"),
        ({"window": 2, "stride": 3}, r"stride: expected at most the window \(2,\), found \(3,\)"),
    ],
)
def test_windows_that_do_not_fit_are_named(options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        attribution.occlusion(MODEL, X, TARGETS, **options)


@pytest.mark.parametrize("name", ["lime", "kernel_shap", "feature_ablation", "shapley_value_sampling"])
def test_a_vector_is_an_image_of_pixels(name):
    """Which is compared with Captum elsewhere."""
    method = getattr(attribution, name)
    for mask in (None, np.arange(6) // 2):
        own = method(MODEL, X, TARGETS, mask=mask, baseline=0.2)
        image_mask = np.arange(6) if mask is None else mask
        expected = method(FLAT, X.reshape(3, 1, 1, 6), TARGETS, mask=image_mask, baseline=0.2)
        assert own.any()
        checks.assert_close(own, expected.reshape(3, 6), 1e-12)


def test_lime_of_vectors_is_captums():
    """It fits in float32, and to 1e-4 only."""
    z = np.random.default_rng(0).random((80, 6)) < 0.5
    theirs = C.Lime(NET, perturb_func=given(z))
    expected = theirs.attribute(torch.tensor(X[:1]), target=2, n_samples=80).numpy()
    found = attribution.lime(MODEL, X[:1], 2, n_samples=80, rng=0)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(found).max())


def test_kernel_shap_of_vectors_is_exact():
    checks.assert_close(attribution.kernel_shap(MODEL, X, TARGETS), shapley_values(MODEL, X, TARGETS), 1e-9)


def test_feature_permutation_of_vectors_is_captums(monkeypatch):
    orders = iter([[1, 2, 0], [2, 0, 1], [1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] * 2)
    drawn = {}

    def permutation(n):
        drawn[len(drawn)] = next(orders)
        return np.array(drawn[len(drawn) - 1])

    monkeypatch.setattr("npgrad.attribution.ablation._permutation", lambda n, rng: permutation(n))
    found = attribution.feature_permutation(MODEL, X, TARGETS)
    monkeypatch.setattr(torch, "randperm", lambda n: torch.tensor(permutation(n)))
    expected = C.FeaturePermutation(NET).attribute(torch.tensor(X), target=TARGETS)
    checks.assert_close(found, expected.numpy(), 1e-8)


def in_turn(perturbations):
    waiting = iter(perturbations)
    return lambda x, rng: next(waiting)


@pytest.mark.parametrize("normalize", [False, True])
def test_infidelity_of_vectors_is_captums(normalize, rng):
    values = rng.normal(size=X.shape)
    noise = rng.normal(scale=0.2, size=(10, *X.shape))
    per_sample = torch.tensor(noise.swapaxes(0, 1).reshape(-1, 6))
    expected = captum_infidelity(
        NET, lambda x: (per_sample, x - per_sample), torch.tensor(X), torch.tensor(values),
        target=TARGETS, normalize=normalize,
    )  # fmt: skip
    found = evaluation.infidelity(
        MODEL, X, values, TARGETS, normalize=normalize, noise=in_turn(noise.reshape(-1, 6))
    )
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-8)


def test_sensitivity_of_vectors_is_captums(rng):
    moves = rng.uniform(-0.3, 0.3, size=(10, *X.shape))
    per_sample = torch.tensor(moves.swapaxes(0, 1).reshape(-1, 6))

    def explain(x, target):
        if isinstance(x, tuple):
            return (explain(x[0], target),)
        return C.InputXGradient(NET).attribute(x.detach().requires_grad_(), target)

    expected = captum_sensitivity(explain, torch.tensor(X), lambda x: x + per_sample, target=TARGETS)
    found = evaluation.sensitivity_max(
        attribution.input_x_gradient, MODEL, X, TARGETS, radius=in_turn(moves.reshape(-1, 1, 6))
    )
    assert found.max() > 0.001
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-8, atol=1e-14)


def test_curves_of_vectors_are_those_of_images_of_pixels():
    values = attribution.input_x_gradient(MODEL, X, TARGETS)
    images = X.reshape(3, 1, 1, 6), values.reshape(3, 1, 1, 6)
    for measure in (evaluation.deletion_auc, evaluation.insertion_auc):
        found = measure(MODEL, X, values, TARGETS, n_steps=6, baseline=0.1)
        np.testing.assert_allclose(
            found, measure(FLAT, *images, TARGETS, n_steps=6, baseline=0.1), rtol=1e-12
        )
    with pytest.raises(InputError, match=f"baseline: {A_NUMBER} or an array for inputs of shape"):
        evaluation.insertion_auc(MODEL, X, values, TARGETS)
    with pytest.raises(InputError, match=r"attribution: expected the input's shape \(3, 6\), found \(3, 5\)"):
        evaluation.deletion_auc(MODEL, X, values[:, :5], TARGETS)


def test_full_grad_needs_images():
    with pytest.raises(InputError, match=r"full_grad: expected images \(N, C, H, W\), found shape \(3, 6\)"):
        attribution.full_grad(MODEL, X, TARGETS)
