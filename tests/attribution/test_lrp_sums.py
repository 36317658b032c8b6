"""LRP: relevance is conserved, and what is not is the biases' share."""

import numpy as np
import pytest
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close
from residual_nets import network as residual_network

from npgrad import Model
from npgrad.attribution.lrp import RULES, layer_lrp, lrp
from npgrad.attribution.lrp_rules import AlphaBeta, Epsilon, ZPlus
from npgrad.layers import Conv2d, GlobalAvgPool2d, Linear, ReLU, Sequential

ALL = [*pairs(), squeezenets()[1]]
ids = {"ids": lambda pair: pair.name}


def without_biases(model):
    return model.with_parameters({k: 0 * v for k, v in model.parameters().items() if k.endswith("bias")})


def score_of(model, x):
    return model(x).max(axis=1)


@pytest.mark.parametrize("pair", ALL, **ids)
def test_epsilon_conserves_without_biases(pair):
    model = without_biases(pair.model)
    score = score_of(model, pair.x)
    assert (np.abs(score) > 1e-3).all()
    lost = []
    for epsilon in (1e-3, 1e-6, 1e-9, 0):
        relevance, delta = lrp(model, pair.x, rules=Epsilon(epsilon), return_delta=True)
        np.testing.assert_allclose(delta, relevance.sum(axis=(1, 2, 3)) - score, atol=1e-12)
        lost.append(np.abs(delta / score).max())
    assert lost[0] > 10 * lost[1] > 100 * lost[2] and lost[3] < 1e-9
    for name in ("conv1", "relu1", "pool1", "fire2", "fire8", "pool2", "fc3"):
        if name in pair.model.layer_names():
            relevance = layer_lrp(model, pair.x, layer=name, rules=Epsilon(0))
            np.testing.assert_allclose(relevance.reshape(3, -1).sum(axis=1), score, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("pair", ALL, **ids)
def test_epsilon_without_biases_is_input_times_gradient(pair):
    model = without_biases(pair.model)
    tape = model.forward(pair.x)
    dy = np.zeros_like(tape.output)
    dy[np.arange(3), tape.output.argmax(axis=1)] = 1
    expected = pair.x * tape.backward(dy)["input"]
    assert_close(lrp(model, pair.x, rules=Epsilon(0)), expected, 1e-9)


def shares_of_the_biases(rule, model, x, target):
    """What every layer's bias keeps under Epsilon: the sum of b_k / z_k * R_k, per image."""
    shares = []

    def watched(record, relevance):
        bias = record.layer.bias.reshape(-1, *(1,) * (record.y.ndim - 2))
        z = record.y + np.where(record.y < 0, -rule.epsilon, rule.epsilon)
        shares.append((bias / z * relevance).reshape(len(x), -1).sum(axis=1))
        return rule(record, relevance)

    rules = {kind: rule for kind, default in RULES.items() if isinstance(default, Epsilon)}
    relevance = lrp(model, x, target, rules={**rules, Conv2d: watched, Linear: watched})
    return relevance, np.array(shares)


@pytest.mark.parametrize("pair", ALL, **ids)
def test_epsilon_conserves_with_the_biases_shares_added(pair):
    score = pair.model(pair.x)[np.arange(3), TARGETS]
    relevance, shares = shares_of_the_biases(Epsilon(1e-14), pair.model, pair.x, TARGETS)
    assert len(shares) == sum(name.endswith("bias") for name in pair.model.parameters())
    assert (np.abs(shares).sum(axis=0) > 0.01).all()
    np.testing.assert_allclose(relevance.sum(axis=(1, 2, 3)) + shares.sum(axis=0), score, rtol=1e-9)


@pytest.mark.parametrize("pair", ALL, **ids)
@pytest.mark.parametrize("rule", [ZPlus(epsilon=0), AlphaBeta(1, 0, epsilon=0), AlphaBeta(1, 0)], ids=str)
def test_z_plus_and_alpha_beta_conserve_and_keep_the_sign(pair, rule):
    model = without_biases(pair.model)
    rules = {**dict.fromkeys([k for k in RULES if isinstance(RULES[k], Epsilon)], Epsilon(0)), Conv2d: rule}
    relevance, delta = lrp(model, pair.x, rules={**rules, Linear: rule}, return_delta=True)
    np.testing.assert_allclose(delta / score_of(model, pair.x), 0, atol=1e-9 if rule.epsilon == 0 else 1e-6)
    if pair.name not in ("convolutions", "overlapping pools"):  # their last layer averages both signs
        assert (relevance >= 0).all()


def test_residual_and_forked_networks_conserve(rng):
    layers = residual_network(rng).layers
    model = Model(Sequential({"stem": layers["stem"], "relu": ReLU(), "residual": layers["residual"]}))
    model = Model(Sequential({**model.network.layers, "mean": GlobalAvgPool2d()}))
    zero = {k: 0 * v for k, v in model.network.arrays(buffers=True).items() if k.endswith(("bias", "mean"))}
    model = model.with_parameters(zero)
    x = rng.normal(size=(2, 2, 6, 7))
    _, delta = lrp(model, x, rules=Epsilon(0), return_delta=True)
    np.testing.assert_allclose(delta / score_of(model, x), 0, atol=1e-9)
