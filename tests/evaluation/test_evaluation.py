"""Measures of attributions, each against Captum or against a second, slower computation."""

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max as captum_sensitivity
from captum_nets import TARGETS, pairs, squeezenets
from checks import additions_in, assert_rounding
from messages import A_NUMBER
from scipy import ndimage

from npgrad import Model, layers
from npgrad.attribution import saliency
from npgrad.errors import InputError
from npgrad.evaluation import (
    deletion_auc,
    energy_inside,
    infidelity,
    insertion_auc,
    pointing_game,
    road,
    sensitivity_max,
)

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}
NET = PAIRS["overlapping pools"]
MEASURES = [infidelity, deletion_auc, insertion_auc, road]


@pytest.fixture
def attribution(rng):
    return rng.normal(size=NET.x.shape)


def planted(side=16, rows=slice(4, 8), columns=slice(9, 14)):
    """A network whose class 1 scores by the mean brightness of one patch alone; class 0 has a fixed score."""
    weight = np.zeros((2, 3, side, side))
    weight[1, :, rows, columns] = 0.1
    linear = layers.Linear(weight.reshape(2, -1), np.array([0.5, -2.0]))
    inside = np.zeros((side, side), bool)
    inside[rows, columns] = True
    network = layers.Sequential({"flatten": layers.Flatten(), "fc": linear})
    x = 1 + 0.3 * np.random.default_rng(1).random((2, 3, side, side))
    return Model(network), x, inside, weight[1]


def softmax_of(model, image, target):
    logits = model(image[None])[0]
    e = np.exp(logits - logits.max())
    return e[target] / e.sum()


# infidelity and sensitivity


def in_turn(perturbations):
    """A noise or radius function that hands out these one by one."""
    waiting = iter(perturbations)
    return lambda image, rng: next(waiting)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("normalize", [False, True])
def test_infidelity_is_captums_on_the_same_perturbations(name, normalize, rng):
    pair = PAIRS[name]
    attribution = rng.normal(size=pair.x.shape)
    noise = rng.normal(scale=0.2, size=(10, *pair.x.shape))  # sample by sample, the images in turn
    per_sample = torch.tensor(noise.swapaxes(0, 1).reshape(-1, *pair.x.shape[1:]))  # as Captum repeats them
    expected = captum_infidelity(
        pair.net, lambda x: (per_sample, x - per_sample), pair.tensor(), torch.tensor(attribution),
        target=TARGETS, normalize=normalize,
    )  # fmt: skip
    found = infidelity(
        pair.model, pair.x, attribution, TARGETS, normalize=normalize,
        noise=in_turn(noise.reshape(-1, *pair.x.shape[1:])),
    )  # fmt: skip
    assert found.shape == (3,)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-8)


def test_infidelity_of_what_foretells_every_change_is_0():
    model, x, _, weight = planted()
    exact = np.broadcast_to(weight, x.shape)
    assert infidelity(model, x, exact, 1).max() < 1e-25
    assert infidelity(model, x, 3 * exact, 1).min() > 0.01
    assert infidelity(model, x, 3 * exact, 1, normalize=True).max() < 1e-25
    assert infidelity(model, x, 0 * exact, 1, normalize=True).min() > 0.001  # nothing to scale, and no NaN


def test_the_noise_of_infidelity_is_normal_with_that_deviation():
    """Of an attribution of 0 infidelity is the mean square change, here that of a sum of normal numbers."""
    model, x, inside, weight = planted()
    found = infidelity(model, x, np.zeros_like(x), 1, noise=0.7, n_samples=3000)
    np.testing.assert_allclose(found, 0.7**2 * (weight**2).sum(), rtol=0.1)
    assert infidelity(model, x, np.zeros_like(x), 1, noise=0).max() < 1e-25


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["convolutions", "max pools", "fires", "linears", "squeezenet1_1"])
def test_sensitivity_is_captums_on_the_same_perturbations(name, rng):
    pair = PAIRS[name]
    moves = rng.uniform(-0.02, 0.02, size=(10, *pair.x.shape))
    per_sample = torch.tensor(moves.swapaxes(0, 1).reshape(-1, *pair.x.shape[1:]))

    def explain(x, target):
        if isinstance(x, tuple):
            return (explain(x[0], target),)
        return Saliency(pair.net).attribute(x.detach().requires_grad_(), target)

    expected = captum_sensitivity(explain, pair.tensor(), lambda x: x + per_sample, target=TARGETS)
    found = sensitivity_max(
        saliency, pair.model, pair.x, TARGETS, radius=in_turn(moves.reshape(-1, 1, *pair.x.shape[1:]))
    )
    assert found.max() > 0.001
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-8, atol=1e-14)


