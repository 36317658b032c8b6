"""A batch's tape in parts behaves like one tape."""

import re

import numpy as np
import pytest
from checks import assert_close
from tape_nets import DY, X, little, own
from threadpoolctl import threadpool_limits

from npgrad import InputError, Tape, UnknownName
from npgrad._parallel import threads as parallel
from npgrad._parallel.batch_tape import BatchTape
from npgrad.layers import (
    Conv2d,
    ReLU,
)
from npgrad.models import squeezenet1_1
from npgrad.rules import guided

SIDE = 40


@pytest.fixture(scope="module")
def model():
    model = squeezenet1_1(num_classes=5, rng=1).astype(np.float64)
    return model.with_parameters({"conv10.bias": np.full(5, 6.0)})


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(5, 3, SIDE, SIDE))


@pytest.fixture(scope="module")
def dlogits():
    return np.random.default_rng(1).normal(size=(5, 5))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parallel, "PIXELS", 2 * SIDE * SIDE)
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.exhaustive
def test_a_large_batch_goes_in_parts_and_a_small_one_does_not(model, x):
    assert [len(part.x) for part in model.forward(x).parts] == [2, 2, 1]
    one = model.forward(x[:2])
    assert one.parts == (one,)
    assert model.forward(x, whole=True).parts[0].x is x
    assert not isinstance(model.forward(x, training=True, rng=0), BatchTape)


def test_activations_and_output(model, x):
    tape, whole = model.forward(x), model.forward(x, whole=True)
    assert_close(tape.output, whole.output, 1e-13)
    assert tape["input"] is tape.x
    for name in model.layer_names():
        assert_close(tape[name], whole[name], 1e-13, name)
    assert "fire3.squeeze" in tape and "fire33" not in tape
    with pytest.raises(UnknownName, match="fire33"):
        tape["fire33"]
    assert list(model.forward(x, upto="fire4").parts[1].records)[-1] == "fire4"


def test_gradients(model, x, dlogits):
    tape, whole = model.forward(x), model.forward(x, whole=True)
    at = ("input", "fire5", "features.0")
    for rules in (None, {ReLU: guided}):
        found, expected = tape.backward(dlogits, rules, at=at), whole.backward(dlogits, rules, at=at)
        assert list(found) == list(at)
        for name in at:
            assert_close(found[name], expected[name], 1e-13, name)
    assert list(tape.backward(dlogits, at="fire2")) == ["fire2"]
    inner = {"fire4": np.cos(whole["fire4"]), "conv10": np.sin(whole["conv10"]), "input": x}
    assert_close(tape.backward(inner)["input"], whole.backward(inner)["input"], 1e-13)


def test_what_no_upstream_gradient_reaches_is_0(model, x):
    dy = model.forward(x).backward({"fire2": np.zeros((5, 128, 9, 9))}, at=("fire9",))["fire9"]
    assert dy.shape == (5, 512, 2, 2) and not dy.any()


def test_parameter_gradients(model, x, dlogits):
    found = model.forward(x).parameter_gradients(dlogits)
    expected = model.forward(x, whole=True).parameter_gradients(dlogits)
    assert list(found) == list(expected)
    for name in expected:
        assert_close(found[name], expected[name], 1e-12, name)


def test_a_rule_that_looks_at_the_batch_gets_it_whole(model, x, dlogits):
    seen = []

    def mean_gradient(record, dy):
        seen.append(len(dy))
        return dy.mean(axis=0, keepdims=True) * (record.x > 0)

    tape = model.forward(x)
    found = tape.backward(dlogits, {ReLU: mean_gradient})["input"]
    expected = model.forward(x, whole=True).backward(dlogits, {ReLU: mean_gradient})["input"]
    assert_close(found, expected, 1e-13)
    assert set(seen) == {5}
    assert len(tape.records["conv1"].x) == 5 and len(next(iter(tape)).y) == 5


def test_a_rule_per_sample_gets_parts(model, x, dlogits):
    seen = []

    def own(record, dy):
        seen.append(len(dy))
        return record.layer.backward(dy, record.cache)

    own.per_sample = True
    tape = model.forward(x)
    np.testing.assert_array_equal(
        tape.backward(dlogits, {Conv2d: own})["input"], tape.backward(dlogits)["input"]
    )
    assert set(seen) == {1, 2}


def test_upstream_gradients_that_do_not_fit(model, x, dlogits):
    tape = model.forward(x)
    with pytest.raises(InputError, match=r"upstream gradient at .*: expected shape \(5, 5\), found \(4, 5\)"):
        tape.backward(dlogits[:4])
    with pytest.raises(
        InputError,
        match=r"upstream gradient at fire4: expected shape \(5, 256, 4, 4\), found \(2, 256, 4, 4\)",
    ):
        tape.backward({"fire4": tape["fire4"][:2]})
    with pytest.raises(InputError, match="expected numbers"):
        tape.parameter_gradients(np.full((5, 5), "a"))


@pytest.mark.exhaustive
def test_a_rule_for_the_whole_batch_leads_to_any_layer(model, x, dlogits):
    def halved(record, dy):
        assert len(dy) == 5
        return dy * (record.x > 0) / 2

    tape, whole = model.forward(x), model.forward(x, whole=True)
    found = tape.backward(dlogits, rules={ReLU: halved}, at=("fire3", "conv1"))
    expected = whole.backward(dlogits, rules={ReLU: halved}, at=("fire3", "conv1"))
    assert list(found) == ["fire3", "conv1"]
    for name in found:
        assert_close(found[name], expected[name], 1e-12)


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
