"""A pass that keeps only what backward needs: the same bits, less memory, and a word on what is gone."""

import tracemalloc

import numpy as np
import pytest
from made_once import MadeOnce
from small_backbones import MAKERS, images
from torch_nets import small_net

from npgrad import InputError, UnknownName, attribution
from npgrad.layers import ReLU
from npgrad.models import squeezenet1_0
from npgrad.rules import guided


@pytest.fixture(scope="module")
def nets():
    rng = np.random.default_rng(0)
    counts = {"squeezenet": 2, "a batch in parts": 40}

    def make(name):
        if name in MAKERS:
            return MAKERS[name](5), images(name, 1)
        return small_net(), rng.normal(size=(counts[name], 3, 65, 65))

    return MadeOnce([*MAKERS, *counts], make)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [*MAKERS, "squeezenet", "a batch in parts"])
def test_gradients_are_the_same_to_the_bit(name, nets):
    model, x = nets[name]
    full, lean = model.forward(x), model.forward(x, keep=())
    assert np.array_equal(lean.output, full.output)
    dy = np.random.default_rng(1).normal(size=full.output.shape).astype(x.dtype)
    middle = model.layer_names()[len(model.layer_names()) // 2]
    for rules in (None, {ReLU: guided}):
        for at in (("input",), ("input", model.layer_names()[0]), (middle,)):
            lean = model.forward(x, keep=at)
            found, expected = lean.backward(dy, rules, at), full.backward(dy, rules, at)
            assert all(np.array_equal(found[key], expected[key]) for key in at)
    found, expected = (tape.parameter_gradients(dy) for tape in (lean, full))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in found)


@pytest.mark.exhaustive
def test_upstream_gradients_at_what_is_kept(nets):
    model, x = nets["squeezenet"]
    full, lean = model.forward(x, upto="fire4"), model.forward(x, upto="fire4", keep=["features.6", "fire2"])
    assert list(lean.records) == list(full.records)
    upstream = {name: np.random.default_rng(1).normal(size=full[name].shape) for name in ("fire2", "fire4")}
    assert np.array_equal(lean["fire2"], full["fire2"])
    assert np.array_equal(lean["fire4"], full["fire4"])  # the last is always there
    assert np.array_equal(lean.backward(upstream)["input"], full.backward(upstream)["input"])
    unreached = lean.backward({"fire2": upstream["fire2"]}, at="fire4")["fire4"]
    assert unreached.shape == full["fire4"].shape and not unreached.any()


@pytest.mark.exhaustive
def test_what_is_gone_is_said(nets):
    model, x = nets["squeezenet"]
    lean = model.forward(x, keep="fire2")
    assert np.array_equal(lean["fire2"], model.forward(x)["fire2"])
    with pytest.raises(InputError) as refused:
        lean["conv1"]
    assert str(refused.value) == "conv1: its output was not kept; name it in keep="
    assert repr(lean).splitlines()[1] == "conv1: Conv2d not kept"
    resnet, x = nets["resnet18"]
    record = resnet.forward(x, upto="conv2_1", keep=()).records["conv2_1.add"]
    assert repr(record) == "conv2_1.add: Add not kept"
    assert (record.x, record.y) == ((None, None), None)
    with pytest.raises(UnknownName, match="no layer 'fire99'"):
        model.forward(x, keep="fire99")


def test_it_takes_two_thirds_of_the_memory():
    model, x = squeezenet1_0(rng=0), np.zeros((1, 3, 224, 224), np.float32)

    def peak(**options):
        tracemalloc.start()
        try:
            tape = model.forward(x, **options)
            tape.backward(np.ones_like(tape.output))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(keep=()) < 0.7 * peak()


def test_saliency_keeps_nothing_else(nets, monkeypatch):
    model, x = nets["squeezenet"]
    tapes, forward = [], type(model).forward
    monkeypatch.setattr(type(model), "forward", lambda *a, **k: tapes.append(forward(*a, **k)) or tapes[-1])
    attribution.saliency(model, x)
    attribution.integrated_gradients(model, x[:1], n_steps=3, batch_size=3)
    assert len(tapes) == 2
    assert all(repr(record).endswith("not kept") for tape in tapes for record in tape)


def test_a_pass_that_keeps_little_does_not_guess_where_arrays_came_from(nets):
    """An array that is gone may have had the id of a later one."""
    net, x = nets["squeezenet"]
    assert all(record.sources is None for record in net.forward(x, keep=()))
    assert any(record.sources for record in net.forward(x))
