"""Rules, by layer type or by name: what backward computes at a layer in place of the layer's own backward."""

import checks
import numpy as np
import pytest
import torch
from checks import dy_at
from torch import nn
from torch_nets import activations, small_net, torch_names, torch_twin

import npgrad
from npgrad import NpgradError, UnknownName
from npgrad.layers import Fire, ReLU, Sequential
from npgrad.rules import deconv, guided


@pytest.fixture(scope="module")
def model():
    return small_net()


@pytest.fixture(scope="module")
def tape(model):
    return model.forward(np.random.default_rng(0).normal(size=(2, 3, 65, 65)))


def own(record, dy):
    """The rule that changes nothing."""
    return record.layer.backward(dy, record.cache)


def nothing(record, dy):
    return np.zeros_like(record.x)


TORCH_RULES = {
    guided: lambda module, dx, dy: (dx[0].clamp(min=0),),
    deconv: lambda module, dx, dy: (dy[0].clamp(min=0),),
}


@pytest.mark.sampled(2)
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
    calls = []

    def noting(record, dy):
        calls.append(record.name)
        return own(record, dy)

    for rules in {**others, name: noting}, {name: noting, **others}:  # in either order
        tape.backward(dy, rules=rules)
    assert calls == [tape.resolve(name)] * 2


def test_a_rule_for_a_type_holds_for_its_subclasses_unless_they_have_one():
    class Mine(ReLU):
        pass

    network = Sequential({"a": ReLU(), "b": Mine()})
    tape = npgrad.Model(network).forward(np.ones((1, 2)))
    dy = np.ones((1, 2))
    assert not tape.backward(dy, rules={ReLU: nothing}, at="a")["a"].any()
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


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("rules", "factor"), [({Fire: 2}, 2**8), ({"fire4": 2}, 2), ({Fire: 2, "fire4": 8}, 2**10)]
)
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


def test_rules_by_themselves(rng):
    x, dy = rng.normal(size=(2, 2, 3, 4, 4))
    record = npgrad.Model(Sequential({"relu": ReLU()})).forward(x).records["relu"]
    np.testing.assert_array_equal(guided(record, dy), np.where((x > 0) & (dy > 0), dy, 0))
    np.testing.assert_array_equal(deconv(record, dy), np.where(dy > 0, dy, 0))
