"""What the default rules of DeepLIFT and LRP promise, for every kind of layer with any shapes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LAYERS, array, seeds

from npgrad import layers
from npgrad.attribution.deep_lift import RULES as DEEP_LIFT
from npgrad.attribution.lrp import RULES as LRP
from npgrad.attribution.lrp_rules import Rule
from npgrad.tape import Record

SIMPLE = [kind for kind in LAYERS if kind not in ("Fire", "Graph", "Residual", "Sequential")]
EVERY = pytest.mark.parametrize("kind", SIMPLE)
ABSORBING = ("bias", "running_mean")  # what keeps a share of the relevance


def the_rule(rules, layer):
    return next(rules[kind] for kind in type(layer).__mro__ if kind in rules)


def draw_inputs(shape, seed):
    if isinstance(shape, list):
        return tuple(array(seed + i, 2, *one) for i, one in enumerate(shape))
    return array(seed, 2, *shape)


def record_of(layer, x):
    y, cache = layer.forward(x)
    return Record("layer", layer, x, y, cache)


def per_image(*arrays):
    return sum(one.reshape(len(one), -1).sum(axis=1) for one in arrays)


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


def test_composites_are_the_only_layers_left_out():
    left_out = [getattr(layers, kind) for kind in set(LAYERS) - set(SIMPLE)]
    assert all(issubclass(kind, layers.Composite) for kind in left_out)


@pytest.mark.sampled(6)
@EVERY
@given(data=st.data(), seed=seeds)
def test_deep_lift_accounts_for_the_whole_difference(kind, data, seed):
    """Multiplier times difference of the inputs sums to that of the outputs, image by image."""
    layer, shape = data.draw(LAYERS[kind])
    record, reference = (record_of(layer, draw_inputs(shape, seed + i)) for i in (0, 50))
    dy = array(seed + 100, *record.y.shape)
    dx = the_rule(DEEP_LIFT, layer)(record, reference, dy)
    parts = zip(as_tuple(dx), as_tuple(record.x), as_tuple(reference.x), strict=True)
    found = per_image(*(m * (x - x0) for m, x, x0 in parts))
    terms = dy * (record.y - reference.y)
    np.testing.assert_allclose(
        found, per_image(terms), rtol=0, atol=1e-9 * max(1, per_image(np.abs(terms)).max())
    )


@pytest.mark.sampled(12)
@EVERY
@given(data=st.data(), seed=seeds)
def test_lrp_conserves_relevance_where_nothing_absorbs_it(kind, data, seed):
    """Relevance in proportion to y, so that no quotient is large; biases 0."""
    layer, shape = data.draw(LAYERS[kind])
    layer = layer.map_arrays(lambda name, a: 0 * a if name in ABSORBING else a)
    layer = replace(layer, shift=0.0) if isinstance(layer, layers.Affine) else layer
    record = record_of(layer, draw_inputs(shape, seed))
    relevance = record.y * array(seed + 1, *record.y.shape)
    rule = the_rule(LRP, layer)
    rule = replace(rule, epsilon=0) if isinstance(rule, Rule) else rule
    found = rule(record, relevance)
    for one, x in zip(as_tuple(found), as_tuple(record.x), strict=True):
        assert one.shape == x.shape and one.dtype == x.dtype
    scale = max(1, *(np.abs(one).sum() for one in as_tuple(found)))
    np.testing.assert_allclose(per_image(*as_tuple(found)), per_image(relevance), rtol=0, atol=1e-9 * scale)


def test_a_gate_gets_no_relevance_and_equal_factors_half_each(rng):
    x, gate, relevance = (
        rng.normal(size=(2, 3, 4, 5)),
        rng.normal(size=(2, 3, 1, 1)),
        rng.normal(size=(2, 3, 4, 5)),
    )
    product = LRP[layers.Multiply]
    for inputs, own in (((x, gate), 0), ((gate, x), 1)):
        found = product(record_of(layers.Multiply(), inputs), relevance)
        np.testing.assert_array_equal(found[own], relevance)
        assert found[1 - own].shape == gate.shape and not found[1 - own].any()
    for one in product(record_of(layers.Multiply(), (x, x)), relevance):
        np.testing.assert_array_equal(one, relevance / 2)
    maps = rng.normal(size=(2, 1, 4, 5))
    found = product(record_of(layers.Multiply(), (gate, maps)), relevance)
    np.testing.assert_allclose(found[0], relevance.sum(axis=(2, 3), keepdims=True) / 2)
    np.testing.assert_allclose(found[1], relevance.sum(axis=1, keepdims=True) / 2)


def test_deep_lift_gives_factors_their_shapley_values(rng):
    """The mean over both orders of moving one factor and then the other."""
    a, b, a0, b0, dy = rng.normal(size=(5, 3, 4))
    layer = layers.Multiply()
    da, db = DEEP_LIFT[layers.Multiply](record_of(layer, (a, b)), record_of(layer, (a0, b0)), dy)
    np.testing.assert_allclose(da * (a - a0), dy * ((a * b0 - a0 * b0) + (a * b - a0 * b)) / 2)
    np.testing.assert_allclose(db * (b - b0), dy * ((a0 * b - a0 * b0) + (a * b - a * b0)) / 2)
