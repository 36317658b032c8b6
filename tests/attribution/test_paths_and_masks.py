"""RISE, blur and guided integrated gradients, and XRAI: each against its formula in torch or the authors' loops."""

import math

import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close
from messages import A_NUMBER, A_WHOLE_NUMBER
from scipy import ndimage

from npgrad import InputError, Model, attribution, layers, targets
from npgrad.attribution import segments
from npgrad.attribution._common import gray

SMALL = {pair.name: pair for pair in pairs()}
NETS = [SMALL["fires"], pytest.param(squeezenets()[1], marks=pytest.mark.exhaustive)]
net = pytest.mark.parametrize("pair", NETS, ids=lambda pair: pair.name)


def scores(pair, x, target):
    with torch.no_grad():
        return pair.net(torch.tensor(x))[:, target].numpy()


def gradient(pair, x, target):
    """d score / d x of one image (C, H, W), by autograd."""
    x = torch.tensor(x[None]).requires_grad_()
    return torch.autograd.grad(pair.net(x)[0, target], x)[0][0].numpy()


@pytest.mark.sampled(2)
@net
@pytest.mark.parametrize("center", [False, True])
def test_rise_is_the_formula_over_the_same_masks(pair, center):
    """Masks enlarged by torch and cut out, as in the authors' code."""
    n, cells, keep = 40, 5, 0.3
    found = attribution.rise(
        pair.model,
        pair.x,
        TARGETS,
        n_samples=n,
        cells=cells,
        probability=keep,
        center=center,
        rng=3,
        baseline=0.1,
    )
    height, width = pair.x.shape[2:]
    steps = math.ceil(height / cells), math.ceil(width / cells)
    rng, masks = np.random.default_rng(3), []
    for _ in range(n):
        grid = torch.tensor(rng.random((cells, cells)) < keep).double()[None, None]
        whole = [(cells + 1) * step for step in steps]
        large = torch.nn.functional.interpolate(grid, whole, mode="bilinear", align_corners=False)[0, 0]
        top, left = (int(rng.integers(step)) for step in steps)
        masks.append(large[top : top + height, left : left + width].numpy())
    masks = np.stack(masks)
    for map_, image, target in zip(found, pair.x, TARGETS, strict=True):
        weights = scores(pair, image * masks[:, None] + 0.1 * (1 - masks[:, None]), target)
        weights = weights - weights.mean() if center else weights
        assert_close(map_, np.einsum("k,kij->ij", weights, masks) / (n * keep), 1e-8)


def gaussian(side, sigma):
    """The blur along one side, for torch to differentiate."""
    d = torch.arange(1 - side, side).double()
    g = torch.exp(-(d**2) / (2 * sigma**2))
    g = g / g.sum()
    return torch.stack([g[side - 1 - i : 2 * side - 1 - i] for i in range(side)])


@pytest.mark.sampled(1)
@net
@pytest.mark.parametrize("method", ["gausslegendre", "riemann_middle"])
def test_blur_ig_is_the_integral_by_autograd(pair, method):
    n, largest = 3, 4.0
    found, delta = attribution.blur_ig(
        pair.model, pair.x, TARGETS, max_sigma=largest, n_steps=n, method=method, return_delta=True
    )
    t, w = np.polynomial.legendre.leggauss(n)
    nodes, weights = (1 + t) / 2, w / 2
    if method == "riemann_middle":
        nodes, weights = (np.arange(n) + 0.5) / n, np.full(n, 1 / n)
    for one, error, image, target in zip(found, delta, pair.tensor(), TARGETS, strict=True):

        def blur(sigma, image=image):
            return gaussian(image.shape[1], sigma) @ image @ gaussian(image.shape[2], sigma).T

        expected = np.zeros(image.shape)
        for node, weight in zip(nodes, weights, strict=True):
            sigma = torch.tensor(largest * node, dtype=torch.float64, requires_grad=True)
            L = blur(sigma)
            v = torch.zeros_like(L, requires_grad=True)  # v . dL is linear in v: its gradient is dL
            dL = torch.autograd.grad(torch.autograd.grad(L, sigma, v, create_graph=True)[0], v)[0]
            expected -= weight * largest * gradient(pair, L.detach().numpy(), target) * dL.numpy()
        assert_close(one, expected, 1e-8)
        ends = np.stack([image.numpy(), blur(torch.tensor(largest)).numpy()])
        after, before = scores(pair, ends, target)
        assert error == pytest.approx(expected.sum() - (after - before), abs=1e-9)


