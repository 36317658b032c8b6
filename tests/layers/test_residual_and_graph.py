"""Residual, Graph, clips and adaptive pools as objects; their numbers are in the table of layer cases."""

import numpy as np
import pytest

from npgrad import InputError, Model, layers
from npgrad.layers import (
    Linear,
    Residual,
)
from npgrad.layers.composite import Calls


def test_a_graph_names_what_does_not_fit():
    relu = layers.ReLU()
    for nodes, message in [
        ({}, "expected a dict of at least one node"),
        ({"input": (relu, "input")}, "'input' is not a node name"),
        ({"": (relu, "input")}, "'' is not a node name"),
        ({"a": relu}, r"a: expected \(layer, source\)"),
        ({"a": ("relu", "input")}, r"a: expected \(layer, source\)"),
        ({"a": (relu, "b"), "b": (relu, "input")}, "a takes 'b', which is not an earlier node"),
        ({"a": (relu, "a")}, "a takes 'a', which is not an earlier node"),
        ({"a": (layers.Add(), ("input", "z"))}, "a takes 'z', which is not an earlier node"),
    ]:
        with pytest.raises(InputError, match=f"Graph: {message}"):
            layers.Graph(nodes)


def test_in_a_graph_a_node_that_leads_nowhere_has_gradient_0():
    fc = layers.Linear(np.ones((2, 3)), np.ones(2))
    graph = layers.Graph({"nowhere": (fc, "input"), "y": (layers.ReLU(), "input")})
    y, cache = graph.forward(np.ones((1, 3)))
    gradients = graph.parameter_gradients(np.ones_like(y), cache)
    assert {name: array.tolist() for name, array in gradients.items()} == {
        "nowhere.weight": [[0.0] * 3] * 2,
        "nowhere.bias": [0.0] * 2,
    }
    assert graph.backward(np.ones_like(y), cache).tolist() == [[1.0] * 3]


def test_a_residual_names_what_does_not_fit():
    relu = layers.ReLU()
    for branch, shortcut, message in [
        ({}, {}, "expected at least one layer in the branch"),
        ({"a": "relu"}, {}, "a is a str, not a layer"),
        ({"add": relu}, {}, "'add' is taken"),
        ({"a": relu}, {"a": relu}, "'a' is taken"),
        ({"a.b": relu}, {}, "'a.b' is taken, or not a layer name"),
    ]:
        with pytest.raises(InputError, match=f"Residual: {message}"):
            layers.Residual(branch, shortcut)


def test_a_residual_sees_as_far_as_its_branch():
    conv = layers.Conv2d.init(2, 2, 3, stride=2, padding=1)
    shortcut = layers.Conv2d.init(2, 2, 1, stride=2)
    assert layers.Residual({"a": conv}, {"s": shortcut}).receptive_field() == ((3, 3), (2, 2), (1, 1))
    assert layers.Residual({"a": layers.Conv2d.init(2, 2, 1)}).receptive_field() == ((1, 1), (1, 1), (0, 0))
    wide = layers.Residual({"a": layers.Conv2d.init(2, 2, 1)}, {"s": layers.Conv2d.init(2, 2, 3, padding=1)})
    assert wide.receptive_field() is None  # the shortcut sees more


def test_clips_and_adaptive_pools_name_what_does_not_fit():
    with pytest.raises(InputError, match="Clip: expected low <= high, found 2 and 1"):
        layers.Clip(2, 1)
    for size in (0, (2, 0), 1.5, "all"):
        with pytest.raises(InputError, match="AdaptiveAvgPool2d output_size"):
            layers.AdaptiveAvgPool2d(size)
    with pytest.raises(InputError, match=r"AdaptiveAvgPool2d expects \(N, C, H, W\)"):
        layers.AdaptiveAvgPool2d(2)(np.ones((2, 3)))


def test_on_a_bound_a_clip_passes_nothing_back():
    clip, x = layers.Clip(-1, 2), np.array([[-1.0, 0.0, 2.0]])
    y, cache = clip.forward(x)
    assert (y.tolist(), clip.backward(np.ones((1, 3)), cache).tolist()) == (
        [[-1.0, 0.0, 2.0]],
        [[0.0, 1.0, 0.0]],
    )
    y, cache = layers.ReLU6().forward(np.array([[0.0, 3.0, 6.0]]))
    assert layers.ReLU6().backward(np.ones((1, 3)), cache).tolist() == [[0.0, 1.0, 0.0]]


def test_a_tuple_of_one_source_after_a_partial_pass():
    relu = layers.ReLU()
    graph = layers.Graph({"a": (relu, "input"), "b": (layers.Add(), ("a",)), "c": (relu, "b")})
    x = np.array([[1.0, -2, 3]])
    tape = Model(graph).forward(x, upto="a")
    np.testing.assert_array_equal(tape.backward({"a": x})["input"], [[1, 0, 3]])
    np.testing.assert_array_equal(Model(graph).forward(x).backward(x)["input"], [[1, 0, 3]])


def test_a_composite_alone_stops_where_nothing_comes_down():
    calls = Calls()
    assert calls.back("a", None) is None and calls.back("a", None, inputs=3) == (None, None, None)
    residual = Residual({"fc": Linear(np.ones((3, 3)), np.ones(3))})
    _, tape = residual.forward(np.ones((1, 3)))
    assert residual.backward(None, tape) is None
    gradients = residual.parameter_gradients(None, tape)
    assert {name: array.tolist() for name, array in gradients.items()} == {
        "fc.weight": [[0.0] * 3] * 3,
        "fc.bias": [0.0] * 3,
    }
