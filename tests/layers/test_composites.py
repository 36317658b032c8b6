"""Composites written by a user: a residual block, a three-way fork, plain NumPy between the parts."""

import checks
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checks import dy_at
from layer_cases import torch_batch_norm
from residual_nets import network

import npgrad
from npgrad import InputError, layers
from npgrad.layers import (
    Add,
    BatchNorm2d,
    Composite,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    ReLU,
    Sequential,
)
from npgrad.layers.composite import Calls
from npgrad.rules import guided


@pytest.fixture(scope="module")
def model():
    return npgrad.Model(network(np.random.default_rng(0)))


@pytest.fixture(scope="module")
def tape(model):
    return model.forward(np.random.default_rng(1).normal(size=(2, 2, 6, 7)))


def torch_residual(x, p, prefix, seen):
    def conv(name, x, **options):
        return F.conv2d(x, p[f"{prefix}{name}.weight"], p[f"{prefix}{name}.bias"], **options)

    seen[f"{prefix}conv1"] = conv("conv1", x)
    seen[f"{prefix}bn"] = torch_batch_norm(seen[f"{prefix}conv1"], p, f"{prefix}bn.")
    seen[f"{prefix}relu"] = torch.relu(seen[f"{prefix}bn"])
    seen[f"{prefix}conv2"] = conv("conv2", seen[f"{prefix}relu"], padding=1)
    seen[f"{prefix}join"] = x + seen[f"{prefix}conv2"]
    seen[f"{prefix}out"] = torch.relu(seen[f"{prefix}join"])
    return whole(prefix[:-1], f"{prefix}out", seen)


def whole(name, last, seen):
    """A composite's output: its last part's, as a tensor of its own."""
    seen[name] = seen[last] * 1
    return seen[name]


def torch_network(x, p):
    """Every layer's output by name."""
    seen = {"input": x}
    seen["stem"] = F.conv2d(x, p["stem.weight"], p["stem.bias"])
    x = torch_residual(seen["stem"], p, "residual.", seen)
    for name, factor in ("a", 1), ("b", 2):
        seen[f"fork.{name}"] = F.conv2d(
            factor * x, p[f"fork.{name}.weight"], p[f"fork.{name}.bias"], padding=1
        )
    seen["fork.block.pool"] = F.max_pool2d(x, 3, 1, 1)
    torch_residual(seen["fork.block.pool"], p, "fork.block.residual.", seen)
    whole("fork.block", "fork.block.residual", seen)
    ways = [seen[f"fork.{name}"] for name in ("a", "b", "block")]
    seen["fork.concat"] = torch.cat(ways, dim=1)
    seen["mean"] = whole("fork", "fork.concat", seen).mean(dim=(2, 3))
    seen["flat"] = seen["mean"].flatten(1)
    return seen


@pytest.fixture(scope="module")
def torch_pass(model, tape):
    trained = {name: checks.to_leaf(array) for name, array in model.parameters().items()}
    buffers = {name: torch.tensor(np.array(a)) for name, a in model.network.arrays(buffers=True).items()}
    return torch_network(torch.tensor(tape.x, requires_grad=True), {**buffers, **trained}), trained


def torch_gradients(y, leaves, dy):
    gradients = torch.autograd.grad(
        y, list(leaves.values()), torch.tensor(dy), allow_unused=True, retain_graph=True
    )
    return {
        name: np.zeros(leaf.shape) if gradient is None else gradient.numpy()
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }


