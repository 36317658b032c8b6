"""Several layers at once: the map of each is what it is by itself, as in Captum, from the passes of one."""

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets

from npgrad import InputError, Model, UnknownName, attribution
from npgrad.models import squeezenet1_1

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}
LAYERS = {
    "convolutions": ["relu2", "conv1", "conv3"],
    "average pools": ["pool2", "relu3", "conv1"],
    "fires": ("fire3.squeeze_relu", "fire2", "fire4.expand3x3"),
    "squeezenet1_1": ["fire9", "fire2.squeeze", "conv1"],
}
OPTIONS = {
    "layer_activation": {},
    "layer_gradient_x_activation": {},
    "layer_integrated_gradients": {"n_steps": 4},
    "layer_conductance": {"n_steps": 4},
    "internal_influence": {"n_steps": 4},
    "layer_deep_lift": {},
    "layer_gradient_shap": {"n_samples": 3, "noise": 0.1},
    "layer_deep_lift_shap": {},
    "layer_lrp": {},
}
ONE_PASS = ("layer_activation", "layer_gradient_x_activation", "layer_deep_lift", "layer_lrp")


@pytest.mark.sampled(12)
@pytest.mark.parametrize("net", LAYERS)
@pytest.mark.parametrize("name", OPTIONS)
def test_each_map_is_that_of_its_layer_alone(name, net):
    pair, layers = PAIRS[net], LAYERS[net]
    method, options = getattr(attribution, name), OPTIONS[name]
    found = method(pair.model, pair.x, TARGETS, layer=layers, **options)
    assert list(found) == list(layers)
    for layer in layers:
        expected = method(pair.model, pair.x, TARGETS, layer=layer, **options)
        assert expected.any()
        checks.assert_close(found[layer], expected, 1e-12, layer)
    [only] = method(pair.model, pair.x, TARGETS, layer=[layers[0]], **options).values()
    checks.assert_close(only, found[layers[0]], 1e-12)


@pytest.mark.parametrize(
    ("name", "captums"),
    [
        ("layer_activation", C.LayerActivation),
        ("layer_gradient_x_activation", C.LayerGradientXActivation),
    ],
)
def test_several_layers_are_captums(name, captums):
    pair, layers = PAIRS["fires"], LAYERS["fires"]
    method = captums(pair.net, [pair.layer(layer) for layer in layers])
    target = {"target": torch.tensor(TARGETS)} if name != "layer_activation" else {}
    expected = method.attribute(pair.tensor().requires_grad_(), **target)
    found = getattr(attribution, name)(pair.model, pair.x, TARGETS, layer=layers)
    for own, theirs in zip(found.values(), expected, strict=True):
        checks.assert_close(own, theirs.detach().numpy(), 1e-10)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "layer_integrated_gradients"])
def test_they_share_all_passes(name, monkeypatch):
    """A list of layers takes no more passes than one of them; layer_activation runs to the end."""
    pair, layers, calls = PAIRS["fires"], LAYERS["fires"], []
    forward = Model.forward

    def counted(self, x, *args, **options):
        calls.append(len(x))
        return forward(self, x, *args, **options)

    monkeypatch.setattr(Model, "forward", counted)
    method = getattr(attribution, name)
    method(pair.model, pair.x, TARGETS, layer=layers[0], **OPTIONS[name])
    of_one, calls[:] = list(calls), []
    method(pair.model, pair.x, TARGETS, layer=layers, **OPTIONS[name])
    assert calls == of_one


def test_aliases_and_questions():
    """A layer is named in the result as it was asked for."""
    model = squeezenet1_1(num_classes=5, rng=1)
    x = np.random.default_rng(0).normal(size=(2, 3, 40, 40)).astype(np.float32)
    alias, own = next(iter(model.aliases.items()))
    found = attribution.layer_gradient_x_activation(model, x, "2 - 0", layer=[alias, own, "fire9"])
    assert list(found) == [alias, own, "fire9"]
    np.testing.assert_array_equal(found[alias], found[own])
    at_input = attribution.layer_gradient_x_activation(model, x, [1, 2], layer=["input", "fire9"])["input"]
    np.testing.assert_array_equal(at_input, attribution.input_x_gradient(model, x, [1, 2]))


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_names_are_said(name):
    pair = PAIRS["fires"]
    method = getattr(attribution, name)
    with pytest.raises(InputError, match="^layer: expected at least one name, found none"):
        method(pair.model, pair.x, TARGETS, layer=[], **OPTIONS[name])
    with pytest.raises(UnknownName, match="'fier2'; nearest: fire2"):
        method(pair.model, pair.x, TARGETS, layer=["fire3", "fier2"], **OPTIONS[name])
    with pytest.raises(InputError, match="name"):
        method(pair.model, pair.x, TARGETS, layer=["fire3", 5], **OPTIONS[name])
