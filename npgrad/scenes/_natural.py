"""The natural texture classes: marble, wood, dried earth and fur, as functions like those of _surfaces.py."""

import numpy as np

from npgrad.scenes._noise import lattice_noise, octaves
from npgrad.scenes._surfaces import off, soft


def marble(rng):
    noise, tilt = lattice_noise(rng), rng.uniform(0.5, 1.2)
    thin, cloud = rng.uniform(0.05, 0.10), rng.uniform(0.2, 0.5)

    def surface(x, y, px):
        x, y = 1.7 * x, 1.7 * y
        warp = octaves(noise, x * 0.3, y * 0.3, 4, 0.6)
        wide = off(x * 0.2 + 0.1 * y + 0.55 * warp)
        fine = off(y * 0.24 * tilt - 0.08 * x - 0.6 * warp)
        veins = np.maximum(np.clip(1 - wide / thin, 0, 1), 0.75 * np.clip(1 - 1.6 * fine / thin, 0, 1))
        return np.clip(veins + cloud * (0.5 + warp) * (1 - 2 * wide), 0, 1), None, None

    return surface


def wood(rng):
    noise, rings = lattice_noise(rng), rng.uniform(1.5, 2.0)
    size, lift = rng.uniform(0.55, 0.8), rng.uniform(1.3, 2.0)

    def surface(x, y, px):
        grain = y + 0.9 * noise(x * 0.13, y * 0.25) + 0.12 * noise(x * 0.5, y * 1.2)
        row = np.round(y / 4)
        kx, ky = x - 2.7 * row, y - 4 * row  # a knot in the center of each field of 6 by 4 periods
        kx = kx - 6 * np.round(kx / 6)
        grain = grain + lift * np.exp(-((kx / (2 * size)) ** 2) - (ky / size) ** 2)
        year = grain * rings
        year = year - np.floor(year)
        fiber = noise(x * 0.7, y * 9)
        late = year * np.clip((1 - year) / 0.12, 0, 1)
        return np.clip(late + 0.25 * fiber, 0, 1), None, 1 + 0.07 * fiber

    return surface


def cracked(rng):
    cells, noise = scattered(rng, 0.9), lattice_noise(rng)
    wide = rng.uniform(0.03, 0.05)

    def surface(x, y, px):
        x, y = x * 0.85, y * 0.85
        x = x + 0.10 * noise(x * 3, y * 3)
        y = y + 0.10 * noise(x * 3 + 9, y * 3 + 5)
        nearest, next_one, tint = cells(x, y)
        d = (next_one - nearest) / 2
        return soft(wide - d, px), None, 0.86 + 0.22 * tint + 0.1 * np.clip(d / 0.12, 0, 1) - 0.05

    return surface


def leopard(rng):
    cells, noise = scattered(rng, 0.5), lattice_noise(rng)
    size = rng.uniform(0.29, 0.33)

    def surface(x, y, px):
        rough = noise(x * 2.3, y * 2.3)
        nearest, _, tint = cells(x + 0.1 * rough, y + 0.1 * noise(x * 2 + 4, y * 2 + 8))
        gap = np.clip(noise(x * 1.9 + 3, y * 1.9 + 6) * 3 - 0.7, 0, 1) * 0.14
        rosette = soft(0.085 + 0.03 * rough - gap - np.abs(nearest - size), px)
        return rosette, 0.8 * soft(size - nearest, px) * (1 - rosette), None

    return surface


NATURAL = (marble, wood, cracked, leopard)


def scattered(rng, jitter, points=16):
    """A function (x, y) -> distances to the nearest and second-nearest of scattered points, and a tint 0..1.

    There is one point per unit cell, displaced by up to `jitter` / 2 from the center (Worley 1996).
    """
    px, py = (0.5 + jitter * rng.uniform(-0.5, 0.5, (2, points * points))).astype(np.float32)
    tints = rng.random(points * points, np.float32)

    def cells(x, y):
        left, top = np.floor(x), np.floor(y)
        column, row = left.astype(np.int32), top.astype(np.int32)
        nearest = next_one = np.float32(9)
        tint = np.float32(0)
        for j in (-1, 0, 1):
            line = (row + j) % points * points
            for i in (-1, 0, 1):
                cell = line + (column + i) % points
                d = (left + i + px[cell] - x) ** 2 + (top + j + py[cell] - y) ** 2
                closer = d < nearest
                next_one = np.where(closer, nearest, np.minimum(next_one, d))
                tint = np.where(closer, tints[cell], tint)
                nearest = np.minimum(nearest, d)
        return np.sqrt(nearest), np.sqrt(next_one), tint

    return cells
