"""What a tape says, keeps and returns: messages, names, sources, dtypes, and no array of the caller's."""

import numpy as np
import pytest
from tape_nets import DY, X, conv, little, own

from npgrad import InputError, Model, NpgradError, Tape, UnknownName
from npgrad.layers import (
    Add,
    BatchNorm2d,
    Composite,
    Concat,
    Dropout,
    Fire,
    Graph,
    Layer,
    Linear,
    ReLU,
    Sequential,
)


@pytest.fixture
def tape():
    return Model(little(), aliases={"first": "conv"}).forward(X)


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


def test_a_tape_made_by_hand_is_no_training():
    x = np.ones((1, 3, 4, 4))
    tape = Tape(Sequential({"drop": Dropout(0.5)}), x)
    assert np.array_equal(tape.output, x)
