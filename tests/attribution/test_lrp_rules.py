"""LRP's rules one by one, each against a second, slower implementation: the layer as one matrix."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from checks import assert_close

from npgrad import InputError, Model
from npgrad.attribution.lrp import RULES, lrp
from npgrad.attribution.lrp_rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    ZPlus,
    own_backward,
    pass_through,
)
from npgrad.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Sequential,
)
from npgrad.tape import Record


def matrix_of(layer, shape):
    """(W, b) with layer(x).ravel() = W @ x.ravel() + b, for one image of `shape`: column by column."""
    b = layer(np.zeros((1, *shape))).ravel()
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([layer(unit[None]).ravel() - b for unit in units], axis=1), b


def slow_share_out(z, bias, relevance, epsilon):
    """z (outputs, inputs): what each input contributed. One output at a time."""
    result = np.zeros(z.shape[1])
    for k in range(len(z)):
        total = sum(z[k]) + bias[k]
        total += epsilon if total >= 0 else -epsilon
        if total != 0:
            result += z[k] / total * relevance[k]
    return result


def slow_epsilon(rule, x, w, b, relevance, seen):
    z = w * x
    epsilon = rule.epsilon + rule.relative * np.sqrt(np.mean((z.sum(axis=1) + b) ** 2))
    return slow_share_out(z, b, relevance, epsilon)


def slow_gamma(rule, x, w, b, relevance, seen):
    z, b = x * w, b * rule.bias
    if not rule.signed:
        z = x * np.where(w > 0, w * (1 + rule.gamma), w)
        return slow_share_out(z, b, relevance, rule.epsilon)
    sign = np.sign(z.sum(axis=1) + b)[:, None]
    z = z + rule.gamma * np.where(z * sign > 0, z, 0)
    return slow_share_out(z, b, relevance * (sign[:, 0] != 0), rule.epsilon)


def slow_alpha_beta(rule, x, w, b, relevance, seen):
    z, b = w * x, b * rule.bias
    up = slow_share_out(np.where(z > 0, z, 0), np.where(b > 0, b, 0), relevance, rule.epsilon)
    # minus signs: the sum of the negative ones is stabilized away from 0 downward, also where it is 0
    down = slow_share_out(np.where(z < 0, -z, 0), np.where(b < 0, -b, 0), relevance, rule.epsilon)
    return rule.alpha * up - rule.beta * down


def slow_z_box(rule, x, w, b, relevance, seen):
    z = x * w - rule.low * np.where(w > 0, w, 0) - rule.high * np.where(w < 0, w, 0)
    assert (z >= 0).all()
    return slow_share_out(z, 0 * b, relevance, rule.epsilon)


def slow_w_square(rule, x, w, b, relevance, seen):
    return slow_share_out(w**2, 0 * b, relevance, rule.epsilon)


def slow_flat(rule, x, w, b, relevance, seen):
    return slow_share_out(seen.astype(float), 0 * b, relevance, rule.epsilon)


SLOW = {
    Epsilon: slow_epsilon,
    Gamma: slow_gamma,
    AlphaBeta: slow_alpha_beta,
    ZPlus: slow_alpha_beta,
    ZBox: slow_z_box,
    WSquare: slow_w_square,
    Flat: slow_flat,
}


def conv(rng, *shape, **options):
    return Conv2d(rng.normal(size=shape), rng.normal(size=shape[0]), **options)


WEIGHTED = {
    "conv": (lambda rng: conv(rng, 4, 3, 3, 2, stride=(2, 1), padding=(1, 0)), (3, 5, 4)),
    "conv in groups": (lambda rng: conv(rng, 4, 2, 2, 2, groups=2), (4, 3, 4)),
    "conv without bias": (lambda rng: Conv2d(rng.normal(size=(2, 3, 3, 3)), padding=1), (3, 4, 3)),
    "linear": (lambda rng: Linear(rng.normal(size=(5, 7)), rng.normal(size=5)), (7,)),
}
RULES_TO_CHECK = [
    Epsilon(),
    Epsilon(0),
    Epsilon(0.3),
    Epsilon(0.01, relative=0.25),
    Gamma(),
    Gamma(2, bias=False, epsilon=0.1),
    Gamma(signed=True),
    Gamma(0.5, bias=False, signed=True, epsilon=0.1),
    AlphaBeta(),
    AlphaBeta(1.5, 0.5, bias=False, epsilon=0.2),
    AlphaBeta(1, 0),
    ZPlus(),
    ZPlus(epsilon=0),
    ZBox(-5, 5),
    ZBox(-5, 5, epsilon=0.5),
    WSquare(),
    Flat(),
    Flat(epsilon=0.5),
]


@pytest.mark.parametrize("kind", WEIGHTED)
@pytest.mark.parametrize("rule", RULES_TO_CHECK, ids=str)
def test_rule_against_explicit_matrices(kind, rule, rng):
    make, shape = WEIGHTED[kind]
    layer, x = make(rng), rng.normal(size=(3, *shape))
    x[0] = np.abs(x[0])
    y, cache = layer.forward(x)
    relevance = rng.normal(size=y.shape)
    found = rule(Record("layer", layer, x, y, cache), relevance)
    seen, _ = matrix_of(dataclasses.replace(layer, weight=np.ones_like(layer.weight), bias=None), shape)
    w, b = matrix_of(layer, shape)
    for i in range(3):
        expected = SLOW[type(rule)](rule, x[i].ravel(), w, b, relevance[i].ravel(), seen > 0)
        assert_close(found[i].ravel(), expected, 1e-11)


def test_z_box_takes_a_range_for_every_channel(rng):
    layer = conv(rng, 4, 3, 2, 2)
    low, high = np.array([-1.0, -2.0, 0.0]), np.array([1.0, 0.0, 3.0])
    x = rng.uniform(low[:, None, None], high[:, None, None], size=(2, 3, 4, 3))
    y, cache = layer.forward(x)
    relevance = rng.uniform(size=y.shape)
    found = ZBox(tuple(low), tuple(high))(Record("conv1", layer, x, y, cache), relevance)
    w, b = matrix_of(layer, (3, 4, 3))
    for i in range(2):
        z = x[i].ravel() * w - np.repeat(low, 12) * np.maximum(w, 0) - np.repeat(high, 12) * np.minimum(w, 0)
        assert (z >= 0).all()
        expected = slow_share_out(z, 0 * b, relevance[i].ravel(), 1e-9)
        assert_close(found[i].ravel(), expected, 1e-12)
    assert (found >= 0).all()


@pytest.mark.parametrize(
    "layer",
    [
        AvgPool2d(2),
        AvgPool2d(3, 2, padding=1, ceil_mode=True),
        GlobalAvgPool2d(),
        BatchNorm2d(*np.random.default_rng(0).uniform(0.5, 2, size=(4, 2))),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_epsilon_at_layers_without_weights_of_their_own(layer, rng):
    x = rng.normal(size=(2, 2, 5, 4))
    y, cache = layer.forward(x)
    relevance = rng.normal(size=y.shape)
    found = Epsilon(0.1)(Record("layer", layer, x, y, cache), relevance)
    w, b = matrix_of(layer, (2, 5, 4))
    for i in range(2):
        expected = slow_share_out(w * x[i].ravel(), b, relevance[i].ravel(), 0.1)
        assert_close(found[i].ravel(), expected, 1e-12)


def test_add_shares_out_in_proportion_and_a_max_pools_winner_takes_all():
    x = (np.array([[3.0, -1.0]]), np.array([[1.0, 4.0]]))
    y, cache = Add().forward(x)
    first, second = Epsilon(0)(Record("add", Add(), x, y, cache), np.array([[8.0, 6.0]]))
    np.testing.assert_allclose([first[0], second[0]], [[6.0, -2.0], [2.0, 8.0]])
    pool, x = MaxPool2d(2, 1), np.array([[[[1.0, 5.0, 2.0], [0.0, 3.0, 4.0]]]])
    y, cache = pool.forward(x)
    found = RULES[MaxPool2d](Record("pool", pool, x, y, cache), np.array([[[[2.0, 7.0]]]]))
    np.testing.assert_allclose(found, [[[[0, 9, 0], [0, 0, 0]]]], rtol=1e-8)


def test_alpha_beta_conserves_in_one_layer_with_both_signs(rng):
    layer, x = conv(rng, 4, 3, 3, 3, padding=1), rng.normal(size=(2, 3, 6, 6))
    y, cache = layer.forward(x)
    relevance = rng.normal(size=y.shape)
    record = Record("conv", layer, x, y, cache)
    for rule in (AlphaBeta(2, 1, bias=False, epsilon=0), Gamma(1, bias=False, epsilon=0), WSquare(epsilon=0)):
        np.testing.assert_allclose(rule(record, relevance).sum(), relevance.sum(), rtol=1e-9)
    assert abs(AlphaBeta(2, 1)(record, relevance).sum() - relevance.sum()) > 1e-3


@dataclass(frozen=True)
class Abs(Layer):
    def forward(self, x):
        return np.abs(x), np.sign(x)

    def backward(self, dy, sign):
        return dy * sign


def test_layers_of_ones_own_need_a_rule(rng):
    model = Model(
        Sequential({"fc1": Linear(rng.normal(size=(5, 4))), "abs": Abs(), "fc2": Linear(np.eye(5))})
    )
    x = rng.normal(size=(2, 4))
    with pytest.raises(InputError, match="^abs: lrp has no rule for Abs"):
        lrp(model, x)
    relevance, delta = lrp(
        model, x, rules={Abs: pass_through, **dict.fromkeys([Linear], Epsilon(0))}, return_delta=True
    )
    assert relevance.any()
    np.testing.assert_allclose(delta, 0, atol=1e-12)


def test_rules_of_layers_without_weights(rng):
    x, relevance = rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(2, 12))
    record = Model(Sequential({"flatten": Flatten()})).forward(x).records["flatten"]
    assert pass_through(record, relevance) is relevance
    np.testing.assert_array_equal(own_backward(record, relevance), relevance.reshape(x.shape))
