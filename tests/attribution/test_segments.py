"""Pieces of images: they cover everything, hang together and follow the colors."""

import numpy as np
import pytest
from messages import A_WHOLE_NUMBER
from scipy import ndimage

from npgrad.attribution import grid, superpixels
from npgrad.errors import InputError


def blobs(rng, size=(40, 52)):
    """An image of a few flat colors in smooth shapes, with a little noise."""
    smooth = ndimage.gaussian_filter(rng.normal(size=(3, *size)), (0, 5, 5))
    return np.sign(smooth) + 0.05 * rng.normal(size=(3, *size))


def number_of_parts(labels):
    return sum(ndimage.label(labels == k)[1] for k in range(labels.max() + 1))


def assert_segments(labels, size):
    assert labels.shape == size
    assert labels.dtype.kind == "i"
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))
    assert number_of_parts(labels) == labels.max() + 1  # each piece in one part


@pytest.mark.parametrize("size, cells", [((7, 5), (3, 2)), ((6, 6), 6), ((13, 29), (1, 4)), (12, 5)])
def test_a_grid_covers_with_nearly_equal_rectangles(size, cells):
    labels = grid(size, cells)
    height, width = (size, size) if isinstance(size, int) else size
    down, across = (cells, cells) if isinstance(cells, int) else cells
    assert_segments(labels, (height, width))
    assert labels.max() + 1 == down * across
    for piece in ndimage.find_objects(labels + 1):
        rows, columns = (s.stop - s.start for s in piece)
        assert rows in (height // down, -(-height // down))
        assert columns in (width // across, -(-width // across))
        assert len(np.unique(labels[piece])) == 1


def test_a_grid_is_numbered_row_by_row():
    np.testing.assert_array_equal(grid((2, 4), (2, 2)), [[0, 0, 1, 1], [2, 2, 3, 3]])


@pytest.mark.parametrize("n_segments", [1, 2, 12, 50, 300])
def test_superpixels_are_connected_and_cover_everything(rng, n_segments):
    image = blobs(rng)
    labels = superpixels(image, n_segments)
    assert_segments(labels, (40, 52))
    assert 0.5 * n_segments <= labels.max() + 1 <= 1.5 * n_segments
    np.testing.assert_array_equal(labels, superpixels(image, n_segments))  # the same pieces every time


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 60)])
def test_superpixels_of_odd_sizes(rng, size):
    assert_segments(superpixels(rng.normal(size=(3, *size)), min(4, np.prod(size))), size)


def test_noise_is_cut_into_connected_pieces_too(rng):
    assert_segments(superpixels(rng.normal(size=(3, 30, 30)), 20, compactness=0.01), (30, 30))


def test_superpixels_follow_the_colors(rng):
    image = blobs(rng)
    colors = np.unique(np.sign(image.round()).reshape(3, -1), axis=1, return_inverse=True)[1].reshape(40, 52)

    def purity(labels):
        return sum(np.bincount(colors[labels == k]).max() for k in np.unique(labels)) / labels.size

    assert purity(superpixels(image, 60)) > 0.97
    assert purity(grid((40, 52), (8, 8))) < 0.9


def test_superpixels_do_not_depend_on_the_units(rng):
    image = blobs(rng)
    np.testing.assert_array_equal(superpixels(image, 20), superpixels(image * 64, 20))


def test_superpixels_of_one_color_are_a_grid():
    labels = superpixels(np.ones((3, 20, 20)), 16)
    assert_segments(labels, (20, 20))
    assert np.bincount(labels.ravel()).tolist() == [25] * 16


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: grid((4, 4), 5), "cells: expected at most 4 x 4"),
        (lambda: grid((4, 4), 0), "cells: expected one or two whole numbers >= 1, found 0"),
        (lambda: grid((4, 4.5), 1), "size: expected one or two whole numbers"),
        (lambda: superpixels(np.ones((4, 4))), "image: expected"),
        (lambda: superpixels(np.full((3, 4, 4), np.nan)), "image: expected"),
        (
            lambda: superpixels(np.ones((3, 4, 4)), 17),
            f"n_segments: {A_WHOLE_NUMBER}, 1 to 16; found 17",
        ),
        (lambda: superpixels(np.ones((3, 4, 4)), 0), "n_segments"),
        (lambda: superpixels(np.ones((3, 4, 4)), 4, compactness=0), "compactness"),
        (lambda: superpixels(np.ones((3, 4, 4)), 4, n_steps=-1), "n_steps"),
    ],
)
def test_pieces_that_cannot_be(call, message):
    with pytest.raises(InputError, match=message):
        call()
