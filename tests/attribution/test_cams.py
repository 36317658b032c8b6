"""Class activation maps: their papers' formulas once more, slowly, with torch's autograd; and Captum's."""

import captum.attr as ca
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from torch.nn import functional

from npgrad.attribution._maps import scaled
from npgrad.attribution.activation_cams import fem, kpca_cam, random_cam
from npgrad.attribution.eigen_cam import eigen_cam, eigen_grad_cam
from npgrad.attribution.finer_cam import finer_cam
from npgrad.attribution.full_grad import full_grad
from npgrad.attribution.grad_cam import (
    grad_cam,
    grad_cam_elementwise,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    x_grad_cam,
)
from npgrad.attribution.guided_grad_cam import guided_grad_cam
from npgrad.attribution.perturbed_cams import ablation_cam, score_cam
from npgrad.attribution.shapley_cam import shapley_cam
from npgrad.errors import InputError, UnknownName
from npgrad.images.resize import resize_map

pytestmark = pytest.mark.filterwarnings("ignore:fem. no activation")  # of few pixels
PAIRS = {pair.name: pair for pair in pairs()}
FIRES = PAIRS["fires"]
WIDE = [pair for pair in [*PAIRS.values(), *squeezenets(33)] if pair.name != "linears"]
FORMULAS = {
    "grad_cam": grad_cam,
    "grad_cam_elementwise": grad_cam_elementwise,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "hires_cam": hires_cam,
    "layer_cam": layer_cam,
    "x_grad_cam": x_grad_cam,
}
TRIED_OUT = {"score_cam": score_cam, "ablation_cam": ablation_cam}
OF_THE_ACTIVATION = {"eigen_cam": eigen_cam, "fem": fem, "kpca_cam": kpca_cam, "random_cam": random_cam}
MAPS = {
    **FORMULAS,
    **TRIED_OUT,
    **OF_THE_ACTIVATION,
    "eigen_grad_cam": eigen_grad_cam,
    "finer_cam": finer_cam,
    "shapley_cam": shapley_cam,
}


def places(pair):
    """Some layers with a spatial size: every second of a small network, two of SqueezeNet."""
    if "squeeze" in pair.name:
        return ["fire4.squeeze", "fire9"]
    tape = pair.model.forward(pair.x)
    return [record.name for record in tape if record.y.ndim == 4][::2]


def torch_layer(pair, layer):
    """(scores, activation) in torch, tied together by autograd."""
    kept = []
    hook = pair.layer(layer).register_forward_hook(lambda module, args, y: kept.append(y))
    logits = pair.net(pair.tensor().requires_grad_())
    hook.remove()
    return logits[torch.arange(3), torch.tensor(TARGETS)], kept[0]


def by_hand(name, A, dA):
    """One image's map, a pixel and a channel at a time, from A and dA (C, h, w)."""
    channels, height, width = A.shape
    cam = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            for k in range(channels):
                if name == "grad_cam":
                    weight = dA[k].sum() / (height * width)
                elif name == "x_grad_cam":
                    total = A[k].sum()
                    weight = sum(dA[k].ravel() * A[k].ravel() / total) if total else 0
                elif name == "hires_cam":
                    weight = dA[k, i, j]
                else:
                    weight = max(dA[k, i, j], 0)
                cam[i, j] += weight * A[k, i, j]
    return np.maximum(cam, 0) if name == "layer_cam" else cam


@pytest.mark.parametrize("name", ["grad_cam", "x_grad_cam", "hires_cam", "layer_cam"])
def test_a_map_is_its_papers_formula(name):
    for layer in "conv1", "pool3", "fire4", "fire4.squeeze":
        scores, A = torch_layer(FIRES, layer)
        dA = torch.autograd.grad(scores.sum(), A)[0].numpy()
        expected = [by_hand(name, *both) for both in zip(A.detach().numpy(), dA, strict=True)]
        found = FORMULAS[name](FIRES.model, FIRES.x, TARGETS, layer=layer)
        checks.assert_close(found, np.stack(expected), 1e-10, layer)


