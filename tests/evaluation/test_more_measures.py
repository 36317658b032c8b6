"""Completeness, sensitivity-n, sparseness, selectivity, top-k intersection, the random-logit test.

Each against the formula of its paper, computed slowly, one image after the other.
"""

import warnings

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from captum_nets import TARGETS, pairs, squeezenets
from checks import additions_in, assert_rounding
from messages import A_WHOLE_NUMBER, FINITE_NUMBERS
from scipy.stats import pearsonr, spearmanr

from npgrad import Model, attribution, layers, targets
from npgrad.errors import InputError
from npgrad.evaluation import (
    aic_auc,
    completeness,
    random_logit,
    selectivity,
    sensitivity_n,
    sic_auc,
    sparseness,
    top_k_intersection,
)
from npgrad.evaluation.randomization import ssim

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()] if pair.name != "linears"}
NET = PAIRS["overlapping pools"]
ON_NETWORKS = [completeness, selectivity, sensitivity_n, sic_auc, aic_auc]


@pytest.fixture
def random_map(rng):
    return rng.normal(size=NET.x.shape)


def score(pair, image, target):
    with torch.no_grad():
        return pair.net(torch.tensor(image[None]))[0, target].item()


# completeness and sensitivity-n


@pytest.mark.parametrize("name", PAIRS)
def test_completeness_is_captums_convergence_delta(name, rng):
    pair = PAIRS[name]
    given, start = rng.normal(size=pair.x.shape), rng.normal(size=pair.x.shape)
    delta = IntegratedGradients(pair.net).compute_convergence_delta(
        torch.tensor(given), torch.tensor(start), pair.tensor(), target=TARGETS
    )
    found = completeness(pair.model, pair.x, given, TARGETS, baseline=start)
    np.testing.assert_allclose(found, np.abs(delta.numpy()), rtol=1e-8)
    np.testing.assert_allclose(
        completeness(pair.model, pair.x, given.sum(axis=1), TARGETS, baseline=start), found, rtol=1e-9
    )


@pytest.mark.parametrize("target", [TARGETS, None, "0 - 2", "prob(1)"])
def test_deep_lift_is_complete_and_a_gradient_is_not(target):
    complete = attribution.deep_lift(NET.model, NET.x, target, baseline=0.1)
    assert completeness(NET.model, NET.x, complete, target, baseline=0.1).max() < 1e-12
    assert completeness(NET.model, NET.x, complete, target).min() > 1e-6
    assert completeness(NET.model, NET.x, attribution.saliency(NET.model, NET.x, target), target).min() > 1e-3


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", PAIRS)
def test_sensitivity_n_is_the_correlation_over_random_sets(name, rng):
    pair = PAIRS[name]
    given, start = rng.normal(size=pair.x.shape), rng.normal(size=pair.x.shape)
    mean, fractions, found = sensitivity_n(
        pair.model, pair.x, given, TARGETS, (0.1, 0.5), 7, start, rng=5, return_curve=True
    )
    pixels = pair.x[0, 0].size
    for i, target in enumerate(TARGETS):
        draw = np.random.default_rng(5)
        for k, fraction in enumerate((0.1, 0.5)):
            sums, drops = [], []
            for _ in range(7):
                image, total = pair.x[i].copy(), 0.0
                for pixel in draw.choice(pixels, round(fraction * pixels), replace=False):
                    row, column = divmod(pixel, image.shape[2])
                    total += given[i, :, row, column].sum()
                    image[:, row, column] = start[i, :, row, column]
                sums.append(total)
                drops.append(score(pair, pair.x[i], target) - score(pair, image, target))
            np.testing.assert_allclose(found[i, k], pearsonr(sums, drops).statistic, rtol=1e-7)
            assert fractions[k] == round(fraction * pixels) / pixels
    np.testing.assert_allclose(mean, found.mean(axis=1), rtol=1e-12)


def test_sensitivity_n_of_a_linear_network(rng):
    """What adds up to every change has correlation 1, its negative -1, and what does not vary 0."""
    weight = rng.normal(size=(2, 3 * 8 * 9))
    model = Model(layers.Sequential({"flatten": layers.Flatten(), "fc": layers.Linear(weight, np.zeros(2))}))
    x = rng.normal(size=(2, 3, 8, 9))
    exact = weight[1].reshape(3, 8, 9) * x
    np.testing.assert_allclose(sensitivity_n(model, x, exact, 1), 1, rtol=1e-12)
    np.testing.assert_allclose(sensitivity_n(model, x, -2 * exact, 1), -1, rtol=1e-12)
    assert not sensitivity_n(model, x, np.full_like(x, 0.1), 1).any()
    assert not sensitivity_n(model, 0 * x, exact, 1).any()


# sparseness


