"""Half, single, double and complex numbers: which one a layer's result has."""

import numpy as np

from npgrad.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Conv2d,
    GlobalAvgPool2d,
    MaxPool2d,
    ReLU,
    ReLU6,
)


def test_half_precision_stays_what_it_is():
    half = np.arange(16, dtype=np.float16).reshape(1, 1, 4, 4)
    for layer in (
        MaxPool2d(2),
        AvgPool2d(2),
        AdaptiveAvgPool2d(2),
        ReLU(),
        ReLU6(),
        Clip(0, 3),
        GlobalAvgPool2d(),
    ):
        y, cache = layer.forward(half)
        assert y.dtype == np.float16 and layer.backward(y, cache).dtype == np.float16


def test_a_complex_step_may_be_in_any_parameter():
    x, ones, zeros = np.ones((1, 2, 1, 1)), np.ones(2), np.zeros(2)
    step = np.array([0, 1e-200j])
    y = BatchNorm2d(ones, zeros + step, zeros, ones, eps=0)(x)
    assert y.ravel().tolist() == [1, 1 + 1e-200j]
    assert BatchNorm2d(ones + step, zeros, zeros, ones, eps=0)(x).ravel().tolist() == [1, 1 + 1e-200j]


def test_the_wider_of_two_precisions_is_kept():
    rng = np.random.default_rng(0)
    weight, x, dy = (
        rng.normal(size=(4, 3, 2, 2)),
        rng.normal(size=(1, 3, 5, 5)),
        rng.normal(size=(1, 4, 4, 4)),
    )
    wide, narrow = Conv2d(weight), Conv2d(weight.astype(np.float32))
    x32, dy32 = x.astype(np.float32), dy.astype(np.float32)
    assert np.array_equal(wide(x32), wide(x32.astype(np.float64)))
    assert np.array_equal(wide.backward(dy32, x32), wide.backward(dy32.astype(np.float64), x32))
    assert narrow(x32).dtype == narrow.backward(dy32, x32).dtype == np.float32
    for pair in ((dy32, x), (dy, x32)):
        found = wide.parameter_gradients(*pair)["weight"]
        expected = wide.parameter_gradients(*(array.astype(np.float64) for array in pair))["weight"]
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-12)
