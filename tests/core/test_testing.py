"""npgrad.testing: right code passes, and each assertion names what is wrong."""

import numpy as np
import pytest
from hypothesis import given, settings

import npgrad
from npgrad import testing
from npgrad._cases import TABLE
from npgrad.layers import Conv2d, Layer, MaxPool2d, ReLU, Sequential
from npgrad.models import squeezenet1_1


class Swish(Layer):
    """Somebody's own layer: y = x * sigmoid(x)."""

    def forward(self, x):
        s = 1 / (1 + np.exp(-x))
        return x * s, (x, s)

    def backward(self, dy, cache):
        x, s = cache
        return dy * (s + x * s * (1 - s))


class Wrong(Swish):
    def backward(self, dy, cache):
        return dy * cache[1]


def test_gradients_of_somebodys_own_layer():
    cases = testing.images()
    checks = testing.assert_gradients(Swish(), cases)
    assert len(checks) == len(cases) == 9 and all(checks)
    with pytest.raises(AssertionError, match="case one pixel: WRONG by complex step: worst entry x"):
        testing.assert_gradients(Wrong(), cases)
    with pytest.raises(AssertionError, match="case 1: WRONG"):
        testing.assert_gradients(
            lambda x: (x * x, x), [np.zeros(3), np.ones(3)], backward=lambda dy, x: dy * x
        )
    with pytest.raises(npgrad.InputError, match="cases: expected at least one input, found none"):
        testing.assert_gradients(Swish(), [])


def test_images():
    cases = testing.images(channels=4)
    assert all(x.shape[1] == 4 and x.ndim == 4 and x.dtype == float for x in cases.values())
    assert not cases["channels last"].flags.c_contiguous and (cases["ties and zeros"] == 0).any()
    assert testing.assert_gradients(ReLU(), cases)


@settings(max_examples=20, deadline=None)
@given(testing.image_arrays(channels=2, largest=5))
def test_drawn_images(x):
    assert x.shape[1] == 2 and max(x.shape[2:]) <= 5
    testing.assert_gradients(Swish(), x, entries=5)


@pytest.mark.parametrize("kind", TABLE)
def test_the_layers_of_the_table_are_right(kind):
    for name, (layer, x) in testing.layer_cases(kind).items():
        assert type(layer).__name__ == kind
        testing.assert_gradients(layer, {name: x}, entries=10)
    with pytest.raises(npgrad.UnknownName, match="nearest: Conv2d"):
        testing.layer_cases("Conv")


def convolution(layer):
    """A slow convolution of one's own, for stride and padding."""

    def forward(x, w, b):
        p, s = layer.padding, layer.stride
        p, s = (p, p) if isinstance(p, int) else p[:2], (s, s) if isinstance(s, int) else s
        padded = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])))
        h, v = (padded.shape[2] - w.shape[2]) // s[0] + 1, (padded.shape[3] - w.shape[3]) // s[1] + 1
        y = np.zeros((len(x), len(w), h, v))
        for i in range(h):
            for j in range(v):
                window = padded[:, :, i * s[0] : i * s[0] + w.shape[2], j * s[1] : j * s[1] + w.shape[3]]
                y[:, :, i, j] = np.tensordot(window, w, ((1, 2, 3), (1, 2, 3))) + b
        return y, (padded, w, p, s, x.shape)

    def backward(dy, cache):
        padded, w, p, s, shape = cache
        dx, dw = np.zeros_like(padded), np.zeros_like(w)
        for i in range(dy.shape[2]):
            for j in range(dy.shape[3]):
                at = (slice(None), slice(None), slice(i * s[0], i * s[0] + w.shape[2]))
                at = (*at, slice(j * s[1], j * s[1] + w.shape[3]))
                dx[at] += np.tensordot(dy[:, :, i, j], w, 1)
                dw += np.tensordot(dy[:, :, i, j].T, padded[at], 1)
        return dx[:, :, p[0] : p[0] + shape[2], p[1] : p[1] + shape[3]], dw, dy.sum((0, 2, 3))

    return forward, backward


def test_a_convolution_of_ones_own_equals_npgrads():
    for name, (layer, x) in testing.layer_cases("Conv2d").items():
        if name not in ("groups", "depthwise", "dilation"):
            testing.assert_equals(*convolution(layer), layer, x)


