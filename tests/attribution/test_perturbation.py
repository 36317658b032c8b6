"""Occlusion and feature ablation, against Captum and on networks where the answer is known."""

import math
from itertools import product

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from messages import A_NUMBER, A_WHOLE_NUMBER

from npgrad import InputError, Model
from npgrad.attribution.ablation import feature_ablation
from npgrad.attribution.occlusion import _windows, occlusion
from npgrad.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, Sequential

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}


def windows_that_fit(pair):
    """(window, stride) of several kinds: whole steps and cut off ones, some channels or all."""
    h, w = pair.x.shape[2:]
    if pair.name.startswith("squeezenet"):
        return [((3, 15, 15), (3, 14, 13)), ((1, 30, 25), (1, 20, 14))]
    return [
        ((3, h // 2, w // 2), (3, h // 2, w // 3)),
        ((3, h // 2 + 1, w // 3), (3, 3, 2)),
        ((1, h // 2, w // 2), (1, h // 2 - 1, w // 2)),
        ((2, h, w // 2), (1, h, w // 2)),
    ]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", PAIRS)
def test_occlusion_equals_captum(name):
    pair = PAIRS[name]
    for window, stride in windows_that_fit(pair):
        expected = C.Occlusion(pair.net).attribute(
            pair.tensor(), window, stride, baselines=0.5, target=TARGETS
        )
        found = occlusion(pair.model, pair.x, TARGETS, window, stride, baseline=0.5)
        checks.assert_close(found, expected.detach().numpy(), 1e-7)


def test_occlusion_is_its_formula_to_the_last_digits():
    """The same loop written out, with a baseline of its own for every image."""
    pair = PAIRS["overlapping pools"]
    baseline = np.random.default_rng(0).normal(size=pair.x.shape)
    clean = pair.model(pair.x)
    total, count = np.zeros_like(pair.x), np.zeros_like(pair.x)
    for top in 0, 4, 8, 12:  # of 16 rows: 4 windows of 6, the last cut off to 4
        for left in 0, 5, 10, 15:  # of 21 columns: 4 windows of 8, the last cut off to 6
            covered = pair.x.copy()
            place = (slice(None), slice(None), slice(top, top + 6), slice(left, left + 8))
            covered[place] = baseline[place]
            lost = (clean - pair.model(covered))[[0, 1, 2], TARGETS]
            total[place] += lost[:, None, None, None]
            count[place] += 1
    found = occlusion(pair.model, pair.x, TARGETS, window=(6, 8), stride=(4, 5), baseline=baseline)
    checks.assert_close(found, total / count, 1e-13)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", PAIRS)
def test_feature_ablation_equals_captum(name):
    pair = PAIRS[name]
    n, c, h, w = pair.x.shape
    rng = np.random.default_rng(4)
    baseline = rng.normal(size=pair.x.shape)
    masks = [
        np.add.outer(np.arange(h) // 4 * 3, np.arange(w) // 6),
        rng.integers(5, size=(c, h, w)),
        rng.integers(4, size=(n, c, h, w)),
    ]
    for mask in masks:
        expected = C.FeatureAblation(pair.net).attribute(
            pair.tensor(),
            torch.tensor(baseline),
            target=TARGETS,
            feature_mask=torch.tensor(
                np.broadcast_to(mask, pair.x.shape if mask.ndim == 4 else (1, c, h, w))
            ),
        )
        found = feature_ablation(pair.model, pair.x, TARGETS, mask, baseline)
        checks.assert_close(found, expected.detach().numpy(), 1e-10)


def test_without_a_mask_every_element_is_a_feature():
    pair = PAIRS["linears"]
    expected = C.FeatureAblation(pair.net).attribute(pair.tensor(), target=TARGETS)
    checks.assert_close(feature_ablation(pair.model, pair.x, TARGETS), expected.detach().numpy(), 1e-10)


def test_masks_may_be_numbered_as_they_like():
    pair = PAIRS["convolutions"]
    mask = np.arange(11 * 13).reshape(11, 13) // 30
    found = feature_ablation(pair.model, pair.x, TARGETS, mask)
    assert np.array_equal(found, feature_ablation(pair.model, pair.x, TARGETS, 7 - 3 * mask))
    assert np.array_equal(found, feature_ablation(pair.model, pair.x, TARGETS, mask.astype(np.uint8)))


def test_what_covers_is_the_same_as_what_was_there():
    """Nothing changes, so nothing is lost: exactly."""
    pair = PAIRS["fires"]
    assert not occlusion(pair.model, pair.x, TARGETS, 8, 8, baseline=pair.x).any()
    mask = np.zeros(pair.x.shape[2:], int)
    assert not feature_ablation(pair.model, pair.x, TARGETS, mask, baseline=pair.x).any()


@pytest.mark.parametrize(
    ("side", "window", "stride"), [(224, 45, 16), (64, 13, 5), (28, 6, 2), (4, 1, 1), (300, 45, 16)]
)
def test_the_default_window_fits_the_image(side, window, stride):
    model = Model(Sequential({"flatten": Flatten(), "fc": Linear.init(side * side, 2)}))
    x = np.random.default_rng(side).normal(size=(1, 1, side, side))
    np.testing.assert_array_equal(occlusion(model, x, 0), occlusion(model, x, 0, window, stride))
    if side == 64:
        np.testing.assert_array_equal(occlusion(model, x, 0, 45), occlusion(model, x, 0, 45, 16))


def test_the_target_stays_that_of_the_clean_image():
    """Covered images may be of another class; what is lost is still the clean image's."""
    pair = PAIRS["linears"]
    x = pair.x * 3
    top = pair.model(x).argmax(axis=1)
    assert (pair.model(np.zeros_like(x)).argmax(axis=1) != top).any()
    whole = occlusion(pair.model, x, window=x.shape[2:], stride=1)
    clean, empty = pair.model(x)[range(3), top], pair.model(np.zeros_like(x))[range(3), top]
    checks.assert_close(whole[:, 0, 0, 0], clean - empty, 1e-12)


def test_on_a_linear_network_what_is_lost_is_the_sum_of_the_products():
    weight = np.array([1.0, -2.0, 3.0]).reshape(1, 3, 1, 1)
    model = Model(
        Sequential({"conv": Conv2d(weight, np.ones(1)), "pool": GlobalAvgPool2d()}), outputs="value"
    )
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6))
    products = (x * weight).sum(axis=1) / 36
    expected = products.reshape(2, 3, 2, 3, 2).sum(axis=(2, 4)).repeat(2, axis=1).repeat(2, axis=2)
    found = occlusion(model, x, 0, window=2, stride=2)
    checks.assert_close(found, np.repeat(expected[:, None], 3, axis=1), 1e-12)


@pytest.mark.parametrize("size", range(1, 9))
def test_windows_cover_every_pixel_and_start_inside(size):
    for window, stride in product(range(1, size + 1), range(1, 7)):
        if stride > window < size:
            continue  # refused: pixels would be left out
        places = [place[2] for place in _windows((1, 1, size), (1, 1, window), (1, 1, stride))]
        assert len(places) == math.ceil((size - window) / stride) + 1
        assert [place.start for place in places] == [k * stride for k in range(len(places))]
        assert places[-1].start < size <= places[-1].stop
        assert all(place.stop - place.start == window for place in places)


def test_the_default_window_and_stride_are_for_images_of_224_px():
    places = _windows((3, 224, 224), 45, 16)
    assert len(places) == 13 * 13
    assert places[0] == (slice(0, 3), slice(0, 45), slice(0, 45))
    assert places[-1] == (slice(0, 3), slice(192, 237), slice(192, 237))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, f"window: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"window": 2.5}, f"window: {A_WHOLE_NUMBER} >= 1, found 2.5"),
        ({"window": (4,)}, rf"window: {A_NUMBER}, \(h, w\) or \(c, h, w\), found \(4,\)"),
        ({"window": 12}, r"window: expected at most the image \(3, 11, 13\), found \(3, 12, 12\)"),
        ({"window": (4, 4, 4)}, r"window: expected at most the image \(3, 11, 13\), found \(4, 4, 4\)"),
        ({"window": 4, "stride": 0}, f"stride: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"window": 4, "stride": -2}, f"stride: {A_WHOLE_NUMBER} >= 1, found -2"),
        ({"window": 4, "stride": 5}, r"stride: expected at most the window \(3, 4, 4\), found \(3, 5, 5\)"),
        ({"window": 4, "stride": 4, "baseline": np.zeros(5)}, "baseline: .* broadcasts to"),
    ],
)
def test_occlusions_wrong_arguments_are_named(options, message):
    pair = PAIRS["convolutions"]
    with pytest.raises(InputError, match=f"^{message}"):
        occlusion(pair.model, pair.x, TARGETS, **options)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((11, 13)), "mask: expected integers, found float64"),
        (np.zeros((5, 5), int), r"mask: .* broadcasts to \(3, 3, 11, 13\), found shape \(5, 5\)"),
    ],
)
def test_feature_ablations_wrong_masks_are_named(mask, message):
    pair = PAIRS["convolutions"]
    with pytest.raises(InputError, match=f"^{message}"):
        feature_ablation(pair.model, pair.x, TARGETS, mask)