@pytest.mark.parametrize(
    "one_hot",
    [
        "flat",
        "fork",
        "fork.b",
        "fork.block.residual.join",
        "residual",
        "residual.out",
        "residual.conv2",
        "stem",
    ],
)
def test_gradients_at_every_part_are_those_of_torch(tape, torch_pass, one_hot):
    outputs, trained = torch_pass
    assert set(outputs) == {"input", *(record.name for record in tape)}
    checks.assert_all_close(
        {name: tape[name] for name in outputs}, {k: v.detach() for k, v in outputs.items()}, 1e-12
    )
    dy = dy_at(tape, one_hot)
    found = tape.backward({one_hot: dy}, at=tuple(outputs))
    checks.assert_all_close(found, torch_gradients(outputs[one_hot], outputs, dy), 1e-10)
    found = tape.parameter_gradients({one_hot: dy})
    checks.assert_all_close(found, torch_gradients(outputs[one_hot], trained, dy), 1e-10)


def test_each_part_asked_for_alone_gets_the_same_gradient(tape):
    dy = dy_at(tape, "flat")
    names = ["input", *(record.name for record in tape)]
    everywhere = tape.backward(dy, at=names)
    for name in names:
        assert checks.same_bits(tape.backward(dy, at=name), {name: everywhere[name]})


def test_rules_reach_the_parts(tape, torch_pass):
    outputs, _ = torch_pass
    dy = dy_at(tape, "fork.block")
    hooks = [
        outputs[name].register_hook(lambda gradient: gradient.clamp(min=0))
        for name in ("fork.block.residual.out", "fork.block.residual.relu", "residual.out", "residual.relu")
    ]
    expected = torch_gradients(
        outputs["fork.block"], {"stem": outputs["stem"], "input": outputs["input"]}, dy
    )
    for hook in hooks:
        hook.remove()
    found = tape.backward({"fork.block": dy}, rules={ReLU: guided}, at=("stem", "input"))
    checks.assert_all_close(found, expected, 1e-10)
    assert not np.allclose(tape.backward({"fork.block": dy})["input"], found["input"])


def test_a_part_that_nobody_needs_is_not_gone_through(tape):
    calls = []

    def noting(record, dy):
        calls.append(record.name)
        return record.layer.backward(dy, record.cache)

    rules = dict.fromkeys(
        [Conv2d, BatchNorm2d, ReLU, Add, Concat, MaxPool2d, GlobalAvgPool2d, Flatten], noting
    )
    tape.backward(dy_at(tape, "flat"), rules=rules, at="fork.b")
    assert calls == ["flat", "mean", "fork.concat"]
    calls.clear()
    tape.backward({"residual.conv2": dy_at(tape, "residual.conv2")}, rules=rules, at="stem")
    assert calls == ["residual.conv2", "residual.relu", "residual.bn", "residual.conv1"]


@pytest.mark.parametrize("upto", ["residual.bn", "fork.b", "fork.block.residual.conv1"])
def test_a_pass_may_stop_inside(model, tape, upto):
    short, dy = model.forward(tape.x, upto=upto), dy_at(tape, upto)
    at = ("input", "stem", "residual.conv1", upto)
    assert checks.same_bits(short.backward(dy, at=at), tape.backward({upto: dy}, at=at))


def test_an_input_of_several_arrays_prints(tape):
    assert "residual.join: Add (2, 4, 5, 6) + (2, 4, 5, 6) -> (2, 4, 5, 6)" in repr(tape).splitlines()


def test_a_composite_alone_is_a_layer_like_any_other():
    rng = np.random.default_rng(0)
    layer = network(rng)
    x = rng.normal(size=(2, 2, 6, 7))
    y, cache = layer.forward(x)
    dy = rng.normal(size=y.shape)
    tape = npgrad.Model(layer).forward(x)
    assert np.array_equal(layer(x), y)
    checks.assert_close(layer.backward(dy, cache), tape.backward(dy)["input"], 1e-14)
    checks.assert_all_close(layer.parameter_gradients(dy, cache), tape.parameter_gradients(dy), 1e-14)


def test_two_parts_of_one_name_are_refused(model):
    class Twice(Composite):
        def forward(self, x, tape=None):
            return tape.run("relu", ReLU(), tape.run("relu", ReLU(), x)), tape

        def parts(self):
            return {"relu": ReLU()}

    with pytest.raises(InputError, match="relu: two layers of one network have this name"):
        npgrad.Model(Twice()).forward(np.ones((1, 3)))


