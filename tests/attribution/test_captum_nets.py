"""The networks on which the attributions are compared with Captum are the same on both sides, and alive."""

import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets

PAIRS = [*pairs(), *squeezenets()]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_the_two_sides_give_the_same_logits_and_gradient(pair):
    x = pair.tensor().requires_grad_()
    logits = pair.net(x)
    dy = np.random.default_rng(0).normal(size=logits.shape)
    (dx,) = torch.autograd.grad(logits, x, torch.tensor(dy))
    tape = pair.model.forward(pair.x)
    checks.assert_close(tape.output, logits.detach().numpy(), 1e-12)
    checks.assert_close(tape.backward(dy)["input"], dx.numpy(), 1e-11)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_every_layer_has_its_torch_module(pair):
    outputs = {}
    names = [name for name in pair.model.layer_names() if name != "flatten"]
    for name in names:
        pair.layer(name).register_forward_hook(lambda _m, _x, y, name=name: outputs.update({name: y}))
    tape = pair.model.forward(pair.x)
    pair.net(pair.tensor())
    for name in names:
        expected = outputs[name].detach().numpy().reshape(tape[name].shape)
        checks.assert_close(tape[name], expected, 1e-12, name)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_the_scores_asked_about_are_alive_and_differ(pair):
    tape = pair.model.forward(pair.x)
    dy = np.eye(tape.output.shape[1])[TARGETS]
    dx = tape.backward(dy)["input"]
    assert (np.abs(dx).reshape(3, -1).max(axis=1) > 1e-4).all()
    assert len(np.unique(tape.output[[0, 1, 2], TARGETS].round(6))) == 3
