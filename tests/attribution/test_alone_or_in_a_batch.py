"""An image alone is explained as in any batch, and nothing overflows: for every method, rule, measure and option.

The networks are drawn at random, with biases, units that are dead, inputs of both signs, and ties.
"""

import numpy as np
import pytest
from every_option import (
    IMAGES,
    MEASURES,
    METHODS,
    OF_BATCHES,
    Each,
    check_alone,
    combinations,
    in_parts_of,
    net,
    rules,
    run,
)

from npgrad import Model
from npgrad.attribution import composite_by_position, layer_lrp, lrp
from npgrad.attribution.lrp_rules import Gamma
from npgrad.layers import Linear, Sequential

FUNCTIONS = METHODS | MEASURES
EVERY_IMAGE = list(range(IMAGES))
MANY = [
    pytest.param(seed, marks=pytest.mark.exhaustive if seed < 3 else pytest.mark.slow) for seed in range(2, 7)
]
pytestmark = [
    pytest.mark.filterwarnings("ignore:fem. no activation"),  # of few pixels
    pytest.mark.filterwarnings("ignore:the score of"),  # exactly 0
    pytest.mark.filterwarnings("ignore:kernel_width"),
    pytest.mark.filterwarnings("ignore:the input goes up"),
    pytest.mark.filterwarnings("ignore:the network ends in Softmax"),
    pytest.mark.filterwarnings("ignore:no information curve"),  # of networks that see more in a blurred image
]


def test_methods_and_measures_are_found():
    assert {"saliency", "every_layer", "layer_lrp", "lime"} <= METHODS.keys() and len(METHODS) >= 36
    assert {"road", "randomization", "best_iou", "sensitivity_max"} <= MEASURES.keys() and len(MEASURES) == 17
    assert len(combinations("smoothgrad", METHODS["smoothgrad"])) >= 24


@pytest.mark.parametrize("seed", [0, *MANY])
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in OF_BATCHES])
def test_an_image_alone_is_the_image_in_any_batch(name, seed, monkeypatch):
    in_parts_of(2, monkeypatch)
    function, given = FUNCTIONS[name], net(seed)
    rtol = 1e-3 if name == "randomization" else 1e-9  # it ranks values, of which some tie up to rounding
    for options in combinations(name, function, every=seed > 0):
        check_alone(function, {**given, **options}, _rows(seed), rtol)


@pytest.mark.parametrize("seed", [1, *MANY])
def test_every_rule_of_lrp_treats_each_image_by_itself(seed, monkeypatch):
    in_parts_of(1 + seed % IMAGES, monkeypatch)
    given = net(seed)
    model, every = given["model"], list(rules(given["model"]))
    for rule in [*every[:: 1 if seed > 1 else 8], composite_by_position(model)]:
        check_alone(lrp, {**given, "rules": rule}, _rows(seed))
        if seed > 1:
            check_alone(layer_lrp, {**given, "rules": rule, "layer": "relu1"}, _rows(seed))


@pytest.mark.parametrize("seed", [1, *MANY])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_large_logits_give_finite_results_in_single_precision(name, seed):
    """Overflow is an error here, as every warning is."""
    given = net(seed, dtype=np.float32, score=1e4)
    for options in combinations(name, FUNCTIONS[name], every=seed > 1):
        options = {key: _single(value) for key, value in options.items()}
        for array in run(FUNCTIONS[name], EVERY_IMAGE, {**given, **options}):
            assert np.isfinite(array).all() or name in ("aic_auc", "sic_auc")  # without a curve


@pytest.mark.parametrize("seed", [1, *MANY])
def test_every_rule_of_lrp_is_finite_for_large_logits_in_single_precision(seed):
    given = net(seed, dtype=np.float32, score=1e4)
    for rule in list(rules(given["model"]))[:: 1 if seed > 1 else 4]:
        [relevance] = run(lrp, EVERY_IMAGE, {**given, "rules": rule})
        assert relevance.dtype == np.float32 and np.isfinite(relevance).all()


def _rows(seed):
    """Two images alone, and the others in another order."""
    one, two, *others = np.roll(EVERY_IMAGE, seed).tolist()
    return [[one], [two], others[::-1]]


def _single(value):
    if isinstance(value, Each) and value.values.dtype == np.float64:
        return Each(value.values.astype(np.float32))
    return value


def test_signed_gamma_without_bias_goes_by_the_sign_without_bias():
    """At A, y is 2 but -1 without its bias: z = (1, -2), the negative part is favored, R = 2 z'/(z'_1 + z'_2)."""
    model = Model(Sequential({"fc": Linear(np.array([[1.0, -2.0]]), np.array([3.0]))}), outputs="value")
    A, B = np.array([[1.0, 1.0]]), np.array([[-1.0, 1.0]])
    rule = Gamma(0.25, bias=False, signed=True, epsilon=0)
    expected = 2 * np.array([1.0, -2 * 1.25]) / (1 - 2 * 1.25)
    for x in (A, np.vstack([A, B])):
        np.testing.assert_allclose(lrp(model, x, 0, rules=rule)[0], expected, rtol=1e-12)
