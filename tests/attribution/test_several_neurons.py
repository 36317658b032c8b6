"""Several neurons, functions of a layer's output, and ablation of a neuron: as Captum's, in float64."""

import itertools

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets

from npgrad import attribution
from npgrad.errors import InputError

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}
X0 = {name: np.random.default_rng(2).normal(scale=0.3, size=pair.x.shape) for name, pair in PAIRS.items()}
ALL = slice(None)
PLACES = {  # network: (layer, neurons)
    "convolutions": ("relu2", (slice(1, 4), slice(None, None, 2), 3)),
    "max pools": ("pool1", (2, ALL, slice(-2, None))),
    "average pools": ("relu3", slice(2, 9)),
    "fires": ("fire3", (ALL, 1, 2)),
    "squeezenet1_1": ("fire4.expand3x3", (ALL, slice(0, 1), slice(0, 2))),
}
pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations"),  # Captum's own
    pytest.mark.filterwarnings("ignore:.*Setting forward, backward hooks and attributes on non-linear"),
]
STEPS = ({"n_steps": 5}, {"n_steps": 5})
# our options and Captum's class and options
METHODS = {
    "neuron_gradient": (C.NeuronGradient, {}, {}),
    "neuron_deconvolution": (C.NeuronDeconvolution, {}, {}),
    "neuron_guided_backprop": (C.NeuronGuidedBackprop, {}, {}),
    "neuron_integrated_gradients": (C.NeuronIntegratedGradients, *STEPS),
    "neuron_feature_ablation": (C.NeuronFeatureAblation, {}, {}),
    "neuron_deep_lift": (C.NeuronDeepLift, {}, {}),
}


def weighted(y):
    """(value, gradient): a quadratic function of all elements, with weights of its own for each."""
    w = np.cos(np.arange(y[0].size)).reshape(y.shape[1:])
    axes = tuple(range(1, y.ndim))
    return (w * y**2 / 2 + y).sum(axis=axes), w * y + 1


def weighted_in_torch(y):
    w = torch.cos(torch.arange(y[0].numel(), dtype=torch.float64)).reshape(y.shape[1:])
    return (w * y**2 / 2 + y).flatten(1).sum(1)


