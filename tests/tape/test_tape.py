"""The tape: what a forward pass leaves, and gradients at any layer from upstream gradients at any layer."""

import checks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checks import dy_at
from layer_cases import conv_layer
from torch_nets import activations, small_net, torch_names, torch_twin

import npgrad
from npgrad import InputError, UnknownName
from npgrad.layers import ReLU, Sequential


@pytest.fixture(scope="module")
def model():
    return small_net()


@pytest.fixture(scope="module")
def tape(model):
    return model.forward(np.random.default_rng(0).normal(size=(2, 3, 65, 65)))


def test_a_tape_holds_every_layer_by_name(model, tape):
    names = model.layer_names()
    assert [record.name for record in tape] == names
    assert tape["input"] is tape.x
    assert tape["features.0"] is tape["conv1"]
    assert np.array_equal(tape["relu1"], np.maximum(tape["conv1"], 0))
    assert tape.output is tape["pool10"]
    assert np.array_equal(tape.output, model(tape.x))
    assert "fire2.squeeze" in tape
    assert "input" in tape
    assert "fire1" not in tape
    record = tape.records["fire3.squeeze"]
    assert (record.layer, record.x, record.sources) == (
        model.layer("fire3.squeeze"),
        tape["fire2"],
        ("fire2",),
    )


def test_a_tape_prints_a_line_for_each_layer(model, tape):
    lines = repr(tape).splitlines()
    assert lines[0] == "input (2, 3, 65, 65)"
    assert lines[1] == "conv1: Conv2d (2, 3, 65, 65) -> (2, 64, 32, 32)"
    assert lines[-1] == "pool10: GlobalAvgPool2d (2, 10, 4, 4) -> (2, 10)"
    assert len(lines) == 1 + len(model.layer_names())


def test_the_gradient_at_every_layer_is_that_of_torch(model, tape):
    names, xt = torch_names(model), torch.tensor(tape.x, requires_grad=True)
    outputs = activations(torch_twin(model), xt)
    dy = dy_at(tape, "pool10")
    everywhere = ["input", *model.layer_names()]
    leaves = [xt, *(outputs[names[name]] for name in model.layer_names())]
    expected = dict(zip(everywhere, torch.autograd.grad(outputs[""], leaves, torch.tensor(dy)), strict=True))
    found = tape.backward(dy, at=everywhere)
    checks.assert_all_close(found, {k: v.numpy().reshape(tape[k].shape) for k, v in expected.items()}, 1e-10)
    for name in ["drop9", *everywhere[::7]]:  # asked for alone, it is the same to the last bit
        assert checks.same_bits(tape.backward(dy, at=name), {name: found[name]})


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["fire6", "fire4.expand3x3", "fire2.squeeze_relu", "pool1", "conv1"])
def test_an_upstream_gradient_at_any_layer_gives_the_gradient_of_torch(model, tape, name):
    names, xt = torch_names(model), torch.tensor(tape.x, requires_grad=True)
    outputs, dy = activations(torch_twin(model), xt), dy_at(tape, name)
    expected = torch.autograd.grad(outputs[names[name]], xt, torch.tensor(dy))[0].numpy()
    checks.assert_close(tape.backward({name: dy})["input"], expected, 1e-10)


def test_gradients_go_by_the_names_they_are_asked_by(tape):
    dy = dy_at(tape, "pool10")
    asked = ("features.3.expand1x1", "fire2.expand1x1", "classifier.1", "input")
    found = tape.backward(dy, at=asked)
    assert tuple(found) == asked
    assert np.array_equal(found["features.3.expand1x1"], found["fire2.expand1x1"])
    assert tuple(tape.backward(dy)) == ("input",)


def test_an_array_is_an_upstream_gradient_at_the_last_layer(tape):
    dy = dy_at(tape, "pool10")
    expected = tape.backward(dy)
    assert checks.same_bits(tape.backward({"pool10": dy}), expected)
    assert checks.same_bits(tape.backward({"classifier.3": dy}), expected)
    assert checks.same_bits(tape.backward(dy.tolist()), expected)
    expected = tape.parameter_gradients(dy)
    assert checks.same_bits(tape.parameter_gradients({"pool10": dy}), expected)


def test_several_upstream_gradients_give_the_sum_of_their_gradients(tape):
    upstream = {
        name: dy_at(tape, name) for name in ("input", "fire2.expand1x1", "fire3", "fire7.squeeze", "pool10")
    }
    at = ("input", "conv1", "fire2.expand1x1", "fire2.expand3x3", "fire3", "fire6", "conv10")
    together = tape.backward(upstream, at=at)
    separate = [tape.backward({name: dy}, at=at) for name, dy in upstream.items()]
    checks.assert_all_close(together, {name: sum(s[name] for s in separate) for name in at}, 1e-13)
    together = tape.parameter_gradients(upstream)
    separate = [tape.parameter_gradients({name: dy}) for name, dy in upstream.items()]
    checks.assert_all_close(together, {name: sum(s[name] for s in separate) for name in together}, 1e-13)


