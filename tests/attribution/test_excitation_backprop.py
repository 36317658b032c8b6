"""Excitation backpropagation against the paper's formula, module by module, with torch's autograd."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close
from torch import nn
from torch_nets import TorchFire

from npgrad import InputError, Model, attribution, layers
from npgrad.attribution.excitation_backprop import excited
from npgrad.attribution.lrp_rules import ZPlus
from npgrad.tape import Record

SMALL = {pair.name: pair for pair in pairs()}
LAYERS = {"convolutions": "relu1", "max pools": "relu1", "average pools": "relu1", "fires": "fire2"}
NETS = [
    *((SMALL[name], layer) for name, layer in LAYERS.items()),
    pytest.param(squeezenets()[1], "fire4", marks=pytest.mark.exhaustive),
]


def share(x, z, P):
    """x times the gradient of z, an array or a sum of them, upstream P / z: in proportion to what x adds to z."""
    upstream = torch.where(z == 0, 0, P / z.clamp(min=1e-300))
    return x * torch.autograd.grad(z, x, upstream, retain_graph=True, allow_unused=True)[0]


def winning(module, x, P):
    """The probability of a module's input, given that of its output."""
    x = x.detach().requires_grad_()
    if isinstance(module, TorchFire):
        s = module.squeeze_activation(module.squeeze(x))
        left, right = P.split([module.expand1x1.out_channels, module.expand3x3.out_channels], 1)
        expands = (module.expand1x1, left), (module.expand3x3, right)
        return winning(module.squeeze, x, sum(winning(one, s, part) for one, part in expands))
    if isinstance(module, (nn.ReLU, nn.Dropout)):
        return P
    if isinstance(module, nn.MaxPool2d):
        return torch.autograd.grad(module(x), x, P)[0]
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        up, down = (x.clamp(**end).detach().requires_grad_() for end in ({"min": 0}, {"max": 0}))
        z = 0
        for part, end in ((up, {"min": 0}), (down, {"max": 0})):
            cut = copy.deepcopy(module)
            cut.weight.data.clamp_(**end)
            cut.bias.data.zero_()
            z = z + cut(part)
        return share(up, z, P) + share(down, z, P)
    part = x.clamp(min=0).detach().requires_grad_()
    return share(part, module(part), P)


def reference(pair, net, start, layer):
    """The probabilities at the output of a module, from `start` at the scores: (N, C, h, w)."""
    path = next(path for path, module in pair.net.named_modules() if module is pair.layer(layer))
    calls, x = [], pair.tensor()
    modules = (
        [getattr(net, name) for name in net.names]
        if hasattr(net, "names")
        else [*net.features, *net.classifier]
    )
    for module in modules:
        flat = torch.flatten(x, 1) if isinstance(module, nn.Linear) else x
        calls.append((module, flat, x.shape))
        x = module(flat)
    P = start.reshape(x.shape)
    for module, flat, shape in reversed(calls):
        if module is net.get_submodule(path):
            return P.detach()
        P = winning(module, flat, P).reshape(shape)
    raise AssertionError(layer)


def negated(net):
    net = copy.deepcopy(net)
    last = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))][-1]
    last.weight.data.neg_()
    last.bias.data.neg_()
    return net


def both(pair, start, layer):
    """(of the network, of its dual): maps (N, h, w)."""
    return [reference(pair, net, start, layer).sum(1).numpy() for net in (pair.net, negated(pair.net))]


@pytest.mark.parametrize(("pair", "layer"), NETS)
def test_excitation_backprop_is_the_formula(pair, layer):
    start = torch.eye(5).double()[TARGETS]
    found = attribution.excitation_backprop(pair.model, pair.x, TARGETS, layer=layer)
    own, dual = both(pair, start, layer)
    assert_close(found, own, 1e-8)
    assert (found >= 0).all()
    total = found.sum(axis=(1, 2))  # less than 1 where a unit is active by its bias alone
    assert (total < 1 + 1e-9).all() and (total > 0.9).all()
    contrast = attribution.excitation_backprop(pair.model, pair.x, TARGETS, layer=layer, contrastive=True)
    assert_close(contrast, own - dual, 1e-8)
    large = attribution.excitation_backprop(pair.model, pair.x, TARGETS, layer=layer, resize="nearest")
    assert large.shape == (3, *pair.x.shape[2:])


