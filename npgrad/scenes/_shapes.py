"""The shape classes, and the plain outlines of other objects, as signed distance functions.

Each function draws the proportions of a shape from `rng` and returns `distance(x, y)`: the distance of a point from the
outline, negative inside, in units in which the shape just fits into the circle of radius 1. x points right, y down.
The distance is accurate near the outline; far from it only its sign matters. After Inigo Quilez, "2D distance
functions".
"""

import numpy as np


def ring(rng):
    half = rng.uniform(0.12, 0.21)
    return lambda x, y: np.abs(np.hypot(x, y) - (0.98 - half)) - half


def triangle(rng):
    angles = np.radians(np.array([-90, 30, 150]) + rng.uniform(-9, 9, 3))
    return polygon(np.stack([np.cos(angles), np.sin(angles)], 1) * 0.93, rng.uniform(0.01, 0.07))


def star(rng):
    points = (5, 5, 5, 6, 7)[rng.integers(5)]
    inner = rng.uniform(0.40, 0.50) + 0.045 * (points - 5)
    tip, side = 0.98, np.array([inner * np.cos(np.pi / points) - 0.98, inner * np.sin(np.pi / points)])
    across, down = (side / np.hypot(*side)).tolist()

    def distance(x, y):
        x, y = fold(x, y, points)
        return (x - tip) * down - y * across

    return distance


def cross(rng):
    half = rng.uniform(0.19, 0.29)
    return lambda x, y: np.minimum(box(x, y, 0.93, half), box(x, y, half, 0.93))


def crescent(rng):
    shift, bite = rng.uniform(0.36, 0.46), rng.uniform(0.76, 0.82)
    return lambda x, y: np.maximum(np.hypot(x, y) - 0.97, bite - np.hypot(x - shift, y))


def heart(rng):
    wide = rng.uniform(0.92, 1.08)

    def distance(x, y):
        x, y = np.abs(x) * 0.73 / wide, 0.54 - 0.73 * y
        corner = np.maximum(x + y, 0) / 2
        low = np.minimum(x * x + (y - 1) ** 2, (x - corner) ** 2 + (y - corner) ** 2)
        low = np.sqrt(low) * np.sign(x - y)
        return np.where(x + y > 1, np.hypot(x - 0.25, y - 0.75) - 0.125**0.5, low) / 0.73

    return distance


def arrow(rng):
    shaft, head, neck = rng.uniform(0.13, 0.21), rng.uniform(0.52, 0.64), rng.uniform(0.05, 0.28)
    swept = neck - rng.uniform(0, 0.12)
    upper = [(-0.94, shaft), (neck, shaft), (swept, head), (0.95, 0)]
    return polygon(upper + [(x, -y) for x, y in upper[2::-1]], 0.02)


def spiral(rng):
    turns, side = rng.uniform(2.2, 3.0), mirrored(rng)
    pitch = 0.98 / (turns + 0.27)
    half = pitch * rng.uniform(0.22, 0.28)
    end = complex(pitch * turns * np.exp(2j * np.pi * turns))

    def distance(x, y):
        y = y * side
        turn = np.arctan2(y, x) / np.float32(2 * np.pi)
        turn = turn - np.floor(turn)
        radius = np.hypot(x, y)
        lap = np.clip(np.round(radius / pitch - turn), 0, np.floor(turns - turn))
        line = np.abs(radius - pitch * (turn + lap))
        return np.minimum(line, np.hypot(x - end.real, y - end.imag)) - half

    return distance


def gear(rng):
    teeth, root, hole = int(rng.integers(8, 12)), rng.uniform(0.70, 0.77), rng.uniform(0.22, 0.36)
    half, slope = root * np.pi / teeth * rng.uniform(0.54, 0.62), rng.uniform(0.05, 0.22)

    def distance(x, y):
        radius = np.hypot(x, y)
        x, y = fold(x, y, teeth)
        tooth = np.maximum(x - 0.97, y - half + slope * (x - root))
        return np.maximum(np.minimum(radius - root, tooth), hole - radius)

    return distance


def key(rng):
    bow, hole, half = rng.uniform(0.34, 0.40), rng.uniform(0.15, 0.21), rng.uniform(0.08, 0.10)
    count, width = rng.integers(2, 4), rng.uniform(0.06, 0.075)
    lengths, side = rng.uniform(0.20, 0.34, count).tolist(), mirrored(rng)

    def distance(x, y):
        y = y * side
        d = np.minimum(np.hypot(x + 0.97 - bow, y) - bow, box(x - 0.23, y, 0.72, half))
        for k, length in enumerate(lengths):
            d = np.minimum(d, box(x - 0.86 + 0.21 * k, y - length / 2, width, length / 2 + half / 2))
        return np.maximum(d, hole - np.hypot(x + 0.97 - bow, y))

    return distance


