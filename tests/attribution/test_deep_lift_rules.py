"""DeepLIFT's rules one by one, each against a second, slower implementation."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from checks import assert_close

from npgrad import InputError, Model
from npgrad.attribution.deep_lift import deep_lift, layer_deep_lift
from npgrad.attribution.deep_lift_rules import elementwise
from npgrad.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Softmax,
)
from npgrad.layers.im2col import borders

POOLS = [
    MaxPool2d(2),
    MaxPool2d(3, 2, ceil_mode=True),
    MaxPool2d((2, 3), 1, padding=(1, 0)),
    MaxPool2d(3, 2, padding=1, ceil_mode=True),
    MaxPool2d(2, 3),
    MaxPool2d((2, 3), 2, (0, 1, 1, 0), dilation=(3, 2)),
]


def windows_of(pool, shape, y):
    """The pixels of every window: {(n, c, i, j): [(row, column), ...]} in reading order."""
    (kh, kw), (sh, sw), (dh, dw) = pool.kernel_size, pool.stride, pool.dilation
    (ph, pw), _ = borders(pool.padding)
    return {
        index: [
            (r, c)
            for r in range(index[2] * sh - ph, index[2] * sh - ph + kh * dh, dh)
            for c in range(index[3] * sw - pw, index[3] * sw - pw + kw * dw, dw)
            if 0 <= r < shape[2] and 0 <= c < shape[3]
        ]
        for index in np.ndindex(y.shape)
    }


def slow_max_pool(pool, x, x0, dy):
    """Contributions of the pixels of x to dy * (y - y0), window by window."""
    contributions = np.zeros_like(x)
    for (n, c, i, j), pixels in windows_of(pool, x.shape, dy).items():
        here, there = [x[n, c, r, k] for r, k in pixels], [x0[n, c, r, k] for r, k in pixels]
        top = max(*here, *there)
        won, lost = pixels[int(np.argmax(here))], pixels[int(np.argmax(there))]
        contributions[n, c, won[0], won[1]] += dy[n, c, i, j] * (top - max(there))
        contributions[n, c, lost[0], lost[1]] += dy[n, c, i, j] * (max(here) - top)
    return contributions


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("ties", [False, True])
def test_max_pool_against_a_loop_over_windows(pool, ties, rng):
    x, x0 = rng.normal(size=(2, 2, 3, 8, 9))
    if ties:
        x, x0 = np.round(x), np.round(x0)
    weight = rng.normal(size=(4, pool(x)[0].size))
    model = Model(Sequential({"pool": pool, "flat": Flatten(), "fc": Linear(weight)}))
    target = [3, 1]
    found = layer_deep_lift(model, x, target, layer="input", baseline=x0)
    expected = slow_max_pool(pool, x, x0, weight[target].reshape(pool(x).shape))
    assert_close(found, expected, 1e-12)
    assert not ties or (x == x0).any()


def test_relu_has_the_slope_and_where_nothing_differs_the_gradient():
    """x moves by (3, -3), so the sum of both stands still: at 1 (open), and with bias -2 at -1 (shut)."""
    x, x0 = np.array([[2.0, -1.0]]), np.array([[-1.0, 2.0]])
    fc1 = Linear(np.array([[1.0, 0], [0, 1], [1, 1], [1, 1]]), np.array([0, 0, 0, -2.0]))
    fc2 = Linear(np.array([[5.0, 7.0, 11.0, 13.0]]))
    model = Model(Sequential({"fc1": fc1, "relu": ReLU(), "fc2": fc2}), outputs="value")
    multipliers = np.array([5 * 2 / 3 + 11, 7 * 2 / 3 + 11])
    assert_close(deep_lift(model, x, 0, baseline=x0), multipliers * (x - x0), 1e-14)


def test_of_a_linear_network_it_is_input_times_gradient(rng):
    layers = {
        "conv": Conv2d(rng.normal(size=(2, 3, 3, 3)), rng.normal(size=2)),
        "bn": BatchNorm2d(*rng.uniform(0.5, 2, size=(4, 2))),
        "flat": Flatten(),
        "drop": Dropout(0.5),
        "fc": Linear(rng.normal(size=(4, 12))),
    }
    model = Model(Sequential(layers))
    x, x0 = rng.normal(size=(2, 2, 3, 4, 5))
    tape = model.forward(x)
    dy = np.zeros_like(tape.output)
    dy[[0, 1], [3, 2]] = 1
    assert_close(deep_lift(model, x, [3, 2], x0), tape.backward(dy)["input"] * (x - x0), 1e-13)


def test_softmax_sums_up_even_where_a_logit_stands_still(rng):
    model = Model(
        Sequential({"fc": Linear(rng.normal(size=(4, 3))), "softmax": Softmax()}), outputs="probabilities"
    )
    x, x0 = rng.normal(scale=2, size=(2, 5, 3))
    logits = layer_deep_lift(model, x, [0, 1, 2, 3, 0], layer="fc", baseline=x0)
    score = (model(x) - model(x0))[np.arange(5), [0, 1, 2, 3, 0]]
    np.testing.assert_allclose(logits.sum(axis=1), score, rtol=1e-11)
    still = Model(Sequential({"fc": Linear(np.eye(3)), "softmax": Softmax()}), outputs="probabilities")
    x, x0 = np.array([[1.0, 2.0, -900.0], [1.0, -1.0, -899.0]])
    found = deep_lift(still, x[None], 0, baseline=x0)
    p, p0 = still(np.stack([x, x0]))[:, 0]
    assert abs(p - p0) > 0.1
    np.testing.assert_allclose(found.sum(), p - p0, rtol=1e-11)
    assert found[0, 0] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 100, 1e4, 1e9, 1e20, 1e37])
def test_softmax_sums_up_at_any_scale(scale, dtype, rng):
    """The contributions stay as large as the probabilities, whatever the logits."""
    fc = Linear((scale * rng.normal(size=(10, 6))).astype(dtype))
    model = Model(Sequential({"fc": fc, "softmax": Softmax()}), outputs="probabilities")
    x, x0 = rng.normal(size=(2, 20, 6)).astype(dtype)
    x0[:10] = 0
    top, top0 = model(x).argmax(axis=1), model(x0).argmax(axis=1)
    target = np.where(np.arange(20) % 2, top, top0)
    found, delta = deep_lift(model, x, target, baseline=x0, return_delta=True)
    assert found.dtype == dtype and np.abs(found).max() < 10
    changes = np.abs(model(x) - model(x0))[np.arange(20), target]
    assert (top != top0).sum() > 10 and changes[top != top0].min() > 1e-3
    assert np.abs(delta).max() < 20 * np.finfo(dtype).eps


@pytest.mark.filterwarnings("ignore:the input goes up")
@pytest.mark.parametrize("both", [0.0, 50.0, 800.0, 1e4])
def test_softmax_of_two_classes_is_the_sigmoid_of_their_difference(both):
    """A common shift of all logits changes no multiplier."""
    x, x0 = np.array([[1.5, -1.0]]) + both, np.array([[-0.5, 0.25]])
    model = Model(Sequential({"fc": Linear(np.eye(2)), "softmax": Softmax()}), outputs="probabilities")
    multipliers = deep_lift(model, x, 0, baseline=x0) / (x - x0)
    sigmoid = 1 / (1 + np.exp([-2.5, 0.75]))
    slope = (sigmoid[0] - sigmoid[1]) / (2.5 + 0.75)
    np.testing.assert_allclose(multipliers, [[slope, -slope]], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:the input goes up")
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize("large", [50, 120, 800, 1e4])
def test_softmax_where_all_logits_rise_together(large, dtype, rtol):
    """The score depends on x_0 - x_1 alone, which rises from 0 to 1: each has the slope over it for a multiplier."""
    weight = np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype)
    model = Model(Sequential({"fc": Linear(weight), "softmax": Softmax()}), outputs="probabilities")
    x = np.array([[large, large - 1]], dtype)
    found, delta = deep_lift(model, x, 0, return_delta=True)
    slope = 1 / (1 + np.exp(-1) + np.exp(-0.5)) - 1 / 3
    np.testing.assert_allclose(found, x * [[slope, -slope]], rtol=rtol)
    assert abs(delta[0]) < rtol * large


def test_softmax_close_to_the_reference_is_the_gradient(rng):
    model = Model(Sequential({"fc": Linear(np.eye(4)), "softmax": Softmax()}), outputs="probabilities")
    x = rng.normal(size=(2, 4))
    for step, tolerance in [(1e-6, 1e-5), (1e-11, 1e-12)]:
        x0 = x - step
        x0[:, 0] = x[:, 0]
        multipliers = deep_lift(model, x, [1, 3], baseline=x0)[:, 1:] / (x - x0)[:, 1:]
        tape = model.forward(x)
        dy = np.zeros_like(x)
        dy[[0, 1], [1, 3]] = 1
        assert_close(multipliers, tape.backward(dy)["input"][:, 1:], tolerance)


def test_a_class_that_only_x_shuts_off_is_explained_without_a_warning():
    layers = {"fc": Linear(np.array([[1.0, 2.0], [1.0, 1.0]]), np.zeros(2)), "relu": ReLU()}
    model = Model(Sequential(layers))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = deep_lift(model, np.array([[-3.0, 1.0]]), 0, baseline=np.array([[1.0, 1.0]]))
    np.testing.assert_allclose(found, [[-3.0, 0.0]])


@dataclass(frozen=True)
class Tanh(Layer):
    def forward(self, x):
        y = np.tanh(x)
        return y, y

    def backward(self, dy, y):
        return dy * (1 - y * y)


def test_layers_of_ones_own_need_a_rule(rng):
    layers = {"fc1": Linear(rng.normal(size=(6, 4))), "tanh": Tanh(), "fc2": Linear(rng.normal(size=(3, 6)))}
    model, (x, x0) = Model(Sequential(layers)), rng.normal(size=(2, 5, 4))
    with pytest.raises(InputError, match="^tanh: deep_lift has no rule for Tanh; give one in rules="):
        deep_lift(model, x, 1)
    for key in (Tanh, "tanh"):
        found = deep_lift(model, x, 1, x0, rules={key: elementwise})
        np.testing.assert_allclose(found.sum(axis=1), (model(x) - model(x0))[:, 1], rtol=1e-9)
