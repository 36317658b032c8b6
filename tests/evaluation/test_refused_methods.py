"""What a measure does with a method that returns no attributions, and with numbers of other types."""

import numpy as np
import pytest
from torch_nets import small_net

from npgrad import InputError
from npgrad.evaluation import infidelity, random_logit, randomization, road, sensitivity_max

X = np.random.default_rng(0).standard_normal((2, 3, 33, 33))
FINE = np.random.default_rng(1).random((2, 33, 33))


@pytest.fixture(scope="module")
def net():
    return small_net()


def of(found):
    return lambda model, x, target: found


MEASURES = {
    "sensitivity_max": lambda net, method: sensitivity_max(method, net, X, 1, n_samples=1),
    "randomization": lambda net, method: randomization(net, X, method, 1, layers=["conv10"]),
    "random_logit": lambda net, method: random_logit(net, X, method, 1),
}
METHODS = {
    "None": None,
    "a number": 0.5,
    "a string": "map",
    "fewer": FINE[:1],
    "more": np.concatenate([FINE, FINE]),
    "complex": FINE + 1j,
    "NaN": np.where(FINE < 0.5, np.nan, FINE),
    "all NaN": FINE * np.nan,
    "infinite": np.full_like(FINE, np.inf),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("found", METHODS.values(), ids=METHODS)
def test_what_is_no_attribution(net, measure, found):
    with pytest.raises(
        InputError, match=r"^method: expected (attributions of 2 images|finite numbers), found "
    ):
        MEASURES[measure](net, of(found))


@pytest.mark.parametrize("measure", MEASURES)
def test_bytes_are_numbers(net, measure):
    """Their differences do not wrap around."""

    def method(model, x, target, dtype=np.float64):
        return np.clip(128 + 40 * x, 0, 255).astype(np.uint8).astype(dtype)

    def plain(found):
        return found.spearman if measure == "randomization" else found

    ours, expected = (
        MEASURES[measure](net, lambda *a, dtype=dtype: method(*a, dtype=dtype))
        for dtype in (np.uint8, np.float64)
    )
    np.testing.assert_array_equal(plain(ours), plain(expected))


def test_attributions_of_one_image_have_one_shape(net):
    shapes = iter([(2, 33, 33), (2, 17, 17)])
    with pytest.raises(
        InputError, match=r"method: expected attributions of one shape, found \(2, 33, 33\), \(2, 17"
    ):
        sensitivity_max(lambda *a: np.ones(next(shapes)), net, X, 1, n_samples=1)


@pytest.mark.parametrize(
    "attribution, found",
    [
        (X * np.nan, "6534 NaN or Inf"),
        (X + 1j, "complex128"),
        (X.astype(object), "object"),
        (X.astype(str), "<U"),
    ],
)
def test_infidelity_of_what_is_none(net, attribution, found):
    with pytest.raises(InputError, match=f"^attribution: expected .*, found {found}"):
        infidelity(net, X, attribution, 1)


@pytest.mark.parametrize("fractions", [[0.5, "a"], ["0.5"], [None], [True], 0.5])
def test_fractions_are_numbers(net, fractions):
    with pytest.raises(InputError, match="^fractions: expected numbers > 0 and < 1, found "):
        road(net, X, FINE, 1, fractions=fractions)
