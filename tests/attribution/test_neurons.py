"""Neuron attributions equal those of Captum."""

import captum.attr as ca
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets

from npgrad.attribution import neuron_references as more
from npgrad.attribution import neurons as own
from npgrad.attribution.gradient_shap import draw
from npgrad.attribution.gradients import guided_backprop
from npgrad.attribution.integrated_gradients import integrated_gradients
from npgrad.attribution.layers import every_layer
from npgrad.errors import InputError, NpgradError, UnknownName

PAIRS = {pair.name: pair for pair in pairs()}
STEPS = {"n_steps": 5}
RULE = {**STEPS, "method": "gausslegendre"}

# our function, Captum's class, our options and Captum's, and how near: Captum rounds its weights to float32
METHODS = {
    "gradient": (own.neuron_gradient, ca.NeuronGradient, {}, {}, 1e-10),
    "deconvolution": (more.neuron_deconvolution, ca.NeuronDeconvolution, {}, {}, 1e-10),
    "guided": (own.neuron_guided_backprop, ca.NeuronGuidedBackprop, {}, {}, 1e-10),
    "integrated": (own.neuron_integrated_gradients, ca.NeuronIntegratedGradients, STEPS, STEPS, 1e-7),
    "conductance": (own.neuron_conductance, ca.NeuronConductance, STEPS, RULE, 1e-7),
}
PLACES = {
    "convolutions": {"conv1": (2, 3, 4), "relu2": (7, 1, 5), "conv3": (4, 0, 2)},
    "max pools": {"pool1": (5, 0, 4), "fc3": 3},
    "overlapping pools": {"pool1": (1, 5, 0), "conv2": (7, 2, 3), "pool2": (6, 0, 1)},
    "average pools": {"pool1": (3, 2, 2), "relu3": 7, "fc4": (1,)},
    "fires": {"fire2": (10, 1, 2), "fire3.squeeze_relu": (0, 4, 4), "fire4.expand3x3": (3, 1, 0)},
    "linears": {"fc1": 19, "relu2": 4},
}
PATHS = ("integrated", "conductance")


def captum(pair, captums, layer, neuron, **options):
    if captums is ca.NeuronConductance:
        options["target"] = torch.tensor(TARGETS)
    if "baseline" in options:
        options["baselines"] = torch.tensor(np.broadcast_to(options.pop("baseline"), pair.x.shape).copy())
    explainer = captums(pair.net, pair.layer(layer))
    return (
        explainer.attribute(pair.tensor().requires_grad_(), neuron_selector=neuron, **options)
        .detach()
        .numpy()
    )


@pytest.mark.sampled(6)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")  # Captum's own
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("net", PAIRS)
def test_neurons_of_random_networks_are_as_in_captum(net, name):
    function, method, options, captums, rtol = METHODS[name]
    pair, alive = PAIRS[net], 0
    for layer, neuron in PLACES[net].items():
        expected = captum(pair, method, layer, neuron, **captums)
        found = function(pair.model, pair.x, TARGETS, layer=layer, neuron=neuron, **options)
        checks.assert_close(found, expected, rtol, layer)
        alive += expected.any()
    assert alive


@pytest.mark.sampled(1)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
@pytest.mark.parametrize("name", METHODS)
def test_a_neuron_of_squeezenet_is_as_in_captum(name):
    function, method, options, captums, rtol = METHODS[name]
    for pair in squeezenets(33):
        layer = "fire4.expand3x3"
        gradient = every_layer(pair.model, pair.x, TARGETS)[layer].gradient[0]
        neuron = tuple(
            map(int, np.unravel_index(np.abs(gradient).argmax(), gradient.shape))
        )  # one that counts
        expected = captum(pair, method, layer, neuron, **captums)
        found = function(pair.model, pair.x, TARGETS, layer=layer, neuron=neuron, **options)
        assert expected.any()
        checks.assert_close(found, expected, rtol, pair.name)


@pytest.mark.parametrize("name", PATHS)
def test_a_baseline_and_another_rule_are_captums(name):
    function, method, _, _, rtol = METHODS[name]
    pair = PAIRS["fires"]
    options = {"n_steps": 4, "method": "riemann_left"}
    options["baseline"] = np.random.default_rng(1).normal(size=(3, 1, 1))
    expected = captum(pair, method, "fire3", (1, 2, 2), **options)
    found = function(pair.model, pair.x, TARGETS, layer="fire3", neuron=(1, 2, 2), **options)
    checks.assert_close(found, expected, rtol)


