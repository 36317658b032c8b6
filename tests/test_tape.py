"""The tape: what a forward pass leaves, and gradients anywhere from seeds anywhere."""

import gc
import tracemalloc
import weakref

import checks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layer_cases import batch_norm_layer, conv_layer, torch_batch_norm
from torch_nets import activations, random_biases, torch_names, torch_twin

import npgrad
from npgrad import InputError, UnknownName
from npgrad.layers import Dropout, GlobalAvgPool2d, ReLU, Sequential
from npgrad.layers.composite import Calls
from npgrad.model import walk_layers
from npgrad.models import squeezenet1_0, squeezenet1_1


@pytest.fixture(scope="module")
def model():
    return random_biases(squeezenet1_1(num_classes=10, rng=1)).astype(np.float64)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, 3, 65, 65))


@pytest.fixture(scope="module")
def tape(model, x):
    return model.forward(x)


def dy_at(tape, name, seed=0):
    return np.random.default_rng(seed).normal(size=tape[name].shape)


def test_a_tape_holds_every_layer_by_name(model, x, tape):
    names = model.layer_names()
    assert [record.name for record in tape] == names
    assert tape["input"] is x
    assert tape["features.0"] is tape["conv1"]
    assert np.array_equal(tape["relu1"], np.maximum(tape["conv1"], 0))
    assert tape.output is tape["pool10"]
    assert np.array_equal(tape.output, model(x))
    assert "fire2.squeeze" in tape
    assert "input" in tape
    assert "fire1" not in tape
    record = tape.records["fire3.squeeze"]
    assert (record.layer, record.x, record.sources) == (model.layer("fire3.squeeze"), tape["fire2"], ("fire2",))


def test_a_tape_prints_a_line_for_each_layer(model, tape):
    lines = repr(tape).splitlines()
    assert lines[0] == "input (2, 3, 65, 65)"
    assert lines[1] == "conv1: Conv2d (2, 3, 65, 65) -> (2, 64, 32, 32)"
    assert lines[-1] == "pool10: GlobalAvgPool2d (2, 10, 4, 4) -> (2, 10)"
    assert len(lines) == 1 + len(model.layer_names())


def test_the_gradient_at_every_layer_is_that_of_torch(model, x, tape):
    names, xt = torch_names(model), torch.tensor(x, requires_grad=True)
    outputs = activations(torch_twin(model), xt)
    dy = dy_at(tape, "pool10")
    everywhere = ["input", *model.layer_names()]
    leaves = [xt, *(outputs[names[name]] for name in model.layer_names())]
    expected = dict(zip(everywhere, torch.autograd.grad(outputs[""], leaves, torch.tensor(dy)), strict=True))
    found = tape.backward(dy, at=everywhere)
    checks.assert_all_close(found, {k: v.numpy().reshape(tape[k].shape) for k, v in expected.items()}, 1e-10)
    for name in everywhere[::7]:  # asked for alone, it is the same to the last bit
        assert checks.same_bits(tape.backward(dy, at=name), {name: found[name]})


@pytest.mark.parametrize("name", ["fire6", "fire4.expand3x3", "fire2.squeeze_relu", "pool1", "conv1"])
def test_a_seed_anywhere_gives_the_gradient_of_torch(model, x, tape, name):
    names, xt = torch_names(model), torch.tensor(x, requires_grad=True)
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


def test_an_array_is_a_seed_at_the_last_layer(tape):
    dy = dy_at(tape, "pool10")
    expected = tape.backward(dy)
    assert checks.same_bits(tape.backward({"pool10": dy}), expected)
    assert checks.same_bits(tape.backward({"classifier.3": dy}), expected)
    assert checks.same_bits(tape.backward(dy.tolist()), expected)
    expected = tape.parameter_gradients(dy)
    assert checks.same_bits(tape.parameter_gradients({"pool10": dy}), expected)


def test_several_seeds_give_the_sum_of_their_gradients(tape):
    seeds = {name: dy_at(tape, name) for name in ("input", "fire2.expand1x1", "fire3", "fire7.squeeze", "pool10")}
    at = ("input", "conv1", "fire2.expand1x1", "fire2.expand3x3", "fire3", "fire6", "conv10")
    together = tape.backward(seeds, at=at)
    separate = [tape.backward({name: dy}, at=at) for name, dy in seeds.items()]
    checks.assert_all_close(together, {name: sum(s[name] for s in separate) for name in at}, 1e-13)
    together = tape.parameter_gradients(seeds)
    separate = [tape.parameter_gradients({name: dy}) for name, dy in seeds.items()]
    checks.assert_all_close(together, {name: sum(s[name] for s in separate) for name in together}, 1e-13)


