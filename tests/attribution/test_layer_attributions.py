"""Layer attributions equal those of Captum, for all layers of random networks and some of SqueezeNet's."""

import captum.attr as ca
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets

import npgrad
from npgrad import attribution as own
from npgrad.attribution._quadrature import quadrature
from npgrad.attribution._surgery import onward
from npgrad.attribution.grad_cam import grad_cam
from npgrad.attribution.integrated_gradients import integrated_gradients
from npgrad.errors import InputError, NpgradError, UnknownName
from npgrad.layers import Add, Composite, Conv2d, GlobalAvgPool2d, ReLU, Sequential

PAIRS = {pair.name: pair for pair in pairs()}
SQUEEZENETS = {pair.name: pair for pair in squeezenets(33)}
SQUEEZENET_LAYERS = ("conv1", "fire5.squeeze", "fire9")
STEPS = {"n_steps": 3}

# our function, Captum's class, the options of both, and how near: Captum rounds its weights to float32
METHODS = {
    "activation": (own.layer_activation, ca.LayerActivation, {}, 1e-10),
    "gradient x activation": (own.layer_gradient_x_activation, ca.LayerGradientXActivation, {}, 1e-10),
    "integrated": (own.layer_integrated_gradients, ca.LayerIntegratedGradients, STEPS, 1e-7),
    "conductance": (own.layer_conductance, ca.LayerConductance, STEPS, 1e-8),
    "influence": (own.internal_influence, ca.InternalInfluence, STEPS, 1e-7),
}


def captum(pair, captums, layer, baseline=None, **options):
    """What Captum gives for a layer, on the same network."""
    if captums is not ca.LayerActivation:
        options["target"] = torch.tensor(TARGETS)
    if baseline is not None:
        options["baselines"] = torch.tensor(np.broadcast_to(baseline, pair.x.shape).copy())
    return captums(pair.net, pair.layer(layer)).attribute(pair.tensor(), **options).detach().numpy()


def layers_of(pair):
    """All of a plain network, every second of the many inside fires; flattening is no module in torch."""
    names = [name for name in pair.model.layer_names() if name != "flatten"]
    return names[:: 2 if pair.name == "fires" else 1]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("net", PAIRS)
def test_every_layer_of_a_random_network_is_as_in_captum(net, name):
    function, method, options, rtol = METHODS[name]
    pair = PAIRS[net]
    if options:  # at 0 a layer is flat, whole pooling windows tie, and the last bit decides who wins
        options = {**options, "baseline": np.random.default_rng(3).normal(scale=0.1, size=pair.x.shape)}
    for layer in layers_of(pair):
        expected = captum(pair, method, layer, **options)
        found = function(pair.model, pair.x, TARGETS, layer=layer, **options)
        checks.assert_close(found.reshape(expected.shape), expected, rtol, layer)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("net", SQUEEZENETS)
def test_layers_of_squeezenet_are_as_in_captum(net, name):
    function, method, options, rtol = METHODS[name]
    pair = SQUEEZENETS[net]
    for layer in SQUEEZENET_LAYERS:
        expected = captum(pair, method, layer, **options)
        checks.assert_close(
            function(pair.model, pair.x, TARGETS, layer=layer, **options), expected, rtol, layer
        )


@pytest.mark.parametrize(
    "baseline", [0.3, np.random.default_rng(3).normal(size=(1, 3, 33, 29))], ids=["number", "array"]
)
@pytest.mark.parametrize("name", ["integrated", "conductance", "influence"])
def test_a_baseline_is_captums(name, baseline):
    function, method, options, rtol = METHODS[name]
    pair = PAIRS["fires"]
    for layer in "fire3.expand1x1", "pool3":
        expected = captum(pair, method, layer, baseline=baseline, **options)
        found = function(pair.model, pair.x, TARGETS, layer=layer, baseline=baseline, **options)
        checks.assert_close(found, expected, rtol, layer)


@pytest.mark.parametrize("name", ["integrated", "influence"])
def test_another_integration_rule_is_captums(name):
    function, method, _, rtol = METHODS[name]
    pair, options = PAIRS["fires"], {"n_steps": 5, "method": "riemann_middle"}
    expected = captum(pair, method, "fire2", **options)
    checks.assert_close(function(pair.model, pair.x, TARGETS, layer="fire2", **options), expected, rtol)


def test_the_default_layer_is_the_last_fire_or_the_last_with_a_spatial_size():
    for net, layer in ("fires", "fire4"), ("max pools", "relu2"):
        model, x = PAIRS[net].model, PAIRS[net].x
        for function, _, options, _ in METHODS.values():
            expected = function(model, x, TARGETS, layer=layer, **options)
            assert np.array_equal(function(model, x, TARGETS, **options), expected)


