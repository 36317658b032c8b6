"""What mutation testing found unseen in the tape: whole messages, one part alone, passes that stop inside a block."""

import re

import numpy as np
import pytest

from npgrad import InputError, Model, NpgradError, Tape, UnknownName
from npgrad._parallel.batch_tape import BatchTape
from npgrad.layers import (
    Add,
    BatchNorm2d,
    Composite,
    Concat,
    Conv2d,
    Fire,
    GlobalAvgPool2d,
    Graph,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sequential,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 5, 6))


def conv(channels, filters, kernel=1, padding=0, seed=1):
    rng = np.random.default_rng(seed)
    return Conv2d(rng.normal(size=(filters, channels, kernel, kernel)), rng.normal(size=filters), 1, padding)


def little():
    fire = Fire(conv(4, 2), conv(2, 3, seed=2), conv(2, 2, 3, 1, seed=3))
    return Sequential({"conv": conv(3, 4, 3), "relu": ReLU(), "fire": fire, "mean": GlobalAvgPool2d()})


@pytest.fixture
def tape():
    return Model(little(), aliases={"first": "conv"}).forward(X)


def own(record, dy):
    return record.layer.backward(dy, record.cache)


DY = np.ones((2, 5))
LINES = [
    (lambda t: t.backward(DY[:1]), InputError, "upstream gradient at mean: expected shape (2, 5), found (1, 5)"),
    (lambda t: t.backward(DY.astype("U")), InputError, "upstream gradient at mean: expected numbers, found <U32"),
    (lambda t: t.backward({"first": 1}), InputError,
     "upstream gradient at first: expected shape (2, 4, 3, 4), found ()"),
    (lambda t: t.backward(DY, {ReLU: 3}), NpgradError,
     "rule for <class 'npgrad.layers.relu.ReLU'>: expected a function (record, dy) -> dx, found 3"),
    (lambda t: t.backward(DY, {3: own}), NpgradError, "rules: expected a layer type or a layer's name, found 3"),
    (lambda t: t.backward(DY, {dict: own}), NpgradError,
     "rules: expected a layer type or a layer's name, found <class 'dict'>"),
    (lambda t: t.backward({"mean": DY, "fire.squeeze": t["fire.squeeze"]}, {"fire": own}), InputError,
     "the rule for fire replaces what is inside it, fire.squeeze too"),
    (lambda t: t.backward(DY, {Fire: own}, at="fire.expand1x1"), InputError,
     "the rule for fire replaces what is inside it, fire.expand1x1 too"),
    (lambda t: t["mein"], UnknownName, "no layer on this tape 'mein'; nearest: mean"),
    (lambda t: t.backward(DY, at="secnod"), UnknownName, "no layer on this tape 'secnod'; known: conv, relu, "
     "fire.squeeze, fire.squeeze_relu, fire.expand1x1, fire.expand1x1_relu, fire.expand3x3, fire.expand3x3_relu, "
     "fire, mean"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "kind", "line"), LINES, ids=range(len(LINES)))
def test_the_whole_line_of_a_refusal(tape, act, kind, line):
    with pytest.raises(kind) as refusal:
        act(tape)
    assert str(refusal.value) == line


def test_a_tape_in_words(tape):
    assert repr(tape).splitlines() == [
        "input (2, 3, 5, 6)",
        "conv: Conv2d (2, 3, 5, 6) -> (2, 4, 3, 4)",
        "relu: ReLU (2, 4, 3, 4) -> (2, 4, 3, 4)",
        "fire.squeeze: Conv2d (2, 4, 3, 4) -> (2, 2, 3, 4)",
        "fire.squeeze_relu: ReLU (2, 2, 3, 4) -> (2, 2, 3, 4)",
        "fire.expand1x1: Conv2d (2, 2, 3, 4) -> (2, 3, 3, 4)",
        "fire.expand1x1_relu: ReLU (2, 3, 3, 4) -> (2, 3, 3, 4)",
        "fire.expand3x3: Conv2d (2, 2, 3, 4) -> (2, 2, 3, 4)",
        "fire.expand3x3_relu: ReLU (2, 2, 3, 4) -> (2, 2, 3, 4)",
        "fire: Fire (2, 4, 3, 4) -> (2, 5, 3, 4)",
        "mean: GlobalAvgPool2d (2, 5, 3, 4) -> (2, 5)",
    ]
    assert [record.name for record in tape] == [line.split(":")[0] for line in repr(tape).splitlines()[1:]]
    assert tape.parts == (tape,) and tape.statistics == {}
    assert tape.records["fire"].sources == ("relu",) and tape.records["conv"].sources == ("input",)
    assert tape.records["conv"].layer is not None and tape.records["fire"].cache is None


