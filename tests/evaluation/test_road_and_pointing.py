"""Removal by imputation, and localization, each against a second, slower computation."""

import numpy as np
import pytest
from captum_nets import TARGETS, pairs

from npgrad.evaluation import energy_inside, pointing_game, road
from npgrad.evaluation.road import impute

NET = {pair.name: pair for pair in pairs()}["overlapping pools"]


@pytest.fixture
def attribution(rng):
    return rng.normal(size=NET.x.shape)


def softmax_of(model, image, target):
    logits = model(image[None])[0]
    e = np.exp(logits - logits.max())
    return e[target] / e.sum()


# ROAD


def slow_imputation(image, removed):
    """Every removed pixel an unknown of one full linear system, written down entry by entry."""
    _, height, width = image.shape
    unknowns = [tuple(at) for at in np.argwhere(removed)]
    matrix, right = np.zeros((len(unknowns),) * 2), np.zeros((len(unknowns), len(image)))
    for k, (row, column) in enumerate(unknowns):
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                at = (row + down, column + across)
                if (down, across) == (0, 0) or not (0 <= at[0] < height and 0 <= at[1] < width):
                    continue
                weight = 2 if down == 0 or across == 0 else 1
                matrix[k, k] += weight
                if removed[at]:
                    matrix[k, unknowns.index(at)] -= weight
                else:
                    right[k] += weight * image[(slice(None), *at)]
    filled = image.copy()
    for at, value in zip(unknowns, np.linalg.solve(matrix, right), strict=True):
        filled[(slice(None), *at)] = value
    return filled


@pytest.mark.parametrize("share", [0.01, 0.3, 0.97])
def test_imputation_solves_the_neighbors_equations(rng, share):
    image, removed = rng.normal(size=(3, 11, 14)), rng.random((11, 14)) < share
    removed[0, 0], removed[5, 5] = True, False
    filled = impute(image, removed, noise=0)
    np.testing.assert_allclose(filled, slow_imputation(image, removed), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(filled[:, ~removed], image[:, ~removed])


def test_imputation_of_all_but_one_pixel_takes_its_color():
    image, removed = np.zeros((3, 40, 30)), np.ones((40, 30), bool)
    image[:, 7, 3], removed[7, 3] = (1, 2, 3), False
    np.testing.assert_allclose(impute(image, removed, noise=0)[:, 30, 20], (1, 2, 3), rtol=1e-9)


def test_the_noise_of_imputation_is_on_the_removed_pixels_alone(rng):
    image, removed = rng.normal(size=(3, 50, 50)), rng.random((50, 50)) < 0.5
    noise = impute(image, removed, noise=0.3) - impute(image, removed, noise=0)
    assert not noise[:, ~removed].any()
    assert abs(noise[:, removed].std() - 0.3) < 0.02


def test_road_is_the_slow_loop(attribution):
    fractions = (0.2, 0.5, 0.999)
    found = {
        order: road(NET.model, NET.x, attribution, TARGETS, fractions=fractions, order=order, noise=0)
        for order in ("most", "least", "both")
    }
    size = 16 * 21
    for i, target in enumerate(TARGETS):
        value = attribution[i].sum(axis=0).ravel()
        for order, sign in (("most", -1), ("least", 1)):
            scores = []
            for fraction in fractions:
                removed = np.zeros(size, bool)
                removed[np.argsort(sign * value)[: min(round(fraction * size), size - 1)]] = True
                filled = slow_imputation(NET.x[i], removed.reshape(16, 21))
                scores.append(softmax_of(NET.model, filled, target))
            np.testing.assert_allclose(found[order][i], np.mean(scores), rtol=1e-9)
    np.testing.assert_allclose(found["both"], found["least"] - found["most"], atol=1e-15)


# localization


def slow_hits(value, inside, tolerance):
    """The share of the highest pixels with a pixel of the mask near enough, by looking at all of it."""
    highest = np.argwhere(value == value.max())
    thing = np.argwhere(inside)
    near = [min(np.hypot(*(at - other)) for other in thing) <= tolerance for at in highest]
    return np.mean(near)


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 4])
def test_the_pointing_game_by_looking_at_every_pixel(rng, tolerance):
    value = rng.integers(0, 5, size=(12, 9, 11)).astype(float)  # ties
    value[:6] += rng.random((6, 9, 11))  # none
    masks = rng.random((12, 9, 11)) < 0.05
    masks[:, 4, 4] = True
    expected = [slow_hits(v, m, tolerance) for v, m in zip(value, masks, strict=True)]
    assert 0 < np.mean(expected) < 1 or tolerance == 4
    np.testing.assert_allclose(pointing_game(value, masks, tolerance), expected)


def test_the_pointing_game_by_hand():
    value, inside = np.zeros((1, 2, 6, 6)), np.zeros((6, 6), bool)
    inside[2:4, 2:4] = True
    value[0, 0, 2, 5], value[0, 1, 2, 3], value[0, 0, 2, 3] = 3, 2, 2  # the channels add: 4 in the mask
    assert pointing_game(value, inside).tolist() == [1]
    value[0, 1, 2, 5] = 2  # 5, two pixels beside the mask
    assert pointing_game(value, inside).tolist() == [0]
    assert pointing_game(value, inside, tolerance=1.9).tolist() == [0]
    assert pointing_game(value, inside, tolerance=2).tolist() == [1]
    assert pointing_game(np.zeros((1, 6, 6)), inside).tolist() == [4 / 36]  # nothing is pointed at: by chance


def test_the_energy_by_hand():
    value, inside = np.zeros((3, 6, 6)), np.zeros((6, 6), bool)
    inside[2:4, 2:4] = True
    value[0, 2, 2], value[0, 0, 0], value[0, 5, 5], value[0, 3, 3] = 3, 1, -7, -2
    value[1] = 1
    np.testing.assert_allclose(energy_inside(value, inside), [3 / 4, 4 / 36, 0])
    np.testing.assert_allclose(energy_inside(np.stack([value, -value], axis=1), inside), 0)
    np.testing.assert_allclose(energy_inside(value, np.stack([~inside, inside, inside])), [1 / 4, 4 / 36, 0])
