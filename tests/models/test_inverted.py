"""MobileNetV3, MNASNet, EfficientNet and EfficientNetV2 against torch's own, converted through a real .pth."""

import backbones
import checks
import numpy as np
import pytest
import torch
import torch_zoo_inverted as zoo
from torch import nn

from npgrad.layers import BatchNorm2d, Conv2d, Dropout, Linear
from npgrad.layers.composite import walk_layers

SMALLEST = ["mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0"]
OTHERS = ["mobilenet_v3_large", "mnasnet0_5_v1", "efficientnet_b5", "efficientnet_v2_s"]
NAMES = [
    *(pytest.param(name, marks=pytest.mark.exhaustive) for name in SMALLEST),
    *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS),
]
QUICK = ["mobilenet_v3_small", *NAMES[1:]]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_torch(name, tmp_path):
    model, net = backbones.pair(name, tmp_path)
    assert model.architecture == {"name": name, "options": {"num_classes": 10}}
    backbones.compare(model, net, np.random.default_rng(0).normal(size=(1, 3, 40, 33)))


@pytest.mark.parametrize("name", QUICK)
def test_aliases_are_torchs_modules(name, tmp_path):
    """At each module's name is its output; maps are made after the last convolution."""
    model, net = backbones.pair(name, tmp_path)
    found = {}
    for key, module in net.named_modules():
        if key:
            module.register_forward_hook(lambda _, x, y, key=key: found.update({key: y.detach().numpy()}))
    x = np.random.default_rng(0).normal(size=(1, 3, 40, 33))
    net(torch.tensor(x))
    tape = model.forward(x)
    for key, expected in found.items():
        checks.assert_close(tape[key], expected, 1e-9, key)
    assert set(found) <= set(model.aliases)
    assert model.map_layer(tape) == model.resolve("layers" if name.startswith("mnasnet") else "features")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", SMALLEST)
def test_training_moves_what_torch_moves(name, tmp_path):
    model, net = backbones.pair(name, tmp_path)
    backbones.compare_training(model, net, backbones.images(name, batch=3))


@pytest.mark.parametrize(
    "name",
    [name if name in SMALLEST else pytest.param(name, marks=pytest.mark.exhaustive) for name in zoo.NAMES],
)
def test_layers_are_torchs(name):
    """Every layer with weights and every dropout, and their options; also where the network is too large to run."""
    model = backbones.skeleton(name)
    with torch.device("meta"):
        net = zoo.make(name)
    expected = {model.resolve(key): _options(module) for key, module in net.named_modules() if key}
    assert _without_none(expected) == _without_none({k: _options(v) for k, v in walk_layers(model.network)})


def _options(layer):
    """What a layer is, whether torch's or npgrad's."""
    if isinstance(layer, (Conv2d, nn.Conv2d)):
        return tuple(layer.weight.shape), layer.bias is None, layer.stride, layer.padding, layer.groups
    if isinstance(layer, (BatchNorm2d, nn.BatchNorm2d)):
        return tuple(layer.weight.shape), layer.eps, layer.momentum
    if isinstance(layer, (Linear, nn.Linear)):
        return tuple(layer.weight.shape)
    return layer.p if isinstance(layer, (Dropout, nn.Dropout)) else None


def _without_none(options):
    return {name: value for name, value in options.items() if value is not None}