def test_a_rule_on_a_composite_and_what_is_inside():
    from npgrad.layers import Fire
    from npgrad.models import squeezenet1_1

    tape = squeezenet1_1(num_classes=3).forward(np.random.default_rng(0).normal(size=(1, 3, 33, 33)))
    dy = np.ones_like(tape["fire3.expand1x1"])
    rules = {Fire: lambda record, dy: dy[:, : record.x.shape[1]]}
    # nothing comes into fire3 from above, so its rule has nothing to say of what begins inside
    own = tape.backward({"fire3.expand1x1": dy}, at="pool3")["pool3"]
    assert not own.any()
    below = tape.backward({"fire3.expand1x1": dy}, rules={"fire3": rules[Fire]}, at="fire2")["fire2"]
    np.testing.assert_array_equal(below, tape.backward({"fire3.expand1x1": dy}, at="fire2")["fire2"])
    with pytest.raises(InputError, match="the rule for fire3 replaces what is inside it, fire3.squeeze too"):
        tape.backward(
            {"fire4": np.ones_like(tape["fire4"])}, rules={"fire3": rules[Fire]}, at="fire3.squeeze"
        )


def test_a_composites_parameter_gradients_from_its_record():
    from npgrad.models import squeezenet1_1

    tape = squeezenet1_1(num_classes=3).forward(np.random.default_rng(0).normal(size=(1, 3, 33, 33)))
    found = {}

    def note(record, dy):
        found.update(record.layer.parameter_gradients(dy, record.cache))
        return record.layer.backward(dy, record.cache)

    dy = np.random.default_rng(1).normal(size=tape["fire9"].shape)
    tape.backward({"fire9": dy}, rules={"fire9": note})
    expected = tape.parameter_gradients({"fire9": dy})
    for name, gradient in found.items():
        np.testing.assert_array_equal(gradient, expected[f"fire9.{name}"])


def test_results_are_not_the_callers_arrays():
    from npgrad.models import squeezenet1_1

    tape = squeezenet1_1(num_classes=3).forward(np.random.default_rng(0).normal(size=(1, 3, 33, 33)))
    dy = np.ones((1, 3))
    for name in ("pool10", "relu10"):
        assert not np.may_share_memory(tape.backward(dy, at=name)[name], dy)
    dy = np.ones_like(tape["fire9"])
    assert not np.may_share_memory(
        tape.backward({"fire9": dy}, at="fire9.expand1x1_relu")["fire9.expand1x1_relu"], dy
    )


def test_training_mode_of_a_composite_that_runs_by_itself():
    network = Sequential({"inner": Sequential({"drop": Dropout(0.5)})})
    x = np.ones((2, 50))
    y, calls = network.forward(x, Calls(training=True, rng=3))
    mask = Dropout(0.5).forward(x, training=True, rng=3)[0]
    np.testing.assert_array_equal(y, mask)
    np.testing.assert_array_equal(network.backward(np.ones_like(x), calls), mask)
    np.testing.assert_array_equal(network.forward(x, Calls())[0], x)


@pytest.mark.parametrize("name", ["squeeze_relu", "expand1x1_relu", "expand3x3_relu", "add"])
def test_what_belongs_to_a_composite_cannot_be_replaced(name):
    """It would be left out, and the network would compute something else than it says."""
    if name == "add":
        layer = layers.Residual({"conv": layers.Conv2d.init(3, 3, 3, padding=1)})
    else:
        layer = layers.Fire.init(3, 2, 4, 4)
    assert layer.with_parts(layer.parts()).parts() == layer.parts()
    with pytest.raises(InputError, match=f": expected its own {name}, found LeakyReLU.*; a Graph takes any$"):
        layer.with_parts({**layer.parts(), name: layers.LeakyReLU(0.1)})
