"""A pass that stops inside a block or a graph: it goes back from there."""

import numpy as np
import pytest
from tape_nets import X, conv

from npgrad import Model, Record
from npgrad.layers import (
    Add,
    Conv2d,
    Fire,
    Graph,
    ReLU,
    Residual,
    Sequential,
)


def block():
    return Residual({"a": conv(3, 3), "b": conv(3, 3, seed=2)}, {"s": conv(3, 3, seed=3)})


@pytest.mark.parametrize("upto", ["block.a", "block.b", "block.s", "block.add", "block.relu"])
def test_a_pass_that_stops_in_a_residual_goes_back_from_there(upto):
    network = Sequential({"first": conv(3, 3, seed=4), "block": block()})
    short, whole = Model(network).forward(X, upto=upto), Model(network).forward(X)
    dy = np.cos(short.output)
    at = ("input", "first", upto)
    found, expected = short.backward(dy, at=at), whole.backward({upto: dy}, at=at)
    assert all(np.array_equal(found[name], expected[name]) for name in at)
    found, expected = short.parameter_gradients(dy), whole.parameter_gradients({upto: dy})
    assert found and all(np.array_equal(array, expected[name]) for name, array in found.items())
    assert "block" not in short and upto in short


@pytest.mark.parametrize("upto", ["a", "b", "sum"])
def test_a_pass_that_stops_in_a_graph_goes_back_from_there(upto):
    nodes = {
        "a": (conv(3, 3), "input"),
        "b": (ReLU(), "a"),
        "sum": (Add(), ("a", "b")),
        "last": (ReLU(), "sum"),
    }
    short, whole = Model(Graph(nodes)).forward(X, upto=upto), Model(Graph(nodes)).forward(X)
    dy = np.cos(short.output)
    assert np.array_equal(short.backward(dy)["input"], whole.backward({upto: dy})["input"])


def test_a_record_in_which_the_pass_stopped_says_so():
    x = np.zeros((1, 3, 4, 4), np.float32)
    tape = Model(Sequential({"fire": Fire.init(3, 2, 4, 5)})).forward(x, upto="fire.squeeze")
    seen = []

    def note(record, dy):
        seen.append(repr(record))
        return record.layer.backward(dy, record.cache)

    tape.backward(tape.output, {Conv2d: note})
    assert seen == ["fire.squeeze: Conv2d (1, 3, 4, 4) -> (1, 2, 4, 4)"]
    assert repr(Record("fire", Fire.init(3, 2, 4, 5), x)) == "fire: Fire (1, 3, 4, 4) -> unfinished"
    assert repr(Record("add", Add(), (x, x), x)) == "add: Add (1, 3, 4, 4) + (1, 3, 4, 4) -> (1, 3, 4, 4)"
