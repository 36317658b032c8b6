"""Layers as objects: weights of their own, nothing kept, clear refusals, random beginnings, training."""

import dataclasses

import checks
import numpy as np
import pytest
import torch
from layer_cases import CASES
from tape_nets import conv

from npgrad import InputError
from npgrad.layers import (
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Fire,
    GlobalAvgPool2d,
    Graph,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from npgrad.layers.base import he_normal

BY_ID = {case.id: case for case in CASES}


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [(Conv2d, [(4, 3, 2, 2), (4,)]), (Linear, [(4, 3), (4,)]), (BatchNorm2d, [(4,)] * 4)],
)
def test_weights_are_read_only_copies(kind, shapes):
    given = [np.ones(shape) for shape in shapes]
    layer = kind(*given)
    for array, (name, own) in zip(given, layer.arrays(buffers=True).items(), strict=True):
        array[:] = 7
        assert (own == 1).all(), f"{name} is the caller's array"
        with pytest.raises(ValueError, match="read-only"):
            own[...] = 2


@pytest.mark.sampled(60)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_layers_are_frozen_and_keep_nothing_of_a_pass(case):
    layer = case.layer()
    before = {name: id(value) for name, value in vars(layer).items()}
    xs = case.inputs()
    checks.run_npgrad(case, layer, xs, checks.random_dy(case, layer, xs))
    layer(case.pack(xs))
    assert {name: id(value) for name, value in vars(layer).items()} == before
    for name in [field.name for field in dataclasses.fields(layer)] or ["anything"]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(layer, name, None)


@pytest.mark.sampled(60)
@pytest.mark.parametrize("case", [case for case in CASES if not case.options], ids=lambda case: case.id)
def test_a_call_gives_the_output_of_forward(case):
    layer, x = case.layer(), case.pack(case.inputs())
    assert np.array_equal(layer(x), layer.forward(x)[0])


@pytest.mark.parametrize(
    "case_id", ["conv 3x3", "linear batch of 3", "batch norm training", "fire", "nested sequential"]
)
def test_map_arrays_gives_every_array_its_name_and_makes_a_copy(case_id):
    layer = BY_ID[case_id].layer()
    before = {name: array.copy() for name, array in layer.arrays(buffers=True).items()}
    seen = {}
    doubled = layer.map_arrays(lambda name, array: seen.setdefault(name, array) * 2)
    assert checks.same_bits(seen, before)
    assert checks.same_bits(doubled.arrays(buffers=True), {name: 2 * array for name, array in before.items()})
    assert checks.same_bits(layer.arrays(buffers=True), before)