def hexagon(rng):
    soft = rng.uniform(0, 0.08)

    def distance(x, y):
        x, y = fold(x, y, 6)
        x, y = x - 0.845 + soft, y - 0.488 + soft / 2
        return np.where(y > 0, np.hypot(np.maximum(x, 0), y) + np.minimum(x, 0), x) - soft

    return distance


def lightning(rng):
    left = [(0.10, -0.93), (-0.46, 0.14), (-0.06, 0.14), (-0.26, 0.92)]
    points = np.array(left + [(0.48, -0.20), (0.10, -0.20), (0.39, -0.84)])
    points += rng.uniform(-0.03, 0.03, points.shape)
    return polygon(points * (mirrored(rng), 1), 0.02)


def flower(rng):
    petals = int(rng.integers(5, 9))
    wide = min(0.60 * float(np.tan(np.pi / petals)) * rng.uniform(0.92, 1.02), 0.42)

    def distance(x, y):
        radius = np.hypot(x, y)
        x, y = fold(x, y, petals)
        petal = (np.hypot((x - 0.60) / 0.38, y / wide) - 1) * wide
        return np.minimum(petal, radius - 0.42)

    return distance


SHAPES = (ring, triangle, star, cross, crescent, heart, arrow, spiral, gear, key, hexagon, lightning, flower)


def disc(rng):
    flat = rng.uniform(0.78, 1)
    return lambda x, y: (np.hypot(x, y / flat) - 0.98) * flat


def slab(rng):
    """A rounded rectangle."""
    ratio = rng.uniform(0.62, 1)
    width = 1.007 / (1 + ratio**2) ** 0.5
    return lambda x, y: box(x, y, width - 0.16, width * ratio - 0.16) - 0.16


def pebble(rng):
    """A random smooth outline: a circle modulated by low-frequency waves."""
    waves = rng.uniform(-0.13, 0.13, (2, 3)) / (1.0, 1.3, 1.9)
    (c2, c3, c4), (s2, s3, s4) = waves.tolist()
    most = 0.98 / (1 + float(np.hypot(*waves).sum()))

    def distance(x, y):
        z = x + 1j * y
        radius = np.abs(z)
        z = z / np.maximum(radius, np.float32(1e-4))
        z2 = z * z
        z3, z4 = z2 * z, z2 * z2
        wave = c2 * z2.real + s2 * z2.imag + c3 * z3.real + s3 * z3.imag + c4 * z4.real + s4 * z4.imag
        return radius - most * (1 + wave)

    return distance


PLAIN = (disc, slab, pebble, pebble)


def mirrored(rng):
    return -1 if rng.random() < 0.5 else 1


def box(x, y, half_width, half_height):
    """The distance to an axis-aligned rectangle centered at 0."""
    x, y = np.abs(x) - half_width, np.abs(y) - half_height
    return np.hypot(np.maximum(x, 0), np.maximum(y, 0)) + np.minimum(np.maximum(x, y), 0)


def fold(x, y, count):
    """(x, y) rotated and mirrored into the first half of `count` equal sectors, so that one sector describes all."""
    sector = np.float32(2 * np.pi / count)
    angle = np.arctan2(y, x)
    angle = np.abs(angle - sector * np.round(angle / sector))
    radius = np.hypot(x, y)
    return radius * np.cos(angle), radius * np.sin(angle)


def polygon(points, soft=0.0):
    """The distance to a polygon (n, 2) with its corners rounded outward by `soft`."""
    points = np.asarray(points, np.float32)

    def distance(x, y):
        nearest, inside = None, False
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, 0), strict=True):
            ex, ey = x1 - x0, y1 - y0
            px, py = x - x0, y - y0
            along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
            square = (px - ex * along) ** 2 + (py - ey * along) ** 2
            nearest = square if nearest is None else np.minimum(nearest, square)
            crossed = ((y >= y0) != (y >= y1)) & ((px * ey > py * ex) == (ey > 0))
            inside = inside ^ crossed
        return np.sqrt(nearest) * np.where(inside, np.float32(-1), np.float32(1)) - soft

    return distance
