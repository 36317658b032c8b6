"""Smooth noise from small random lattices, the same at every image size.

The lattice is in unit coordinates (0 to 1 from edge to edge), so a scene drawn at 96 and at 224 px has the same clouds.
Cubic B-splines interpolate it, which leaves no visible grid.
"""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=256)
def spline(cells, size):
    """The matrix (size, cells + 3) from lattice points (k - 1) / cells to the centers of `size` pixels."""
    at = (np.arange(size) + 0.5) / size * cells
    cell = np.floor(at).astype(int)
    t = at - cell
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    matrix = np.zeros((size, cells + 3), np.float32)
    for k, weight in enumerate(weights):
        matrix[np.arange(size), cell + k] = weight / 6
    matrix.setflags(write=False)
    return matrix


def stretch(lattice, size):
    """A lattice (rows + 3, columns + 3) interpolated over the whole image: (size, size)."""
    rows, columns = lattice.shape
    return spline(rows - 3, size) @ lattice @ spline(columns - 3, size).T


def fractal(rng, size, cells=(3, 6, 12, 24), gain=0.55, aspect=1):
    """Fractal noise (size, size) of mean about 0 and standard deviation about 1: a sum of octaves.

    cells: lattice cells per side, for each octave; gain: the amplitude of each octave relative to the previous one;
    aspect: the ratio of the clouds' width to their height.
    """
    total = 0
    for k, n in enumerate(cells):
        lattice = rng.standard_normal((n + 3, max(n // aspect, 1) + 3), np.float32)
        total = total + stretch(lattice, size) * gain**k
    return total * np.float32(2.1 / np.sqrt(sum(gain ** (2 * k) for k in range(len(cells)))))


def lattice_noise(rng, points=32):
    """A function (x, y) -> noise in -1..1, with one lattice point per unit and a period of `points`."""
    lattice = rng.uniform(-1, 1, (points, points)).astype(np.float32).ravel()

    def noise(x, y):
        left, top = np.floor(x), np.floor(y)
        s, t = x - left, y - top
        s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
        i, j = left.astype(np.int32) % points, top.astype(np.int32) % points * points
        i1, j1 = (i + 1) % points, (j + points) % (points * points)
        upper = lattice[j + i] * (1 - s) + lattice[j + i1] * s
        lower = lattice[j1 + i] * (1 - s) + lattice[j1 + i1] * s
        return upper + t * (lower - upper)

    return noise


def octaves(noise, x, y, count=3, gain=0.5):
    """The sum of `count` octaves of a lattice noise at (x, y), about -1..1."""
    total, strength = 0, 1.0
    for k in range(count):
        total = total + strength * noise(x * 2**k + 7.3 * k, y * 2**k + 3.1 * k)
        strength *= gain
    return total


def table(rng, points=16):
    """A function (integer x, integer y) -> a value in 0..1 for each cell: tints of bricks, tiles, scales."""
    values = rng.random((points, points), np.float32).ravel()
    return lambda x, y: values[y.astype(np.int32) % points * points + x.astype(np.int32) % points]
