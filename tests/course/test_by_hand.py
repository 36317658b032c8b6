"""`npgrad.course.ByHand`: functions of the homework as layers of a network."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import npgrad
from npgrad import InputError, Model, attribution
from npgrad.course import ByHand
from npgrad.layers import Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Residual, Sequential
from npgrad.losses import cross_entropy
from npgrad.optim import Adam
from npgrad.training import train

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "LayersByHand.ipynb"


def answers():
    """The functions of the solved notebook."""
    names = {"np": np}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            exec("".join(cell["source"]), names)
    return SimpleNamespace(**names)


own = answers()
rng = np.random.default_rng(0)
CONV = {"w": rng.normal(size=(4, 3, 3, 3)), "b": rng.normal(size=4)}
FC = {"w": rng.normal(size=(4, 5)), "b": rng.normal(size=5)}
X = rng.normal(size=(6, 3, 8, 8))
POOL = {"pool_height": 2, "pool_width": 2, "stride": 2}


def conv(**options):
    return ByHand(
        own.conv_forward_naive,
        own.conv_backward_naive,
        {**CONV, "conv_param": {"stride": 1, "pad": 1, **options}},
    )


def batch_norm(channels=4):
    options = {
        "mode": "train",
        "running_mean": rng.normal(size=channels),
        "running_var": 1 + rng.random(channels),
    }
    values = {"gamma": rng.normal(size=channels), "beta": rng.normal(size=channels), "bn_param": options}
    return ByHand(own.spatial_batchnorm_forward, own.spatial_batchnorm_backward, values)


def relu():
    return ByHand(own.relu_forward, own.relu_backward)


def network(*between):
    layers = {"conv": conv(), **{f"between{i}": layer for i, layer in enumerate(between)}, "relu": relu()}
    layers["pool"] = ByHand(own.max_pool_forward_naive, own.max_pool_backward_naive, {"pool_param": POOL})
    layers["mean"] = ByHand(own.global_avg_pool_forward, own.global_avg_pool_backward)
    layers["fc"] = ByHand(own.affine_forward, own.affine_backward, FC)
    return Model(Sequential(layers))


def library():
    """The same network of npgrad's layers."""
    layers = {"conv": Conv2d(CONV["w"], CONV["b"], padding=1), "relu": ReLU(), "pool": MaxPool2d(2, stride=2)}
    return Model(
        Sequential(
            {**layers, "mean": GlobalAvgPool2d(), "fc": Linear(np.ascontiguousarray(FC["w"].T), FC["b"])}
        )
    )


def torch_network(x, parameters):
    f = torch.nn.functional
    y = f.max_pool2d(f.relu(f.conv2d(x, parameters["conv.w"], parameters["conv.b"], padding=1)), 2)
    return y.mean(dim=(2, 3)) @ parameters["fc.w"] + parameters["fc.b"]


def test_a_network_is_that_of_torch():
    model, y = network(), np.array([0, 1, 2, 3, 4, 0])
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in model.parameters().items()}
    x = torch.tensor(X, requires_grad=True)
    torch.nn.functional.cross_entropy(torch_network(x, leaves), torch.tensor(y)).backward()
    tape = model.forward(X)
    dy = cross_entropy(tape.output, y)[1]
    np.testing.assert_allclose(tape.backward(dy)["input"], x.grad, atol=1e-12)
    gradients = tape.parameter_gradients(dy)
    assert gradients.keys() == leaves.keys() == {"conv.w", "conv.b", "fc.w", "fc.b"}
    for name, leaf in leaves.items():
        np.testing.assert_allclose(gradients[name], leaf.grad, atol=1e-12)


@pytest.mark.parametrize("make", [conv, batch_norm, relu], ids=["conv", "batch norm", "relu"])
@pytest.mark.parametrize("training", [False, True])
def test_its_gradients_are_right(make, training):
    layer = make()
    x = X if make is conv else rng.normal(size=(3, 4, 5, 6))
    check = npgrad.gradcheck(layer, x, training=training)
    assert check, check
    assert len(check.rows) == 1 + len(layer.parameter_names)


