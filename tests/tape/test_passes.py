"""Passes beside each other: repeated, interleaved, in training, and what they leave behind."""

import gc
import tracemalloc
import weakref

import checks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checks import dy_at
from layer_cases import batch_norm_layer, conv_layer, torch_batch_norm
from torch_nets import small_net

import npgrad
from npgrad import InputError
from npgrad.layers import Dropout, GlobalAvgPool2d, ReLU, Sequential
from npgrad.layers.composite import Calls, walk_layers
from npgrad.models import squeezenet1_0, squeezenet1_1


@pytest.fixture(scope="module")
def model():
    return small_net()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, 3, 65, 65))


def test_backward_over_one_tape_repeats_bit_by_bit(model, x):
    tape = model.forward(x)
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


def test_training_draws_by_rng_and_says_so_if_there_is_none(model, x):
    first, again, other = (
        model.forward(x, training=True, rng=seed) for seed in (3, np.random.default_rng(3), 4)
    )
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

    xt, p = (
        torch.tensor(x, requires_grad=True),
        {name: checks.to_leaf(a) for name, a in model.parameters().items()},
    )
    buffers = {
        f"block.bn.{name}": torch.tensor(before[f"block.bn.{name}"])
        for name in ("running_mean", "running_var")
    }
    bn = torch_batch_norm(
        F.conv2d(xt, p["conv.weight"], p["conv.bias"]), {**p, **buffers}, "block.bn.", training=True
    )
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


@pytest.mark.exhaustive
def test_classifying_keeps_nothing(model):
    big = np.random.default_rng(0).normal(size=(1, 3, 129, 129))
    everything = sum(record.y.nbytes for record in model.forward(big))
    layers = [model, *(layer for _, layer in walk_layers(model.network))]
    before = [{name: id(value) for name, value in vars(layer).items()} for layer in layers]
    known = len(records_alive())
    model(big)  # what the first call makes for all later ones does not count
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