def test_an_upstream_gradient_at_the_input_is_added_to_what_arrives_there(tape):
    dx, dy = dy_at(tape, "input", 1), dy_at(tape, "pool10")
    assert np.array_equal(tape.backward({"input": dx})["input"], dx)
    found = tape.backward({"input": dx, "pool10": dy})["input"]
    assert np.array_equal(found, tape.backward(dy)["input"] + dx)


def test_upstream_gradients_by_two_names_of_one_layer_add(tape):
    a, b = dy_at(tape, "fire4", 0), dy_at(tape, "fire4", 1)
    expected = tape.backward({"fire4": a + b})
    assert checks.same_bits(tape.backward({"fire4": a, "features.6": b}), expected)


def test_a_layer_that_no_upstream_gradient_reaches_has_gradient_zero(tape):
    found = tape.backward(
        {"fire3.expand1x1": dy_at(tape, "fire3.expand1x1")}, at=("fire5", "fire3.expand3x3", "conv1")
    )
    assert found["fire5"].shape == tape["fire5"].shape
    assert not found["fire5"].any()
    assert not found["fire3.expand3x3"].any()
    assert found["conv1"].any()
    gradients = tape.parameter_gradients({"fire3": dy_at(tape, "fire3")})
    reached = {name for name, gradient in gradients.items() if gradient.any()}
    assert {name.split(".")[0] for name in reached} == {"conv1", "fire2", "fire3"}
    assert {n: g.shape for n, g in gradients.items()} == {
        n: a.shape for n, a in tape.network.arrays().items()
    }


def test_one_layer_may_stand_in_a_network_twice():
    rng = np.random.default_rng(0)
    conv, relu = conv_layer(rng, 3, 3, (3, 3), padding=1), ReLU()
    model = npgrad.Model(Sequential({"a": conv, "relu_a": relu, "b": conv, "relu_b": relu}))
    x = rng.normal(size=(2, 3, 6, 5))
    tape = model.forward(x)
    dy = dy_at(tape, "relu_b")
    xt = torch.tensor(x, requires_grad=True)
    p = {f"{name}.{key}": checks.to_leaf(array) for name in "ab" for key, array in conv.arrays().items()}
    a = F.conv2d(xt, p["a.weight"], p["a.bias"], padding=1)
    y = torch.relu(F.conv2d(torch.relu(a), p["b.weight"], p["b.bias"], padding=1))
    expected = torch.autograd.grad(y, [xt, a, *p.values()], torch.tensor(dy))
    found = {**tape.backward(dy, at=("input", "a")), **tape.parameter_gradients(dy)}
    expected = dict(zip(["input", "a", *p], (gradient.numpy() for gradient in expected), strict=True))
    checks.assert_close(tape.output, y.detach().numpy(), 1e-13)
    checks.assert_all_close(found, expected, 1e-12)


WRONG = {
    "dy's shape": (
        lambda t: t.backward(np.ones((2, 9))),
        InputError,
        r"upstream gradient at pool10.*\(2, 10\).*\(2, 9\)",
    ),
    "named dy's shape": (
        lambda t: t.backward({"fire4": 1.0}),
        InputError,
        r"upstream gradient at fire4.*\(2, 256, 8, 8\).*\(\)",
    ),
    "dy's type": (
        lambda t: t.backward(np.full((2, 10), "a")),
        InputError,
        "upstream gradient at pool10.*numbers.*U1",
    ),
    "parameters' dy": (
        lambda t: t.parameter_gradients(np.ones(3)),
        InputError,
        "upstream gradient at pool10",
    ),
    "dy's layer": (lambda t: t.backward({"fire44": 1}), UnknownName, "'fire44'.*nearest.*fire4"),
    "at": (
        lambda t: t.backward(np.ones((2, 10)), at=("input", "conv11")),
        UnknownName,
        "'conv11'.*nearest.*conv1",
    ),
    "indexing": (lambda t: t["fire2.sqeeze"], UnknownName, "'fire2.sqeeze'.*nearest.*fire2.squeeze"),
}


@pytest.mark.parametrize(("act", "kind", "says"), WRONG.values(), ids=WRONG)
def test_what_a_tape_cannot_do_is_refused_in_one_clear_line(tape, act, kind, says):
    with pytest.raises(kind, match=says) as refusal:
        act(tape)
    assert "\n" not in str(refusal.value)


def test_an_error_names_the_layer_in_which_the_pass_stopped(model, tape):
    x = tape.x
    with pytest.raises(InputError, match="^conv1: Conv2d expects 3 channels"):
        model.forward(x[:, :2])
    broken = Sequential({"outer": Sequential({"conv": model.layer("fire2.squeeze")})})
    with pytest.raises(InputError, match="^outer.conv: Conv2d expects 64 channels"):
        npgrad.Model(broken).forward(x)