def test_sensitivity_stays_within_the_radius_and_keeps_the_target():
    seen = []

    def method(model, x, targets, scale):
        seen.append((x, list(targets)))
        return scale * x

    found = sensitivity_max(method, NET.model, NET.x, radius=0.5, n_samples=40, scale=7.0)
    moves = np.stack([x for x, _ in seen[1:]]) - NET.x
    assert len(moves) == 40
    assert 0.499 < np.abs(moves).max() <= 0.5
    assert abs(moves.mean()) < 0.01
    assert abs(moves.std() - 0.5 / np.sqrt(3)) < 0.01
    top = NET.model(NET.x).argmax(axis=1).tolist()
    assert all(targets == top for _, targets in seen)
    ratios = np.sqrt((moves**2).sum(axis=(2, 3, 4)) / (NET.x**2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(found, ratios.max(axis=0), rtol=1e-12)


def test_sensitivity_of_a_constant_explanation_is_0():
    assert not sensitivity_max(lambda model, x, target: np.ones_like(x), NET.model, NET.x).any()
    assert not sensitivity_max(lambda model, x, target: np.zeros_like(x), NET.model, NET.x).any()


# deletion and insertion


def slow_curve(model, image, order, target, n_steps, before, after):
    """One pixel after the other, one image at a time."""
    _, height, width = image.shape
    now, gone, fractions, curve = before.copy(), 0, [], []
    for k in range(n_steps + 1):
        while gone < round(k * height * width / n_steps):
            row, column = divmod(order[gone], width)
            now[:, row, column] = after[:, row, column]
            gone += 1
        fractions.append(gone / (height * width))
        curve.append(softmax_of(model, now, target))
    area = 0.0
    for k in range(n_steps):
        area += (fractions[k + 1] - fractions[k]) * (curve[k] + curve[k + 1]) / 2
    return area


@pytest.mark.sampled(1)
@pytest.mark.parametrize("n_steps", [1, 7, 50, 1000])
def test_deletion_and_insertion_are_the_slow_loop(attribution, n_steps):
    attribution[:, :, 3:9] = 0.25  # ties go row by row
    deleted = deletion_auc(NET.model, NET.x, attribution, TARGETS, n_steps=n_steps, baseline=0.1)
    inserted = insertion_auc(NET.model, NET.x, attribution, TARGETS, n_steps=n_steps)
    assert deleted.shape == inserted.shape == (3,)
    for i, target in enumerate(TARGETS):
        value = attribution[i].sum(axis=0).ravel()
        order = sorted(range(value.size), key=lambda pixel, value=value: (-value[pixel], pixel))
        x = NET.x[i]
        blur = np.stack([ndimage.gaussian_filter(plane, 5, radius=5) for plane in x])
        common = NET.model, x, order, target, n_steps
        np.testing.assert_allclose(deleted[i], slow_curve(*common, x, np.full_like(x, 0.1)), rtol=1e-12)
        np.testing.assert_allclose(inserted[i], slow_curve(*common, blur, x), rtol=1e-12)


def test_the_curve_goes_from_the_image_to_the_baseline(attribution):
    baseline = np.random.default_rng(1).normal(size=NET.x.shape)
    options = {"target": TARGETS, "n_steps": 8, "baseline": baseline, "return_curve": True}
    area, fractions, deletion = deletion_auc(NET.model, NET.x, attribution, **options)
    _, _, insertion = insertion_auc(NET.model, NET.x, -attribution, **options)
    np.testing.assert_array_equal(fractions, np.arange(9) / 8)
    assert deletion.shape == (3, 9)
    for i, target in enumerate(TARGETS):
        assert deletion[i, 0] == pytest.approx(softmax_of(NET.model, NET.x[i], target), rel=1e-12)
        assert deletion[i, -1] == pytest.approx(softmax_of(NET.model, baseline[i], target), rel=1e-12)
    np.testing.assert_allclose(insertion, deletion[:, ::-1], rtol=1e-12)  # the same images, backwards
    np.testing.assert_array_equal(area, deletion_auc(NET.model, NET.x, attribution, **options)[0])


def test_a_map_and_its_channels_say_the_same(attribution):
    one = attribution.sum(axis=1)
    for measure in (deletion_auc, insertion_auc, road):
        np.testing.assert_array_equal(
            measure(NET.model, NET.x, one, TARGETS), measure(NET.model, NET.x, attribution, TARGETS)
        )


def test_the_true_explanation_beats_a_random_one(rng):
    model, x, inside, weight = planted()
    true = np.broadcast_to(weight, x.shape)
    for _ in range(3):
        random = rng.normal(size=x.shape)
        assert (deletion_auc(model, x, true, 1) < deletion_auc(model, x, random, 1) - 0.1).all()
        assert (
            insertion_auc(model, x, true, 1, baseline=0) > insertion_auc(model, x, random, 1, baseline=0)
        ).all()
        assert (infidelity(model, x, true, 1) < infidelity(model, x, random, 1)).all()
        assert (infidelity(model, x, true, 1) < infidelity(model, x, -true, 1)).all()
        assert (energy_inside(true, inside) > energy_inside(random, inside)).all()
    patchy = x.copy()
    patchy[:, :, ~inside] -= 2  # imputed from the surroundings, the patch goes dark
    for _ in range(3):
        random = rng.normal(size=x.shape)
        assert (road(model, patchy, true, 1) > road(model, patchy, random, 1) + 0.2).all()


# all of them


@pytest.mark.parametrize("measure", MEASURES)
def test_the_size_of_batches_changes_rounding_alone(measure, attribution):
    found = measure(NET.model, NET.x, attribution, TARGETS)
    for batch_size in (1, 7, 1000):
        calls = []
        again = measure(
            NET.model, NET.x, attribution, TARGETS, batch_size=batch_size,
            progress=lambda done, total, calls=calls: calls.append((done, total)),
        )  # fmt: skip
        assert_rounding(again, found, additions_in(NET.model), scale=max(1, np.abs(found).max()))
        assert calls[-1][0] == calls[-1][1]
        assert [done for done, _ in calls] == sorted({done for done, _ in calls})


@pytest.mark.parametrize("measure", [infidelity, road])
def test_the_seed_decides(measure, attribution):
    common = NET.model, NET.x, attribution, TARGETS
    found = measure(*common, rng=3)
    np.testing.assert_array_equal(found, measure(*common, rng=np.random.default_rng(3)))
    assert not np.array_equal(found, measure(*common, rng=4))


def test_the_seed_of_sensitivity_decides():
    found = sensitivity_max(saliency, NET.model, NET.x, TARGETS, rng=3)
    np.testing.assert_array_equal(found, sensitivity_max(saliency, NET.model, NET.x, TARGETS, rng=3))
    assert not np.array_equal(found, sensitivity_max(saliency, NET.model, NET.x, TARGETS, rng=4))


@pytest.mark.parametrize("measure", MEASURES)
def test_top_classes_single_precision_and_untouched_arguments(measure, attribution):
    x, kept = NET.x.copy(), attribution.copy()
    found = measure(NET.model, x, attribution)
    top = NET.model(NET.x).argmax(axis=1)
    np.testing.assert_array_equal(found, measure(NET.model, x, attribution, top))
    np.testing.assert_array_equal(x, NET.x)
    np.testing.assert_array_equal(attribution, kept)
    single = measure(NET.model.astype(np.float32), x.astype(np.float32), attribution.astype(np.float32))
    np.testing.assert_allclose(single, found, rtol=1e-3, atol=1e-5)


A = np.zeros(NET.x.shape)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: infidelity(NET.model, NET.x, A[:, 0]),
            r"attribution: expected the input's shape \(3, 3, 16, 21\)",
        ),
        (lambda: infidelity(NET.model, NET.x, A, n_samples=0), "n_samples"),
        (lambda: infidelity(NET.model, NET.x, A, noise=-1), "noise"),
        (
            lambda: infidelity(NET.model, NET.x, A, noise=lambda p, rng: p[0]),
            "noise: expected a perturbation",
        ),
        (lambda: infidelity(NET.model, NET.x, A, batch_size=0), "batch_size"),
        (lambda: infidelity(NET.model, NET.x, A, [0, 1]), "target"),
        (lambda: sensitivity_max(saliency, NET.model, NET.x, radius=-0.1), "radius"),
        (lambda: sensitivity_max(saliency, NET.model, NET.x, n_samples=1.5), "n_samples"),
        (
            lambda: sensitivity_max(saliency, NET.model, NET.x, radius=lambda image, rng: image[0]),
            r"radius: expected a perturbation of shape \(1, 3, 16, 21\), found \(3, 16, 21\)",
        ),
        (lambda: deletion_auc(NET.model, NET.x, A, n_steps=0), "n_steps"),
        (lambda: deletion_auc(NET.model, NET.x, A[:, :, :5]), "resize it to the input"),
        (lambda: deletion_auc(NET.model, NET.x, A[0, 0]), r"attribution: expected \(N, C, H, W\) or"),
        (lambda: deletion_auc(NET.model, NET.x, A + np.nan), "attribution: .* 3024 NaN or Inf"),
        (lambda: deletion_auc(NET.model, NET.x, A, baseline="gray"), f"baseline: {A_NUMBER}.*'gray'"),
        (lambda: insertion_auc(NET.model, NET.x, A, baseline=np.zeros((2, 2))), "baseline"),
        (lambda: road(NET.model, NET.x, A, fractions=(0.1, 1)), "fractions"),
        (lambda: road(NET.model, NET.x, A, fractions=()), "fractions"),
        (lambda: road(NET.model, NET.x, A, order="worst"), "order: expected one of most, least, both"),
        (lambda: road(NET.model, NET.x, A, noise=-1), "noise"),
        (lambda: pointing_game(A, np.zeros((16, 21), bool)), "mask: expected at least one pixel"),
        (lambda: pointing_game(A, np.ones((16, 20), bool)), "mask: expected"),
        (lambda: pointing_game(A, np.ones((16, 21))), "mask: expected .* of bools, found float64"),
        (lambda: pointing_game(A, np.ones((16, 21), bool), tolerance=-1), "tolerance"),
        (lambda: energy_inside(A, np.zeros((16, 21), bool)), "mask"),
    ],
)
def test_arguments_that_cannot_be(call, message):
    with pytest.raises(InputError, match=message):
        call()
