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
from npgrad.attribution.lrp_rules import Epsilon
from npgrad.tape import Record

SIMPLE = [kind for kind in LAYERS if kind not in ("Fire", "Graph", "Residual", "Sequential")]
EVERY = pytest.mark.parametrize("kind", SIMPLE)
ABSORBING = ("bias", "running_mean", "shift")  # what keeps a share of the relevance


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


@EVERY
@given(data=st.data(), seed=seeds)
def test_lrp_conserves_relevance_where_nothing_absorbs_it(kind, data, seed):
    """Relevance in proportion to y, so that no quotient is large; biases 0."""
    layer, shape = data.draw(LAYERS[kind])
    layer = layer.map_arrays(lambda name, a: 0 * a if name in ABSORBING else a)
    record = record_of(layer, draw_inputs(shape, seed))
    relevance = record.y * array(seed + 1, *record.y.shape)
    rule = the_rule(LRP, layer)
    rule = replace(rule, epsilon=0) if isinstance(rule, Epsilon) else rule
    found = rule(record, relevance)
    for one, x in zip(as_tuple(found), as_tuple(record.x), strict=True):
        assert one.shape == x.shape and one.dtype == x.dtype
    scale = max(1, *(np.abs(one).sum() for one in as_tuple(found)))
    np.testing.assert_allclose(per_image(*as_tuple(found)), per_image(relevance), rtol=0, atol=1e-9 * scale)
