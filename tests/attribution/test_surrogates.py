"""Kernel SHAP, against Shapley's own definition, scikit-learn and Captum; and what it shares with LIME."""

from itertools import permutations
from math import comb

import checks
import numpy as np
import pytest
from captum.attr import KernelShap
from captum_nets import TARGETS, captum_mask, given, pairs
from checks import additions_in, assert_rounding
from messages import A_WHOLE_NUMBER
from sklearn.linear_model import LinearRegression

from npgrad.attribution import surrogates
from npgrad.attribution.segments import feature_maps, grid
from npgrad.attribution.surrogates import kernel_shap, lime

PAIRS = {pair.name: pair for pair in pairs()}
NET = PAIRS["overlapping pools"]
# additions, and the scale: a fit is of differences of scores
ROUNDING = additions_in(NET.model), np.abs(NET.model(NET.x)).max()


# Kernel SHAP


def value_of(pair, i, mask, target, baseline=0.0):
    """v(coalition), the score of image i with the pieces of a set alone; each set is asked for once."""
    known = {}

    def value(pieces):
        pieces = frozenset(pieces)
        if pieces not in known:
            stays = np.isin(mask, list(pieces))
            known[pieces] = pair.model(np.where(stays, pair.x[i], baseline)[None])[0, target]
        return known[pieces]

    return value


def shapley_by_subsets(value, m):
    """Shapley 1953: a piece's contribution to every set of the others, weighted by how often it comes up."""
    result = np.zeros(m)
    for j in range(m):
        others = [k for k in range(m) if k != j]
        for bits in range(2 ** (m - 1)):
            pieces = [k for b, k in enumerate(others) if bits >> b & 1]
            gain = value([*pieces, j]) - value(pieces)
            result[j] += gain / (m * comb(m - 1, len(pieces)))
    return result


def shapley_by_orders(value, m):
    """The mean over all orders in which the pieces can come of what each adds."""
    orders = list(permutations(range(m)))
    result = np.zeros(m)
    for order in orders:
        for k, piece in enumerate(order):
            result[piece] += value(order[: k + 1]) - value(order[:k])
    return result / len(orders)


@pytest.mark.parametrize("name", ["max pools", "fires", "linears"])
@pytest.mark.parametrize("m", [1, 2, 5])
def test_kernel_shap_is_the_mean_over_all_orders(name, m):
    pair = PAIRS[name]
    mask = grid(pair.x.shape[2:], (1, m))
    found = kernel_shap(pair.model, pair.x, TARGETS, mask=mask, baseline=0.3)
    for i, target in enumerate(TARGETS):
        values = shapley_by_orders(value_of(pair, i, mask, target, 0.3), m)
        np.testing.assert_allclose(found[i], np.broadcast_to(values[mask], found[i].shape), rtol=0, atol=1e-8)


def test_kernel_shap_is_exact_for_ten_pieces_whatever_n_samples():
    mask = grid(NET.x.shape[2:], (2, 5))
    found = kernel_shap(NET.model, NET.x[:1], 2, mask=mask, n_samples=1)
    values = shapley_by_subsets(value_of(NET, 0, mask, 2), 10)
    checks.assert_close(found[0, 0], values[mask], 1e-8)


@pytest.mark.exhaustive
def test_kernel_shap_is_exact_where_n_samples_suffice():
    pair = PAIRS["linears"]
    mask = grid(pair.x.shape[2:], (2, 6))
    found = kernel_shap(pair.model, pair.x[:1], 2, mask=mask, n_samples=2**12 - 2)
    values = shapley_by_subsets(value_of(pair, 0, mask, 2), 12)
    checks.assert_close(found[0, 0], values[mask], 1e-8)


@pytest.mark.parametrize("n_samples", [1, 7, 100])
def test_sampled_kernel_shap_sums_to_the_change_of_the_score(n_samples):
    mask = grid(NET.x.shape[2:], (4, 5))
    found = kernel_shap(NET.model, NET.x, TARGETS, mask=mask, n_samples=n_samples)
    change = NET.model(NET.x) - NET.model(np.zeros_like(NET.x))
    one_a_piece = [[found[i, 0][mask == k][0] for k in range(20)] for i in range(3)]
    np.testing.assert_allclose(np.sum(one_a_piece, axis=1), change[[0, 1, 2], TARGETS], rtol=1e-10)


def test_sampled_kernel_shap_comes_near_the_shapley_values():
    pair = PAIRS["linears"]
    mask = grid(pair.x.shape[2:], (2, 6))
    exact = kernel_shap(pair.model, pair.x, TARGETS, mask=mask, n_samples=5000)
    errors = [
        np.abs(kernel_shap(pair.model, pair.x, TARGETS, mask=mask, n_samples=n) - exact).max()
        for n in (40, 1500)
    ]
    assert errors[1] < 0.1 * np.abs(exact).max()
    assert errors[1] < errors[0] / 3


def test_drawn_coalitions_have_the_shapley_kernels_sizes():
    z, weights = surrogates._shapley_coalitions(20, 40_001, np.random.default_rng(3))
    assert z.shape == (40_001, 20)
    assert (weights == 1).all()
    np.testing.assert_array_equal(z[0:-1:2], ~z[1::2])  # each followed by its complement
    sizes = np.arange(1, 20)
    chances = 19 / (sizes * (20 - sizes))
    share = np.bincount(z.sum(axis=1), minlength=21)[1:20] / len(z)
    np.testing.assert_allclose(share, chances / chances.sum(), atol=0.01)
    np.testing.assert_allclose(z.mean(axis=0), 0.5, atol=0.01)


