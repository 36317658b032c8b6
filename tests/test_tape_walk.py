"""The walk back: rules, no work that nobody asked for, passes that stop early."""

import checks
import numpy as np
import pytest
import torch
from torch import nn
from torch_nets import activations, random_biases, torch_names, torch_twin

import npgrad
from npgrad import NpgradError, UnknownName
from npgrad.layers import Composite, Conv2d, Dropout, Fire, GlobalAvgPool2d, MaxPool2d, ReLU, Sequential
from npgrad.models import squeezenet1_1
from npgrad.rules import deconv, guided


@pytest.fixture(scope="module")
def model():
    return random_biases(squeezenet1_1(num_classes=10, rng=1)).astype(np.float64)


@pytest.fixture(scope="module")
def tape(model):
    return model.forward(np.random.default_rng(0).normal(size=(2, 3, 65, 65)))


def dy_at(tape, name, seed=0):
    return np.random.default_rng(seed).normal(size=tape[name].shape)


def own(record, dy):
    """The rule that changes nothing."""
    return record.layer.backward(dy, record.cache)


def nothing(record, dy):
    return np.zeros_like(record.x)


TORCH_RULES = {
    guided: lambda module, dx, dy: (dx[0].clamp(min=0),),
    deconv: lambda module, dx, dy: (dy[0].clamp(min=0),),
}


@pytest.mark.parametrize("rule", [guided, deconv])
def test_guided_and_deconv_are_those_of_hooks_in_torch(model, tape, rule):
    net = torch_twin(model)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.register_full_backward_hook(TORCH_RULES[rule])
    xt, dy = torch.tensor(tape.x, requires_grad=True), dy_at(tape, "pool10")
    outputs = activations(net, xt)
    at = ("input", "fire3", "fire2.squeeze", "conv1")
    leaves = [xt, *(outputs[torch_names(model)[name]] for name in at[1:])]
    expected = torch.autograd.grad(outputs[""], leaves, torch.tensor(dy))
    expected = {name: gradient.numpy() for name, gradient in zip(at, expected, strict=True)}
    found = tape.backward(dy, rules={ReLU: rule}, at=at)
    checks.assert_all_close(found, expected, 1e-10)
    assert not np.allclose(found["input"], tape.backward(dy)["input"])
    relus = [record.name for record in tape if isinstance(record.layer, ReLU)]
    assert checks.same_bits(tape.backward(dy, rules=dict.fromkeys(relus, rule), at=at), found)


def test_a_rule_by_name_acts_there_alone(tape):
    dy = dy_at(tape, "pool10")
    at = ("fire4.expand1x1", "fire4.expand3x3", "fire4.squeeze", "fire5")
    plain = tape.backward(dy, at=at)
    stopped = tape.backward(dy, rules={"features.6.expand1x1_activation": nothing}, at=at)
    assert not stopped["fire4.expand1x1"].any()
    assert np.array_equal(stopped["fire4.expand3x3"], plain["fire4.expand3x3"])
    assert np.array_equal(stopped["fire5"], plain["fire5"])
    without = tape.backward({"fire4.expand3x3": plain["fire4.expand3x3"]}, at="fire4.squeeze")
    assert np.array_equal(stopped["fire4.squeeze"], without["fire4.squeeze"])


@pytest.mark.parametrize("name", ["relu10", "fire9.expand1x1_relu", "fire9", "features.12"])
def test_a_name_wins_over_a_type(tape, name):
    dy = dy_at(tape, "pool10")
    others = {ReLU: nothing, Fire: nothing}
    layer_type = type(tape.records[tape.resolve(name)].layer)
    del others[ReLU if layer_type is Fire else Fire]
    for rules in {**others, name: own}, {name: own, **others}:  # in either order
        calls = []
        rules = {**rules, name: lambda record, dy: calls.append(record.name) or own(record, dy)}
        tape.backward(dy, rules=rules)
        assert calls == [tape.resolve(name)]


def test_a_rule_for_a_type_holds_for_its_subclasses_unless_they_have_one():
    class Mine(ReLU):
        pass

    network = Sequential({"a": ReLU(), "b": Mine()})
    tape = npgrad.Model(network).forward(np.ones((1, 2)))
    dy = np.ones((1, 2))
    assert not tape.backward(dy, rules={ReLU: nothing})["input"].any()
    assert not tape.backward(dy, rules={ReLU: own, Mine: nothing}, at="a")["a"].any()
    assert tape.backward(dy, rules={ReLU: nothing, Mine: own}, at="a")["a"].all()


def test_a_rule_gets_the_record_and_the_gradient_that_arrived(tape):
    dy, seen = dy_at(tape, "pool10"), {}

    def look(record, dy):
        seen[record.name] = (record.layer, record.x, record.y, dy)
        return own(record, dy)

    plain = tape.backward(dy, at=("input", "fire3.squeeze_relu"))
    assert checks.same_bits(tape.backward(dy, rules={"fire3.squeeze_relu": look}, at=plain), plain)
    (layer, x, y, arrived), *others = seen.values()
    assert not others
    assert isinstance(layer, ReLU)
    assert x is tape["fire3.squeeze"]
    assert y is tape["fire3.squeeze_relu"]
    assert np.array_equal(arrived, plain["fire3.squeeze_relu"])


