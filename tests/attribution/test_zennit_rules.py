"""Options of zennit's rules: each against zennit's formula, by torch's autograd on modified inputs and parameters."""

import copy

import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close
from messages import A_NUMBER
from torch import nn

from npgrad import InputError, NpgradError, attribution
from npgrad.attribution.lrp_rules import Epsilon, Gamma, WSquare
from npgrad.layers import Affine, AvgPool2d, BatchNorm2d, Conv2d, Linear, ReLU
from npgrad.rules import BetaSmooth
from npgrad.tape import Record

EPSILON = 0.05


def stabilized(z):
    return z + EPSILON * torch.where(z < 0, -1, 1).to(z)


def outputs_of(module, parts):
    """[(x, y), ...] of a module with modified inputs and parameters, [(x, change), ...]; change(p, is_bias)."""
    found = []
    for x, change in parts:
        changed = copy.deepcopy(module)
        changed.weight.data = change(changed.weight.data, False)
        changed.bias.data = change(changed.bias.data, True)
        x = x.clone().requires_grad_()
        found.append((x, changed(x)))
    return found


def epsilon_without_bias(module, x, R):
    """Epsilon(zero_params="bias")."""
    [(x, z)] = outputs_of(module, [(x, lambda p, is_bias: 0 * p if is_bias else p)])
    return x * torch.autograd.grad(z, x, R / stabilized(z))[0]


def gamma(module, x, R, gamma=0.7):
    """Gamma(gamma): favored parts of each sign, the bias among the parameters of positive inputs."""

    def favoring(end, with_bias):
        return lambda p, is_bias: 0 * p if is_bias and not with_bias else p + gamma * p.clamp(**end)

    up, down = {"min": 0}, {"max": 0}
    parts = [
        (x.clamp(min=0), favoring(up, True)),
        (x.clamp(max=0), favoring(down, False)),
        (x.clamp(min=0), favoring(down, True)),
        (x.clamp(max=0), favoring(up, False)),
    ]
    y, found = module(x), outputs_of(module, parts)
    result = 0
    for pair, chosen in ((found[:2], y > 0), (found[2:], y < 0)):
        z = sum(one for _, one in pair)
        for part, one in pair:
            result = (
                result
                + part
                * torch.autograd.grad(one, part, chosen * R / stabilized(z).detach(), retain_graph=True)[0]
            )
    return result


def w_square(module, x, R):
    """WSquare(), whose denominator has the square of the bias."""
    [(x, z)] = outputs_of(module, [(torch.ones_like(x), lambda p, is_bias: p**2)])
    return torch.autograd.grad(z, x, R / stabilized(z))[0]


RULES = {
    "epsilon without bias": (Epsilon(EPSILON, bias=False), epsilon_without_bias, False),
    "gamma": (Gamma(0.7, signed=True, favor_bias=True, epsilon=EPSILON), gamma, False),
    "gamma of ReLUs' outputs": (Gamma(0.7, favor_bias=True, epsilon=EPSILON), gamma, True),
    "w^2 with bias": (WSquare(bias=True, epsilon=EPSILON), w_square, False),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["convolution", "linear"])
def test_one_layer_as_in_zennit(kind, name, rng):
    rule, reference, positive = RULES[name]
    module = nn.Conv2d(3, 4, 3, stride=2, padding=1) if kind == "convolution" else nn.Linear(6, 5)
    module = module.double()
    shape = (3, 3, 7, 6) if kind == "convolution" else (3, 6)
    x = rng.normal(size=shape)
    x[0] = np.abs(x[0])
    x = np.abs(x) if positive else x
    arrays = (parameter.detach().numpy() for parameter in (module.weight, module.bias))
    layer = Conv2d(*arrays, stride=2, padding=1) if kind == "convolution" else Linear(*arrays)
    y, cache = layer.forward(x)
    R = rng.normal(size=y.shape)
    if positive:
        R[y <= 0] = 0  # after a ReLU, nothing is relevant that is not positive
    found = rule(Record("layer", layer, x, y, cache), R)
    assert_close(found, reference(module, torch.tensor(x), torch.tensor(R)).detach().numpy(), 1e-10)
    record = Record("layer", layer, x, y, cache)
    plain = {Epsilon: Epsilon(EPSILON), Gamma: Gamma(0.7, signed=True, epsilon=EPSILON)}
    assert not np.allclose(found, plain.get(type(rule), WSquare(epsilon=EPSILON))(record, R))