def test_blur_ig_is_the_authors_up_to_their_difference_quotient():
    pair, n, largest, h = SMALL["fires"], 5, 4.0, 1e-5
    found = attribution.blur_ig(
        pair.model, pair.x, TARGETS, max_sigma=largest, n_steps=n, method="riemann_left"
    )

    def blur(image, sigma):
        return ndimage.gaussian_filter(image, [0, sigma, sigma], mode="constant", truncate=40)

    for one, image, target in zip(found, pair.x, TARGETS, strict=True):
        expected = np.zeros(image.shape)
        for step in range(n):
            sigma = largest * step / n
            L = blur(image, sigma) if sigma else image
            dL = (blur(image, sigma + h) - L) / h
            expected -= largest / n * gradient(pair, L, target) * dL
        assert_close(one, expected, 1e-4)


def test_blur_ig_is_complete():
    pair = SMALL["convolutions"]
    _, delta = attribution.blur_ig(pair.model, pair.x, "prob(0) - prob(1)", n_steps=400, return_delta=True)
    assert np.abs(delta).max() < 2e-3


def authors_guided_ig(x, x0, gradient, steps, fraction, max_dist):
    """PAIR saliency's loop, with its names."""
    x_input, x_baseline, x, attr = x, x0, x0.copy(), np.zeros_like(x)
    l1_total = np.abs(x_input - x_baseline).sum()
    for step in range(steps):
        grad_actual = gradient(x)
        grad = grad_actual.copy()
        alpha = (step + 1.0) / steps
        alpha_min, alpha_max = max(alpha - max_dist, 0.0), min(alpha + max_dist, 1.0)
        x_min = x_baseline + (x_input - x_baseline) * alpha_min
        x_max = x_baseline + (x_input - x_baseline) * alpha_max
        l1_target = l1_total * (1 - (step + 1) / steps)
        gamma = np.inf
        while gamma > 1.0:
            x_old = x.copy()
            with np.errstate(invalid="ignore"):
                x_alpha = np.where(
                    x_input != x_baseline, (x - x_baseline) / (x_input - x_baseline), alpha_max
                )
            x[x_alpha < alpha_min] = x_min[x_alpha < alpha_min]
            l1_current = np.abs(x - x_input).sum()
            if math.isclose(l1_target, l1_current, rel_tol=1e-9, abs_tol=1e-9):
                attr += (x - x_old) * grad_actual
                break
            grad[x == x_max] = np.inf
            threshold = np.quantile(np.abs(grad), fraction, method="lower")
            s = np.logical_and(np.abs(grad) <= threshold, grad != np.inf)
            l1_s = (np.abs(x - x_max) * s).sum()
            gamma = (l1_current - l1_target) / l1_s if l1_s > 0 else np.inf
            x[s] = x_max[s] if gamma > 1.0 else (x + (x_max - x) * gamma)[s]
            attr += (x - x_old) * grad_actual
    return attr


@pytest.mark.sampled(2)
@net
@pytest.mark.parametrize(("fraction", "max_distance"), [(0.25, 0.05), (0.6, 0.3), (1.0, 0.0)])
def test_guided_ig_is_the_authors_loop(pair, fraction, max_distance):
    x0 = np.random.default_rng(0).normal(scale=0.1, size=pair.x.shape)
    x0[:, 0, :4] = pair.x[:, 0, :4]  # nothing to move
    found, delta = attribution.guided_ig(
        pair.model, pair.x, TARGETS, baseline=x0, n_steps=12, fraction=fraction, max_distance=max_distance,
        return_delta=True,
    )  # fmt: skip
    for i, target in enumerate(TARGETS):
        expected = authors_guided_ig(
            pair.x[i], x0[i], lambda x, t=target: gradient(pair, x, t), 12, fraction, max_distance
        )
        assert_close(found[i], expected, 1e-8)
        end, start = scores(pair, np.stack([pair.x[i], x0[i]]), target)
        assert delta[i] == pytest.approx(expected.sum() - (end - start), abs=1e-9)


def test_a_straight_guided_path_is_that_of_integrated_gradients():
    pair = SMALL["convolutions"]
    found, delta = attribution.guided_ig(
        pair.model, pair.x, TARGETS, n_steps=40, max_distance=0, return_delta=True
    )
    expected = attribution.integrated_gradients(
        pair.model, pair.x, TARGETS, n_steps=40, method="riemann_left"
    )
    assert_close(found, expected, 1e-8)
    guided, delta = attribution.guided_ig(pair.model, pair.x, "0 - 1", n_steps=60, return_delta=True)
    assert guided.any() and np.abs(delta).max() < 0.05