def mask_of(x):
    return np.add.outer(np.arange(x.shape[2]) // 5 * 7, np.arange(x.shape[3]) // 6)


def both(method, name, neuron, theirs):
    """(ours, Captum's) for a neuron."""
    captums, options, captum_options = METHODS[method]
    pair, layer = PAIRS[name], PLACES[name][0]
    options, captum_options = dict(options), dict(captum_options)
    if method in ("neuron_integrated_gradients", "neuron_feature_ablation", "neuron_deep_lift"):
        options["baseline"], captum_options["baselines"] = X0[name], torch.tensor(X0[name])
    if method == "neuron_feature_ablation":
        options["mask"] = mask_of(pair.x)
        captum_options["feature_mask"] = torch.tensor(
            np.broadcast_to(mask_of(pair.x), pair.x[:1].shape).copy()
        )
    x = pair.tensor().requires_grad_()
    explainer = captums(pair.net, pair.layer(layer))
    expected = explainer.attribute(x, neuron_selector=theirs, **captum_options).detach().numpy()
    found = getattr(attribution, method)(pair.model, pair.x, layer=layer, neuron=neuron, **options)
    return found, expected


NO_MAX_POOLS = ("convolutions", "average pools")  # where Captum's DeepLIFT is right


@pytest.mark.sampled(10)
@pytest.mark.parametrize(
    ("name", "method"),
    [
        (name, method)
        for name in PLACES
        for method in METHODS
        if method != "neuron_deep_lift" or name in NO_MAX_POOLS
    ],
)
def test_slices_are_captums(name, method):
    neuron = PLACES[name][1]
    found, expected = both(method, name, neuron, neuron if isinstance(neuron, tuple) else (neuron,))
    assert expected.any()
    checks.assert_close(found, expected, 1e-7 if method == "neuron_integrated_gradients" else 1e-8)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("method", [name for name in METHODS if name != "neuron_deep_lift"])
@pytest.mark.parametrize("name", PLACES)
def test_functions_are_captums(name, method):
    found, expected = both(method, name, weighted, weighted_in_torch)
    assert expected.any()
    checks.assert_close(found, expected, 1e-7 if method == "neuron_integrated_gradients" else 1e-8)


@pytest.mark.parametrize("name", ["convolutions", "fires"])
def test_deep_lift_of_several_neurons_sums_to_their_difference(name):
    pair, (layer, neuron) = PAIRS[name], PLACES[name]
    found = attribution.neuron_deep_lift(pair.model, pair.x, layer=layer, neuron=neuron, baseline=X0[name])
    values = [
        pair.model.forward(x)[layer][(ALL, *neuron)].reshape(3, -1).sum(axis=1) for x in (pair.x, X0[name])
    ]
    checks.assert_close(found.reshape(3, -1).sum(axis=1), values[0] - values[1], 1e-9)


def test_conductance_of_several_is_the_sum_of_captums():
    """Captum's own of several neurons is a product of two sums, which is another thing."""
    pair, (layer, neuron) = PAIRS["fires"], ("fire3", (slice(2, 5), 1, slice(0, 2)))
    explainer = C.NeuronConductance(pair.net, pair.layer(layer))
    options = {"target": torch.tensor(TARGETS), "n_steps": 5, "method": "gausslegendre"}
    each = [
        explainer.attribute(pair.tensor().requires_grad_(), one, **options).detach().numpy()
        for one in itertools.product((2, 3, 4), (1,), (0, 1))
    ]
    found = attribution.neuron_conductance(pair.model, pair.x, TARGETS, layer=layer, neuron=neuron, n_steps=5)
    assert found.any()
    checks.assert_close(found, sum(each), 1e-7)


def test_a_function_that_selects_is_the_index():
    pair, layer = PAIRS["fires"], "fire3"

    def one(y):
        dy = np.zeros_like(y)
        dy[:, 3, 1, 2] = 1
        return y[:, 3, 1, 2], dy

    for name in ("neuron_gradient", "neuron_conductance", "neuron_deep_lift", "neuron_gradient_shap"):
        method, options = getattr(attribution, name), {"layer": layer}
        found = method(pair.model, pair.x, TARGETS, neuron=one, **options)
        expected = method(pair.model, pair.x, TARGETS, neuron=(3, 1, 2), **options)
        checks.assert_close(found, expected, 1e-14, name)
        several = method(pair.model, pair.x, TARGETS, neuron=(slice(3, 4), 1, [2][0]), **options)
        checks.assert_close(several, expected, 1e-14, name)


def test_the_ablation_of_the_score_is_that_of_its_neuron():
    pair = PAIRS["average pools"]
    options = {"mask": mask_of(pair.x), "baseline": 0.25}
    found = attribution.neuron_feature_ablation(
        pair.model, pair.x, layer="fc4", neuron=2, batch_size=3, **options
    )
    checks.assert_close(found, attribution.feature_ablation(pair.model, pair.x, 2, **options), 1e-10)


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        ((slice(20, 30), 0, 0), r"neuron: fire4 expects 3 whole numbers .* or slices, found \(slice\(20, 30"),
        ((slice(0, 2, 0), 0, 0), "neuron: fire4 expects 3 whole"),
        ((slice("a", 2), 0, 0), "neuron: fire4 expects 3 whole"),
        (slice(0, 2), "neuron: fire4 expects 3 whole"),
        (lambda y: y.sum(), r"neuron: expected a function .*; it failed"),
        (lambda y: (y.sum(), y), r"neuron: expected a function that returns a value .* found \(\)"),
        (lambda y: (y[:, 0, 0, 0] * np.nan, y), "neuron: expected a function with finite values"),
    ],
)
@pytest.mark.parametrize("method", ["neuron_gradient", "neuron_conductance", "neuron_feature_ablation"])
def test_wrong_neurons_are_named(method, neuron, message):
    pair = PAIRS["fires"]
    with pytest.raises(InputError, match=f"^{message}"):
        getattr(attribution, method)(pair.model, pair.x, TARGETS, neuron=neuron)