@pytest.mark.parametrize(
    "pair",
    [*pairs()[:5], pytest.param(squeezenets()[1], marks=pytest.mark.exhaustive)],
    ids=lambda pair: pair.name,
)
@pytest.mark.parametrize("name", ["epsilon without bias", "gamma", "w^2 with bias"])
def test_a_network_as_in_zennit(pair, name):
    """zennit's rule at the first layer and the gradient of the score above it, times the first layer's output."""
    rule, reference, _ = RULES[name]
    first = "conv1"
    record = pair.model.forward(pair.x).records[first]
    start = attribution.layer_lrp(pair.model, pair.x, TARGETS, layer=first)
    found = attribution.lrp(pair.model, pair.x, TARGETS, rules={first: rule})
    expected = reference(pair.layer(first), pair.tensor(), torch.tensor(start)).detach().numpy()
    assert record.y.shape == start.shape
    assert_close(found, expected, 1e-8)


def test_epsilon_without_bias_has_no_other_constant_either(rng):
    x = rng.normal(size=(2, 4, 5, 6))
    norm = BatchNorm2d(*rng.uniform(0.5, 2, size=(4, 4)))
    for layer in (norm, Affine(3.0, 2.0)):
        y, cache = layer.forward(x)
        R = rng.normal(size=y.shape)
        assert_close(Epsilon(0, bias=False)(Record("layer", layer, x, y, cache), R), R, 1e-9)
    pool = AvgPool2d(2)
    y, cache = pool.forward(x)
    record, R = Record("pool", pool, x, y, cache), rng.normal(size=y.shape)
    np.testing.assert_array_equal(Epsilon(bias=False)(record, R), Epsilon()(record, R))


def test_without_biases_a_layer_conserves_relevance(rng):
    layer, x = Conv2d(rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)), rng.normal(size=(2, 3, 6, 7))
    y, cache = layer.forward(x)
    record, R = Record("conv", layer, x, y, cache), rng.normal(size=y.shape)
    assert Epsilon(0, bias=False)(record, R).sum() == pytest.approx(R.sum(), rel=1e-9)
    assert Epsilon(0)(record, R).sum() != pytest.approx(R.sum(), rel=1e-2)


def test_gamma_cannot_favor_a_bias_that_does_not_count():
    with pytest.raises(InputError, match="^Gamma: expected favor_bias with bias=True, found bias=False$"):
        Gamma(bias=False, favor_bias=True)


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
@pytest.mark.parametrize("beta", [10.0, 0.5])
def test_beta_smooth_is_zennits_hook(pair, beta):
    net, kept = copy.deepcopy(pair.net), {}
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, args, y: kept.update({module: args[0].detach()}))
            module.register_full_backward_hook(
                lambda module, dx, dy: (torch.sigmoid(beta * kept[module]) * dy[0],)
            )
    x = pair.tensor().requires_grad_()
    score = net(x)[torch.arange(3), torch.tensor(TARGETS)].sum()
    expected = torch.autograd.grad(score, x)[0].numpy()
    rules = {ReLU: BetaSmooth(beta)}
    assert_close(attribution.saliency(pair.model, pair.x, TARGETS, rules=rules), np.abs(expected), 1e-8)
    assert_close(
        attribution.input_x_gradient(pair.model, pair.x, TARGETS, rules=rules), pair.x * expected, 1e-8
    )


def test_what_beta_smooth_is_in_the_limit_and_what_it_refuses():
    pair = pairs()[0]
    smooth = attribution.saliency(pair.model, pair.x, TARGETS, rules={ReLU: BetaSmooth(1e9)})
    assert_close(smooth, attribution.saliency(pair.model, pair.x, TARGETS), 1e-9)
    for beta in (0, -1, np.inf, "x"):
        with pytest.raises(InputError, match=f"BetaSmooth beta: {A_NUMBER} > 0"):
            BetaSmooth(beta)
    with pytest.raises(NpgradError, match="no layer on this tape 'relu99'|relu99"):
        attribution.saliency(pair.model, pair.x, TARGETS, rules={"relu99": BetaSmooth()})
