"""Shapley values, exact and sampled, against Captum and Shapley's own definition."""

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, quick, squeezenets
from messages import A_WHOLE_NUMBER

from npgrad import InputError
from npgrad.attribution import grid, kernel_shap, shapley_value_sampling, shapley_values

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}


def masks_for(x, features):
    """Segments of all channels, of single channels, and other ones in each image; each has all numbers."""
    rng = np.random.default_rng(4)
    across = np.arange(x.shape[2] * x.shape[3]).reshape(x.shape[2:]) * features // (x.shape[2] * x.shape[3])
    return [across, rng.integers(features, size=x.shape[1:]), rng.integers(features, size=x.shape)]


@pytest.fixture(autouse=True)
def captum_in_double(monkeypatch):
    """Captum adds up in torch.float, whatever the images are; here in double precision."""
    monkeypatch.setattr(torch, "float", torch.float64)


def theirs(mask, x):
    return torch.tensor(np.broadcast_to(mask, x.shape if np.ndim(mask) == 4 else x[:1].shape).copy())


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", quick(PAIRS))
def test_exact_values_equal_captums(name):
    pair = PAIRS[name]
    baseline = np.random.default_rng(1).normal(size=pair.x.shape)
    small = not name.startswith("squeezenet")
    for mask in masks_for(pair.x, 4 if small else 3)[: 3 if small else 1]:
        expected = C.ShapleyValues(pair.net).attribute(
            pair.tensor(), torch.tensor(baseline), target=TARGETS, feature_mask=theirs(mask, pair.x)
        )
        found = shapley_values(pair.model, pair.x, TARGETS, mask, baseline, batch_size=5)
        assert found.any()
        checks.assert_close(found, expected.detach().numpy(), 1e-8)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", quick(PAIRS))
def test_sampled_values_equal_captums(name):
    pair, orders = PAIRS[name], np.random.default_rng(7)
    orders = [orders.permutation(6) for _ in range(5)]
    for mask in masks_for(pair.x, 6)[: 1 if name.startswith("squeezenet") else 3]:
        method = C.ShapleyValueSampling(pair.net)
        method.permutation_generator = lambda features, samples: [order.tolist() for order in orders]
        expected = method.attribute(
            pair.tensor(), target=TARGETS, feature_mask=theirs(mask, pair.x), n_samples=5
        )
        found = shapley_value_sampling(pair.model, pair.x, TARGETS, mask, n_samples=5, rng=7, batch_size=4)
        assert found.any()
        checks.assert_close(found, expected.detach().numpy(), 1e-8)


def test_exact_values_are_kernel_shaps():
    """Which with few segments are exact as well, by another way."""
    pair, mask = PAIRS["fires"], grid((33, 29), (4, 2))
    found = shapley_values(pair.model, pair.x, TARGETS, mask)
    checks.assert_close(found, kernel_shap(pair.model, pair.x, TARGETS, mask), 1e-9)


@pytest.mark.parametrize("method", [shapley_values, shapley_value_sampling])
def test_values_sum_to_the_difference(method):
    pair, mask = PAIRS["overlapping pools"], grid((16, 21), (2, 3))
    found = method(pair.model, pair.x, "2 - 0", mask, baseline=0.3)
    totals = [found[:, 0][:, mask == k][:, 0] for k in range(6)]
    both = [pair.model(x)[:, 2] - pair.model(x)[:, 0] for x in (pair.x, np.full_like(pair.x, 0.3))]
    checks.assert_close(sum(totals), both[0] - both[1], 1e-10)


def test_too_many_segments_are_refused_with_the_number_of_passes():
    pair = PAIRS["fires"]
    with pytest.raises(
        InputError,
        match=r"^mask: expected at most 12 features \(max_features\), found 957, for which 2\^957 passes",
    ):
        shapley_values(pair.model, pair.x, mask=np.arange(33 * 29).reshape(33, 29))
    with pytest.raises(
        InputError, match=r"at most 3 .* found 4, for which 16 passes of each image are needed"
    ):
        shapley_values(pair.model, pair.x, mask=grid((33, 29), 2), max_features=3)
    found = shapley_values(pair.model, pair.x, mask=grid((33, 29), 2), max_features=4)
    assert found.shape == pair.x.shape


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (shapley_values, {"max_features": 0}, f"max_features: {A_WHOLE_NUMBER} >= 1, found 0"),
        (shapley_values, {"mask": np.zeros((2, 2), int)}, "mask: .* broadcasts to"),
        (shapley_value_sampling, {"n_samples": 0}, f"n_samples: {A_WHOLE_NUMBER} >= 1, found 0"),
        (shapley_value_sampling, {"rng": "x"}, "rng: expected a Generator"),
    ],
)
def test_wrong_arguments_are_named(method, options, message):
    pair = PAIRS["fires"]
    with pytest.raises(InputError, match=f"^{message}"):
        method(pair.model, pair.x, **options)
