"""LIME, against scikit-learn's regressions and Captum on the same coalitions."""

import checks
import numpy as np
import pytest
from captum.attr import Lime
from captum_nets import TARGETS, captum_mask, given, pairs
from sklearn.linear_model import Lasso, Ridge

from npgrad.attribution import grid, lime, surrogates
from npgrad.errors import InputError

NET = {pair.name: pair for pair in pairs()}["overlapping pools"]


def samples_of(pair, i, mask, seed, n_samples, target, width, distance):
    """The coalitions lime draws, their scores and their weights, one by one."""
    m = mask.max() + 1
    z = np.random.default_rng(seed).random((n_samples, m)) < 0.5
    copies = np.stack([np.where(one[mask], pair.x[i], 0) for one in z])
    if distance == "cosine":
        away = [
            1 - (c * pair.x[i]).sum() / max(np.linalg.norm(c) * np.linalg.norm(pair.x[i]), 1e-8)
            for c in copies
        ]
    else:
        away = [np.linalg.norm(c - pair.x[i]) for c in copies]
    return z, pair.model(copies)[:, target], np.exp(-(np.array(away) ** 2) / (2 * width**2))


@pytest.mark.parametrize("distance, width", [("cosine", 1.0), ("cosine", 0.25), ("euclidean", 15.0)])
@pytest.mark.parametrize("penalty, alpha", [("lasso", 0.01), ("lasso", 0.03), ("ridge", 1.0), ("ridge", 0.1)])
def test_lime_is_scikit_learns_weighted_regression(distance, width, penalty, alpha):
    mask = grid(NET.x.shape[2:], (3, 4))
    found = lime(
        NET.model, NET.x[:1], 2, mask=mask, n_samples=60, rng=4,
        distance=distance, kernel_width=width, penalty=penalty, alpha=alpha,
    )  # fmt: skip
    z, f, weights = samples_of(NET, 0, mask, 4, 60, 2, width, distance)
    theirs = Ridge(alpha) if penalty == "ridge" else Lasso(alpha, tol=1e-14, max_iter=100_000)
    coefficients = theirs.fit(z.astype(float), f, sample_weight=weights).coef_
    assert np.abs(coefficients).max() > 0.01
    checks.assert_close(found[0], np.broadcast_to(coefficients[mask], found[0].shape), 1e-8)


@pytest.mark.parametrize("penalty", ["lasso", "ridge"])
def test_fewer_samples_than_pieces(rng, penalty):
    z, f, weights = (rng.random((9, 14)) < 0.5).astype(float), rng.normal(size=9), rng.random(9)
    theirs = Ridge(0.1) if penalty == "ridge" else Lasso(0.1, tol=1e-14, max_iter=100_000)
    found = surrogates._PENALTIES[penalty](z, f, -np.log(weights), 0.1)
    np.testing.assert_allclose(found, theirs.fit(z, f, sample_weight=weights).coef_, atol=1e-8)


def test_weights_too_small_for_a_float(rng):
    """All w = exp(-far) are 0 here. A lasso needs their proportions alone; next to them, a ridge is infinite."""
    z, f, far = (rng.random((20, 4)) < 0.5).astype(float), rng.normal(size=20), rng.random(20)
    assert not np.exp(-far - 1000).any()
    for penalty, alpha in [("lasso", 0.1), ("lasso", 0), ("ridge", 0)]:
        fit = surrogates._PENALTIES[penalty]
        assert fit(z, f, far, alpha).any()
        np.testing.assert_allclose(fit(z, f, far + 1000, alpha), fit(z, f, far, alpha), rtol=1e-9)
    assert not surrogates._ridge(z, f, far + 1000, 0.1).any()


@pytest.mark.parametrize("penalty", ["lasso", "ridge"])
def test_a_kernel_too_narrow_for_its_copies_is_said_so(penalty):
    options = {"mask": grid(NET.x.shape[2:], 2), "n_samples": 30, "penalty": penalty, "distance": "euclidean"}
    message = "kernel_width: 1 is small for distances of .* to .*: one copy has 100% of the weight"
    with pytest.warns(UserWarning, match=message) as caught:
        found = lime(NET.model, 40 * NET.x, TARGETS, **options)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert np.isfinite(found).all()
    assert lime(NET.model, 40 * NET.x, TARGETS, **options, kernel_width=1000).any()


def test_lime_is_captums_on_the_same_coalitions():
    """Captum's defaults: lasso with alpha 0.01, cosine, width 1; it fits in float32, and to 1e-4 only."""
    mask = grid(NET.x.shape[2:], (3, 4))
    z = np.random.default_rng(0).random((80, 12)) < 0.5
    theirs = Lime(NET.net, perturb_func=given(z))
    expected = theirs.attribute(NET.tensor()[:1], target=2, feature_mask=captum_mask(mask), n_samples=80)
    found = lime(NET.model, NET.x[:1], 2, mask=mask, n_samples=80, rng=0)
    assert np.count_nonzero(found) > 0
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-3 * np.abs(found).max())


def test_a_very_strong_lasso_leaves_nothing():
    assert not lime(NET.model, NET.x, TARGETS, mask=grid((16, 21), 3), alpha=1e6).any()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"distance": "taxi"}, "distance: expected one of cosine, euclidean; found 'taxi'"),
        ({"penalty": "none"}, "penalty: expected one of lasso, ridge; found 'none'"),
        ({"kernel_width": 0}, "kernel_width"),
        ({"alpha": -1}, "alpha"),
    ],
)
def test_limes_own_arguments_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        lime(NET.model, NET.x, **options)
