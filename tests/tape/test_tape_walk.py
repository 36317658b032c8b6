"""No work that nobody asked for: the walk back is as short as can be, and a pass may stop early."""

import checks
import numpy as np
import pytest
import torch
from checks import dy_at
from torch_nets import activations, small_net, torch_names, torch_twin

import npgrad
from npgrad import UnknownName
from npgrad.layers import Composite, Conv2d, Dropout, Fire, GlobalAvgPool2d, MaxPool2d, ReLU, Sequential
from npgrad.rules import guided


@pytest.fixture(scope="module")
def model():
    return small_net()


@pytest.fixture(scope="module")
def tape(model):
    return model.forward(np.random.default_rng(0).normal(size=(2, 3, 65, 65)))


LEAVES = (Conv2d, ReLU, MaxPool2d, Dropout, GlobalAvgPool2d)
INNER = ("squeeze", "squeeze_relu", "expand1x1", "expand1x1_relu", "expand3x3", "expand3x3_relu")


def worked_at(tape, seeds, at):
    """The layers whose backward was called, in order."""
    calls = []

    def noting(record, dy):
        calls.append(record.name)
        return record.layer.backward(dy, record.cache)

    found = tape.backward(
        {name: dy_at(tape, name) for name in seeds}, rules=dict.fromkeys(LEAVES, noting), at=at
    )
    plain = tape.backward({name: dy_at(tape, name) for name in seeds}, at=at)
    assert checks.same_bits(found, plain)
    return calls


def inside(*fires):
    return {f"{fire}.{inner}" for fire in fires for inner in INNER}


STEM = {"conv1", "relu1", "pool1"}
WORK = {
    "between two fires": (["fire4"], ["fire2"], inside("fire4", "fire3") | {"pool3"}),
    "down to one branch": (["fire3"], ["fire2.expand1x1"], inside("fire3") | {"fire2.expand1x1_relu"}),
    "down to the other branch": (["fire3"], ["fire2.expand3x3"], inside("fire3") | {"fire2.expand3x3_relu"}),
    "down to both branches": (
        ["fire2"],
        ["fire2.expand1x1", "fire2.expand3x3"],
        {"fire2.expand1x1_relu", "fire2.expand3x3_relu"},
    ),
    "down to where they fork": (
        ["fire2"],
        ["fire2.squeeze_relu"],
        inside("fire2") - {"fire2.squeeze", "fire2.squeeze_relu"},
    ),
    "from one branch": (
        ["fire2.expand1x1"],
        ["input"],
        {"fire2.expand1x1", "fire2.squeeze_relu", "fire2.squeeze"} | STEM,
    ),
    "from where they fork": (
        ["fire2.squeeze_relu"],
        ["conv1"],
        {"fire2.squeeze_relu", "fire2.squeeze", "pool1", "relu1"},
    ),
    "two seeds": (
        ["fire2", "fire4.squeeze"],
        ["input"],
        inside("fire2", "fire3") | {"fire4.squeeze", "pool3"} | STEM,
    ),
    "two wanted": (["fire3"], ["fire2", "pool1"], inside("fire3", "fire2")),
    "seed and wanted at one layer": (["fire4"], ["fire4"], set()),
    "wanted above the seed": (["fire2"], ["fire5"], set()),
    "wanted on the other branch": (["fire2.expand1x1"], ["fire2.expand3x3"], set()),
    "nothing wanted": (["pool10"], [], set()),
    "the input alone": (["input"], ["input"], set()),
    "by alias": (["features.0"], ["input"], {"conv1"}),
}


@pytest.mark.parametrize(("seeds", "at", "expected"), WORK.values(), ids=WORK)
def test_no_work_above_the_topmost_seed_or_below_the_lowest_wanted_layer(tape, seeds, at, expected):
    calls = worked_at(tape, seeds, at)
    assert set(calls) == expected
    assert len(calls) == len(expected), "some layer was gone through twice"


def test_the_whole_walk_goes_through_every_layer_once(model, tape):
    leaves = [name for name in model.layer_names() if not isinstance(model.layer(name), Composite)]
    calls = worked_at(tape, ["pool10"], ["input"])
    assert sorted(calls) == sorted(leaves)
    assert [name for name in calls if "." not in name] == [
        name for name in reversed(leaves) if "." not in name
    ]


