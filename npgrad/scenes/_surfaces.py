"""The regular texture classes: stripes, checks, bricks and other periodic patterns.

Each function draws the proportions of a texture from `rng` and returns `surface(x, y, px)`, where x and y are in
periods of the texture and px is the width of a pixel in them. Its result is a tuple of arrays (second, third, shade):
the opacity of the second color over the first, that of the third over both, and the factor of the brightness. Each of
the last two may be None.
"""

import numpy as np

from npgrad.scenes._noise import table


def off(x):
    """The distance of x to the nearest integer: 0..0.5."""
    return np.abs(x - np.round(x))


def soft(d, px):
    """1 where d > 0 and 0 where d < 0, with an edge one pixel wide."""
    return np.clip(d / px + 0.5, 0, 1)


def striped(rng):
    share = rng.uniform(0.19, 0.29)
    line = rng.uniform(0.03, 0.06) if rng.random() < 0.3 else None

    def surface(x, y, px):
        d = off(x)
        third = None if line is None else soft(line - np.abs(d - 0.41), px)
        return soft(share - d, px), third, None

    return surface


def checked(rng):
    def surface(x, y, px):
        across, along = (np.clip((off(t) - 0.25) / px, -0.5, 0.5) for t in (x * 0.7, y * 0.7))
        return 0.5 + 2 * across * along, None, None

    return surface


def dotted(rng):
    size, staggered = rng.uniform(0.24, 0.31), rng.random() < 0.5

    def surface(x, y, px):
        if staggered:
            x = x + 0.5 * (np.round(y) % 2)
        return soft(size - np.hypot(off(x), off(y)), px), None, None

    return surface


def zigzag(rng):
    share, height, length = rng.uniform(0.2, 0.29), rng.uniform(1.4, 2.0), rng.uniform(1.4, 1.8)

    def surface(x, y, px):
        d = off(y + height * off(x / length))
        return soft((share - d) / (1 + (height / length) ** 2) ** 0.5, px), None, None

    return surface


def brick(rng):
    joint, tint = rng.uniform(0.055, 0.085), table(rng)

    def surface(x, y, px):
        x, y, px = x * 1.2, y * 1.2, px * 1.2
        row = np.floor(y)
        x = x / 2.1 + 0.5 * (row % 2)
        column = np.floor(x)
        d = np.minimum((0.5 - np.abs(x - column - 0.5)) * 2.1, 0.5 - np.abs(y - row - 0.5)) - joint
        stone = soft(d, px)
        shade = 1 + stone * (0.34 * tint(column, row) - 0.22 + 0.1 * np.clip(d / 0.12, 0, 1))
        return stone, None, shade

    return surface


def woven(rng):
    strands, width = int(rng.integers(2, 4)), rng.uniform(0.42, 0.46)

    def surface(x, y, px):
        i, j = np.floor(x), np.floor(y)
        u, v = x - i - 0.5, y - j - 0.5
        flat = (i + j) % 2 == 0
        along, across = np.where(flat, u, v), np.where(flat, v, u)
        bulge = 0.58 + 0.5 * np.cos(np.pi * along) - 0.25 * (2 * across) ** 4
        threads = 1 - 0.16 * soft(0.12 - off((across / (2 * width) + 0.5) * strands), px * strands)
        gap = 0.45 + 0.55 * soft(width - np.abs(across), px)
        return flat.astype(np.float32), None, bulge * threads * gap

    return surface


def tartan(rng):
    band, line, at = rng.uniform(0.15, 0.22), rng.uniform(0.025, 0.04), rng.uniform(0.36, 0.42)

    def surface(x, y, px):
        x, y = x / 2, y / 2
        px = px / 2
        dx, dy = off(x), off(y)
        bands = 0.5 * (soft(band - dx, px) + soft(band - dy, px))
        lines = 0.8 * np.maximum(soft(line - np.abs(dx - at), px), soft(line - np.abs(dy - at), px))
        return bands, lines, None

    return surface


def honeycomb(rng):
    wall, deep = rng.uniform(0.05, 0.085), rng.uniform(0.15, 0.4)
    tall = np.float32(np.sqrt(3))

    def surface(x, y, px):
        ax, ay = x - np.round(x), y - tall * np.round(y / tall)
        bx, by = x - np.floor(x) - 0.5, y - tall * (np.floor(y / tall) + 0.5)
        nearer = ax * ax + ay * ay < bx * bx + by * by
        hx, hy = np.abs(np.where(nearer, ax, bx)), np.abs(np.where(nearer, ay, by))
        d = 0.5 - np.maximum(hx, hx / 2 + hy * tall / 2)
        return soft(wall - d, px), None, 1 + deep * (0.35 - np.clip((0.5 - d) / 0.5, 0, 1) ** 2 * 0.6)

    return surface


def scales(rng):
    tint, rim = table(rng), rng.uniform(0.03, 0.06)

    def surface(x, y, px):
        x, y, px = x * 0.8, y * 0.8, px * 0.8
        row = np.floor(2 * y)
        down = y - row / 2
        shift = 0.5 * (row % 2)
        near = np.round(x - shift)
        reach = np.hypot(x - shift - near, down)
        upper = soft(0.5 - reach, px)
        under = np.round(x - 0.5 + shift)
        below = np.hypot(x - 0.5 + shift - under, down - 0.5)
        own = np.where(reach < 0.5, reach, below)
        height = np.where(reach < 0.5, down, down - 0.5)
        shade = upper + (1 - upper) * (0.55 + 0.45 * np.clip((reach - 0.5) / 0.14, 0, 1))
        color = np.where(reach < 0.5, tint(near, row), tint(under, row + 1))
        edge = soft(own - 0.5 + rim, px)
        return np.clip(0.65 * edge + 0.45 * (0.3 - height), 0, 1), None, shade * (0.9 + 0.2 * color)

    return surface


MADE = (striped, checked, dotted, zigzag, brick, woven, tartan, honeycomb, scales)