def test_a_wrong_gradient_is_found():
    def backward(dout, cache):
        dx, dw, db = own.affine_backward(dout, cache)
        return dx, dw / len(dout), db

    check = npgrad.gradcheck(ByHand(own.affine_forward, backward, FC), X.mean(axis=2)[:, 0, :4])
    assert not check and [row.name for row in check.rows if row.error > check.tolerance] == ["w"]


def test_it_is_a_part_of_a_composite():
    arguments = {"w": CONV["w"][:3], "b": CONV["b"][:3], "conv_param": {"stride": 1, "pad": 1}}
    layer = Residual({"conv": ByHand(own.conv_forward_naive, own.conv_backward_naive, arguments)})
    assert npgrad.gradcheck(layer, X[:2, :, :4, :4], method="richardson")
    assert list(layer.arrays()) == ["conv.w", "conv.b"]


@pytest.mark.parametrize("name", ["saliency", "grad_cam", "integrated_gradients", "guided_backprop"])
def test_attribution_is_that_of_the_library(name):
    layer = {"layer": "conv"} if name == "grad_cam" else {}
    by_hand, right = (getattr(attribution, name)(model, X, 1, **layer) for model in (network(), library()))
    if name == "guided_backprop":  # its rule is that of a ReLU, which a function is not known to be
        assert not np.allclose(by_hand, right)
        return
    np.testing.assert_allclose(by_hand, right, atol=1e-12)


def test_a_rule_by_name():
    def guided(record, dy):
        return dy * (record.x > 0) * (dy > 0)

    dy = np.eye(5)[[1] * len(X)]
    maps = [
        model.forward(X).backward(dy, rules={"relu": guided})["input"] for model in (network(), library())
    ]
    np.testing.assert_allclose(*maps, atol=1e-12)


def test_batch_norm_keeps_running_statistics():
    layer = batch_norm()
    x = rng.normal(2, 3, size=(8, 4, 5, 5))
    _, cache = layer.forward(x, training=True)
    found = layer.new_statistics(cache)
    old = layer.arrays(buffers=True)
    np.testing.assert_allclose(
        found["running_mean"], 0.9 * old["running_mean"] + 0.1 * x.mean(axis=(0, 2, 3))
    )
    assert layer.new_statistics(layer.forward(x)[1]) == {}
    assert (layer.parameter_names, layer.buffer_names) == (
        ("gamma", "beta"),
        ("running_mean", "running_var"),
    )
    model = network(layer)
    tape = model.forward(X, training=True)
    assert set(tape.statistics) == {"between0.running_mean", "between0.running_var"}
    moved = model.with_parameters(tape.statistics)
    assert not np.allclose(moved(X), model(X))
    assert model.forward(X)["between0"].std() != pytest.approx(tape["between0"].std())


def test_dropout_is_drawn_by_the_networks_generator():
    layer = ByHand(own.dropout_forward, own.dropout_backward, {"dropout_param": {"p": 0.7, "mode": "train"}})
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second, other = (layer.forward(X, training=True, rng=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second) and not np.array_equal(first, other)
    assert np.array_equal(layer(X), X)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    model = network(layer)
    passes = [model.forward(X, training=True, rng=3) for _ in range(2)]
    assert np.array_equal(passes[0].output, passes[1].output)


def test_it_is_trained():
    model = network(batch_norm()).astype(np.float32)
    x, y = X.astype(np.float32), np.arange(len(X)) % 5
    result = train(model, lambda t: (x, y), steps=40, optimizer=Adam(2e-2))
    assert result.losses[-1] < 0.7 * result.losses[0]
    trained = result.model.network.arrays(buffers=True)
    assert {array.dtype for array in trained.values()} == {np.dtype("float32")}
    assert all(not np.array_equal(a, trained[k]) for k, a in model.network.arrays(buffers=True).items())


def test_results_have_the_type_of_x():
    def leaks(x, w, b):
        return np.zeros(x.shape) + x, (x, w, b)

    layer = ByHand(leaks, lambda dout, cache: (dout * np.ones(1), *cache[1:]), CONV).map_arrays(
        lambda name, array: array.astype(np.float32)
    )
    y, cache = layer.forward(X.astype(np.float32))
    gradients = layer.backward(y, cache), *layer.parameter_gradients(y, cache).values()
    assert {each.dtype for each in (y, *gradients)} == {np.dtype("float32")}


def test_a_function_that_modifies_its_arguments_changes_nothing_else():
    def forward(x, w, options):
        x *= 2
        w += 1
        options["n"] = 3
        return x * w, (x, w)

    def backward(dout, cache):
        dout *= cache[1]
        return 2 * dout, dout.sum(axis=0)

    w, options, x = np.ones(3), {"n": 1}, np.ones((2, 3))
    layer = ByHand(forward, backward, {"w": w, "options": options})
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, np.full((2, 3), 4.0))
    dy = np.ones_like(y)
    np.testing.assert_array_equal(layer.backward(dy, cache), np.full((2, 3), 4.0))
    assert (w.tolist(), options, x.sum(), dy.sum()) == ([1, 1, 1], {"n": 1}, 6, 6)
    with pytest.raises(ValueError, match="read-only"):
        layer.arguments["w"][0] = 3