def test_integrated_gradients_of_a_layer_sum_to_what_the_score_gained():
    pair = PAIRS["fires"]
    gained = pair.model(pair.x) - pair.model(np.zeros_like(pair.x))
    gained = gained[np.arange(3), TARGETS]
    # at the last convolutions only a ReLU and a mean are left, and with the ReLU open all of it is linear
    found = own.layer_integrated_gradients(pair.model, pair.x, TARGETS, layer="relu5", n_steps=3)
    checks.assert_close(found.sum(axis=(1, 2, 3)), gained, 1e-12)
    found = own.layer_integrated_gradients(pair.model, pair.x, TARGETS, layer="fire4", n_steps=200)
    checks.assert_close(found.sum(axis=(1, 2, 3)), gained, 1e-2)


def test_a_layer_of_input_is_integrated_gradients_itself():
    pair = PAIRS["convolutions"]
    expected = integrated_gradients(pair.model, pair.x, TARGETS, n_steps=7)
    found = own.layer_integrated_gradients(pair.model, pair.x, TARGETS, layer="input", n_steps=7)
    checks.assert_close(found, expected, 1e-12)
    nodes, weights = quadrature("gausslegendre", 7)
    found = own.internal_influence(pair.model, pair.x, TARGETS, layer="input", n_steps=7) * pair.x
    checks.assert_close(found, expected, 1e-12)


@pytest.mark.parametrize("name", ["integrated", "conductance", "influence"])
@pytest.mark.parametrize("net", ["fires", "average pools"])
def test_the_batch_size_changes_rounding_alone(net, name):
    function, pair = METHODS[name][0], PAIRS[net]
    alone = [
        function(pair.model, pair.x[[i]], TARGETS[i], layer="pool1", n_steps=5, batch_size=1)[0]
        for i in range(3)
    ]
    for batch_size in 1, 4, 100, None:
        found = function(pair.model, pair.x, TARGETS, layer="pool1", n_steps=5, batch_size=batch_size)
        checks.assert_rounding(found, alone, checks.additions_in(pair.model))


@pytest.mark.parametrize("name", ["integrated", "conductance", "influence"])
def test_progress_counts_every_copy(name):
    pair, calls = PAIRS["fires"], []
    METHODS[name][0](
        pair.model, pair.x, n_steps=4, batch_size=2, progress=lambda done, total: calls.append((done, total))
    )
    copies = 3 * (5 if name == "conductance" else 4)
    assert [total for _, total in calls] == [copies] * len(calls)
    assert calls[-1][0] == copies
    done = [done for done, _ in calls]
    assert done == sorted(set(done))


@pytest.mark.parametrize("name", METHODS)
def test_the_model_and_the_image_stay_as_they_were_and_float32_stays_float32(name):
    function, _, options, rtol = METHODS[name]
    pair = PAIRS["fires"]
    model, x = pair.model.astype(np.float32), pair.x.astype(np.float32)
    kept, before = x.copy(), model(x)
    parameters = {key: array.copy() for key, array in model.parameters().items()}
    found = function(model, x, TARGETS, layer="fire2", **options)
    assert found.dtype == np.float32
    assert np.array_equal(found, function(model, x, TARGETS, layer="fire2", **options))
    assert np.array_equal(x, kept)
    assert np.array_equal(model(x), before)
    assert checks.same_bits(dict(model.parameters()), parameters)
    in_float64 = function(pair.model, pair.x, TARGETS, layer="fire2", **options)
    cosine = (found * in_float64).sum() / np.linalg.norm(found) / np.linalg.norm(in_float64)
    assert 1 - cosine < 1e-4


def test_an_activation_is_never_the_callers_own_array():
    pair = PAIRS["fires"]
    x = pair.x.copy()
    own.layer_activation(pair.model, x, layer="input")[:] = 7
    assert np.array_equal(x, pair.x)


@pytest.mark.parametrize("net", ["fires", "linears"])
def test_every_layer_at_once_is_each_layer_alone(net):
    pair = PAIRS[net]
    views = own.every_layer(pair.model, pair.x, TARGETS)
    assert list(views) == pair.model.layer_names()
    for name, (activation, gradient, cam) in views.items():
        assert np.array_equal(activation, own.layer_activation(pair.model, pair.x, layer=name))
        product = own.layer_gradient_x_activation(pair.model, pair.x, TARGETS, layer=name)
        assert np.array_equal(activation * gradient, product)
        if activation.ndim == 4:
            assert np.array_equal(cam, grad_cam(pair.model, pair.x, TARGETS, layer=name))
        else:
            assert cam is None


def test_every_layer_takes_one_forward_and_one_backward(monkeypatch):
    pair, calls = PAIRS["fires"], {"forward": 0, "backward": 0}
    for direction in calls:
        plain = getattr(Conv2d, direction)

        def counted(layer, *args, direction=direction, plain=plain):
            calls[direction] += 1
            return plain(layer, *args)

        monkeypatch.setattr(Conv2d, direction, counted)
    own.every_layer(pair.model, pair.x)
    # below conv1 nothing is asked for, so of its 11 convolutions 10 have a backward
    assert calls == {"forward": 11, "backward": 10}