@pytest.mark.exhaustive
def test_grad_cam_plus_plus_is_the_papers_with_its_derivatives_of_exp_score():
    scores, A = torch_layer(FIRES, "fire4")
    Y = torch.exp(scores)
    first = torch.autograd.grad(Y.sum(), A, create_graph=True)[0]
    second, third = torch.zeros_like(A), torch.zeros_like(A)
    for index in np.ndindex(*A.shape[1:]):
        place = (slice(None), *index)
        once = torch.autograd.grad(first[place].sum(), A, create_graph=True)[0][place]
        twice = torch.autograd.grad(once.sum(), A, retain_graph=True)[0][place]
        second[place], third[place] = once.detach(), twice
    A, first, second, third, Y = (t.detach().numpy() for t in (A, first, second, third, Y))
    bottom = 2 * second + A.sum(axis=(2, 3), keepdims=True) * third
    alpha = np.where(bottom != 0, second, 0) / np.where(bottom != 0, bottom, 1)
    weights = (alpha * np.maximum(first, 0)).sum(axis=(2, 3))
    expected = np.maximum(np.einsum("nk,nkij->nij", weights, A), 0)
    found = grad_cam_plus_plus(FIRES.model, FIRES.x, TARGETS, layer="fire4")
    assert expected.any(axis=(1, 2)).all()
    checks.assert_close(found, expected / Y[:, None, None], 1e-10)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("pair", WIDE, ids=lambda pair: pair.name)
def test_grad_cam_is_captums(pair, relu):
    for layer in places(pair):
        explainer = ca.LayerGradCam(pair.net, pair.layer(layer))
        expected = explainer.attribute(pair.tensor(), torch.tensor(TARGETS), relu_attributions=relu)
        found = grad_cam(pair.model, pair.x, TARGETS, layer=layer, relu=relu)
        checks.assert_close(found[:, None], expected.detach().numpy(), 1e-10, layer)


@pytest.mark.parametrize("sum_channels", [False, True])
@pytest.mark.parametrize(("net", "layer"), [("fires", "fire4"), ("fires", "pool5"), ("linears", "fc1")])
def test_grad_cam_with_channels_apart_and_of_vectors_is_captums(net, layer, sum_channels):
    pair = PAIRS[net]
    explainer = ca.LayerGradCam(pair.net, pair.layer(layer))
    expected = explainer.attribute(pair.tensor(), torch.tensor(TARGETS), attr_dim_summation=sum_channels)
    found = grad_cam(pair.model, pair.x, TARGETS, layer=layer, sum_channels=sum_channels)
    assert found.ndim == (3 if sum_channels else 4)
    large = grad_cam(pair.model, pair.x, TARGETS, layer=layer, resize="bilinear", sum_channels=sum_channels)
    assert large.shape == (*found.shape[:-2], *pair.x.shape[2:])
    assert sum_channels or np.array_equal(large[1, 2], resize_map(found[1], pair.x.shape[2:], "bilinear")[2])
    checks.assert_close(found.reshape(expected.shape), expected.detach().numpy(), 1e-10)


@pytest.mark.sampled(3)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")  # Captum's own
@pytest.mark.parametrize("pair", WIDE, ids=lambda pair: pair.name)
def test_guided_grad_cam_is_captums(pair):
    for layer in places(pair):
        explainer = ca.GuidedGradCam(pair.net, pair.layer(layer))
        expected = explainer.attribute(pair.tensor().requires_grad_(), torch.tensor(TARGETS))
        found = guided_grad_cam(pair.model, pair.x, TARGETS, layer=layer)
        checks.assert_close(found, expected.detach().numpy(), 1e-10, layer)


def test_maps_that_share_out_the_score_sum_to_it():
    """From relu5 on the network is a mean, so the score is linear in the activation."""
    scores = FIRES.model(FIRES.x)[np.arange(3), TARGETS]
    for function in hires_cam, x_grad_cam:
        maps = function(FIRES.model, FIRES.x, TARGETS, layer="relu5")
        checks.assert_close(maps.sum(axis=(1, 2)), scores, 1e-12)


def test_eigen_cam_is_the_first_principal_component_with_the_sum_positive():
    for layer in "conv1", "relu1", "fire4":
        maps = eigen_cam(FIRES.model, FIRES.x, layer=layer)
        for found, A in zip(maps, FIRES.model.forward(FIRES.x)[layer], strict=True):
            pixels = A.reshape(len(A), -1)
            v = np.linalg.eigh(pixels @ pixels.T)[1][:, -1]
            expected = np.einsum("k,kij->ij", v, A)
            assert found.sum() > 0
            checks.assert_close(found, expected * np.sign(expected.sum()), 1e-10)
            # no other direction carries more: its squares sum to the largest eigenvalue
            checks.assert_close((found**2).sum(), np.linalg.eigvalsh(pixels.T @ pixels)[-1], 1e-10)
        if layer != "conv1":
            assert maps.min() >= -1e-12
    assert np.array_equal(eigen_cam(FIRES.model, FIRES.x, 1), eigen_cam(FIRES.model, FIRES.x, 4))


