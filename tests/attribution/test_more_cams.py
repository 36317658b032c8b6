"""The class activation maps of pytorch-grad-cam, each against its formula in torch or scikit-learn."""

import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close
from sklearn.decomposition import KernelPCA

from npgrad import InputError, attribution, layers
from npgrad.model import Model

SMALL = {pair.name: pair for pair in pairs()}["fires"]
NETS = [SMALL, pytest.param(squeezenets()[1], marks=pytest.mark.exhaustive)]
net = pytest.mark.parametrize("pair", NETS, ids=lambda pair: pair.name)
LAYER = "fire4"


def torch_activation(pair, score, layer=LAYER):
    """(A, d score / d A, the product of the Hessian with A), by autograd twice: (N, C, h, w) each."""
    kept = []
    hook = pair.layer(layer).register_forward_hook(lambda module, args, y: kept.append(y))
    logits = pair.net(pair.tensor().requires_grad_())
    hook.remove()
    A = kept[0]
    dA = torch.autograd.grad(score(logits).sum(), A, create_graph=True)[0]
    HA = torch.autograd.grad(dA, A, A.detach(), allow_unused=True)[0] if dA.requires_grad else None
    HA = torch.zeros_like(A) if HA is None else HA
    return tuple(one.detach().numpy() for one in (A, dA, HA))


def of_targets(logits):
    return logits[torch.arange(len(logits)), torch.tensor(TARGETS)]


@net
def test_grad_cam_elementwise(pair):
    A, dA, _ = torch_activation(pair, of_targets)
    found = attribution.grad_cam_elementwise(pair.model, pair.x, TARGETS, layer=LAYER)
    assert_close(found, np.maximum(A * dA, 0).sum(axis=1), 1e-8)


@net
@pytest.mark.parametrize("centered", [False, True])
def test_eigen_grad_cam(pair, centered):
    A, dA, _ = torch_activation(pair, of_targets)
    found = attribution.eigen_grad_cam(pair.model, pair.x, TARGETS, layer=LAYER, centered=centered)
    for one, product in zip(found, A * dA, strict=True):
        pixels = product.reshape(len(product), -1).T
        pixels = pixels - pixels.mean(axis=0) if centered else pixels
        v = np.linalg.eigh(pixels.T @ pixels)[1][:, -1]
        expected = (pixels @ v).reshape(one.shape)
        assert_close(one, expected * np.sign((expected * one).sum()), 1e-8)
        mean = pixels.mean(axis=1).reshape(one.shape)
        assert ((one * mean).sum() if centered else one.sum()) >= 0


@net
def test_eigen_cam_centered(pair):
    A, _, _ = torch_activation(pair, of_targets)
    found = attribution.eigen_cam(pair.model, pair.x, layer=LAYER, centered=True)
    for one, activation in zip(found, A, strict=True):
        pixels = activation.reshape(len(activation), -1).T
        pixels = pixels - pixels.mean(axis=0)
        expected = (pixels @ np.linalg.svd(pixels)[2][0]).reshape(one.shape)
        assert_close(one, expected * np.sign((expected * one).sum()), 1e-8)
        assert (one * activation.mean(axis=0)).sum() > 0


@net
@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 0.1])
def test_grad_cam_plus_plus_with_an_epsilon(pair, epsilon):
    A, dA, _ = torch_activation(pair, of_targets)
    with np.errstate(invalid="ignore"):
        alpha = dA**2 / (2 * dA**2 + A.sum(axis=(2, 3), keepdims=True) * dA**3 + epsilon)
    weights = (np.maximum(dA, 0) * np.where(dA != 0, alpha, 0)).sum(axis=(2, 3))
    expected = np.maximum(np.einsum("nk,nkij->nij", weights, A), 0)
    found = attribution.grad_cam_plus_plus(pair.model, pair.x, TARGETS, layer=LAYER, epsilon=epsilon)
    assert expected.any()
    assert_close(found, expected, 1e-8)


@net
def test_kpca_cam_is_scikit_learns(pair):
    found = attribution.kpca_cam(pair.model, pair.x, layer=LAYER)
    for one, A in zip(found, pair.model.forward(pair.x)[LAYER], strict=True):
        pixels = A.reshape(len(A), -1).T
        pixels = pixels - pixels.mean(axis=0)
        expected = (
            KernelPCA(1, kernel="sigmoid", eigen_solver="dense").fit_transform(pixels).reshape(one.shape)
        )
        assert_close(one, expected * np.sign((expected * one).sum()), 1e-8)
        assert (one.ravel() @ pixels.mean(axis=1)) > 0