def test_seeds_by_two_names_of_one_layer_add(tape):
    a, b = dy_at(tape, "fire4", 0), dy_at(tape, "fire4", 1)
    expected = tape.backward({"fire4": a + b})
    assert checks.same_bits(tape.backward({"fire4": a, "features.6": b}), expected)


def test_a_layer_that_no_seed_reaches_has_gradient_zero(tape):
    found = tape.backward({"fire3.expand1x1": dy_at(tape, "fire3.expand1x1")}, at=("fire5", "fire3.expand3x3", "conv1"))
    assert found["fire5"].shape == tape["fire5"].shape
    assert not found["fire5"].any()
    assert not found["fire3.expand3x3"].any()
    assert found["conv1"].any()
    gradients = tape.parameter_gradients({"fire3": dy_at(tape, "fire3")})
    reached = {name for name, gradient in gradients.items() if gradient.any()}
    assert {name.split(".")[0] for name in reached} == {"conv1", "fire2", "fire3"}
    assert {n: g.shape for n, g in gradients.items()} == {n: a.shape for n, a in tape._network.arrays().items()}


def test_backward_over_one_tape_repeats_bit_by_bit(tape, model, x):
    dy, at = dy_at(tape, "pool10"), ("input", "fire3")
    first, gradients = tape.backward(dy, at=at), tape.parameter_gradients(dy)
    tape.backward({"fire5": dy_at(tape, "fire5")}, rules={ReLU: npgrad.rules.guided})
    assert checks.same_bits(tape.backward(dy, at=at), first)
    assert checks.same_bits(tape.parameter_gradients(dy), gradients)
    assert checks.same_bits(model.forward(x).backward(dy, at=at), first)


def test_interleaved_passes_do_not_disturb_each_other(model):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(1, 3, 65, 65)), rng.normal(size=(2, 3, 40, 51))
    alone = []
    for x in a, b:
        tape = model.forward(x)
        dy = dy_at(tape, "pool10")
        alone.append(({"y": tape.output}, tape.backward(dy), tape.parameter_gradients(dy)))
    tape_a = model.forward(a)
    tape_b = model.forward(b)
    found_b = tape_b.backward(dy_at(tape_b, "pool10"))
    found_a = tape_a.backward(dy_at(tape_a, "pool10"))
    gradients_b = tape_b.parameter_gradients(dy_at(tape_b, "pool10"))
    gradients_a = tape_a.parameter_gradients(dy_at(tape_a, "pool10"))
    together = [({"y": tape_a.output}, found_a, gradients_a), ({"y": tape_b.output}, found_b, gradients_b)]
    for one, other in zip(alone, together, strict=True):
        assert all(map(checks.same_bits, one, other))


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
    "seed's shape": (lambda t: t.backward(np.ones((2, 9))), InputError, r"seed at pool10.*\(2, 10\).*\(2, 9\)"),
    "named seed's shape": (lambda t: t.backward({"fire4": 1.0}), InputError, r"seed at fire4.*\(2, 256, 8, 8\).*\(\)"),
    "seed's type": (lambda t: t.backward(np.full((2, 10), "a")), InputError, "seed at pool10.*numbers.*U1"),
    "parameters' seed": (lambda t: t.parameter_gradients(np.ones(3)), InputError, "seed at pool10"),
    "seed's layer": (lambda t: t.backward({"fire44": 1}), UnknownName, "'fire44'.*nearest.*fire4"),
    "at": (lambda t: t.backward(np.ones((2, 10)), at=("input", "conv11")), UnknownName, "'conv11'.*nearest.*conv1"),
    "indexing": (lambda t: t["fire2.sqeeze"], UnknownName, "'fire2.sqeeze'.*nearest.*fire2.squeeze"),
}


@pytest.mark.parametrize(("act", "kind", "says"), WRONG.values(), ids=WRONG)
def test_what_a_tape_cannot_do_is_refused_in_one_clear_line(tape, act, kind, says):
    with pytest.raises(kind, match=says) as refusal:
        act(tape)
    assert "\n" not in str(refusal.value)


def test_an_error_names_the_layer_in_which_the_pass_stopped(model, x):
    with pytest.raises(InputError, match="^conv1: Conv2d expects 3 channels"):
        model.forward(x[:, :2])
    broken = Sequential({"outer": Sequential({"conv": model.layer("fire2.squeeze")})})
    with pytest.raises(InputError, match="^outer.conv: Conv2d expects 64 channels"):
        npgrad.Model(broken).forward(x)