@pytest.mark.parametrize(("rules", "factor"), [({Fire: 2}, 2**8), ({"fire4": 2}, 2), ({Fire: 2, "fire4": 8}, 2**10)])
def test_a_rule_on_a_composite_stands_for_the_whole_of_it(tape, rules, factor):
    def times(factor):
        return lambda record, dy: factor * record.layer.backward(dy, record.cache)

    dy = dy_at(tape, "pool10")
    expected = factor * tape.backward(dy)["input"]  # powers of two change no bit
    found = tape.backward(dy, rules={key: times(value) for key, value in rules.items()})
    assert np.array_equal(found["input"], expected)


WRONG = {
    "no function": ({ReLU: 2}, NpgradError, "rule for .*ReLU.*function.*2"),
    "no layer type": ({int: own}, NpgradError, "rules: expected a layer type or a layer's name.*int"),
    "a layer": ({ReLU(): own}, NpgradError, "rules: expected a layer type or a layer's name"),
    "unknown name": ({"rellu1": own}, UnknownName, "'rellu1'.*nearest.*relu1"),
}


@pytest.mark.parametrize(("rules", "kind", "says"), WRONG.values(), ids=WRONG)
def test_what_is_no_rule_is_refused(tape, rules, kind, says):
    with pytest.raises(kind, match=says):
        tape.backward(dy_at(tape, "pool10"), rules=rules)


LEAVES = (Conv2d, ReLU, MaxPool2d, Dropout, GlobalAvgPool2d)
INNER = ("squeeze", "squeeze_relu", "expand1x1", "expand1x1_relu", "expand3x3", "expand3x3_relu")


def worked_at(tape, seeds, at):
    """The layers whose backward was called, in order."""
    calls = []

    def noting(record, dy):
        calls.append(record.name)
        return own(record, dy)

    found = tape.backward({name: dy_at(tape, name) for name in seeds}, rules=dict.fromkeys(LEAVES, noting), at=at)
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
    "down to where they fork": (["fire2"], ["fire2.squeeze_relu"], inside("fire2") - {"fire2.squeeze", "fire2.squeeze_relu"}),
    "from one branch": (
        ["fire2.expand1x1"],
        ["input"],
        {"fire2.expand1x1", "fire2.squeeze_relu", "fire2.squeeze"} | STEM,
    ),
    "from where they fork": (["fire2.squeeze_relu"], ["conv1"], {"fire2.squeeze_relu", "fire2.squeeze", "pool1", "relu1"}),
    "two seeds": (["fire2", "fire4.squeeze"], ["input"], inside("fire2", "fire3") | {"fire4.squeeze", "pool3"} | STEM),
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
    assert [name for name in calls if "." not in name] == [name for name in reversed(leaves) if "." not in name]


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
    fire = Fire(Noting(np.ones((2, 4, 1, 1))), Noting(np.ones((3, 2, 1, 1))), Noting(np.ones((3, 2, 3, 3)), padding=1))
    return npgrad.Model(Sequential({"first": Noting(np.ones((4, 1, 1, 1))), "fire": fire, "last": Noting(np.ones((1, 6, 2, 2)))}))


def test_parameter_gradients_come_in_one_walk_that_ends_at_the_lowest_parameters(noting_model):
    tape = noting_model.forward(np.ones((1, 1, 4, 4)))
    Noting.calls.clear()
    tape.parameter_gradients(tape.output)
    shapes = {record.layer.weight.shape for record in tape if isinstance(record.layer, Noting)}
    assert {shape for what, shape in Noting.calls if what == "parameters"} == shapes
    assert {shape for what, shape in Noting.calls if what == "backward"} == shapes - {(4, 1, 1, 1)}
    assert len(Noting.calls) == 2 * len(shapes) - 1


def test_a_picture_never_pays_for_parameter_gradients(noting_model):
    tape = noting_model.forward(np.ones((1, 1, 4, 4)))
    Noting.calls.clear()
    tape.backward(tape.output)
    assert len(Noting.calls) == 5
    assert {what for what, _ in Noting.calls} == {"backward"}


@pytest.mark.parametrize(("upto", "ran"), [("first", 1), ("fire.squeeze_relu", 2), ("fire.expand1x1", 3), ("fire", 4)])
def test_nothing_runs_after_the_last_wanted_layer(noting_model, upto, ran):
    noting_model.forward(np.ones((1, 1, 4, 4)), upto=upto)
    assert [what for what, _ in Noting.calls] == ["forward"] * ran


@pytest.mark.parametrize(
    "upto", ["conv1", "pool1", "fire3", "fire3.expand1x1", "features.4.expand1x1", "fire4.expand3x3_relu", "pool10"]
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
    outputs = activations(torch_twin(model), xt)
    gradient = torch.autograd.grad(outputs[torch_names(model)[name]], xt, torch.tensor(dy))[0].numpy()
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