@pytest.mark.parametrize("contrastive", [False, True])
def test_a_negative_score_is_that_of_the_dual_unit(contrastive):
    pair, layer = SMALL["fires"], "fire2"

    def found(target):
        return attribution.excitation_backprop(
            pair.model, pair.x, target, layer=layer, contrastive=contrastive
        )

    a, b = (both(pair, torch.eye(5).double()[[k] * 3], layer) for k in (1, 3))
    if contrastive:
        assert_close(found("2*1 - 3"), 2 * (a[0] - a[1]) - (b[0] - b[1]), 1e-8)
        assert_close(found("- 3"), b[1] - b[0], 1e-8)
    else:
        assert_close(found("2*1 - 3"), 2 * a[0] + b[1], 1e-8)
        assert_close(found("- 3"), b[1], 1e-8)


def test_the_probability_is_that_of_the_class_and_against_all_others():
    pair, layer = SMALL["average pools"], "relu1"
    p = torch.softmax(pair.net(pair.tensor()), 1).detach()
    slope = p[:, [1]] * (torch.eye(5).double()[[1]] - p)
    own, dual = both(pair, slope.clamp(min=0), layer)[0], both(pair, (-slope).clamp(min=0), layer)[1]
    assert_close(
        attribution.excitation_backprop(pair.model, pair.x, "prob(1)", layer=layer), own + dual, 1e-8
    )


def residual(rng, folded):
    """conv, norm, ReLU, and a block whose sum has inputs of both signs; with the norms in the convolutions or not."""
    convs = [layers.Conv2d.init(3, 4, 3, rng=rng), layers.Conv2d.init(4, 4, 3, padding=1, rng=rng)]
    norms = [
        layers.BatchNorm2d(*rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=4)) for _ in convs
    ]  # weights of both signs
    if folded:
        parts = []
        for conv, norm in zip(convs, norms, strict=True):
            scale = norm.weight / np.sqrt(norm.running_var + norm.eps)
            bias = norm.bias + scale * (conv.bias - norm.running_mean)
            parts.append({"c": replace(conv, weight=scale[:, None, None, None] * conv.weight, bias=bias)})
    else:
        parts = [{"c": conv, "n": norm} for conv, norm in zip(convs, norms, strict=True)]
    block = layers.Residual(parts[1])
    return Model(
        layers.Sequential(
            {
                **parts[0],
                "relu": layers.ReLU(),
                "block": block,
                "end": layers.ReLU(),
                "mean": layers.GlobalAvgPool2d(),
                "fc": layers.Linear.init(4, 3, rng=rng),
            }
        )
    ).astype(np.float64)


def test_a_convolution_counts_together_with_its_norm():
    found = []
    for folded in (False, True):
        rng = np.random.default_rng(5)
        model, x = residual(rng, folded), np.random.default_rng(1).normal(size=(2, 3, 7, 8))
        found.append(attribution.excitation_backprop(model, x, [0, 2], layer="relu"))
    assert_close(found[0], found[1], 1e-10)


def test_differences_pass_on_what_adds_to_them(rng):
    a, b, P = rng.normal(size=(3, 2, 5))
    record = Record("difference", layers.Subtract(), (a, b), *layers.Subtract().forward((a, b)))
    da, db = excited(record, P)
    z = np.maximum(a, 0) + np.maximum(-b, 0)
    expected = [
        np.divide(one * P, z, out=np.zeros_like(z), where=z != 0)
        for one in (np.maximum(a, 0), np.maximum(-b, 0))
    ]
    assert_close(da, expected[0], 1e-12)
    assert_close(db, expected[1], 1e-12)


def test_rules_of_ones_own_and_networks_without_weights():
    pair = SMALL["fires"]
    usual = attribution.excitation_backprop(pair.model, pair.x, TARGETS, layer="fire2")
    own = attribution.excitation_backprop(
        pair.model, pair.x, TARGETS, layer="fire2", rules={layers.Conv2d: ZPlus(bias=True)}
    )
    assert not np.allclose(usual, own)
    model = Model(layers.Sequential({"mean": layers.GlobalAvgPool2d()}))
    with pytest.raises(
        InputError, match="^excitation_backprop: expected a network with Conv2d or Linear layers"
    ):
        attribution.excitation_backprop(model, pair.x)