def test_upstream_gradients_take_the_outputs_precision(tape):
    single = Model(little()).astype(np.float32).forward(X.astype(np.float32))
    for dy in (DY, DY.astype(int), DY > 0, DY.tolist()):
        assert single.backward(dy)["input"].dtype == np.float32
    assert single.backward(DY * 1j)["input"].dtype == np.complex64
    assert tape.backward(DY.astype(np.float32))["input"].dtype == np.float64
    np.testing.assert_array_equal(tape.backward(2j * DY)["input"], 2j * tape.backward(DY)["input"])


def test_a_gradient_is_never_the_callers_array(tape):
    dy = tape["conv"].copy()
    found = tape.backward({"conv": dy, "input": X}, at=("conv", "first", "input"))
    assert list(found) == ["conv", "first", "input"]
    np.testing.assert_array_equal(found["conv"], dy)
    assert not any(np.may_share_memory(array, dy) for array in found.values())
    alone = tape.backward({"input": X})["input"]
    assert not np.may_share_memory(alone, X) and np.array_equal(alone, X)
    assert not np.may_share_memory(tape.backward(DY, at=["mean"])["mean"], DY)


def test_one_rule_for_everything_and_one_for_the_rest(tape):
    seen = []

    def note(record, dy):
        seen.append(record.name)
        return own(record, dy)

    plain = tape.backward(DY)["input"]
    for rules, names in (
        ({Layer: note}, ["mean", "fire", "relu", "conv"]),
        ({ReLU: note}, ["fire.expand1x1_relu", "fire.expand3x3_relu", "fire.squeeze_relu", "relu"]),
        ({Composite: note, "relu": note, "first": note}, ["fire", "relu", "conv"]),
    ):
        seen.clear()
        np.testing.assert_array_equal(tape.backward(DY, rules)["input"], plain)
        assert seen == names, "the rule of a composite stands for what is inside it"


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


class Shift(Composite):
    """Hands its part an array that the tape has not seen, so that nobody knows where it came from."""

    def __init__(self, part):
        self.part = part

    def forward(self, x, tape=None):
        return tape.run("part", self.part, x + 1), tape

    def backward(self, dy, tape):
        return tape.back("part", dy)

    def parts(self):
        return {"part": self.part}


def test_where_an_array_came_from_may_be_unknown():
    model = Model(Sequential({"first": conv(3, 3), "shift": Shift(conv(3, 2, seed=2)), "last": ReLU()}))
    tape = model.forward(X)
    assert tape.records["shift.part"].sources is None and tape.records["last"].sources == ("shift",)
    straight = Model(Sequential({"part": conv(3, 2, seed=2), "last": ReLU()})).forward(tape["first"] + 1)
    dy = np.cos(tape.output)
    expected = straight.backward(dy, at=("input", "part"))
    found = tape.backward(dy, at=("first", "shift.part", "input"))
    np.testing.assert_array_equal(found["first"], expected["input"])
    np.testing.assert_array_equal(found["shift.part"], expected["part"])
    np.testing.assert_array_equal(found["input"], tape.backward({"first": found["first"]})["input"])