def test_score_cam_is_the_papers_algorithm():
    nothing = FIRES.net(torch.zeros(1, 3, 33, 29, dtype=torch.float64))[0]
    for layer in "fire4", "fire2.squeeze":
        _, A = torch_layer(FIRES, layer)
        expected = []
        for image, maps, target in zip(FIRES.tensor(), A, TARGETS, strict=True):
            gained = []
            for channel in maps:
                mask = functional.interpolate(channel[None, None], image.shape[1:], mode="bilinear")
                mask = (
                    (mask - mask.min()) / (mask.max() - mask.min()) if mask.max() > mask.min() else 0 * mask
                )
                gained.append(FIRES.net(image * mask)[0, target] - nothing[target])
            alpha = torch.softmax(torch.stack(gained), dim=0)
            expected.append(torch.relu((alpha[:, None, None] * maps).sum(dim=0)).detach().numpy())
        found = score_cam(FIRES.model, FIRES.x, TARGETS, layer=layer)
        checks.assert_close(found, np.stack(expected), 2e-6, layer)  # masks are resized in float32


@pytest.mark.parametrize("layer", ["fire4", "fire3.squeeze_relu", "fire4.expand1x1", "conv1"])
def test_ablation_cam_is_the_papers_formula(layer):
    """Inside a fire the other branch must stay as it was."""
    with torch.no_grad():
        scores, A = torch_layer(FIRES, layer)
        lost = []
        for k in range(A.shape[1]):
            without = torch.ones(A.shape[1], 1, 1, dtype=torch.float64)
            without[k] = 0
            hook = FIRES.layer(layer).register_forward_hook(lambda module, args, y, mask=without: y * mask)
            left = FIRES.net(FIRES.tensor())[torch.arange(3), torch.tensor(TARGETS)]
            hook.remove()
            lost.append((scores - left) / scores)
        expected = torch.relu((torch.stack(lost, dim=1)[:, :, None, None] * A).sum(dim=1)).numpy()
    assert expected.any()
    found = ablation_cam(FIRES.model, FIRES.x, TARGETS, layer=layer)
    checks.assert_close(found, expected, 1e-10)


@pytest.mark.parametrize("name", [*MAPS, "guided_grad_cam", "full_grad"])
def test_shapes_types_and_nothing_changed(name):
    function = {**MAPS, "guided_grad_cam": guided_grad_cam, "full_grad": full_grad}[name]
    model, x = FIRES.model.astype(np.float32), FIRES.x.astype(np.float32)
    kept, before = x.copy(), model(x)
    found = function(model, x, TARGETS)
    shape = {"guided_grad_cam": (3, 3, 33, 29), "full_grad": (3, 33, 29)}.get(name, (3, 4, 3))
    assert (found.shape, found.dtype) == (shape, np.float32)
    assert np.array_equal(found, function(model, x, TARGETS))
    assert np.array_equal(x, kept)
    assert np.array_equal(model(x), before)
    alone = np.concatenate([function(FIRES.model, FIRES.x[[i]], TARGETS[i]) for i in range(3)])
    in_float64 = function(FIRES.model, FIRES.x, TARGETS)
    checks.assert_close(in_float64, alone, 1e-13)
    cosine = (found * in_float64).sum() / np.linalg.norm(found) / np.linalg.norm(in_float64)
    assert 1 - cosine < 1e-4


@pytest.mark.parametrize("name", MAPS)
def test_the_default_is_the_last_fire_and_a_map_is_resized_if_asked(name):
    found = MAPS[name](FIRES.model, FIRES.x, TARGETS)
    assert np.array_equal(found, MAPS[name](FIRES.model, FIRES.x, TARGETS, layer="fire4"))
    for resize in "nearest", "bilinear", "bicubic":
        resized = MAPS[name](FIRES.model, FIRES.x, TARGETS, resize=resize)
        assert np.array_equal(resized, resize_map(found, (33, 29), resize))
    plain = PAIRS["max pools"]
    by_name = MAPS[name](plain.model, plain.x, TARGETS, layer="relu2")
    assert np.array_equal(MAPS[name](plain.model, plain.x, TARGETS), by_name)


