"""Recorded gradients that differ: the layer whose backward gave them, and what it computed."""

import numpy as np
import pytest

import npgrad
from npgrad.layers import Add, BatchNorm2d, Conv2d, Graph, LeakyReLU, MaxPool2d, ReLU, Sequential

RNG = np.random.default_rng(0)


def conv(c, f, **options):
    return Conv2d(RNG.normal(size=(f, c, 3, 3)) / 3, RNG.normal(size=f) / 3, **options)


def recorded(network, x, dy=None):
    """(npgrad Model, what is recorded of it in float64, its tape)."""
    model = npgrad.Model(network)
    tape = model.forward(x)
    names = [record.name for record in tape]
    dy = np.random.default_rng(2).normal(size=tape.output.shape) if dy is None else dy
    gradients = tape.backward(dy, at=("input", *names))
    right = {"input": x, **{name: np.array(tape[name]) for name in names}}
    return model, right | {f"grad:{name}": np.array(gradients[name]) for name in gradients}, tape


NORM = BatchNorm2d(*(RNG.uniform(0.5, 1.5, 4) for _ in range(4)))
CHAIN = Sequential({"conv1": conv(4, 4, padding=1), "norm": NORM, "relu": ReLU(), "conv2": conv(4, 3)})
X = np.random.default_rng(1).normal(size=(2, 4, 7, 7))


def of_training_mode(right):
    layer = NORM
    x, dy = right["conv1"], right["grad:norm"]
    _, cache = layer.forward(x, training=True)
    return layer.backward(dy, cache)