def test_backward_runs_once_for_both_gradients():
    calls = []

    def backward(dout, cache):
        calls.append(1)
        return own.affine_backward(dout, cache)

    layer = ByHand(own.affine_forward, backward, FC)
    x, dy = rng.normal(size=(3, 4)), rng.normal(size=(3, 5))
    _, cache = layer.forward(x)
    dx = layer.backward(dy, cache)
    layer.parameter_gradients(dy, cache)
    assert len(calls) == 1
    dy *= 2  # the same array, with other values
    np.testing.assert_allclose(layer.backward(dy, cache), 2 * dx)


def good(x, *arguments):
    return x, None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, good), "forward_function: expected a function, found int"),
        ((good, None), "backward_function: expected a function, found NoneType"),
        ((good, good, [1]), "expected a dict {name: argument}, found list"),
        ((good, good, {"w": CONV["b"], "options": {"w": CONV["b"]}}), "found two of 'w'"),
    ],
)
def test_what_is_no_layer_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ByHand(*arguments)


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (lambda x, b: x, None, r"<lambda>: expected \(out, cache\), found ndarray"),
        (lambda x, b: (x, 1, 2), None, r"expected \(out, cache\), found 3 values"),
        (lambda x, b: (None, 1), None, r"expected out, an array of numbers, found NoneType"),
        (good, lambda dout, cache: dout, r"expected \(dx, db\), found ndarray"),
        (good, lambda dout, cache: (dout, dout, dout), r"expected \(dx, db\), found 3 values"),
        (good, lambda dout, cache: (dout[0], dout), r"expected dx of shape \(2, 4\), found \(4,\)"),
        (good, lambda dout, cache: (dout, dout), r"expected db of shape \(4,\), found \(2, 4\)"),
        (good, lambda dout, cache: (dout, None), r"expected db, an array of numbers, found NoneType"),
    ],
)
def test_what_functions_return_is_checked(forward, backward, message):
    layer, x = ByHand(forward, backward or good, {"b": CONV["b"]}), np.ones((2, 4))
    with pytest.raises(InputError, match=message) as error:
        _, cache = layer.forward(x)
        layer.backward(x, cache)
    assert "\n" not in str(error.value)


def test_a_complex_step_that_is_lost_is_said():
    def forward(x):
        return np.real(x), None

    def lost(x):
        out = np.zeros(x.shape)
        out[:] = x
        return out, None

    def of_absolute_values(x):
        return x - x.var(), None

    variance = ByHand(of_absolute_values, lambda dout, cache: dout)
    assert npgrad.gradcheck(variance, X).method == "richardson"
    for function in (forward, lost):
        layer = ByHand(function, lambda dout, cache: dout)
        check = npgrad.gradcheck(layer, X)
        assert check and check.method == "richardson"
        with pytest.raises(InputError, match=f"{function.__name__}: found real numbers.*method='richardson'"):
            npgrad.gradcheck(layer, X, method="complex")


def test_it_names_itself():
    assert repr(conv()) == "ByHand(conv_forward_naive, w (4, 3, 3, 3), b (4,))"