@pytest.mark.parametrize("name", PATHS)
def test_the_batch_size_changes_rounding_alone(name):
    function = METHODS[name][0]
    for net, layer, neuron in ("fires", "fire3", (1, 2, 2)), ("average pools", "relu3", 7):
        pair = PAIRS[net]
        options = {"layer": layer, "neuron": neuron, "n_steps": 5}
        alone = [function(pair.model, pair.x[[i]], TARGETS[i], **options, batch_size=1)[0] for i in range(3)]
        for batch_size in 1, 4, 100, None:
            found = function(pair.model, pair.x, TARGETS, **options, batch_size=batch_size)
            checks.assert_rounding(found, alone, checks.additions_in(pair.model))


@pytest.mark.parametrize("name", PATHS)
def test_progress_counts_every_copy(name):
    pair, calls = PAIRS["fires"], []
    METHODS[name][0](
        pair.model,
        pair.x,
        neuron=(0, 0, 0),
        n_steps=4,
        batch_size=5,
        progress=lambda *call: calls.append(call),
    )
    assert calls == [(5, 12), (10, 12), (12, 12)]


def test_a_neuron_of_the_output_is_its_class():
    pair = PAIRS["average pools"]
    found = own.neuron_guided_backprop(pair.model, pair.x, layer="fc4", neuron=2)
    checks.assert_close(found, guided_backprop(pair.model, pair.x, 2), 1e-14)
    found = own.neuron_integrated_gradients(pair.model, pair.x, layer="fc4", neuron=2, n_steps=6)
    expected = integrated_gradients(pair.model, pair.x, 2, n_steps=6)
    checks.assert_close(found, expected, 1e-14)
    # of the score's own neuron, d score / d neuron is 1 for its class and 0 for another
    checks.assert_close(
        own.neuron_conductance(pair.model, pair.x, 2, layer="fc4", neuron=2, n_steps=6), expected, 1e-14
    )
    assert not own.neuron_conductance(pair.model, pair.x, 1, layer="fc4", neuron=2, n_steps=6).any()


def test_conductances_of_all_neurons_of_a_layer_sum_to_integrated_gradients():
    pair = PAIRS["average pools"]
    parts = [
        own.neuron_conductance(pair.model, pair.x, TARGETS, layer="relu3", neuron=k, n_steps=6)
        for k in range(12)
    ]
    checks.assert_close(sum(parts), integrated_gradients(pair.model, pair.x, TARGETS, n_steps=6), 1e-12)


def test_a_neuron_that_is_shut_off_has_gradient_0():
    pair = PAIRS["linears"]
    y = pair.model.forward(pair.x)["relu1"]
    shut = int(np.flatnonzero((y == 0).all(axis=0))[0])
    assert not own.neuron_gradient(pair.model, pair.x, layer="relu1", neuron=shut).any()
    assert not own.neuron_guided_backprop(pair.model, pair.x, layer="relu1", neuron=shut).any()


@pytest.mark.parametrize("name", METHODS)
def test_the_model_and_the_image_stay_as_they_were_and_float32_stays_float32(name):
    function, pair = METHODS[name][0], PAIRS["fires"]
    model, x = pair.model.astype(np.float32), pair.x.astype(np.float32)
    kept, before = x.copy(), model(x)
    found = function(model, x, TARGETS, neuron=(np.int64(1), 2, 1))  # of fire4, the last fire
    assert found.dtype == np.float32
    assert np.array_equal(found, function(model, x, TARGETS, layer="fire4", neuron=[1, 2, 1]))
    assert np.array_equal(x, kept)
    assert np.array_equal(model(x), before)


def test_a_dead_class_has_no_conductance_and_one_warning():
    pair = PAIRS["fires"]
    bias = pair.model.parameters()["conv5.bias"].copy()
    bias[1] = -1000
    model = pair.model.with_parameters({"conv5.bias": bias})
    with pytest.warns(UserWarning, match="score of class 1, .* is exactly 0") as caught:
        found = own.neuron_conductance(model, pair.x, 1, neuron=(1, 2, 1), n_steps=3)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert found.shape == pair.x.shape and not found.any()


