"""Maps averaged over layers and over augmented images, against pytorch-grad-cam's formulas; and factorized layers."""

import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close
from messages import A_WHOLE_NUMBER, FINITE_NUMBERS
from sklearn.decomposition import NMF
from torch.nn.functional import interpolate

from npgrad import InputError, UnknownName, attribution
from npgrad.attribution import aug_smooth, feature_factorization
from npgrad.attribution.factorization import factorize

SMALL = {pair.name: pair for pair in pairs()}["fires"]
NETS = [SMALL, pytest.param(squeezenets()[1], marks=pytest.mark.exhaustive)]
net = pytest.mark.parametrize("pair", NETS, ids=lambda pair: pair.name)
LAYERS = ["fire2", "fire4"]
CAMS = [
    name
    for name in attribution.__all__
    if {"cam", "fem"} & set(name.split("_")) and name != "guided_grad_cam"
]
pytestmark = pytest.mark.filterwarnings("ignore:fem. no activation")


def scale(cam):
    """scale_cam_image of pytorch-grad-cam, without its 1e-7."""
    cam = np.maximum(cam, 0)
    cam = cam - cam.min()
    return cam / (cam.max() or 1)


def torch_grad_cam(pair, x, layer, targets=TARGETS):
    kept = []
    hook = pair.layer(layer).register_forward_hook(lambda module, args, y: kept.append(y))
    logits = pair.net(torch.tensor(x).requires_grad_())
    hook.remove()
    dA = torch.autograd.grad(logits[torch.arange(len(x)), torch.tensor(targets)].sum(), kept[0])[0]
    return (dA.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1).detach().numpy()


def resized(cam, size):
    return interpolate(torch.tensor(cam[None, None]), size, mode="bilinear")[0, 0].numpy()


# over layers