class Noting(Conv2d):
    """A convolution that notes what is asked of it."""

    calls = []

    def forward(self, x):
        self.calls.append(("forward", self.weight.shape))
        return super().forward(x)

    def backward(self, dy, x):
        self.calls.append(("backward", self.weight.shape))
        return super().backward(dy, x)

    def parameter_gradients(self, dy, x):
        self.calls.append(("parameters", self.weight.shape))
        return super().parameter_gradients(dy, x)


@pytest.fixture
def noting_model():
    Noting.calls.clear()
    fire = Fire(
        Noting(np.ones((2, 4, 1, 1))), Noting(np.ones((3, 2, 1, 1))), Noting(np.ones((3, 2, 3, 3)), padding=1)
    )
    return npgrad.Model(
        Sequential(
            {"first": Noting(np.ones((4, 1, 1, 1))), "fire": fire, "last": Noting(np.ones((1, 6, 2, 2)))}
        )
    )


def test_parameter_gradients_come_in_one_walk_that_ends_at_the_lowest_parameters(noting_model):
    tape = noting_model.forward(np.ones((1, 1, 4, 4)))
    Noting.calls.clear()
    tape.parameter_gradients(tape.output)
    shapes = {record.layer.weight.shape for record in tape if isinstance(record.layer, Noting)}
    assert {shape for what, shape in Noting.calls if what == "parameters"} == shapes
    assert {shape for what, shape in Noting.calls if what == "backward"} == shapes - {(4, 1, 1, 1)}
    assert len(Noting.calls) == 2 * len(shapes) - 1


def test_a_image_never_pays_for_parameter_gradients(noting_model):
    tape = noting_model.forward(np.ones((1, 1, 4, 4)))
    Noting.calls.clear()
    tape.backward(tape.output)
    assert len(Noting.calls) == 5
    assert {what for what, _ in Noting.calls} == {"backward"}


@pytest.mark.parametrize(
    ("upto", "ran"), [("first", 1), ("fire.squeeze_relu", 2), ("fire.expand1x1", 3), ("fire", 4)]
)
def test_nothing_runs_after_the_last_wanted_layer(noting_model, upto, ran):
    noting_model.forward(np.ones((1, 1, 4, 4)), upto=upto)
    assert [what for what, _ in Noting.calls] == ["forward"] * ran


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "upto",
    ["conv1", "pool1", "fire3", "fire3.expand1x1", "features.4.expand1x1", "fire4.expand3x3_relu", "pool10"],
)
def test_a_pass_may_stop_anywhere_and_go_back_from_there(model, tape, upto):
    name = model.resolve(upto)
    short = model.forward(tape.x, upto=upto)
    names = model.layer_names()
    expected = names[: names.index(name) + 1]
    assert [record.name for record in short] == expected
    assert short.output is short[upto]
    assert all(np.array_equal(short[name], tape[name]) for name in expected)

    xt, dy = torch.tensor(tape.x, requires_grad=True), dy_at(tape, name)
    y = activations(torch_twin(model), xt)[torch_names(model)[name]]
    gradient = torch.autograd.grad(y, xt, torch.tensor(dy).reshape(y.shape))[0].numpy()
    checks.assert_close(short.backward(dy)["input"], gradient, 1e-10)
    at = ("input", *expected)
    assert checks.same_bits(short.backward(dy, at=at), tape.backward({name: dy}, at=at))
    gradients = tape.parameter_gradients({name: dy})
    ran = {key: gradient for key, gradient in gradients.items() if key.rpartition(".")[0] in expected}
    assert checks.same_bits(short.parameter_gradients(dy), ran)


def test_rules_act_in_a_fire_in_which_the_pass_stopped(model, tape):
    short = model.forward(tape.x, upto="fire3.expand1x1")
    dy = dy_at(tape, "fire3.expand1x1")
    expected = tape.backward({"fire3.expand1x1": dy}, rules={ReLU: guided})
    assert checks.same_bits(short.backward(dy, rules={ReLU: guided}), expected)
    assert not np.array_equal(short.backward(dy)["input"], expected["input"])


def test_a_layer_that_did_not_run_is_unknown_to_the_tape(model, tape):
    short = model.forward(tape.x, upto="fire3.expand1x1")
    for name in "fire3", "fire3.expand3x3", "conv10":
        assert name not in short
        with pytest.raises(UnknownName, match=f"no layer on this tape '{name}'"):
            short[name]
    with pytest.raises(UnknownName, match="'fire22'.*nearest.*fire2"):
        model.forward(tape.x, upto="fire22")
