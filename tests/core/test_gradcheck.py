"""The checker of gradients is checked: it passes what is right and names what is wrong."""

import dataclasses

import numpy as np
import pytest

import npgrad
from npgrad.layers import (
    Add,
    BatchNorm2d,
    Composite,
    Concat,
    Conv2d,
    Dropout,
    Graph,
    Linear,
    ReLU,
    Sequential,
)
from npgrad.models import squeezenet1_1


class OffAt(Conv2d):
    """A convolution whose dx is off by 0.1 % in a single entry."""

    def backward(self, dy, cache):
        dx = super().backward(dy, cache).copy()
        dx[1, 2, 3, 4] *= 1.001
        return dx


@pytest.mark.parametrize("method", ["complex", "centered"])
def test_one_wrong_entry_is_found_and_named(method, rng):
    layer = OffAt.init(3, 4, 3, padding=1)
    check = npgrad.gradcheck(layer, rng.normal(size=(2, 3, 5, 5)), method, entries=150)  # each by itself
    assert not check
    assert (check.worst.name, check.worst.index) == ("x", (1, 2, 3, 4))
    assert "x[1, 2, 3, 4]" in str(check)
    assert check.worst.found == pytest.approx(1.001 * check.worst.expected, rel=1e-6)
    right = [row for row in check.rows if row.name != "x"]
    assert all(row.error <= check.tolerance for row in right)


def test_one_wrong_entry_of_many_is_searched(rng):
    check = npgrad.gradcheck(OffAt.init(3, 4, 3, padding=1), rng.normal(size=(2, 3, 40, 40)), entries=5)
    assert not check
    assert (check.worst.name, check.worst.index) == ("x", (1, 2, 3, 4))


def test_a_centered_step_across_a_kink_is_left_out():
    """Half a step from 0 the difference quotient of ReLU is 3/4; the gradient is 1, and right."""
    x = np.array([5e-7, 1.0, -2.0, -5e-7])
    assert npgrad.gradcheck(ReLU(), x, "centered")
    assert npgrad.gradcheck(lambda x: (np.maximum(x, 0).sum(), (x > 0) * 1.0), x, "centered")
    assert not npgrad.gradcheck(lambda x: (np.maximum(x, 0).sum(), (x > 0) * 1.001), x, "centered")


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_wrong_parameter_gradient_is_named(name, rng):
    class Off(Conv2d):
        def parameter_gradients(self, dy, cache):
            gradients = super().parameter_gradients(dy, cache)
            return {**gradients, name: gradients[name] * 1.001}

    check = npgrad.gradcheck(Off.init(3, 4, 3), rng.normal(size=(1, 3, 6, 6)))
    assert not check
    assert check.worst.name == name


@pytest.mark.parametrize("method", ["complex", "centered"])
def test_right_gradients_pass(method, rng):
    x = rng.normal(size=(2, 3, 5, 5))
    assert npgrad.gradcheck(Conv2d.init(3, 4, 3, stride=2), x, method)
    assert npgrad.gradcheck(Add(), (x, x[::-1]), method)
    assert npgrad.gradcheck(Concat(), [x, x[:, :2]], method)
    assert npgrad.gradcheck(Linear.init(3, 2), rng.normal(size=(4, 3)), method)
    assert npgrad.gradcheck(BatchNorm2d.init(3), x, method, training=True)
    assert npgrad.gradcheck(Dropout(0.3), x, method, training=True)
    assert npgrad.gradcheck(Sequential({"a": Conv2d.init(3, 4, 3), "b": ReLU()}), x, method)


def test_a_whole_model(rng):
    check = npgrad.gradcheck(squeezenet1_1(num_classes=5), rng.normal(size=(1, 3, 33, 33)), entries=1)
    assert check
    assert {row.name for row in check.rows} >= {"x", "conv1.weight", "fire9.expand3x3.bias"}


def test_a_loss():
    def loss(x):
        return (x**3).sum(), 3 * x**2

    x = np.linspace(-1, 2, 12).reshape(3, 4)
    assert npgrad.gradcheck(loss, x)
    check = npgrad.gradcheck(lambda x: (loss(x)[0], loss(x)[1] + np.eye(3, 4)), x)
    assert not check
    check = npgrad.gradcheck(lambda x: (loss(x)[0], loss(x)[1].ravel()), x)
    assert check.verdict == "WRONG" and check.worst.diagnoses[0].kind == "shape"
    assert check.diagnosis == "x: has shape (12,), expected (3, 4): only the shape differs"


def test_nan_is_wrong():
    assert not npgrad.gradcheck(lambda x: ((x * x).sum(), 2 * x * np.nan), np.ones(4))


def test_check_layers_finds_the_wrong_layer(rng):
    model = squeezenet1_1(num_classes=3)
    x = rng.normal(size=(2, 3, 33, 33))
    assert all(check for _, check in npgrad.check_layers(model, x))
    layers = dict(model.network.layers)
    conv = layers["conv1"]
    layers["conv1"] = OffAt(conv.weight, conv.bias, conv.stride)
    wrong = dataclasses.replace(model, network=Sequential(layers))
    assert [name for name, check in npgrad.check_layers(wrong, x) if not check] == ["conv1"]


def test_arguments():
    with pytest.raises(
        npgrad.InputError, match="method: expected one of complex, centered, richardson; found 'fancy'"
    ):
        npgrad.gradcheck(ReLU(), np.ones(3), method="fancy")


class WrongInTraining(BatchNorm2d):
    """Right in inference mode; in training mode a constant."""

    def backward(self, dy, cache):
        return super().backward(dy, cache) if cache[-1] is None else np.full_like(dy, 7)


@pytest.mark.parametrize("nested", [pytest.param(False, marks=pytest.mark.exhaustive), True])
def test_training_mode_reaches_the_parts_of_a_composite(nested):
    def network(norm):
        inner = Sequential({"norm": norm, "drop": Dropout(0.3), "conv": Conv2d.init(3, 4, 2, rng=3)})
        return Sequential({"inner": inner}) if nested else inner

    norm, x = BatchNorm2d.init(3), np.random.default_rng(1).normal(size=(2, 3, 5, 5))
    wrong = WrongInTraining(**vars(norm))
    assert npgrad.gradcheck(network(norm), x, training=True) and npgrad.gradcheck(network(wrong), x)
    assert not npgrad.gradcheck(network(wrong), x, training=True)


class Twice(Composite):
    """y = 2 * conv(x), whose backward forgets the factor: the output is not the last part's."""

    conv = Conv2d.init(3, 2, 2, rng=4)

    def forward(self, x, tape):
        return 2 * tape.run("conv", self.conv, x), tape

    def backward(self, dy, tape):
        return tape.back("conv", dy)

    def parts(self):
        return {"conv": self.conv}

    def with_parts(self, parts):
        made = Twice()
        made.conv = parts["conv"]
        return made


def test_what_a_composite_does_to_the_output_of_its_last_part_counts():
    check = npgrad.gradcheck(Twice(), np.random.default_rng(2).normal(size=(1, 3, 4, 4)))
    assert not check and "WRONG" in str(check)


def test_a_composite_with_several_inputs():
    xs = tuple(np.random.default_rng(3).normal(size=(2, 2, 3, 3, 3)))
    assert npgrad.gradcheck(Graph({"sum": (Add(), "input"), "relu": (ReLU(), "sum")}), xs)
