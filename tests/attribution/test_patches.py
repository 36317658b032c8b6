"""A score after a change of a few pixels equals that of the whole pass, and less is computed for it."""

import numpy as np
import pytest
from checks import assert_close

from npgrad import Model, layers
from npgrad.attribution._patches import Rescoring
from npgrad.layers import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Fire,
    GlobalAvgPool2d,
    Graph,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from npgrad.models import densenet121, googlenet, shufflenet_v2_x0_5, squeezenet1_0, squeezenet1_1


def conv(channels, filters, kernel, stride=1, padding=0, groups=1, rng=0):
    made = Conv2d.init(channels, filters, kernel, stride, padding, groups, rng=rng)
    return Conv2d(made.weight.astype(np.float64), np.linspace(-1, 1, filters), stride, padding, groups)


def fire(channels):
    made = Fire.init(channels, 3, 4, 5, rng=2)
    return made.map_arrays(lambda name, array: array.astype(np.float64) + 0.1 * (array.ndim == 1))


def batch_norm(channels):
    return layers.BatchNorm2d(*(np.linspace(a, b, channels) for a, b in ((1, 2), (-1, 1), (0, 1), (1, 3))))


END = {"conv10": conv(8, 6, 1, rng=5), "relu10": ReLU(), "mean": GlobalAvgPool2d()}
NETS = {
    "strides, padding": {"a": conv(3, 8, 5, 3, 2), "relu": ReLU(), "b": conv(8, 8, 3, 2, 1, rng=1), **END},
    "sides of their own": {"a": conv(3, 8, (1, 5), (2, 1), (0, 2)), "b": conv(8, 8, (4, 2), (1, 3), (1, 0)), **END},
    "paddings of one side, dilation": {
        "a": conv(3, 8, 3, 2, (0, 1, 2, 0)), "p": MaxPool2d(3, 2, (0, 1, 0, 1)),
        "b": Conv2d(conv(8, 8, 2).weight, None, 1, (1, 0, 0, 2), 1, (2, 1)),
        "q": MaxPool2d(2, 1, (1, 0, 1, 1), False, 2),
        "m": AvgPool2d(2, 1, (0, 1, 0, 1), count_include_pad=False), **END,
    },
    "borders, other activations": {
        "p": layers.Pad((2, 0, 1, 3), value=0.5), "a": conv(3, 8, 3, 2), "s": layers.SiLU(),
        "n": layers.LayerNorm(np.ones(8), channels=True), "c": layers.ChannelShuffle(2),
        "l": layers.LocalResponseNorm(3, 1.0), "q": layers.Pad(1), "affine": layers.Affine(2.0, -1),
        "b": conv(8, 8, 3), "max": layers.GlobalMaxPool2d(), "fc": Linear(np.eye(6, 8), np.ones(6)),
    },
    "gaps": {"a": conv(3, 8, 2, 4), "relu": ReLU(), **END},  # some pixels reach nothing
    "overlapping pools, ceil": {"a": conv(3, 8, 3), "p": MaxPool2d(3, 2, ceil_mode=True), "b": conv(8, 8, 3), **END},
    "padded pools": {"p": MaxPool2d(3, 2, 1), "a": conv(3, 8, 3, 1, 1), "q": MaxPool2d((2, 3), (3, 2), 1), **END},
    "means": {
        "p": AvgPool2d(3, 2, 1, count_include_pad=False), "a": conv(3, 8, 3),
        "q": AvgPool2d(3, 2, 1, ceil_mode=True), **END,
    },
    "fires": {"a": conv(3, 6, 3, 2), "relu": ReLU(), "fire": fire(6), "p": MaxPool2d(3, 2), "b": conv(9, 8, 1), **END},
    "nested, groups": {
        "features": Sequential({"a": conv(3, 8, 3), "inner": Sequential({"g": conv(8, 8, 3, 1, 1, 4), "r": ReLU()})}),
        "bn": batch_norm(8), "drop": Dropout(), **END,
    },
    "two outputs of one": {"a": conv(3, 8, 3), "bn": batch_norm(8), "mean": GlobalAvgPool2d()},
    "fully connected": {
        "a": conv(3, 4, 3, 2), "relu": ReLU(), "flat": layers.Flatten(),
        "fc": Linear(np.eye(5, 4 * 12 * 9), np.zeros(5)),
    },
    "softmax": {"a": conv(3, 8, 3), **END, "soft": layers.Softmax()},
    "groups at the end": {"a": conv(3, 8, 3), "g": conv(8, 6, 1, groups=2), "mean": GlobalAvgPool2d()},
    "graph": {"stem": conv(3, 4, 3), "graph": Graph({
        "a": (conv(4, 4, 3, 2, 1), "input"), "b": (MaxPool2d(2, 2), "input"),
        "c": (conv(4, 4, (2, 3), 2, rng=1), "input"), "wide": (layers.Pad((0, 0, 0, 1)), "c"),
        "cut": (Sequential({"x": layers.Pad((0, 1, 0, 0)), "p": MaxPool2d(2, 1)}), "a"),
        "sum": (layers.Add(), ("b", "wide")), "both": (layers.Concat(), ("sum", "b")),
        "less": (layers.Subtract(), ("b", "sum")),
        "inner": (Graph({"relu": (ReLU(), "input"), "one": (layers.Concat(), ("relu",))}), "less"),
        "all": (layers.Concat(), ("both", "inner")), "to8": (conv(12, 8, 1), "all"),
        "mean": (GlobalAvgPool2d(), "cut"), "fc": (Linear(np.eye(8, 4)), "mean"),
        "shape": (layers.Reshape((8, 1, 1)), "fc"), "gated": (layers.Multiply(), ("to8", "shape")),
    }), **END},
    "rows concatenated": {"graph": Graph({
        "a": (conv(3, 8, 3), "input"), "b": (conv(3, 8, 3, rng=1), "input"), "both": (layers.Concat(2), ("a", "b")),
        "c": (conv(8, 8, 3), "both"),
    }), **END},
}  # fmt: skip


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", NETS)
def test_every_change_scores_as_in_the_whole_pass(name):
    model, rng = Model(Sequential(NETS[name])), np.random.default_rng(3)
    x = rng.normal(size=(1, 3, 25, 20))
    for target in (0, 4):
        score = Rescoring(model, x, target)
        assert_close(score.clean, model(x)[0, target], 1e-13)
        for _ in range(60):
            (top, bottom), (left, right) = (np.sort(rng.integers(0, side + 1, 2)) for side in x.shape[2:])
            changed = x.copy()
            changed[:, :: rng.integers(1, 3), top:bottom, left:right] = rng.normal()
            assert_close(score(changed), model(changed)[0, target], 1e-12, f"{top}:{bottom}, {left}:{right}")