def test_going_on_from_a_layer_runs_nothing_below_it(monkeypatch):
    pair, run = PAIRS["fires"], []
    plain = Conv2d.forward
    monkeypatch.setattr(Conv2d, "forward", lambda layer, x: (run.append(layer), plain(layer, x))[1])
    tape = pair.model.forward(pair.x[:1], upto="fire3.expand1x1")
    run.clear()
    y = np.repeat(tape["fire3.expand1x1"], 2, axis=0)
    above = onward(pair.model, tape, "fire3.expand1x1", y)
    fires = [pair.model.layer(name) for name in ("fire3", "fire4")]
    expected = [fires[0].expand3x3, fires[1].squeeze, fires[1].expand1x1, fires[1].expand3x3]
    assert [id(layer) for layer in run] == [id(layer) for layer in (*expected, pair.model.layer("conv5"))]
    checks.assert_close(above.output, np.repeat(pair.model(pair.x[:1]), 2, axis=0), 1e-13)


class Residual(Composite):
    """y = relu(conv(x)) + x: what goes past the convolution is what it was."""

    def __init__(self, conv):
        self.conv = conv

    def parts(self):
        return {"conv": self.conv, "relu": ReLU(), "add": Add()}

    def forward(self, x, tape=None):
        y = tape.run("relu", ReLU(), tape.run("conv", self.conv, x))
        return tape.run("add", Add(), (y, x)), tape

    def backward(self, dy, tape):
        dy, past = tape.back("add", dy, inputs=2)
        dx = tape.back("conv", tape.back("relu", dy))
        return past if dx is None else dx if past is None else dx + past


def test_going_on_inside_a_residual_block_keeps_the_other_branch():
    conv = Conv2d.init(3, 3, 3, padding=1, rng=2).map_arrays(lambda name, array: array.astype(np.float64))
    model = npgrad.Model(Sequential({"block": Residual(conv), "mean": GlobalAvgPool2d()}))
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6))
    found = own.layer_integrated_gradients(model, x, [0, 2], layer="block.conv", n_steps=300)
    # the score is mean(relu(conv)) + mean(x), and only the first part comes from the convolution
    y = np.maximum(conv(x), 0).mean(axis=(2, 3))
    checks.assert_close(found.sum(axis=(1, 2, 3)), [y[0, 0], y[1, 2]], 1e-12)


def test_a_dead_class_gives_zeros_and_one_warning():
    pair = PAIRS["fires"]
    bias = pair.model.parameters()["conv5.bias"].copy()
    bias[1] = -1000
    model = pair.model.with_parameters({"conv5.bias": bias})
    for name, (function, _, options, _) in METHODS.items():
        if name == "activation":
            continue
        with pytest.warns(UserWarning, match="score of class 1, .* is exactly 0") as caught:
            found = function(model, pair.x, 1, layer="fire2", **options)
        assert len(caught) == 1 and caught[0].filename == __file__
        assert found.shape == (3, 11, 8, 7) and not found.any()
    with pytest.warns(UserWarning, match="score of class 1, .* is exactly 0") as caught:
        views = own.every_layer(model, pair.x, 1)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert not any(view.gradient.any() for name, view in views.items() if name[:4] in ("conv", "fire"))


WRONG = {
    "layer": (own.layer_conductance, {"layer": "fier2"}, UnknownName, "no layer 'fier2'; nearest: fire2"),
    "activation": (own.layer_activation, {"layer": "fier2"}, UnknownName, "nearest: fire2"),
    "steps": (own.layer_conductance, {"n_steps": 0}, InputError, "n_steps.*>= 1.*0"),
    "no steps": (own.internal_influence, {"n_steps": 2.5}, InputError, "n_steps.*2.5"),
    "integrated": (own.layer_integrated_gradients, {"n_steps": -1}, InputError, "n_steps.*-1"),
    "method": (
        own.layer_integrated_gradients,
        {"method": "simpson"},
        NpgradError,
        "'simpson'.*gausslegendre",
    ),
    "batch": (own.layer_conductance, {"batch_size": 0}, InputError, "batch_size"),
    "baseline": (own.internal_influence, {"baseline": np.zeros(7)}, InputError, r"baseline.*\(7,\)"),
    "target": (own.layer_gradient_x_activation, {"target": 5}, IndexError, "0 to 4"),
}


@pytest.mark.parametrize(("function", "options", "kind", "says"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_named(function, options, kind, says):
    with pytest.raises(kind, match=says):
        function(PAIRS["fires"].model, PAIRS["fires"].x, **options)