def test_the_regression_is_scikit_learns_with_the_ends_held_by_a_large_weight(rng):
    z = rng.random((60, 7)) < 0.5
    f, weights = rng.normal(size=60), rng.random(60) + 0.1
    found = surrogates._shapley_regression(z, f, weights, empty=0.4, full=1.7)
    ends = np.array([[False] * 7, [True] * 7])
    other = LinearRegression().fit(
        np.concatenate([ends, z]), [0.4, 1.7, *f], sample_weight=[1e9, 1e9, *weights]
    )
    np.testing.assert_allclose(found, other.coef_, atol=1e-6)
    assert abs(found.sum() - 1.3) < 1e-12


def test_kernel_shap_is_captums_on_the_same_coalitions(monkeypatch):
    """Captum fits in float32, with a weight of 1e6 in place of the constraint."""
    mask = grid(NET.x.shape[2:], (3, 4))
    z, _ = surrogates._shapley_coalitions(12, 300, np.random.default_rng(5))
    theirs = KernelShap(NET.net)
    theirs.perturb_func = given(np.concatenate([np.ones((1, 12), bool), np.zeros((1, 12), bool), z]))
    expected = theirs.attribute(
        NET.tensor()[:1], target=2, feature_mask=captum_mask(mask), n_samples=302, perturbations_per_eval=64
    )
    monkeypatch.setattr(surrogates, "_shapley_coalitions", lambda m, n, rng: (z, np.ones(len(z))))
    found = kernel_shap(NET.model, NET.x[:1], 2, mask=mask)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4 * np.abs(found).max())


# both


@pytest.mark.parametrize("method", [lime, kernel_shap])
def test_batches_and_dtypes(method):
    options = {"mask": grid((16, 21), (3, 4)), "n_samples": 31}
    found = method(NET.model, NET.x, TARGETS, **options)
    assert found.shape == NET.x.shape
    for batch_size in (1, 7, 1000):
        again = method(NET.model, NET.x, TARGETS, batch_size=batch_size, **options)
        assert_rounding(again, found, *ROUNDING)
    assert_rounding(method(NET.model, NET.x[:1], TARGETS[:1], **options), found[:1], *ROUNDING)
    single = method(NET.model.astype(np.float32), NET.x.astype(np.float32), TARGETS, **options)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, found, atol=1e-4 * np.abs(found).max())


@pytest.mark.parametrize("method", [lime, kernel_shap])
def test_the_seed_decides(method):
    options = {"mask": grid((16, 21), (3, 4)), "n_samples": 31}
    found = method(NET.model, NET.x, TARGETS, rng=1, **options)
    np.testing.assert_array_equal(
        found, method(NET.model, NET.x, TARGETS, rng=np.random.default_rng(1), **options)
    )
    assert not np.array_equal(found, method(NET.model, NET.x, TARGETS, rng=2, **options))


@pytest.mark.parametrize("method", [pytest.param(lime, marks=pytest.mark.exhaustive), kernel_shap])
def test_top_class_superpixels_and_progress(method):
    calls = []
    found = method(
        NET.model, NET.x, n_samples=9, batch_size=4, progress=lambda done, total: calls.append((done, total))
    )
    assert calls[-1][0] == calls[-1][1]
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    maps = feature_maps(None, NET.x)
    again = method(NET.model, NET.x, NET.model(NET.x).argmax(axis=1), n_samples=9, mask=np.stack(maps))
    assert_rounding(again, found, *ROUNDING)


@pytest.mark.parametrize("method", [lime, kernel_shap])
def test_any_labels_and_one_map_per_image(method):
    mask = grid((16, 21), (2, 3))
    maps = np.stack([mask, mask.T.reshape(16, 21), 5 - mask])[:, None]
    found = method(NET.model, NET.x, TARGETS, mask=maps * 7 - 3)
    one = method(NET.model, NET.x[:1], TARGETS[:1], mask=mask)
    assert_rounding(one, found[:1], *ROUNDING)


def test_the_pieces_of_channels_may_differ():
    mask = np.arange(3)[:, None, None]  # a channel is a piece
    found = kernel_shap(NET.model, NET.x[:1], 2, mask=mask)
    values = shapley_by_subsets(value_of(NET, 0, np.broadcast_to(mask, (3, 16, 21)), 2), 3)
    np.testing.assert_allclose(found[0, :, 0, 0], values, atol=1e-8)


@pytest.mark.parametrize("method", [lime, kernel_shap])
@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_samples": 0}, f"n_samples: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"n_samples": 2.5}, "n_samples"),
        ({"mask": np.zeros((16, 20), int)}, r"mask: expected an array that broadcasts to \(3, 3, 16, 21\)"),
        ({"mask": np.zeros((16, 21))}, "mask: expected integers"),
        ({"baseline": np.zeros((3, 5))}, "baseline: "),
        ({"baseline": np.nan}, "baseline: "),
        ({"batch_size": 0}, "batch_size"),
        ({"rng": "dice"}, "rng"),
        ({"target": 5}, "0 to 4"),
    ],
)
def test_arguments_that_cannot_be(method, options, message):
    with pytest.raises(ValueError, match=message):
        method(NET.model, NET.x, **options)


@pytest.mark.parametrize("method", [lime, kernel_shap])
def test_a_dead_class_gives_zeros_and_one_warning(method):
    bias = PAIRS["fires"].model.parameters()["conv5.bias"].copy()
    bias[2] = -1000
    model = PAIRS["fires"].model.with_parameters({"conv5.bias": bias})
    with pytest.warns(UserWarning, match="the score of class 2 is exactly 0") as caught:
        found = method(model, PAIRS["fires"].x[:1], 2, mask=grid((33, 29), 2))
    assert len(caught) == 1
    assert not found.any()