def test_sparseness_is_the_gini_index(rng):
    """The mean absolute difference of all pairs, divided by twice the mean."""
    a = rng.normal(size=(3, 2, 4, 5)) ** 3
    a[1] = 0
    a[2, :, 1:] = 0
    for given in (a, a[:, 0], a.astype(np.float32)):
        for one, found in zip(np.abs(given.astype(float)).reshape(3, -1), sparseness(given), strict=True):
            pairwise = np.abs(one[:, None] - one).mean()
            expected = pairwise / (2 * one.mean()) if one.any() else 0
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_sparseness_is_that_of_quantus_but_for_what_it_adds(rng):
    a = rng.normal(size=(3, 2, 4, 5))
    for one, found in zip(a, sparseness(a), strict=True):
        values = np.sort(np.abs(one).ravel() + 1e-7)
        d = len(values)
        quantus = (2 * np.arange(1, d + 1) - d - 1) @ values / (d * values.sum())
        assert 0 < abs(found - quantus) < 1e-6


def test_sparseness_does_not_depend_on_scale_and_sign(rng):
    a = rng.normal(size=(2, 3, 6, 6))
    for factor in (-1, 1e-300, 1e300):
        np.testing.assert_allclose(sparseness(factor * a), sparseness(a), rtol=1e-9)
    np.testing.assert_array_equal(sparseness(np.ones((2, 5, 5))), [0, 0])


