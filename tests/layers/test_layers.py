"""Every layer's numbers: against torch, the complex step and plain loops, however x lies in memory."""

from functools import cache

import checks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layer_cases import AVG_POOLS, CASES, CONVOLUTIONS, MAX_POOLS, RELUS, over, tied_inputs

from npgrad import InputError, layers
from npgrad.layers import (
    BatchNorm2d,
    Clip,
    ReLU,
    ReLU6,
)
from npgrad.layers.elementwise import Elementwise


@over(CASES)
def test_output_and_gradients_are_those_of_torch(case):
    checks.check_against_torch(case, case.layer(), case.inputs())


@over(CASES)
def test_gradients_are_those_of_the_complex_step(case):
    checks.check_complex_step(case, case.layer(), case.inputs())


def channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def every_second_number(x):
    larger = np.full([2 * size for size in x.shape], np.nan)
    view = larger[tuple(slice(1, None, 2) for _ in x.shape)]
    view[:] = x
    return view


def backwards(x):
    return np.flip(np.flip(x).copy())


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


ORDERS = [channels_last, np.asfortranarray, every_second_number, backwards, read_only]


@cache
def torch_results(case_id):
    case = next(case for case in CASES if case.id == case_id)
    layer, xs = case.layer(), case.inputs()
    dy = checks.random_dy(case, layer, xs)
    return dy, checks.run_torch(case, layer, xs, dy)


@pytest.mark.sampled(120)
@pytest.mark.parametrize(
    ("case", "lay"),
    [
        pytest.param(case, ORDERS[number % 5 - more], id=f"{case.id}-{ORDERS[number % 5 - more].__name__}")
        for number, case in enumerate(CASES)
        for more in (0, 2)
    ],
)
def test_any_order_in_memory_gives_the_same_numbers(case, lay):
    dy, expected = torch_results(case.id)
    found = checks.run_npgrad(case, case.layer(), [lay(x) for x in case.inputs()], lay(dy))
    checks.assert_all_close(found, expected, 1e-10)


@pytest.mark.sampled(60)
@over(CASES)
def test_inputs_and_upstream_gradient_are_not_changed(case):
    layer, xs = case.layer(), case.inputs()
    dy = checks.random_dy(case, layer, xs)
    before = [array.copy() for array in (*xs, dy, *layer.arrays(buffers=True).values())]
    checks.run_npgrad(case, layer, xs, dy)
    after = [*xs, dy, *layer.arrays(buffers=True).values()]
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.sampled(80)
@over(CASES)
def test_float32_stays_float32(case):
    layer = case.layer().map_arrays(lambda name, array: array.astype(np.float32))
    xs = [x.astype(np.float32) for x in case.inputs()]
    dy = checks.random_dy(case, layer, xs)
    found = checks.run_npgrad(case, layer, xs, dy)
    assert {name: array.dtype for name, array in found.items()} == dict.fromkeys(found, np.dtype(np.float32))
    exact_layer = layer.map_arrays(lambda name, array: array.astype(np.float64))
    exact = checks.run_npgrad(case, exact_layer, [x.astype(float) for x in xs], dy.astype(float))
    checks.assert_all_close(found, exact, 1e-5)


@pytest.mark.sampled(60)
@over([case for case in CASES if case.batch == 3 and not case.options])
def test_a_batch_gives_what_its_images_give_one_by_one(case):
    layer, xs = case.layer(), case.inputs()
    dy = checks.random_dy(case, layer, xs)
    together = checks.run_npgrad(case, layer, xs, dy)
    singles = [checks.run_npgrad(case, layer, [x[i : i + 1] for x in xs], dy[i : i + 1]) for i in range(3)]
    per_image = {"y", *checks.input_names(case)}
    expected = {
        name: np.concatenate([s[name] for s in singles])
        if name in per_image
        else sum(s[name] for s in singles)
        for name in together
    }
    checks.assert_all_close(together, expected, 1e-12)


def flat_inputs(case):
    """Zeros of both signs: everything ties."""
    rng = np.random.default_rng(6)
    return tuple(rng.choice([0.0, -0.0], x.shape) for x in case.inputs())


@pytest.mark.parametrize("draw", [tied_inputs, flat_inputs])
@over(RELUS + MAX_POOLS + AVG_POOLS + CONVOLUTIONS)
def test_ties_and_exact_zeros_are_decided_as_in_torch(case, draw):
    checks.check_against_torch(case, case.layer(), draw(case))


def test_the_first_of_equal_maxima_gets_the_gradient():
    x = np.array([[[[1.0, 5, 5], [5, 0, 5], [2, 5, 3]]]])
    pool = layers.MaxPool2d(3)
    assert pool.backward(np.array([[[[7.0]]]]), pool.forward(x)[1]).tolist() == [
        [[[0, 7, 0], [0, 0, 0], [0, 0, 0]]]
    ]


def test_a_pixel_that_wins_two_windows_gets_the_sum():
    x = np.array([[[[0.0, 1, 9, 1, 0]]]])
    pool = layers.MaxPool2d((1, 3), stride=2)
    assert pool.backward(np.array([[[[2.0, 3]]]]), pool.forward(x)[1]).tolist() == [[[[0, 0, 5, 0, 0]]]]