def test_what_differs_from_a_layer_is_named():
    layer, x = testing.layer_cases("Linear")["several"]

    def forward(x, w, b):
        return x @ w.T + b, (x, w)

    def backward(dy, cache):
        return dy @ cache[1], dy.T @ cache[0] / len(dy), dy.sum(0)

    with pytest.raises(
        AssertionError, match=r"^gradient of weight: \[\d, \d\] is .*, expected .* tolerance 1e-09"
    ):
        testing.assert_equals(forward, backward, layer, x)
    with pytest.raises(AssertionError, match="^output: "):
        testing.assert_equals(lambda x, w, b: (x @ w.T, None), backward, layer, x)
    with pytest.raises(AssertionError, match="expected 3 gradients, found 1"):
        testing.assert_equals(forward, lambda dy, cache: dy @ cache[1], layer, x)
    with pytest.raises(AssertionError, match=r"gradient of x: shape \(4, 5\), expected \(5, 4\)"):
        testing.assert_equals(forward, lambda dy, cache: ((dy @ cache[1]).T, 0, 0), layer, x)


def recording(model, names):
    """What is recorded of a pass, its input and gradients included."""
    x = np.random.default_rng(1).normal(size=(1, 3, 33, 33))
    tape = model.astype(np.float64).forward(x)
    last = [record.name for record in tape][-1]
    dy = np.random.default_rng(2).normal(size=tape.output.shape)
    gradients = tape.backward(dy, at=(*names, "input"))
    outputs = {"input": x, last: tape.output, f"grad:{last}": dy, **{name: tape[name] for name in names}}
    return {**outputs, **{f"grad:{name}": gradient for name, gradient in gradients.items()}}


def test_a_recording(tmp_path):
    model, names = squeezenet1_1(num_classes=4, rng=0), ("conv1", "fire4", "fire7")
    recorded = recording(model, names)
    testing.assert_matches(model, recorded)
    single = {name: array.astype(np.float32) for name, array in recorded.items()}
    np.savez(tmp_path / "recorded.npz", **single)
    testing.assert_matches(model, tmp_path / "recorded.npz")
    with pytest.raises(AssertionError, match="^first layer that differs: fire4, output"):
        testing.assert_matches(model, {**recorded, "fire4": recorded["fire4"] * 1.001})
    with pytest.raises(AssertionError, match="^first layer that differs in backward: fire4, gradient"):
        testing.assert_matches(model, {**recorded, "grad:fire4": recorded["grad:fire4"] * 1.001})
    with pytest.raises(AssertionError, match="^first layer that differs in backward: input, gradient"):
        testing.assert_matches(model, {**recorded, "grad:input": recorded["grad:input"] * 1.001})
    with pytest.raises(npgrad.UnknownName, match="fire44"):
        testing.assert_matches(model, {**recorded, "fire44": recorded["fire4"]})
    with pytest.raises(npgrad.InputError, match="expected an array 'input'"):
        testing.assert_matches(model, {})
    with pytest.raises(npgrad.InputError, match="expected the output of a layer"):
        testing.assert_matches(model, {"input": recorded["input"]})
    few = {"input": recorded["input"], "grad:fire4": recorded["grad:fire4"]}
    with pytest.raises(npgrad.InputError, match="where backward starts"):
        testing.assert_matches(model, few)


def test_a_recording_of_torch():
    """The worked example: hooks record a torch network, and npgrad's with the same weights is compared."""
    import torch

    torch.manual_seed(0)
    parts = {"conv": torch.nn.Conv2d(3, 4, 3), "relu": torch.nn.ReLU(), "pool": torch.nn.MaxPool2d(2)}
    net = torch.nn.Sequential(*parts.values())
    recorded = {}
    for name, part in zip(parts, net, strict=True):
        part.register_forward_hook(
            lambda _, __, y, name=name: recorded.__setitem__(name, y.detach().numpy().copy())
        )
    x = torch.randn(2, 3, 8, 8)
    recorded["input"] = x.numpy()
    net(x)
    weight, bias = (array.detach().numpy() for array in (net[0].weight, net[0].bias))
    right = Sequential({"conv": Conv2d(weight, bias), "relu": ReLU(), "pool": MaxPool2d(2)})
    testing.assert_matches(npgrad.Model(right), recorded)
    wrong = Sequential({"conv": Conv2d(weight, bias * 0), "relu": ReLU(), "pool": MaxPool2d(2)})
    with pytest.raises(AssertionError, match="^first layer that differs: conv, output"):
        testing.assert_matches(npgrad.Model(wrong), recorded)