# selectivity


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("window", [4, (5, 3), 9])
def test_selectivity_is_the_slow_loop(name, window, rng):
    if "squeezenet" in name and window == 4:
        window = 15  # else more than a hundred patches
    pair = PAIRS[name]
    given, start = rng.normal(size=pair.x.shape), rng.normal(size=pair.x.shape)
    area, fractions, found = selectivity(pair.model, pair.x, given, TARGETS, window, start, return_curve=True)
    tall, wide = (window, window) if isinstance(window, int) else window
    for i, target in enumerate(TARGETS):
        patches = [
            (slice(None), slice(top, top + tall), slice(left, left + wide))
            for top in range(0, pair.x.shape[2], tall)
            for left in range(0, pair.x.shape[3], wide)
        ]
        patches.sort(key=lambda patch, i=i: -given[i][patch].sum())
        image = pair.x[i].copy()
        values = [score(pair, image, target)]
        for patch in patches:
            image[patch] = start[i][patch]
            values.append(score(pair, image, target))
        np.testing.assert_allclose(found[i], values, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(fractions, np.arange(len(values)) / len(patches), rtol=1e-12)
        np.testing.assert_allclose(area[i], np.trapezoid(values, fractions), rtol=1e-8)


def test_selectivity_takes_ties_in_their_order_and_any_baseline(random_map):
    flat = np.zeros(NET.x.shape)
    rising = -np.arange(NET.x[0, 0].size, dtype=float).reshape(NET.x.shape[2:])
    same = np.broadcast_to(rising, (3, *rising.shape))
    np.testing.assert_array_equal(
        selectivity(NET.model, NET.x, flat, window=(4, 21)),
        selectivity(NET.model, NET.x, same, window=(4, 21)),
    )
    ends = selectivity(NET.model, NET.x, random_map, 1, baseline="blur", return_curve=True)[2][:, [0, -1]]
    assert np.isfinite(ends).all() and (ends[:, 0] != ends[:, 1]).all()


# top-k intersection


def test_top_k_intersection_counts(rng):
    a, mask = rng.normal(size=(3, 2, 6, 7)), rng.random((3, 6, 7)) < 0.4
    for k in (1, 5, 42, None):
        for i in range(3):
            count = int(mask[i].sum()) if k is None else k
            values = a[i].sum(axis=0)
            top = sorted(np.ndindex(6, 7), key=lambda at, values=values: -values[at])[:count]
            expected = sum(mask[i][at] for at in top) / count
            np.testing.assert_allclose(top_k_intersection(a, mask, k)[i], expected, rtol=1e-12)


def test_top_k_intersection_of_ties_is_the_mean_over_their_orders(rng):
    a, mask = rng.integers(0, 3, (1, 5, 5)).astype(float), rng.random((5, 5)) < 0.5
    drawn = [top_k_intersection(a + 1e-6 * rng.random(a.shape), mask, 7)[0] for _ in range(3000)]
    np.testing.assert_allclose(top_k_intersection(a, mask, 7)[0], np.mean(drawn), atol=0.02)
    np.testing.assert_allclose(top_k_intersection(0 * a, mask, 7), mask.mean())


# the random-logit test


@pytest.mark.parametrize("similarity", ["ssim", "spearman"])
def test_random_logit_compares_two_classes(similarity):
    found = random_logit(
        NET.model, NET.x, attribution.deep_lift, TARGETS, [0, 1, 4], similarity, baseline=0.1
    )
    one = np.abs(attribution.deep_lift(NET.model, NET.x, TARGETS, baseline=0.1)).sum(axis=1)
    two = np.abs(attribution.deep_lift(NET.model, NET.x, [0, 1, 4], baseline=0.1)).sum(axis=1)
    for i in range(3):
        expected = ssim(one[i], two[i]) if similarity == "ssim" else spearmanr(one[i], two[i], None).statistic
        np.testing.assert_allclose(found[i], expected, rtol=1e-9)


def test_random_logit_draws_every_other_class():
    seen = []

    def method(model, x, target):
        seen.append(list(target))
        return np.abs(x[:, 0])

    for seed in range(60):
        np.testing.assert_allclose(random_logit(NET.model, NET.x, method, TARGETS, rng=seed), 1, rtol=1e-12)
    assert all(targets == TARGETS for targets in seen[::2])
    for i, target in enumerate(TARGETS):
        assert {others[i] for others in seen[1::2]} == set(range(5)) - {target}
    alone = random_logit(NET.model, NET.x[1:2], attribution.saliency, TARGETS[1:2], rng=3)
    together = random_logit(NET.model, NET.x, attribution.saliency, TARGETS, rng=3)
    np.testing.assert_allclose(alone, together[1:2], rtol=1e-9)


def test_random_logit_of_other_questions(rng):
    found = random_logit(NET.model, NET.x, attribution.grad_cam, "0 - 1", other="1 - 0", relu=False)
    np.testing.assert_allclose(found, 1, rtol=1e-9)  # the same magnitudes
    assert np.isfinite(random_logit(NET.model, NET.x, attribution.saliency, "prob(2)")).all()
    values = Model(NET.model.network, outputs="value")
    assert np.isfinite(random_logit(values, NET.x, attribution.saliency, "0 - 2")).all()
    maps = Model(
        layers.Sequential({"a": layers.Conv2d.init(3, 2, 3, rng=0), "b": layers.Conv2d.init(2, 2, 3, rng=1)})
    )
    mask = np.zeros((12, 17), bool)
    mask[3:6, 4:9] = True
    two = [targets.region(k, mask) for k in (0, 1)]
    found = random_logit(maps, NET.x, attribution.saliency, two[0], two[1])
    assert ((found > 0) & (found < 1)).all()
    one = Model(layers.Sequential({"a": layers.Conv2d.init(3, 1, 3, rng=0), "b": layers.GlobalAvgPool2d()}))
    value = Model(one.network, outputs="value")
    with pytest.raises(
        InputError, match="random_logit: expected a network with at least two outputs, found 1"
    ):
        random_logit(value, NET.x, attribution.saliency)


# all of them


@pytest.mark.filterwarnings("ignore:no information curve")
@pytest.mark.sampled(2)
@pytest.mark.parametrize("measure", ON_NETWORKS)
def test_batches_and_targets(measure, random_map):
    common = NET.model, NET.x, random_map
    found = measure(*common, TARGETS)
    assert found.shape == (3,) and found.dtype == np.float64
    for batch_size in (1, 7):
        again, once = (np.nan_to_num(values) for values in (
            measure(*common, TARGETS, batch_size=batch_size), found))  # fmt: skip
        assert_rounding(again, once, 100 * additions_in(NET.model), scale=max(1, np.abs(once).max()))
    top = NET.model(NET.x).argmax(axis=1)
    np.testing.assert_array_equal(measure(*common), measure(*common, top))
    for i in range(3):
        alone = measure(NET.model, NET.x[i : i + 1], random_map[i : i + 1], TARGETS[i])
        np.testing.assert_allclose(alone[0], found[i], rtol=1e-9, atol=1e-12)
    if measure is not aic_auc:
        np.testing.assert_allclose(measure(*common, ["1*2", "1*0", "1*3"])[0], measure(
            Model(NET.model.network, outputs="value"), NET.x, random_map, TARGETS)[0], rtol=1e-9)  # fmt: skip


A = np.zeros(NET.x.shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: completeness(NET.model, NET.x, A[:, :, :4]), "attribution: expected one value per pixel"),
        (lambda: completeness(NET.model, NET.x, A, baseline="blur"), "baseline: expected"),
        (lambda: sensitivity_n(NET.model, NET.x, A, n_samples=1), f"n_samples: {A_WHOLE_NUMBER} >= 2"),
        (lambda: sensitivity_n(NET.model, NET.x, A, fractions=(1,)), "fractions: expected numbers"),
        (lambda: sparseness(A[0, 0]), r"attribution: expected \(N, C, H, W\) or"),
        (lambda: sparseness(A + np.nan), f"attribution: {FINITE_NUMBERS}, found 3024 NaN"),
        (lambda: selectivity(NET.model, NET.x, A, window=17), "window: expected at most the image .*found 17"),
        (lambda: selectivity(NET.model, NET.x, A, window=0), "window: expected one or two whole numbers"),
        (lambda: top_k_intersection(A, A[0, 0] == 0, 337), "k: expected at most the image's 336 pixels, found 337"),
        (lambda: top_k_intersection(A, A[0, 0] == 0, 0), f"k: {A_WHOLE_NUMBER}"),
        (lambda: random_logit(NET.model, NET.x, "saliency"), "method: expected a function"),
        (lambda: random_logit(NET.model, NET.x, attribution.saliency, similarity="l2"), "similarity: expected one of"),
        (lambda: random_logit(NET.model, NET.x, attribution.saliency, other=[1]), "target: expected one class, or 3"),
        (lambda: sic_auc(NET.model, NET.x, A, fractions=(0.5, 0.1)), "fractions: expected them in ascending order"),
        (lambda: aic_auc(Model(NET.model.network, outputs="value"), NET.x, A), "aic_auc: expected a network with"),
    ],
)  # fmt: skip
def test_refused_arguments(call, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=message):
            call()