@net
def test_the_mean_over_layers_is_pytorch_grad_cams(pair):
    size = pair.x.shape[2:]
    expected = np.mean(
        [[resized(scale(one), size) for one in torch_grad_cam(pair, pair.x, layer)] for layer in LAYERS],
        axis=0,
    )
    found = attribution.grad_cam(pair.model, pair.x, TARGETS, layer=LAYERS)
    assert found.shape == (3, *size)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # resized in float32
    nearest = attribution.grad_cam(pair.model, pair.x, TARGETS, layer=tuple(LAYERS), resize="nearest")
    each = [
        attribution.grad_cam(pair.model, pair.x, TARGETS, layer, relu=True, resize="nearest")
        for layer in LAYERS
    ]
    np.testing.assert_allclose(
        nearest, np.mean([[scale(one) for one in maps] for maps in each], axis=0), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", CAMS)
def test_every_map_takes_several_layers(name):
    method = getattr(attribution, name)
    assert len(CAMS) >= 15
    found = method(SMALL.model, SMALL.x, TARGETS, layer=LAYERS, resize="nearest")
    each = [method(SMALL.model, SMALL.x, TARGETS, layer=layer, resize="nearest") for layer in LAYERS]
    expected = np.mean([[scale(one) for one in maps] for maps in each], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert found.min() >= 0 and found.max() <= 1
    for layer, error, words in (
        ([], InputError, "layer: expected at least one layer, found none"),
        (["fire2", "fier4"], UnknownName, "nearest: fire4"),
        (["fire2", 5], InputError, "layer: expected one name, found int"),
    ):
        with pytest.raises(error, match=words):
            method(SMALL.model, SMALL.x, TARGETS, layer=layer)
    with pytest.raises(UnknownName, match="no resize method"):
        method(SMALL.model, SMALL.x, TARGETS, layer=LAYERS, resize="soft")


def test_progress_over_layers_goes_up():
    calls = []
    attribution.ablation_cam(
        SMALL.model, SMALL.x, layer=LAYERS, progress=lambda done, total: calls.append((done, total))
    )
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][0] == calls[-1][1]


# over augmented images


@net
def test_aug_smooth_is_pytorch_grad_cams(pair):
    """The six copies, each explained by torch, scaled, turned back and averaged."""
    total = 0
    for flip in (False, True):
        for factor in (0.9, 1, 1.1):
            x = (pair.x[..., ::-1] if flip else pair.x) * factor
            cams = np.stack([scale(cam) for cam in torch_grad_cam(pair, x.copy(), "fire4")])
            total = total + (cams[..., ::-1] if flip else cams)
    found = aug_smooth(pair.model, pair.x, TARGETS, layer="fire4")
    assert_close(found, total / 6, 1e-8)
    at_input = aug_smooth(pair.model, pair.x, TARGETS, layer="fire4", resize="bilinear")
    assert at_input.shape == (3, *pair.x.shape[2:])


def test_aug_smooth_of_other_methods(rng):
    x, targets = SMALL.x, SMALL.model(SMALL.x).argmax(axis=1)
    mask = rng.integers(0, 4, x.shape[2:])
    start = rng.normal(size=x.shape)
    found = aug_smooth(
        SMALL.model, x, method="feature_ablation", factors=(1, 0.5), scaled=False, mask=mask, baseline=start
    )
    expected = 0
    for factor in (1, 0.5):
        once = attribution.feature_ablation(SMALL.model, x * factor, targets, mask=mask, baseline=start)
        mirrored = attribution.feature_ablation(
            SMALL.model, x[..., ::-1] * factor, targets, mask=mask[:, ::-1], baseline=start[..., ::-1]
        )
        expected = expected + once + mirrored[..., ::-1]
    assert_close(found, expected / 4, 1e-12)
    plain = aug_smooth(SMALL.model, x, "0 - 1", method=attribution.saliency, factors=[1.0], flip=False)
    saliency = attribution.saliency(SMALL.model, x, "0 - 1")
    low, high = (function(saliency, axis=(1, 2, 3), keepdims=True) for function in (np.min, np.max))
    assert_close(plain, (saliency - low) / (high - low), 1e-12)
    assert_close(plain[1], aug_smooth(SMALL.model, x[1:2], "0 - 1", "saliency", (1.0,), False)[0], 1e-9)


def test_what_aug_smooth_refuses():
    for options, words in (
        ({"factors": ()}, fr"factors: {FINITE_NUMBERS}, found \(\)"),
        ({"factors": (1, "x")}, f"factors: {FINITE_NUMBERS}"),
        ({"method": "grad_kam"}, "no attribution method 'grad_kam'; nearest: grad_cam"),
        ({"method": 5}, "method: expected a function"),
        ({"method": lambda model, x, target: target}, r"aug_smooth: its method must give .* found shape \(3,\)"),
        ({"method": lambda model, x, target: None}, "aug_smooth: its method must give .* found a NoneType"),
    ):  # fmt: skip
        with pytest.raises((InputError, UnknownName), match=words):
            aug_smooth(SMALL.model, SMALL.x, **options)


# feature factorization


@pytest.mark.parametrize("steps", [1, 7, 60])
def test_the_updates_are_scikit_learns(steps, rng):
    A, H, W = (
        np.abs(rng.normal(size=(40, 12))),
        np.abs(rng.normal(size=(40, 3))),
        np.abs(rng.normal(size=(3, 12))),
    )
    nmf = NMF(3, init="custom", solver="mu", max_iter=steps, tol=0)
    expected = nmf.fit_transform(A, W=H.copy(), H=W.copy())
    found = factorize(A, H, W, steps)
    assert_close(found[0], expected, 1e-10)
    assert_close(found[1], nmf.components_, 1e-10)


@net
def test_the_error_is_close_to_scikit_learns_best(pair):
    A = (
        np.maximum(pair.model.forward(pair.x)["fire4"], 0)
        .transpose(0, 2, 3, 1)
        .reshape(-1, pair.model.forward(pair.x)["fire4"].shape[1])
    )
    best = min(
        NMF(3, init="random", random_state=state, max_iter=2000).fit(A).reconstruction_err_
        for state in range(5)
    )
    maps, concepts, error = feature_factorization(pair.model, pair.x, 3, layer="fire4", n_steps=2000)
    rows = maps.transpose(0, 2, 3, 1).reshape(-1, 3)
    np.testing.assert_allclose(error, np.linalg.norm(A - rows @ concepts) / np.linalg.norm(A), rtol=1e-9)
    assert error < 1.05 * best / np.linalg.norm(A)


def test_a_layer_of_few_parts_is_found_again(rng):
    """Images whose pixels are mixtures of three colors."""
    colors = np.array([[1.0, 0, 0.2], [0, 1, 0], [0.1, 0, 1]])
    parts = np.zeros((2, 3, 12, 15))
    for k in range(3):
        parts[0, k, :, 5 * k : 5 * k + 5] = parts[1, (k + 1) % 3, :, 5 * k : 5 * k + 5] = 1 + k
    x = np.einsum("nkhw,kc->nchw", parts, colors)
    maps, concepts, error = feature_factorization(SMALL.model, x, 3, layer="input", n_steps=3000)
    assert maps.shape == (2, 3, 12, 15) and concepts.shape == (3, 3) and error < 1e-3
    np.testing.assert_allclose(np.linalg.norm(concepts, axis=1), 1, rtol=1e-12)
    strength = (maps**2).sum(axis=(0, 2, 3))
    assert (np.diff(strength) <= 0).all() and maps.min() >= 0 and concepts.min() >= 0
    for k, color in enumerate(colors):
        like = np.argmax(concepts @ color / np.linalg.norm(color))
        at = parts[:, k] > 0
        assert maps[:, like][at].min() > 3 * maps[:, like][~at].max()


def test_negative_activations_sizes_and_precision():
    pair = SMALL
    A = pair.model.forward(pair.x)["conv1"]
    assert A.min() < 0
    clipped = feature_factorization(pair.model, pair.x, 4, layer="conv1")
    shifted = feature_factorization(pair.model, pair.x, 4, layer="conv1", shifted=True)
    for found, target in ((clipped, np.maximum(A, 0)), (shifted, A - A.min(axis=(0, 2, 3), keepdims=True))):
        again = np.einsum("nkhw,kc->nchw", found.maps, found.concepts)
        np.testing.assert_allclose(
            np.linalg.norm(again - target) / np.linalg.norm(target), found.error, rtol=1e-9
        )
    large = feature_factorization(pair.model, pair.x, 4, layer="conv1", resize="nearest")
    assert large.maps.shape == (3, 4, *pair.x.shape[2:])
    other = feature_factorization(pair.model, pair.x, 4, layer="conv1", rng=1)
    assert not np.array_equal(other.maps, clipped.maps)
    single = feature_factorization(pair.model.astype(np.float32), pair.x.astype(np.float32), 4, layer="conv1")
    assert single.maps.dtype == single.concepts.dtype == np.float32
    assert_close(single.maps, clipped.maps, 1e-3)
    black = feature_factorization(pair.model, 0 * pair.x, 2, layer="input")
    assert not black.maps.any() and black.error == 0 and np.isfinite(black.concepts).all()


def test_what_a_factorization_refuses():
    for options, words in (
        ({"n_components": 15}, "n_components: expected at most 14 for fire4, found 15"),
        ({"n_components": 0}, f"n_components: {A_WHOLE_NUMBER} >= 1"),
        ({"n_steps": 0}, f"n_steps: {A_WHOLE_NUMBER} >= 1"),
    ):
        with pytest.raises(InputError, match=words):
            feature_factorization(SMALL.model, SMALL.x, layer="fire4", **options)
    with pytest.raises(InputError, match="layer: expected one whose output is"):
        feature_factorization(SMALL.model, SMALL.x, layer="pool5")