CASES = {
    "sign": ("grad:norm", lambda right: -right["grad:norm"], "relu", "sign"),
    "twice": ("grad:conv1", lambda right: 2 * right["grad:conv1"], "norm", "factor"),
    "detached": ("grad:relu", lambda right: 0 * right["grad:relu"], "conv2", "zero"),
    "clipped": ("grad:relu", lambda right: np.clip(right["grad:relu"], -0.3, 0.3), "conv2", "clipped"),
    "norm": (
        "grad:relu",
        lambda right: (
            right["grad:relu"] / np.sqrt((right["grad:relu"] ** 2).sum(axis=(1, 2, 3), keepdims=True))
        ),
        "conv2",
        "norm",
    ),
    "unchanged": ("grad:norm", lambda right: right["grad:relu"], "relu", "backward"),
    "guided": (
        "grad:norm",
        lambda right: right["grad:norm"] * (right["grad:relu"] > 0),
        "relu",
        "backward",
    ),
    "leaky": (
        "grad:norm",
        lambda right: right["grad:relu"] * np.where(right["norm"] > 0, 1, 0.2),
        "relu",
        "activation",
    ),
    "training mode": ("grad:conv1", of_training_mode, "norm", "training mode"),
    "not transposed": (
        "grad:input",
        lambda right: Conv2d(CHAIN.parts()["conv1"].weight, None, padding=1)(right["grad:conv1"]),
        "conv1",
        "transposed",
    ),
    "channels": ("grad:norm", lambda right: right["grad:norm"][:, [1, 0, 3, 2]], "relu", "channel order"),
    "some channels": (
        "grad:norm",
        lambda right: right["grad:norm"] + RNG.normal(size=(2, 4, 7, 7)) * np.eye(4)[1][:, None, None],
        "relu",
        "some channels",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_that_differs(name):
    key, change, layer, kind = CASES[name]
    model, right, _ = recorded(CHAIN, X)
    assert npgrad.compare(model, right)
    comparison = npgrad.compare(model, {**right, key: change(right)})
    first = comparison.first
    assert (first.name, first.direction, first.diagnoses[0].kind) == (layer, "backward", kind), comparison
    assert f"backward: first layer that differs: {layer}" in str(comparison)


def test_the_slope_at_zero():
    x = RNG.integers(-1, 2, (2, 3, 5, 5)).astype(float)
    model, right, _ = recorded(Sequential({"one": LeakyReLU(1.0), "relu": ReLU()}), x)
    for slope in (1.0, 0.5):
        found = np.where(x == 0, slope * right["grad:relu"], right["grad:one"])
        first = npgrad.compare(model, {**right, "grad:one": found, "grad:input": found}).first
        assert (first.name, first.diagnoses[0].kind) == (
            "relu",
            "kink",
        ) and f"exactly 0 is {slope:g}" in first.text


def test_equal_maxima():
    x = RNG.integers(0, 2, (2, 3, 6, 6)).astype(float)
    model, right, _ = recorded(
        Sequential({"one": LeakyReLU(1.0), "pool": MaxPool2d(3, stride=2, padding=1)}), x
    )
    all_of_them, shared = np.zeros((2, 3, 8, 8)), np.zeros((2, 3, 8, 8))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    for i in range(3):
        for j in range(3):
            at = (slice(None), slice(None), slice(2 * i, 2 * i + 3), slice(2 * j, 2 * j + 3))
            equal = padded[at] == padded[at].max(axis=(2, 3), keepdims=True)
            dy = right["grad:pool"][:, :, i, j][:, :, None, None]
            all_of_them[at] += equal * dy
            shared[at] += equal * dy / equal.sum(axis=(2, 3), keepdims=True)
    for found, said in ((all_of_them, "each of them gets all"), (shared, "it is divided among them")):
        found = found[:, :, 1:-1, 1:-1]
        first = npgrad.compare(model, {**right, "grad:one": found, "grad:input": found}).first
        assert (first.name, first.diagnoses[0].kind) == ("pool", "kink") and said in first.text


def test_a_fork_with_a_branch_missing():
    graph = Graph({"a": (ReLU(), "input"), "b": (conv(4, 4, padding=1), "a"), "sum": (Add(), ("b", "a"))})
    model, right, tape = recorded(graph, X)
    through_b = right["grad:a"] - right["grad:sum"]
    for found, layer in ((through_b, "sum"), (right["grad:sum"], "b")):
        comparison = npgrad.compare(model, {**right, "grad:a": found})
        first = comparison.first
        assert (first.name, first.diagnoses[0].kind) == (layer, "fork branch"), comparison
        assert f"the gradient through {layer} is missing" in first.text
    comparison = npgrad.compare(model, {**right, "grad:a": right["grad:sum"] + 0.5 * through_b})
    assert (comparison.first.name, comparison.first.diagnoses[0].kind) == ("b", "factor"), comparison


def test_gradients_that_cannot_be_compared():
    model, right, _ = recorded(CHAIN, X)
    few = {key: right[key] for key in ("input", "conv1", "grad:input")}
    assert "note: no gradient of an output was recorded" in str(npgrad.compare(model, few))
    odd = {**right, "grad:relu": right["grad:relu"][:1]}
    assert "note: the gradient of relu has shape (1, 4, 7, 7), npgrad's (2, 4, 7, 7): not compared" in str(
        npgrad.compare(model, odd)
    )
    nan = {**right, "grad:relu": np.nan * right["grad:relu"]}
    assert npgrad.compare(model, nan).first.diagnoses[0].kind == "not finite"


def test_the_type_of_a_layer_whose_forward_was_explained():
    """The tape has a stand-in for it, which is none of the network's types."""
    chain = {"conv": conv(4, 4, padding=1), "relu": ReLU(), "pool": MaxPool2d(2, stride=1)}
    model, right, _ = recorded(Sequential(chain), X)
    y = 3 * right["relu"]
    pooled, cache = chain["pool"].forward(y)
    dy = np.random.default_rng(2).normal(size=pooled.shape)
    back = chain["pool"].backward(dy, cache)
    wrong = {"relu": y, "pool": pooled, "grad:pool": dy, "grad:relu": back}
    wrong["grad:conv"] = -3 * back * (right["conv"] > 0)
    comparison = npgrad.compare(model, {**right, **wrong})
    assert {row.kind for row in comparison.layers} <= {"Conv2d", "ReLU", "MaxPool2d", "input"}