@pytest.mark.parametrize(
    "network", [fire(3), layers.Residual({"a": conv(3, 3, 3, 1, 1)})], ids=["fire", "residual"]
)
def test_a_network_of_one_block(network):
    end = Sequential({"block": network, "mean": GlobalAvgPool2d()})
    x = np.random.default_rng(0).normal(size=(1, 3, 9, 9))
    changed = x.copy()
    changed[:, :, 2:4, 5:9] = 1
    assert_close(Rescoring(Model(end), x, 2)(changed), end(changed)[0, 2], 1e-13)
    alone = Model(Sequential({"pool": layers.AvgPool2d(9), "inner": network, "flat": layers.Flatten()}))
    assert_close(Rescoring(alone, x, 2)(changed), alone(changed)[0, 2], 1e-13)


def test_a_network_that_takes_no_images():
    model = Model(Sequential({"fc": Linear(np.arange(12.0).reshape(3, 4), np.ones(3)), "relu": ReLU()}))
    x = np.array([[1.0, 2, 3, 4]])
    score = Rescoring(model, x, 2)
    assert score.clean == model(x)[0, 2]
    x2 = np.array([[1.0, 0, 3, 4]])
    assert score(x2) == model(x2)[0, 2]


def test_a_network_of_ones_own():
    class Twice(layers.Layer):
        def forward(self, x):
            return np.concatenate((x, x[:, ::-1]), axis=1).mean(axis=(2, 3)), None

    model = Model(Sequential({"a": conv(3, 4, 3), "twice": Twice()}))
    x = np.random.default_rng(0).normal(size=(1, 3, 9, 9))
    score, changed = Rescoring(model, x, 7), x.copy()
    changed[:, :, 2:4, 5:9] = 1
    assert_close(score(changed), model(changed)[0, 7], 1e-13)


def test_nothing_changed_is_the_clean_score_and_runs_nothing(monkeypatch):
    score = Rescoring(Model(Sequential(NETS["gaps"])), np.ones((1, 3, 25, 20)), 1)
    monkeypatch.setattr(Conv2d, "forward", None)
    assert score(np.ones((1, 3, 25, 20))) == score.clean
    changed = np.ones((1, 3, 25, 20))
    changed[:, :, 2:4] = changed[..., 6] = 9  # between the windows
    changed[:, :, :, 6] = 1
    assert score(changed) == score.clean


@pytest.mark.parametrize(
    ("maker", "most"),
    [
        (squeezenet1_0, 0.3),
        (squeezenet1_1, 0.4),
        pytest.param(densenet121, 0.8, marks=pytest.mark.exhaustive),
        pytest.param(googlenet, 0.8, marks=pytest.mark.exhaustive),
        (shufflenet_v2_x0_5, 0.8),
    ],
)
def test_little_is_computed_again(maker, most, monkeypatch):
    """Multiplications of the convolutions, for a window of 45 px in 224."""
    model, done = maker(num_classes=1000), []

    def count(layer, x, forward=Conv2d.forward):
        y, cache = forward(layer, x)
        done.append(y.size * layer.weight[0].size)
        return y, cache

    x = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    score, changed = Rescoring(model, x, 3), x.copy()
    changed[:, :, 96:141, 80:125] = 0
    monkeypatch.setattr(Conv2d, "forward", count)
    model(x)
    whole = sum(done)
    done.clear()
    score(changed)
    assert 0 < sum(done) < most * whole


def test_receptive_fields_multiply_out():
    """One pixel's change reaches just the outputs that the combined window says."""
    for parts in (
        {"a": conv(3, 4, 5, 3, 2), "b": conv(4, 4, 3, 2, 1), "p": AvgPool2d(3, 2)},
        {"a": conv(3, 4, (1, 2), (3, 1)), "r": ReLU(), "b": conv(4, 4, 3, (1, 2))},
    ):
        both = Sequential(parts)
        (kh, kw), (sh, sw), (ph, pw) = both.receptive_field()
        y = both(np.zeros((1, 3, 40, 41)))
        for row, column in ((0, 0), (17, 20), (39, 40)):
            x = np.zeros((1, 3, 40, 41))
            x[:, :, row, column] = 1e6
            found = np.argwhere((both(x) != y).any(axis=(0, 1)))
            for i, j in found:
                assert i * sh - ph <= row < i * sh - ph + kh and j * sw - pw <= column < j * sw - pw + kw
    assert Sequential({"a": conv(3, 4, 3), "g": GlobalAvgPool2d()}).receptive_field() is None
    assert fire(6).receptive_field() == ((3, 3), (1, 1), (1, 1))