def test_kpca_cam_refuses_a_layer_whose_kernel_matrix_is_too_large():
    model = Model(
        layers.Sequential(
            {"c": layers.Conv2d.init(3, 2, 1), "r": layers.ReLU(), "m": layers.GlobalAvgPool2d()}
        )
    )
    with pytest.raises(InputError, match="a layer of at most 4,096 pixels, .* found 4,225"):
        attribution.kpca_cam(model, np.zeros((1, 3, 65, 65), np.float32), layer="c")


@net
@pytest.mark.parametrize("k", [2, 0.5])
def test_fem(pair, k):
    found = attribution.fem(pair.model, pair.x, layer=LAYER, k=k)
    A = torch.tensor(pair.model.forward(pair.x)[LAYER])
    mean, std = A.mean((2, 3), keepdim=True), A.std((2, 3), correction=0, keepdim=True)
    share = (mean + k * std < A).double().mean((2, 3), keepdim=True)
    assert share.any()
    assert_close(found, (share * A).sum(1).numpy(), 1e-8)


def test_fem_says_where_it_shows_nothing():
    """Of n pixels, none can be more than sqrt(n - 1) standard deviations above their mean."""
    with pytest.warns(
        UserWarning, match="^fem: no activation is more than 40 standard deviations above"
    ) as caught:
        found = attribution.fem(SMALL.model, SMALL.x, layer=LAYER, k=40)
    assert not found.any() and caught[0].filename == __file__


def test_random_cam():
    A = SMALL.model.forward(SMALL.x)[LAYER]
    found = attribution.random_cam(SMALL.model, SMALL.x, layer=LAYER, rng=3)
    weights = np.random.default_rng(3).uniform(-1, 1, A.shape[1])
    assert_close(found, np.einsum("k,nkij->nij", weights, A), 1e-12)
    assert np.array_equal(found[1:2], attribution.random_cam(SMALL.model, SMALL.x[1:2], layer=LAYER, rng=3))


@net
@pytest.mark.parametrize("alpha", [1.0, 0.6])
@pytest.mark.parametrize("weighting", ["uniform", "pytorch-grad-cam"])
def test_finer_cam(pair, alpha, weighting):
    def finer(logits):
        values = []
        for y, c in zip(logits, TARGETS, strict=True):
            order = torch.argsort((y - y[c]).abs(), stable=True)
            similar = [int(d) for d in order if d != c][:2]
            p = torch.softmax(y, 0)[similar] if weighting != "uniform" else torch.ones(2) / 2
            bottom = p.sum() + 1e-9 if weighting != "uniform" else 1
            values.append((p * (y[c] - alpha * y[similar])).sum() / bottom)
        return torch.stack(values)

    A, dA, _ = torch_activation(pair, finer)
    found = attribution.finer_cam(
        pair.model, pair.x, TARGETS, layer=LAYER, alpha=alpha, n_similar=2, weighting=weighting
    )
    assert_close(found, (dA.mean(axis=(2, 3), keepdims=True) * A).sum(axis=1), 1e-8)


def test_what_finer_cam_refuses():
    for options, words in (
        ({"target": "0 - 1"}, "finer_cam: expected a class as the target"),
        ({"n_similar": 5}, "n_similar: expected 1 to 4, found 5"),
        ({"weighting": "mean"}, "weighting: expected"),
    ):
        with pytest.raises(InputError, match=words):
            attribution.finer_cam(SMALL.model, SMALL.x, **options)


@net
@pytest.mark.parametrize("target", ["prob(1)", "score(1) + logprob(1)", "1*2"])
def test_shapley_cam(pair, target):
    score = {
        "prob(1)": lambda y: y.softmax(1)[:, 1],
        "score(1) + logprob(1)": lambda y: y[:, 1] + y.log_softmax(1)[:, 1],  # the paper's ReST
        "1*2": lambda y: y[:, 2],
    }[target]
    A, dA, HA = torch_activation(pair, score)
    assert HA.any() == (target != "1*2")
    expected = ((dA - HA / 2).mean(axis=(2, 3), keepdims=True) * A).sum(axis=1)
    found = attribution.shapley_cam(pair.model, pair.x, target, layer=LAYER)
    assert_close(found, expected, 1e-8)
    if target == "1*2":  # the score is piecewise linear
        assert_close(found, attribution.grad_cam(pair.model, pair.x, 2, layer=LAYER), 1e-8)
