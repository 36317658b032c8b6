"""Winograd's algorithm: the lesson's numbers, and the transforms that the layers use."""

import doctest
from pathlib import Path

import numpy as np
from checks import assert_close

from npgrad.layers import _winograd

LESSON = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "winograd.md"


def test_the_lesson_is_right():
    found = doctest.testfile(str(LESSON), module_relative=False, verbose=False)
    assert found.failed == 0 and found.attempted > 10


def test_a_tile_is_a_correlation():
    """The 16 outputs of a tile from 36 products; any other points would do, apart from rounding."""
    A, G, B = _winograd.transforms(np.dtype(np.float64))
    assert A.shape == (16, 36) and G.shape == (36, 9) and B.shape == (36, 36)
    rng = np.random.default_rng(0)
    d, g = rng.normal(size=(6, 6)), rng.normal(size=(3, 3))
    expected = [[(d[i : i + 3, j : j + 3] * g).sum() for j in range(4)] for i in range(4)]
    assert_close(A @ ((G @ g.ravel()) * (B @ d.ravel())), np.ravel(expected), 1e-13)


def test_the_points_round_less_than_the_usual_ones(monkeypatch):
    rng = np.random.default_rng(1)
    image, W = np.maximum(rng.normal(size=(30, 30, 64)), 0), rng.normal(size=(1, 9 * 64, 16))

    def error(points):
        monkeypatch.setattr(_winograd, "POINTS", points)
        _winograd.transforms.cache_clear()
        y, exact = np.empty((28, 28, 16), np.float32), np.empty((28, 28, 16))
        for x, W_, out in ((image.astype(np.float32), W.astype(np.float32), y), (image, W, exact)):
            _winograd.convolve(x, _winograd.filters(W_), (28, 28), out)
        return np.abs(y - exact).max() / np.abs(exact).max()

    chosen = _winograd.POINTS
    assert 1e-7 < error(chosen) < 0.5 * error((0, 1, -1, 2, -2))
    error(chosen)  # the cache has these again
