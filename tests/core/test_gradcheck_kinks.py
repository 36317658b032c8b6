"""Gradient checking at kinks: a right network is never WRONG, and no kink excuses a wrong gradient elsewhere."""

import collections

import kinked_nets
import numpy as np
import pytest

import npgrad
from npgrad._slopes import Network
from npgrad.gradcheck import KINK
from npgrad.layers import (
    Add,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from npgrad.models import squeezenet1_1


def small():
    parts = {"conv": Conv2d.init(3, 4, 3, padding=1), "relu": ReLU(), "pool": MaxPool2d(2), "flat": Flatten()}
    return Sequential({**parts, "last": Linear.init(64, 5)})


@pytest.mark.parametrize("method", ["complex", "centered"])
@pytest.mark.parametrize(("x", "layers"), [(np.zeros, ("relu", "pool")), (np.ones, ("pool",))])
def test_a_flat_image_cannot_be_judged(method, x, layers):
    check = npgrad.gradcheck(npgrad.Model(small()), x((1, 3, 8, 8)), method, entries=3)
    assert check.verdict == KINK == "cannot be judged at a kink" and not check
    row = check.worst
    assert row.kinks == row.checked and not row.judged and not row.beside
    assert str(check).startswith(f"cannot be judged at a kink by {method} step: worst entry {row.name}[")
    if method == "complex":
        assert row.kink in [
            f"{row.name}[{', '.join(map(str, row.index))}] (layer {layer})" for layer in layers
        ]
    assert str(check).endswith(f"entries cannot be judged at a kink: {row.kink}")
    assert {row.name for row in check.rows if row.judged} >= {"last.weight", "last.bias"}


@pytest.mark.exhaustive
def test_a_black_image_in_a_whole_network():
    check = npgrad.gradcheck(squeezenet1_1(num_classes=5, rng=0), np.zeros((1, 3, 17, 17)), entries=1)
    assert check.verdict == KINK and "layer relu" in str(check)


@pytest.mark.parametrize("kind", ["black", "flat", "tied"])
@pytest.mark.parametrize("name", ["bias", "x"])
def test_an_error_shows_beside_a_kink(kind, name, rng):
    class Off(Conv2d):
        def backward(self, dy, cache):
            return super().backward(dy, cache) * (1.001 if name == "x" else 1)

        def parameter_gradients(self, dy, cache):
            gradients = super().parameter_gradients(dy, cache)
            return {key: g * (1.001 if key == name else 1) for key, g in gradients.items()}

    parts = dict(small().layers)
    parts["conv"] = Off(**vars(parts["conv"]))
    check = npgrad.gradcheck(Sequential(parts), kinked_nets.image(kind, rng, (2, 3, 8, 8)), entries=3)
    assert check.verdict == "WRONG" and check.worst.name == (name if name == "x" else f"conv.{name}")
    assert check.worst.beside == ("(found beside it)" in str(check))


class Cube(Layer):
    """y = x + x ** 3, whose backward is wrong at 0 only, where nothing is a kink."""

    def forward(self, x):
        return x + x**3, x

    def backward(self, dy, x):
        return np.where(x == 0, 0, dy * (1 + 3 * x * x))


def test_an_error_at_one_smooth_point_is_no_kink():
    zeros = np.zeros((2, 3))
    assert npgrad.gradcheck(Cube(), np.ones((2, 3)))
    for net in (Cube(), Sequential({"cube": Cube()})):
        assert npgrad.gradcheck(net, zeros).verdict == "WRONG"
    # not excused by a kink in a branch that has no influence, nor by one in another part of the input
    dead = Linear(np.zeros((3, 3)), None)
    nodes = {"relu": (ReLU(), "input"), "dead": (dead, "relu"), "cube": (Cube(), "input")}
    check = npgrad.gradcheck(Graph({**nodes, "sum": (Add(), ("dead", "cube"))}), zeros)
    assert {row.name for row in check.rows if row.judged and row.error > 1e-12} == {"x"}
    alive = Linear(np.diag([0.0, 0.0, 1.0]), None)
    nodes["dead"] = (alive, "relu")
    check = npgrad.gradcheck(Graph({**nodes, "sum": (Add(), ("dead", "cube"))}), zeros)
    assert check.verdict == "WRONG" and check.rows[0].kinks == 2 and check.worst.index[1] < 2


def test_kinks_that_the_output_does_not_show():
    nodes = {}

    def add(layer, source):
        nodes[f"n{len(nodes)}"] = (layer, source)
        return f"n{len(nodes) - 1}"

    kinked_nets.both_signs(add, "input", 2)
    check = npgrad.gradcheck(Graph(nodes), np.zeros((1, 2, 3, 3)))
    assert check.rows[0].kinks == 18 and check.rows[0].kink.endswith("(layer n0)")


def test_ties_in_pools_in_a_row(rng):
    net = Sequential({f"pool{i}": MaxPool2d(3, 1, padding=1) for i in range(3)})
    for x in (np.zeros((1, 2, 7, 7)), rng.integers(0, 2, (1, 2, 7, 7)) * 1.0):
        check = npgrad.gradcheck(net, x, entries=10)
        assert check.verdict != "WRONG" and check.rows[0].kinks


def test_entries_at_kinks_are_left_out_beside_others():
    x = np.array([[0.0, 1.0, -2.0]])
    check = npgrad.gradcheck(ReLU(), x)
    assert check and check.rows[0].kinks == 1 and check.rows[0].kink == "x[0, 0] (layer ReLU)"
    assert str(check).endswith("1 of 3 entries cannot be judged at a kink: x[0, 0] (layer ReLU)")

    def clamped(x):
        return np.minimum(x, 1).sum(), (x <= 1) * 1.0

    check = npgrad.gradcheck(clamped, x)
    assert check and (check.rows[0].kinks, check.rows[0].kink) == (1, "x[0, 1]")
    assert not npgrad.gradcheck(lambda x: (clamped(x)[0], 1.001 * clamped(x)[1]), x)
    assert npgrad.gradcheck(clamped, np.ones((1, 3))).verdict == KINK


def test_a_bias_before_batch_norm_is_zero_but_for_rounding(rng):
    net = Sequential({"conv": Conv2d.init(3, 4, 3), "norm": BatchNorm2d.init(4)})
    for x in (rng.normal(size=(2, 3, 8, 8)), 1000 + rng.normal(size=(2, 3, 8, 8))):
        check = npgrad.gradcheck(net, x, training=True, entries=5)
        assert check, check
    wrong = dict(net.layers)

    class Off(Conv2d):
        def parameter_gradients(self, dy, cache):
            gradients = super().parameter_gradients(dy, cache)
            return {key: gradient + 1e-6 for key, gradient in gradients.items()}

    wrong["conv"] = Off(**vars(net.layers["conv"]))
    assert not npgrad.gradcheck(Sequential(wrong), x, training=True, entries=5)


def drawn(seed, method):
    """(verdict of a right network, that of one with a planted error, whether its gradients differ)."""
    rng = np.random.default_rng(seed)
    channels, training = int(rng.integers(1, 4)), bool(rng.random() < 0.3)
    net = kinked_nets.network(rng, channels)
    x = kinked_nets.image(kinked_nets.IMAGES[seed % 7], rng, (2, channels, 11, 11))
    wrong = kinked_nets.planted(net, rng)
    options = {"method": method, "entries": 3, "training": training, "rng": seed}
    right, found = (  # with the upstream gradient that gradcheck will draw
        function.gradients(function.arrays)
        for function in (
            Network(one, x, training, np.random.default_rng(seed).spawn(1)[0]) for one in (net, wrong)
        )
    )
    largest = max(np.abs(gradient).max() for gradient in right.values())
    judged = [
        key for key in right if np.abs(right[key]).max() > 1e-9 * largest
    ]  # others are zero but for rounding
    differ = any(np.abs(right[key] - found[key]).max() > 1e-10 * np.abs(right[key]).max() for key in judged)
    return npgrad.gradcheck(net, x, **options), npgrad.gradcheck(wrong, x, **options), differ


@pytest.mark.sampled(1)
@pytest.mark.parametrize("seed", [0, 1, 6])
def test_drawn_networks(seed):
    right, wrong, differ = drawn(seed, "complex")
    assert right.verdict != "WRONG", right
    assert wrong.verdict == "WRONG" or not differ, wrong


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("method", "seeds", "share"),
    [
        ("complex", 20, 0.95),
        ("centered", 10, 0.8),
        pytest.param("complex", 210, 0.95, marks=pytest.mark.slow),
        pytest.param("centered", 70, 0.8, marks=pytest.mark.slow),
    ],
)
def test_many_drawn_networks(method, seeds, share):
    """Centered steps move single entries only, so that they find less."""
    counts = collections.Counter()
    for seed in range(100, 100 + seeds):
        right, wrong, differ = drawn(seed, method)
        assert right.verdict != "WRONG", (seed, str(right))
        counts[right.verdict] += 1
        if differ:
            counts["planted"] += 1
            counts["found"] += wrong.verdict == "WRONG"
    assert counts["right"] > seeds / 3 and counts[KINK] > seeds / 5
    assert counts["found"] >= share * counts["planted"] > seeds / 2, counts