@pytest.mark.parametrize("groups", [1, 2])
def test_replace_makes_a_changed_copy(groups):
    weight = np.random.default_rng(0).normal(size=(4, 6 // groups, 3, 3))
    old = Conv2d(weight, np.zeros(4), stride=2, groups=groups)
    new = dataclasses.replace(old, padding=1)
    assert (new.stride, new.padding, old.padding) == ((2, 2), (1, 1), (0, 0))
    assert np.array_equal(new.weight, weight)


X = np.zeros((2, 4, 7, 9))
W = np.zeros((6, 4, 3, 3))
VECTOR = np.zeros(3)
POINT = Conv2d(np.zeros((2, 3, 1, 1)))

# what is wrong, and what the one line must say
REFUSED = {
    "conv: channels": (lambda: Conv2d(W)(X[:, :3]), "Conv2d expects 4 channels.*\\(2, 3, 7, 9\\)"),
    "conv: NHWC": (lambda: Conv2d(W)(X.transpose(0, 2, 3, 1)), "4 channels.*\\(N, H, W, C\\).*transpose"),
    "conv: groups' channels": (lambda: Conv2d(W, groups=2)(X), "expects 8 channels.*\\(2, 4, 7, 9\\)"),
    "conv: rank": (lambda: Conv2d(W)(X[0]), "Conv2d expects \\(N, C, H, W\\).*\\(4, 7, 9\\)"),
    "conv: too small": (lambda: Conv2d(W)(X[:, :, :2]), "Conv2d.*2x9 px.*3x3"),
    "conv: stride 0": (lambda: Conv2d(W, stride=0), "Conv2d stride.*>= 1.*0"),
    "conv: stride 1.5": (lambda: Conv2d(W, stride=1.5), "Conv2d stride.*1.5"),
    "conv: three strides": (lambda: Conv2d(W, stride=(1, 2, 1)), "Conv2d stride.*\\(1, 2, 1\\)"),
    "conv: padding -1": (lambda: Conv2d(W, padding=(0, -1)), "Conv2d padding.*>= 0.*-1"),
    "conv: padding same": (lambda: Conv2d(W, padding="same"), "Conv2d padding.*same"),
    "conv: groups 4": (lambda: Conv2d(W, groups=4), "Conv2d.*groups=4.*6 filters"),
    "conv: groups 0": (lambda: Conv2d(W, groups=0), "Conv2d.*groups=0"),
    "conv: groups -2": (lambda: Conv2d(W, groups=-2), "Conv2d.*groups=-2"),
    "conv: groups 2.0": (lambda: Conv2d(W, groups=2.0), "Conv2d.*groups"),
    "conv: groups 1.5": (lambda: Conv2d(W, groups=1.5), "Conv2d.*groups"),
    "conv: init's groups": (lambda: Conv2d.init(5, 4, 3, groups=2), "Conv2d.*groups=2.*5"),
    "conv: init's groups 0": (lambda: Conv2d.init(4, 4, 3, groups=0), "Conv2d.*groups=0"),
    "conv: kernel 0": (lambda: Conv2d.init(4, 4, 0), "kernel_size.*>= 1.*0"),
    "conv: weight's rank": (lambda: Conv2d(W[0]), "Conv2d weight.*4 dim.*3"),
    "conv: whole weights": (lambda: Conv2d(W.astype(int)), "Conv2d weight.*float.*int64"),
    "conv: bias": (lambda: Conv2d(W, VECTOR), "Conv2d bias.*\\(6,\\).*\\(3,\\)"),
    "max pool: kernel": (lambda: MaxPool2d(0), "MaxPool2d kernel_size.*0"),
    "max pool: stride": (lambda: MaxPool2d(2, stride=-1), "MaxPool2d stride.*-1"),
    "max pool: padding": (lambda: MaxPool2d(3, padding=2), "MaxPool2d padding.*half.*\\(2, 2\\)"),
    "max pool: too small": (lambda: MaxPool2d(8)(X), "MaxPool2d.*7x9 px.*8x8"),
    "max pool: rank": (lambda: MaxPool2d(2)(X[0]), "MaxPool2d expects \\(N, C, H, W\\).*\\(4, 7, 9\\)"),
    "avg pool: kernel": (lambda: AvgPool2d((2, 2, 2)), "AvgPool2d kernel_size.*\\(2, 2, 2\\)"),
    "avg pool: stride": (lambda: AvgPool2d(2, stride=0), "AvgPool2d stride.*0"),
    "avg pool: padding": (lambda: AvgPool2d((2, 4), padding=2), "AvgPool2d padding.*half"),
    "avg pool: too small": (lambda: AvgPool2d((1, 10))(X), "AvgPool2d.*7x9 px.*1x10"),
    "avg pool: rank": (lambda: AvgPool2d(2)(X[0, 0]), "AvgPool2d expects \\(N, C, H, W\\)"),
    "global avg pool: rank": (lambda: GlobalAvgPool2d()(X[0]), "GlobalAvgPool2d expects \\(N, C, H, W\\)"),
    "linear: features": (
        lambda: Linear(W[:, :, 0, 0])(X[:, :3, 0, 0]),
        "Linear expects 4 features.*\\(2, 3\\)",
    ),
    "linear: rank": (lambda: Linear(W[:, :, 0, 0])(X), "Linear expects 2 dim.*\\(2, 4, 7, 9\\)"),
    "linear: weight": (lambda: Linear(VECTOR), "Linear weight.*2 dim.*1"),
    "linear: bias": (lambda: Linear(W[:, :, 0, 0], VECTOR), "Linear bias.*\\(6,\\).*\\(3,\\)"),
    "dropout: p 1": (lambda: Dropout(1), "Dropout p.*< 1.*1"),
    "dropout: p -0.1": (lambda: Dropout(-0.1), "Dropout p.*-0.1"),
    "dropout: no rng": (lambda: Dropout(0.5).forward(X, training=True), "Dropout.*rng"),
    "batch norm: sizes": (
        lambda: BatchNorm2d(VECTOR, VECTOR, VECTOR, np.zeros(4)),
        "running_var.*\\(3,\\).*\\(4,\\)",
    ),
    "batch norm: channels": (
        lambda: BatchNorm2d.init(3)(X),
        "BatchNorm2d expects 3 channels.*\\(2, 4, 7, 9\\)",
    ),
    "batch norm: rank": (lambda: BatchNorm2d.init(4)(X[0]), "BatchNorm2d expects 2 or 4 dim.*\\(4, 7, 9\\)"),
    "batch norm: one value": (
        lambda: BatchNorm2d.init(4).forward(X[:1, :, :1, :1], training=True),
        "BatchNorm2d.*two values.*\\(1, 4, 1, 1\\)",
    ),
    "add": (lambda: Add()((X, X[:, :2])), "Add.*\\(2, 2, 7, 9\\).*\\(2, 4, 7, 9\\)"),
    "add nothing": (lambda: Add()(()), "Add"),
    "concat": (lambda: Concat()((X, X[:, :, 1:])), "Concat.*\\(2, 4, 7, 9\\).*\\(2, 4, 6, 9\\)"),
    "sequential: empty": (lambda: Sequential({}), "Sequential.*one layer"),
    "sequential: no layer": (lambda: Sequential({"abs": abs}), "Sequential: abs"),
    "sequential: a dot": (lambda: Sequential({"a.b": ReLU()}), "Sequential: 'a.b'"),
    "sequential: input": (lambda: Sequential({"input": ReLU()}), "Sequential: 'input'"),
    "fire: channels": (
        lambda: Fire(POINT, POINT, POINT)(X[:, :3]),
        "Conv2d expects 3 channels.*\\(2, 2, 7, 9\\)",
    ),
}


@pytest.mark.parametrize(("act", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_one_clear_line(act, says):
    with pytest.raises(InputError, match=says) as refusal:
        act()
    assert "\n" not in str(refusal.value)


INITS = {
    "conv": (
        lambda rng: Conv2d.init(32, 64, (3, 5), stride=2, padding=(1, 0), rng=rng),
        {"weight": (64, 32, 3, 5)},
    ),
    "conv in groups": (lambda rng: Conv2d.init(64, 96, 3, groups=2, rng=rng), {"weight": (96, 32, 3, 3)}),
    "linear": (lambda rng: Linear.init(200, 150, rng=rng), {"weight": (150, 200)}),
    "fire": (
        lambda rng: Fire.init(128, 200, 160, 64, rng=rng),
        {
            "squeeze.weight": (200, 128, 1, 1),
            "expand1x1.weight": (160, 200, 1, 1),
            "expand3x3.weight": (64, 200, 3, 3),
        },
    ),
}


@pytest.mark.parametrize(("init", "shapes"), INITS.values(), ids=INITS)
def test_init_draws_he_normal_weights_and_zero_biases(init, shapes):
    arrays = init(3).arrays()
    weights = {name: array for name, array in arrays.items() if name.endswith("weight")}
    biases = {name: array for name, array in arrays.items() if name.endswith("bias")}
    assert {name: weight.shape for name, weight in weights.items()} == shapes
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert len(biases) == len(weights)
    assert not any(bias.any() for bias in biases.values())
    for weight in weights.values():
        scaled = weight / np.sqrt(2 / np.prod(weight.shape[1:]))  # standard normal, by He's formula
        assert abs(scaled.mean()) < 0.03
        assert abs(scaled.var() - 1) < 0.05
        assert abs((np.abs(scaled) < 1).mean() - 0.6827) < 0.02


@pytest.mark.parametrize(("init", "shapes"), INITS.values(), ids=INITS)
def test_init_repeats_a_seed_bit_by_bit_and_goes_on_with_a_generator(init, shapes):
    assert checks.same_bits(init(3).arrays(), init(np.random.default_rng(3)).arrays())
    generator = np.random.default_rng(3)
    first, second, other = init(generator).arrays(), init(generator).arrays(), init(4).arrays()
    for name in shapes:
        assert abs(np.corrcoef(first[name].ravel(), second[name].ravel())[0, 1]) < 0.1
        assert not np.array_equal(first[name], other[name])


def test_init_passes_the_options_on():
    conv = Conv2d.init(4, 6, (3, 5), stride=(2, 1), padding=(1, 2), groups=2)
    assert (conv.kernel_size, conv.stride, conv.padding, conv.groups) == ((3, 5), (2, 1), (1, 2), 2)
    fire = Fire.init(3, 2, 4, 5)
    assert fire(np.zeros((1, 3, 6, 7), np.float32)).shape == (1, 9, 6, 7)


def test_batch_norm_init_is_the_identity_up_to_eps():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(BatchNorm2d.init(3)(x), x, rtol=1e-5)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_dropout_drops_p_and_keeps_the_mean(p):
    x = np.ones((4, 50, 20, 20))
    y, cache = Dropout(p).forward(x, training=True, rng=1)
    assert abs((y == 0).mean() - p) < 0.01
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p))
    assert abs(y.mean() - 1) < 0.05
    assert np.array_equal(Dropout(p).backward(x, cache), y), "backward has the mask of forward"


def test_dropout_draws_anew_with_a_generator_and_alike_with_a_seed():
    x, generator = np.ones((1, 1000)), np.random.default_rng(0)
    first, second = (Dropout().forward(x, training=True, rng=generator)[0] for _ in range(2))
    assert not np.array_equal(first, second)
    again = Dropout().forward(x, training=True, rng=0)[0]
    assert np.array_equal(again, first)
    assert np.array_equal(Dropout().forward(x, rng=0)[0], x)


@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_batch_norm_moves_its_statistics_as_torch_does(momentum):
    rng = np.random.default_rng(0)
    module = torch.nn.BatchNorm2d(3, momentum=momentum, dtype=torch.float64)
    layer = BatchNorm2d(np.ones(3), np.zeros(3), np.zeros(3), np.ones(3), momentum=momentum)
    for _ in range(3):
        x = rng.normal(2, 3, size=(2, 3, 4, 5))
        module(torch.tensor(x))
        _, cache = layer.forward(x, training=True)
        new = layer.new_statistics(cache)
        expected = {"running_mean": module.running_mean.numpy(), "running_var": module.running_var.numpy()}
        checks.assert_all_close(new, expected, 1e-14)
        layer = dataclasses.replace(layer, **new)
    y, cache = layer.forward(x)
    assert layer.new_statistics(cache) == {}
    checks.assert_close(y, module.eval()(torch.tensor(x)).detach().numpy(), 1e-12)


def test_composites_and_weights_are_the_layers_own():
    parts, nodes = {"a": ReLU()}, {"a": (ReLU(), "input")}
    short = {"s": conv(3, 3)}
    made = [Sequential(parts), Residual(parts, short), Graph(nodes)]
    for given in (parts, short, nodes):
        given.clear()
    assert [list(layer.parts()) for layer in made] == [["a"], ["a", "s", "add", "relu"], ["a"]]
    assert Linear(np.asfortranarray(np.ones((3, 4)))).weight.flags.c_contiguous
    fire = Fire(conv(4, 2, 3, 1), conv(2, 3, seed=2), conv(2, 2, 3, 1, seed=3))
    assert fire.receptive_field() == ((5, 5), (1, 1), (2, 2))


def test_what_init_draws_when_nobody_says():
    for made in (
        lambda **rng: Conv2d.init(3, 4, 3, **rng),
        lambda **rng: Linear.init(3, 4, **rng),
        lambda **rng: Fire.init(3, 2, 4, 5, **rng),
    ):
        plain, zero = made().arrays(), made(rng=0).arrays()
        assert all(np.array_equal(plain[name], zero[name]) for name in zero)
    assert np.array_equal(he_normal((2, 3)), he_normal((2, 3), 0)) and he_normal((2, 3)).dtype == np.float32
    conv = Conv2d.init(3, 4, 3)
    assert (conv.stride, conv.padding, conv.groups) == ((1, 1), (0, 0), 1)
    assert {array.dtype for array in BatchNorm2d.init(3).arrays(buffers=True).values()} == {
        np.dtype(np.float32)
    }


def test_a_layer_without_parameters_has_no_init():
    with pytest.raises(TypeError, match="ReLU has no init: it has no parameters of its own"):
        ReLU.init(3)


def test_the_inits_of_normalizations_are_the_identity():
    for layer in (BatchNorm2d.init(6), GroupNorm.init(3, 6), LayerNorm.init(6, channels=True)):
        assert {name: set(array) for name, array in layer.arrays().items()} == {"weight": {1}, "bias": {0}}
        assert {array.dtype for array in layer.arrays().values()} == {np.dtype(np.float32)}