def test_training_draws_by_rng_and_says_so_if_there_is_none(model, x):
    first, again, other = (model.forward(x, training=True, rng=seed) for seed in (3, np.random.default_rng(3), 4))
    assert np.array_equal(first["drop9"], again["drop9"])
    assert not np.array_equal(first["drop9"], other["drop9"])
    kept = first["drop9"] != 0
    assert np.array_equal(first["drop9"][kept], 2 * first["fire9"][kept])
    off = model.forward(x, rng=3)
    assert np.array_equal(off["drop9"], off["fire9"])
    with pytest.raises(InputError, match="^drop9: Dropout.*rng"):
        model.forward(x, training=True)


def test_a_training_pass_has_the_gradients_and_statistics_of_torch():
    rng = np.random.default_rng(0)
    layers = {
        "conv": conv_layer(rng, 3, 4, (3, 3)),
        "block": Sequential({"bn": batch_norm_layer(rng, 4), "relu": ReLU()}),
        "drop": Dropout(0.4),
        "mean": GlobalAvgPool2d(),
    }
    model, x = npgrad.Model(Sequential(layers)), rng.normal(size=(3, 3, 6, 7))
    before = {name: array.copy() for name, array in model.network.arrays(buffers=True).items()}
    tape = model.forward(x, training=True, rng=8)
    dy = dy_at(tape, "mean")

    xt, p = torch.tensor(x, requires_grad=True), {name: checks.to_leaf(a) for name, a in model.parameters().items()}
    buffers = {f"block.bn.{name}": torch.tensor(before[f"block.bn.{name}"]) for name in ("running_mean", "running_var")}
    bn = torch_batch_norm(F.conv2d(xt, p["conv.weight"], p["conv.bias"]), {**p, **buffers}, "block.bn.", training=True)
    keep = torch.tensor(np.random.default_rng(8).random(bn.shape) >= 0.4)
    y = (torch.relu(bn) * keep / 0.6).mean(dim=(2, 3))
    expected = torch.autograd.grad(y, [xt, *p.values()], torch.tensor(dy))
    expected = dict(zip(["input", *p], (gradient.numpy() for gradient in expected), strict=True))
    expected["conv.bias"] = np.zeros(4)  # BatchNorm takes it out again; what is left is rounding
    found = {**tape.backward(dy), **tape.parameter_gradients(dy)}
    assert np.abs(found.pop("conv.bias")).max() < 1e-14
    expected.pop("conv.bias")
    checks.assert_close(tape.output, y.detach().numpy(), 1e-13)
    checks.assert_all_close(found, expected, 1e-10)
    checks.assert_all_close(tape.statistics, {name: b.numpy() for name, b in buffers.items()}, 1e-13)

    assert checks.same_bits(model.network.arrays(buffers=True), before)
    assert model.forward(x).statistics == {}
    moved = model.with_parameters(tape.statistics)
    assert not np.allclose(moved(x), model(x))


def records_alive():
    gc.collect()
    return [one for one in gc.get_objects() if type(one) in (npgrad.Tape, npgrad.Record, Calls)]


def test_classifying_keeps_nothing(model):
    big = np.random.default_rng(0).normal(size=(1, 3, 129, 129))
    everything = sum(record.y.nbytes for record in model.forward(big))
    layers = [model, *(layer for _, layer in walk_layers(model.network))]
    before = [{name: id(value) for name, value in vars(layer).items()} for layer in layers]
    known = len(records_alive())
    tracemalloc.start()
    try:
        logits = model(big)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records_alive()) == known
    assert kept < logits.nbytes + 20_000
    assert peak < everything / 2
    assert [{name: id(value) for name, value in vars(layer).items()} for layer in layers] == before


def test_forward_and_backward_leave_layers_and_model_as_they_were(model, x):
    layers = [model, *(layer for _, layer in walk_layers(model.network))]
    before = [{name: id(value) for name, value in vars(layer).items()} for layer in layers]
    tape = model.forward(x, training=True, rng=0)
    tape.backward(tape.output, rules={ReLU: npgrad.rules.guided})
    tape.parameter_gradients(tape.output)
    assert [{name: id(value) for name, value in vars(layer).items()} for layer in layers] == before


@pytest.mark.parametrize("make", [squeezenet1_0, squeezenet1_1])
def test_a_tape_goes_when_nobody_holds_it(make):
    """At once, not with the next garbage collection: a long run would hold dozens of passes in memory."""
    tape = make(num_classes=2).forward(np.zeros((1, 3, 32, 32), np.float32))
    tape.backward(tape.output)
    tape.parameter_gradients(tape.output)
    gone = weakref.ref(tape)
    gc.disable()
    try:
        del tape
        assert gone() is None, "something on the tape refers back to the tape"
    finally:
        gc.enable()