def test_layers_of_several_arrays_on_a_tape():
    nodes = {"a": (conv(3, 3), "input"), "b": (ReLU(), "a"), "sum": (Add(), ["a", "b", "input"])}
    graph = Graph({**nodes, "both": (Concat(), ("sum", "b"))})
    tape = Model(graph).forward(X)
    assert tape.records["sum"].sources == ("a", "b", "input")
    dy = np.cos(tape.output)
    found = tape.backward(dy, at=("a", "b", "input", "sum"))
    top, low = dy[:, :3], dy[:, 3:]
    np.testing.assert_allclose(found["sum"], top)
    np.testing.assert_allclose(found["b"], top + low)
    np.testing.assert_allclose(found["a"], top + (top + low) * (tape["a"] > 0), rtol=1e-14)
    np.testing.assert_allclose(found["input"], top + own(tape.records["a"], found["a"]), rtol=1e-14)
    only = tape.backward({"b": low}, at=("sum", "a"))
    assert not only["sum"].any() and np.array_equal(only["a"], low * (tape["a"] > 0))


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


def test_composites_and_weights_are_the_layers_own():
    parts, nodes = {"a": ReLU()}, {"a": (ReLU(), "input")}
    short = {"s": conv(3, 3)}
    made = [Sequential(parts), Residual(parts, short), Graph(nodes)]
    for given in (parts, short, nodes):
        given.clear()
    assert [list(layer.parts()) for layer in made] == [["a"], ["a", "s", "add", "relu"], ["a"]]
    assert Linear(np.asfortranarray(np.ones((3, 4)))).weight.flags.c_contiguous
    fire = Fire(conv(4, 2, 3, 1), conv(2, 3, seed=2), conv(2, 2, 3, 1, seed=3))
    assert fire.receptive_field() == ((5, 5), (1, 1), (2, 2))


def test_statistics_by_name():
    norm = BatchNorm2d(*np.ones((4, 3)))
    tape = Model(Sequential({"block": Sequential({"bn": norm})})).forward(X, training=True)
    assert list(tape.statistics) == ["block.bn.running_mean", "block.bn.running_var"]
    np.testing.assert_allclose(tape.statistics["block.bn.running_mean"], 0.9 + 0.1 * X.mean(axis=(0, 2, 3)))


def test_a_network_that_is_no_sequence_and_a_tape_by_hand():
    fc = Linear(np.eye(3))
    tape = Tape(Sequential({"fc": fc}), X[:, :, 0, 0], aliases={"one": "fc"})
    assert tape["one"] is tape.output and "one" in tape and "two" not in tape
    with pytest.raises(UnknownName):
        Tape(Sequential({"fc": fc}), X[:, :, 0, 0])["one"]
    gradients = tape.parameter_gradients({"one": X[:, :, 0, 0]})
    assert list(gradients) == ["fc.weight"]


def run(x):
    return Tape(little(), x)


def test_a_batch_tape_may_have_one_part():
    one, whole = BatchTape(run, X, [slice(0, 2)]), run(X)
    assert len(one.parts) == 1 and one.resolve("fire") == "fire" and "feuer" not in one
    np.testing.assert_array_equal(one.backward(DY)["input"], whole.backward(DY)["input"])
    found, expected = one.parameter_gradients(DY), whole.parameter_gradients(DY)
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in found)


def test_a_rule_that_needs_the_whole_batch_answers_for_every_layer_asked():
    parts, whole = BatchTape(run, X, [slice(0, 1), slice(1, 2)]), run(X)
    for rules in ({ReLU: own}, {"relu": own}):
        at = ("conv", "fire.squeeze")
        found, expected = parts.backward(DY, rules, at), whole.backward(DY, rules, at)
        assert list(found) == list(at)
        assert all(np.array_equal(found[name], expected[name]) for name in at)
    seen = []

    def per_sample(record, dy):
        return own(record, dy)

    def by_batch(record, dy):
        seen.append(len(dy))
        return own(record, dy)

    per_sample.per_sample = True
    parts.backward(DY, {"relu": per_sample, "fire.squeeze_relu": by_batch})
    assert seen == [2], "one rule that does not say per_sample is enough"
    with pytest.raises(
        InputError, match=re.escape("upstream gradient at mean: expected shape (2, 5), found (3, 5)")
    ):
        parts.backward(np.ones((3, 5)))
