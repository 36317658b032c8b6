"""Ledgers: the accounts of LRP and DeepLIFT close to 1e-9, and a fault of a rule is found at its layer."""

import numpy as np
import pytest

import npgrad
from npgrad.attribution import composite_by_position, deep_lift, lrp, lrp_rules
from npgrad.attribution.ledgers import deep_lift_ledger, lrp_ledger
from npgrad.layers import (
    BatchNorm2d,
    Conv2d,
    GlobalAvgPool2d,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from npgrad.models import create


def network():
    """A little of everything: biases, BatchNorm with statistics, LayerNorm, max pooling, a residual block."""
    rng = np.random.default_rng(0)

    def conv(c, f):
        return Conv2d(rng.normal(size=(f, c, 3, 3)) / 4, rng.normal(size=f) / 4, padding=1)

    norm = BatchNorm2d(*(rng.uniform(0.5, 1.5, 6) for _ in range(4)))
    layers = {
        "conv1": conv(3, 6),
        "norm": norm,
        "relu1": ReLU(),
        "block": Residual(
            {
                "conv": conv(6, 6),
                "inner": LayerNorm(rng.uniform(0.5, 1.5, 6), rng.normal(size=6), channels=True),
            }
        ),
        "pool": MaxPool2d(2),
        "conv2": conv(6, 8),
        "relu2": ReLU(),
        "mean": GlobalAvgPool2d(),
        "fc": Linear(rng.normal(size=(4, 8)), rng.normal(size=4)),
    }
    return npgrad.Model(Sequential(layers))


MODEL = network()
X = np.random.default_rng(1).normal(size=(2, 3, 8, 8))
RULES = {
    "default": None,
    "epsilon": lrp_rules.Epsilon(epsilon=0.1),
    "relative": lrp_rules.Epsilon(relative=0.25),
    "no bias": lrp_rules.Epsilon(bias=False),
    "gamma": lrp_rules.Gamma(0.25),
    "gamma signed": lrp_rules.Gamma(0.25, signed=True, favor_bias=True),
    "gamma, no bias": lrp_rules.Gamma(0.25, bias=False),
    "alpha-beta": lrp_rules.AlphaBeta(2.0, 1.0),
    "z+": lrp_rules.ZPlus(),
    "flat": lrp_rules.Flat(),
    "w^2": lrp_rules.WSquare(bias=True),
    "z-box": {"conv1": lrp_rules.ZBox(-4.0, 4.0)},
    "by position": composite_by_position(MODEL),
}


@pytest.mark.parametrize("name", RULES)
def test_the_ledger_of_lrp_closes(name):
    ledger = lrp_ledger(MODEL, X, [0, 2], RULES[name])
    assert ledger and ledger.error <= 1e-9, ledger
    relevance, delta = lrp(MODEL, X, [0, 2], RULES[name], return_delta=True)
    np.testing.assert_allclose(ledger.end, relevance.sum(), rtol=1e-9)
    kept = sum(row.biases + row.epsilons for row in ledger.rows)
    np.testing.assert_allclose(kept, -delta.sum(), rtol=1e-6, atol=1e-9 * ledger.scale)
    assert str(ledger).startswith("closes: ")


def test_what_biases_keep_by_hand():
    """y = 2 x + 1 at x = 3: of 7, the bias keeps 1, and an epsilon of 1 takes 7 / 8."""
    layers = {"fc": Linear(np.array([[2.0]]), np.array([1.0]))}
    model = npgrad.Model(Sequential(layers), outputs="value")
    ledger = lrp_ledger(model, np.array([[3.0]]), 0, lrp_rules.Epsilon(epsilon=1.0))
    [row] = ledger.rows
    np.testing.assert_allclose(
        [row.incoming, row.outgoing, row.biases, row.epsilons], [7, 7 * 6 / 8, 7 / 8, 7 / 8]
    )
    assert abs(row.lost) < 1e-12 and ledger


@pytest.mark.parametrize(
    "name", ["squeezenet1_1", "resnet18", pytest.param("mobilenet_v2", marks=pytest.mark.exhaustive)]
)
def test_the_ledgers_of_networks(name):
    model, x = create(name, num_classes=5, rng=0), np.random.default_rng(2).normal(size=(1, 3, 48, 48))
    for ledger in (lrp_ledger(model, x, 1), deep_lift_ledger(model, x, 1)):
        assert ledger and ledger.error <= 1e-9, ledger
    assert {row.name for row in ledger.rows} >= {"conv1", "fc" if "fc" in model.layer_names() else "conv1"}


@pytest.mark.exhaustive
def test_the_ledgers_of_real_weights(real_model, shared):
    x = real_model.preprocess(shared / "images" / "hyena.jpg")
    for ledger in (lrp_ledger(real_model, x), deep_lift_ledger(real_model, x)):
        assert ledger and ledger.error <= 1e-9, ledger
    assert lrp_ledger(real_model, x, rules=composite_by_position(real_model))


def test_the_ledger_of_deep_lift_closes():
    ledger = deep_lift_ledger(MODEL, X, 1, baseline=0.3)
    assert ledger and all(row.biases == row.epsilons == 0 for row in ledger.rows), ledger
    contributions, delta = deep_lift(MODEL, X, 1, baseline=0.3, return_delta=True)
    np.testing.assert_allclose(ledger.end, contributions.sum(), rtol=1e-9)
    assert np.abs(delta).max() < 1e-9


def test_a_fault_is_found_at_its_layer(monkeypatch):
    right = lrp_rules.Epsilon.__call__

    def wrong(self, record, relevance):
        dx = right(self, record, relevance)
        return dx * 1.0001 if record.name == "conv2" else dx

    monkeypatch.setattr(lrp_rules.Epsilon, "__call__", wrong)
    ledger = lrp_ledger(MODEL, X, 1)
    assert [row.name for row in ledger.faulty] == ["conv2"] and not ledger
    assert str(ledger).startswith("WRONG: ") and "conv2" in str(ledger)


def test_what_is_lost_between_layers_is_found():
    class Lost(Residual):
        def backward(self, dy, tape):
            return super().backward(dy, tape) * 0.999

    layers = dict(MODEL.network.layers)
    layers["block"] = Lost(layers["block"].branch)
    for make in (lrp_ledger, deep_lift_ledger):
        ledger = make(npgrad.Model(Sequential(layers)), X, 1)
        assert not ledger and not ledger.faulty and "between the layers" in str(ledger)


def test_sums_and_expressions():
    layers = {"conv": Conv2d.init(3, 4, 1, rng=0), "mean": GlobalAvgPool2d(), "fc": Linear.init(4, 3, rng=1)}
    model = npgrad.Model(Sequential(layers))
    for make in (lrp_ledger, deep_lift_ledger):
        assert make(model, X, "0 - 2") and make(model, X)