def authors_xrai(attr, masks, min_pixel_diff):
    """PAIR saliency's loop, with its names."""
    output, current = np.full(attr.shape, -np.inf), np.zeros(attr.shape, bool)
    remaining = dict(enumerate(masks))
    while remaining:
        best_gain, best = -np.inf, None
        for key, mask in list(remaining.items()):
            added = mask & ~current
            if added.sum() < min_pixel_diff:
                del remaining[key]
            elif attr[added].mean() > best_gain:
                best_gain, best = attr[added].mean(), key
        if not remaining:
            break
        added = remaining.pop(best) & ~current
        output[added] = best_gain
        current |= added
    uncomputed = output == -np.inf
    output[uncomputed] = attr[uncomputed].mean() if uncomputed.any() else 0
    return output


@pytest.mark.sampled(2)
@net
@pytest.mark.parametrize("channels", ["max", "sum"])
@pytest.mark.parametrize("own_baseline", [False, True])
def test_xrai_is_the_authors_loop(pair, channels, own_baseline):
    scales, radius, smallest = (60, 20, 7), 2, 9
    given = np.random.default_rng(1).normal(size=(3, *pair.x.shape[1:])) if own_baseline else None
    starts = given if own_baseline else [gray(pair.model, value, pair.x)[0] for value in (0, 1)]
    found = attribution.xrai(
        pair.model, pair.x, TARGETS, baseline=given, n_segments=scales, dilation=radius, smallest=smallest,
        channels=channels, n_steps=5,
    )  # fmt: skip
    nodes, weights = np.polynomial.legendre.leggauss(5)
    i, j = np.indices((2 * radius + 1,) * 2) - radius
    for one, image, target in zip(found, pair.x, TARGETS, strict=True):
        attr = np.zeros(image.shape)
        for x0 in starts:
            for t, w in zip((1 + nodes) / 2, weights / 2, strict=True):
                point = x0 + t * (image - x0)
                attr += w * (image - x0) * gradient(pair, point, target) / len(starts)
        attr = attr.max(axis=0) if channels == "max" else attr.sum(axis=0)
        masks = []
        for count in scales:
            labels = segments.superpixels(image, count)
            masks += [
                ndimage.binary_dilation(labels == k, i**2 + j**2 <= radius**2) for k in np.unique(labels)
            ]
        assert_close(one, authors_xrai(attr, masks, smallest), 1e-8)
        assert one.sum() == pytest.approx(attr.sum(), rel=1e-9)


def test_black_and_white_are_those_of_the_networks_channels():
    model = Model(layers.Sequential({"c": layers.Conv2d.init(4, 3, 3), "m": layers.GlobalAvgPool2d()}))
    x = np.ones((1, 4, 9, 9), np.float32)
    with pytest.raises(InputError, match="^baseline: expected one for inputs of 4 channels; black and white"):
        attribution.xrai(model, x)
    assert attribution.xrai(model, x, baseline=0).shape == (1, 9, 9)


@pytest.mark.parametrize("name", ["rise", "blur_ig", "xrai"])
def test_vectors_have_no_masks_blurs_or_segments(name):
    model = Model(layers.Sequential({"fc": layers.Linear.init(4, 3)}))
    with pytest.raises(InputError, match=rf"{name}: expected images \(N, C, H, W\), found shape \(2, 4\)"):
        getattr(attribution, name)(model, np.ones((2, 4), np.float32))
    assert attribution.guided_ig(model, np.ones((2, 4), np.float32), n_steps=2).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("rise", {"cells": 30}, "cells: expected at most 29, the shorter side of the image; found 30"),
        ("rise", {"probability": 0}, f"probability: {A_NUMBER} > 0 and <= 1, found 0"),
        ("guided_ig", {"fraction": 1.5}, f"fraction: {A_NUMBER} > 0 and <= 1, found 1.5"),
        ("guided_ig", {"max_distance": -1}, f"max_distance: {A_NUMBER} >= 0 and <= 1, found -1"),
        ("blur_ig", {"max_sigma": 0}, f"max_sigma: {A_NUMBER} > 0, found 0"),
        ("xrai", {"n_segments": 5}, "n_segments: expected a list of whole numbers, found 5"),
        ("xrai", {"n_segments": [5, 0]}, f"n_segments: {A_WHOLE_NUMBER} >= 1, found 0"),
        ("xrai", {"channels": "mean"}, "channels: expected one of max, sum; found 'mean'"),
        ("xrai", {"smallest": 0}, f"smallest: {A_WHOLE_NUMBER} >= 1, found 0"),
    ],
)
def test_options_are_checked_before_the_work(name, options, words):
    def never(y):
        raise AssertionError("the network has run")

    with pytest.raises(InputError, match=f"^{words}$"):
        getattr(attribution, name)(SMALL["fires"].model, SMALL["fires"].x, targets.expression("0"), **options)