def test_pixels_that_no_window_reaches_get_no_gradient():
    case = next(case for case in MAX_POOLS if case.id == "max pool 2 stride 3, gaps")
    for layer in (
        layers.MaxPool2d(2, 3),
        layers.AvgPool2d(2, 3),
        layers.Conv2d(np.ones((1, 2, 2, 2)), stride=3),
    ):
        y, cache = layer.forward(*case.inputs())
        dx = layer.backward(np.ones(y.shape), cache)
        assert not dx[:, :, 2::3].any()
        assert not dx[:, :, :, 2::3].any()
        assert not dx[:, :, :, 9].any()
        assert dx[:, :, :2, :2].any()


def test_no_layer_turns_nan_into_a_number():
    for case in CASES:
        layer, xs = case.layer(), case.inputs()
        for x in xs:
            x.flat[:: max(2, x.size // 5)] = np.nan
        arrays = {name: torch.tensor(np.array(array)) for name, array in layer.arrays(buffers=True).items()}
        expected = case.torch(case.pack([torch.tensor(x) for x in xs]), arrays).numpy()
        y, _ = layer.forward(case.pack(xs), **case.options)
        lost = np.isnan(expected) & ~np.isnan(y)  # a product with a matrix that has zeros may spread NaN
        assert not lost.any(), case.id


@over(RELUS + MAX_POOLS)
def test_nan_goes_through_as_in_torch(case):
    layer, (x,) = case.layer(), case.inputs()
    x.flat[:: max(2, x.size // 5)] = np.nan
    y, _ = layer.forward(x)
    expected = case.torch(torch.tensor(x), {}).numpy()
    assert np.isnan(expected).any()
    assert np.array_equal(y, expected, equal_nan=True)


def test_softmax_of_huge_scores_does_not_overflow():
    layer = layers.Softmax()
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e4, -1e4, -1e4]])
    y, cache = layer.forward(x)
    checks.assert_close(y, torch.softmax(torch.tensor(x), 1).numpy(), 1e-15)
    assert np.isfinite(layer.backward(np.ones(y.shape), cache)).all()


@pytest.mark.parametrize("kind", [kind for kind in Elementwise.__subclasses__() if kind is not layers.PReLU])
def test_no_activation_overflows_at_large_numbers(kind):
    x = np.array([-1e4, -800.0, -100.0, -0.0, 0.0, 100.0, 800.0, 1e4])
    y, cache = kind().forward(x)
    dx = kind().backward(np.ones(8), cache)
    assert np.isfinite(y).all() and np.isfinite(dx).all()
    bounded = kind in (layers.Sigmoid, layers.HardSigmoid, layers.Tanh)
    assert (np.abs(y) <= 1).all() if bounded else y[-1] == x[-1] or kind is layers.SELU
    assert layers.Sigmoid()(np.array([-700.0]))[0] == np.exp(-700.0)  # not 0 by cancellation
    assert layers.GELU()(np.array([-30.0]))[0] < 0 and layers.GELU("tanh")(np.array([-9.0]))[0] < 0


def test_activations_at_their_kinks_are_those_of_torch():
    x = np.array([-3.0, -0.0, 0.0, 3.0])
    functions = {
        layers.LeakyReLU(0.2): lambda t: F.leaky_relu(t, 0.2),
        layers.ELU(0.7): lambda t: F.elu(t, 0.7),
        layers.SELU(): F.selu,
        layers.HardSigmoid(): F.hardsigmoid,
        layers.HardSwish(): F.hardswish,
    }
    for layer, function in functions.items():
        t = torch.tensor(x, requires_grad=True)
        function(t).sum().backward()
        y, cache = layer.forward(x)
        np.testing.assert_allclose(y, function(t).detach().numpy(), rtol=1e-15)
        np.testing.assert_allclose(
            layer.backward(np.ones(4), cache), t.grad.numpy(), rtol=1e-7, err_msg=str(layer)
        )
    prelu = layers.PReLU(np.array([0.3]))
    _, cache = prelu.forward(x[None])
    assert prelu.backward(np.ones((1, 4)), cache).tolist() == [[0.3, 0.3, 0.3, 1]]


def test_on_a_bound_the_derivative_is_0():
    x = np.array([[-1.0, 0, 1, 5, 6, 7]])
    one = np.ones_like(x)
    np.testing.assert_array_equal(ReLU6().backward(one, x), [[0, 0, 1, 1, 0, 0]])
    np.testing.assert_array_equal(ReLU().backward(one, x), [[0, 0, 1, 1, 1, 1]])
    np.testing.assert_array_equal(Clip(0, 6).backward(one, x), [[0, 0, 1, 1, 0, 0]])
    np.testing.assert_array_equal(Clip(1, 1)(x), one)  # low may be high


def test_batch_norm_at_its_bounds():
    x = np.array([1.0, 3.0, -2.0, 4.0]).reshape(2, 2, 1, 1)
    ones, zeros = np.ones(2), np.zeros(2)
    flat = BatchNorm2d(ones, zeros, zeros, zeros, eps=0.25, momentum=0)  # a channel that never varied
    assert np.array_equal(flat(x), 2 * x)
    assert np.array_equal(BatchNorm2d(ones, zeros, zeros, 4 * ones, eps=0)(x), x / 2)
    for name in ("eps", "momentum"):
        with pytest.raises(InputError, match=f"BatchNorm2d {name}: expected a finite number >= 0, found inf"):
            BatchNorm2d(ones, zeros, zeros, ones, **{name: np.inf})
    two = BatchNorm2d(ones, zeros, zeros, ones, eps=0)  # two values a channel are enough to train on
    y, cache = two.forward(x, training=True)
    assert y.ravel().tolist() == [1, -1, -1, 1]
    assert two.new_statistics(cache)["running_var"].tolist() == [0.9 + 0.1 * 4.5, 0.9 + 0.1 * 0.5]