@pytest.mark.parametrize("name", TRIED_OUT)
def test_the_batch_size_changes_rounding_alone_and_progress_counts(name):
    expected = TRIED_OUT[name](FIRES.model, FIRES.x, TARGETS, batch_size=1)
    for batch_size in 5, 100, None:
        found = TRIED_OUT[name](FIRES.model, FIRES.x, TARGETS, batch_size=batch_size)
        checks.assert_rounding(found, expected, checks.additions_in(FIRES.model))
    calls = []
    TRIED_OUT[name](FIRES.model, FIRES.x, batch_size=5, progress=lambda *call: calls.append(call))
    assert calls == [(done + 14 * i, 42) for i in range(3) for done in (5, 10, 14)]


def shut(pair, target):
    """The model with a class whose last ReLU never opens."""
    bias = pair.model.parameters()["conv5.bias"].copy()
    bias[target] = -1000
    return pair.model.with_parameters({"conv5.bias": bias})


@pytest.mark.parametrize("name", [*FORMULAS, *TRIED_OUT, "guided_grad_cam", "full_grad"])
def test_a_dead_class_gives_zeros_and_one_warning(name):
    function = {**MAPS, "guided_grad_cam": guided_grad_cam, "full_grad": full_grad}[name]
    with pytest.warns(UserWarning, match="score of class 1 is exactly 0") as caught:
        found = function(shut(FIRES, 1), FIRES.x, [2, 1, 3])
    assert len(caught) == 1
    if name != "full_grad":  # whose line is that of common.score_gradients
        assert caught[0].filename == __file__
    assert not found[1].any()
    assert found[0].any() and found[2].any()


@pytest.mark.parametrize("name", MAPS)
def test_constant_and_zero_activations_give_numbers(name):
    parameters = FIRES.model.parameters()
    empty = {key: 0 * array for key, array in parameters.items() if key.startswith(("fire4", "fire3"))}
    for bias in 0, 0.5:  # of all 14 channels of fire4: zero, or constant
        empty["fire4.expand1x1.bias"] = np.full(7, float(bias))
        found = MAPS[name](FIRES.model.with_parameters(empty), FIRES.x, TARGETS)
        assert np.isfinite(found).all()
        assert (found == found[:, :1, :1]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_map_that_is_constant_up_to_rounding_is_not_stretched_to_0_to_1(dtype, rng):
    level = np.array([0.3, -7e4, 1e-6, 0], dtype).reshape(4, 1, 1)
    rounded = (level + level * 1e-6 * rng.uniform(size=(4, 6, 5))).astype(dtype)
    assert np.ptp(rounded[:3], axis=(1, 2)).all()
    assert not scaled(rounded).any()
    varied = level[:3] + np.abs(level[:3]) * 1e-3 * rng.uniform(size=(3, 6, 5))
    assert (scaled(varied).min(axis=(1, 2)) == 0).all() and (scaled(varied).max(axis=(1, 2)) == 1).all()


WRONG_LAYERS = {
    "unknown": (FIRES, {"layer": "fier4"}, UnknownName, "no layer 'fier4'; nearest: fire4"),
    "no spatial size": (FIRES, {"layer": "pool5"}, InputError, r"layer: .*\(N, C, h, w\).*pool5.*5\)"),
    "nowhere": (PAIRS["linears"], {"layer": "fc1"}, InputError, "layer: .*fc1"),
    "resize": (FIRES, {"resize": "lanczos"}, UnknownName, "'lanczos'.*nearest.*bilinear"),
    "target": (FIRES, {"target": 5}, IndexError, "0 to 4"),
}


@pytest.mark.parametrize(("pair", "options", "kind", "says"), WRONG_LAYERS.values(), ids=WRONG_LAYERS)
def test_wrong_arguments_are_named(pair, options, kind, says):
    vectors = options.get("layer") == "pool5" or pair is PAIRS["linears"]
    for function in *MAPS.values(), guided_grad_cam:
        if (function not in OF_THE_ACTIVATION.values() or "target" not in options) and not (
            vectors and function in (grad_cam, finer_cam)  # which take them
        ):
            with pytest.raises(kind, match=says):
                function(pair.model, pair.x, **options)


def test_more_wrong_arguments_are_named():
    with pytest.raises(InputError, match="resize: .*None"):
        guided_grad_cam(FIRES.model, FIRES.x, resize=None)
    for function in TRIED_OUT.values():
        with pytest.raises(InputError, match="batch_size.*0"):
            function(FIRES.model, FIRES.x, batch_size=0)
