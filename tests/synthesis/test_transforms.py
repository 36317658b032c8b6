"""Moves of an image: jitter, blur, and the bilinear resampling with its adjoint."""

import numpy as np
import pytest
import torch
from messages import A_NUMBER
from scipy import ndimage

from npgrad import InputError
from npgrad.synthesis.transforms import affine, affine_backward, blur, jitter

MOVES = [
    {"scale": 1.0, "angle": 0.0, "shift": (0.0, 0.0)},
    {"scale": 1.3, "angle": 17.0, "shift": (1.5, -2.25)},
    {"scale": 0.6, "angle": -130.0, "shift": (0.0, 4.0)},
    {"scale": 1.0, "angle": 0.0, "shift": (40.0, 0.0)},
]
SHAPES = [(1, 3, 9, 12), (2, 1, 7, 5), (1, 2, 1, 1)]


def test_jitter_rolls_right_and_down(rng):
    x = rng.normal(size=(2, 3, 5, 6))
    moved = jitter(x, 2, 1)
    assert moved[0, 1, 3, 4] == x[0, 1, 2, 2] and moved[1, 0, 0, 0] == x[1, 0, -1, -2]
    np.testing.assert_array_equal(jitter(moved, -2, -1), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blur_is_scipys_down_then_across(rng, dtype):
    x = rng.normal(size=(2, 3, 8, 9)).astype(dtype)
    before = x.copy()
    expected = ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(x, 0.7, axis=2), 0.7, axis=3)
    found = blur(x, 0.7)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(blur(x), blur(x, 1))
    assert found.dtype == dtype
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("move", MOVES)
def test_backward_is_the_adjoint(rng, move, shape):
    v, dy = rng.normal(size=shape), rng.normal(size=shape)
    y, cache = affine(v, **move)
    dx = affine_backward(dy, cache)
    assert y.shape == dx.shape == shape
    assert np.sum(dy * y) == pytest.approx(np.sum(dx * v), abs=1e-12 * np.linalg.norm(dy) * np.linalg.norm(v))


@pytest.mark.parametrize("move", MOVES)
def test_affine_equals_torchs_grid_sample(rng, move):
    """Forward and gradient, of a square image, where torch's normalized coordinates are easy to write down."""
    size = 11
    x = torch.tensor(rng.normal(size=(1, 3, size, size)), requires_grad=True)
    dy = rng.normal(size=x.shape)
    turn, s = np.deg2rad(move["angle"]), move["scale"]
    inverse = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / s
    offset = -inverse @ np.array(move["shift"]) * 2 / size
    theta = torch.tensor(np.column_stack([inverse, offset]))[None]
    grid = torch.nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    expected = torch.nn.functional.grid_sample(x, grid, padding_mode="zeros", align_corners=False)
    expected.backward(torch.tensor(dy))
    y, cache = affine(x.detach().numpy(), **move)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(affine_backward(dy, cache), x.grad.numpy(), rtol=0, atol=1e-12)


def test_affine_at_rest_changes_nothing(rng):
    x = rng.normal(size=(1, 3, 6, 7))
    np.testing.assert_array_equal(affine(x)[0], x)


def test_affine_turns_counter_clockwise_and_moves_right_and_down():
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 4] = 1  # in the middle of the right side
    assert affine(x, angle=90)[0][0, 0, 0, 2] == pytest.approx(1)  # now of the upper one
    assert affine(x, shift=(-1, 2))[0][0, 0, 4, 3] == pytest.approx(1)


def test_affine_keeps_the_dtype_and_outside_lies_0():
    x = np.ones((1, 3, 8, 8), np.float32)
    y, cache = affine(x, scale=0.5)
    assert y.dtype == np.float32 and affine_backward(y, cache).dtype == np.float32
    assert y[0, 0, 0, 0] == 0 and y[0, 0, 4, 4] == 1


def test_what_is_no_image_is_refused():
    for move in (lambda x: jitter(x, 1, 1), blur, affine):
        with pytest.raises(InputError, match=r"expected images \(N, C, H, W\), found shape \(3, 4\)"):
            move(np.zeros((3, 4)))
    with pytest.raises(InputError, match=f"scale: {A_NUMBER} > 0, found 0"):
        affine(np.zeros((1, 3, 4, 4)), scale=0)