WRONG = {
    "channel": ({"neuron": (14, 0, 0)}, InputError, r"fire4.*0 to 13, 0 to 3, 0 to 2.*\(14, 0, 0\)"),
    "row": ({"neuron": (0, 4, 0)}, InputError, "0 to 13, 0 to 3, 0 to 2"),
    "negative": ({"neuron": (0, 0, -1)}, InputError, "0 to 2"),
    "too few": ({"neuron": (3, 1)}, InputError, r"3 whole numbers.*\(3, 1\)"),
    "one number": ({"neuron": 3}, InputError, "3 whole numbers.*found 3"),
    "three": ({"neuron": (1, 1, 1), "layer": "pool5"}, InputError, r"1 whole numbers \(0 to 4\)"),
    "float": ({"neuron": (1.0, 0, 0)}, InputError, "whole numbers"),
    "bool": ({"neuron": (True, 0, 0)}, InputError, "whole numbers"),
    "layer": ({"neuron": (1, 0, 0), "layer": "fier4"}, UnknownName, "'fier4'; nearest: fire4"),
}
WRONG_PATHS = {
    "steps": ({"neuron": (1, 0, 0), "n_steps": 0}, InputError, "n_steps.*0"),
    "rule": ({"neuron": (1, 0, 0), "method": "simpson"}, NpgradError, "'simpson'"),
    "batch": ({"neuron": (1, 0, 0), "batch_size": 0}, InputError, "batch_size.*0"),
    "baseline": ({"neuron": (1, 0, 0), "baseline": "black"}, InputError, "baseline"),
}


@pytest.mark.parametrize(("options", "kind", "says"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", METHODS)
def test_wrong_arguments_are_named(name, options, kind, says):
    with pytest.raises(kind, match=says):
        METHODS[name][0](PAIRS["fires"].model, PAIRS["fires"].x, **options)


@pytest.mark.parametrize(("options", "kind", "says"), WRONG_PATHS.values(), ids=WRONG_PATHS)
@pytest.mark.parametrize("name", PATHS)
def test_wrong_arguments_of_a_path_are_named(name, options, kind, says):
    with pytest.raises(kind, match=says):
        METHODS[name][0](PAIRS["fires"].model, PAIRS["fires"].x, **options)


@pytest.mark.parametrize("net", PAIRS)
def test_deep_lift_of_a_neuron_sums_to_its_difference(net, rng):
    pair = PAIRS[net]
    x0 = rng.normal(scale=0.3, size=pair.x.shape)
    for layer, neuron in PLACES[net].items():
        found = more.neuron_deep_lift(pair.model, pair.x, layer=layer, neuron=neuron, baseline=x0)
        place = (slice(None), *(neuron if isinstance(neuron, tuple) else (neuron,)))
        difference = (pair.model.forward(pair.x)[layer] - pair.model.forward(x0)[layer])[place]
        checks.assert_close(found.reshape(len(x0), -1).sum(axis=1), difference, 1e-9, layer)


@pytest.mark.filterwarnings("ignore:.*Setting forward, backward hooks and attributes on non-linear")
def test_deep_lift_of_a_neuron_is_captums():
    """Where Captum's is right: before max pools that overlap."""
    pair = PAIRS["convolutions"]
    for layer, neuron in PLACES["convolutions"].items():
        explainer = ca.NeuronDeepLift(pair.net, pair.layer(layer))
        expected = (
            explainer.attribute(pair.tensor().requires_grad_(), neuron, 0 * pair.tensor()).detach().numpy()
        )
        found = more.neuron_deep_lift(pair.model, pair.x, layer=layer, neuron=neuron)
        checks.assert_close(found, expected, 1e-8, layer)


def test_gradient_shap_of_a_neuron_is_the_mean_over_its_own_samples(rng):
    pair, layer, neuron = PAIRS["fires"], "fire2", (10, 1, 2)
    baselines = rng.normal(size=(2, *pair.x.shape[1:]))
    options = {"layer": layer, "neuron": neuron, "baseline": baselines, "n_samples": 3, "noise": 0.2}
    found = more.neuron_gradient_shap(pair.model, pair.x, **options, rng=4)
    samples = list(draw(pair.x, baselines, 3, 0.2, np.random.default_rng(4)))
    expected = np.zeros_like(pair.x)
    for k, (noisy, start, a) in enumerate(samples):
        point = (start + a * (noisy - start))[None]
        gradient = own.neuron_gradient(pair.model, point, layer=layer, neuron=neuron)[0]
        expected[k // 3] += (noisy - start) * gradient / 3
    assert expected.any()
    checks.assert_close(found, expected, 1e-10)
    alone = more.neuron_gradient_shap(pair.model, pair.x[1:2], **options, rng=4)
    checks.assert_close(found[1:2], alone, 1e-12)
