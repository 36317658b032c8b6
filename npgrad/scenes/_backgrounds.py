"""Backgrounds: clouds, color gradients, layers of paper, and out-of-focus objects."""

import numpy as np

from npgrad.scenes._colors import to_rgb
from npgrad.scenes._drawing import COARSE, Thing, blurred, plain
from npgrad.scenes._noise import fractal, stretch
from npgrad.scenes._shapes import box, pebble


def clouds(canvas, rng):
    """Fractal noise."""
    return 0.5 + 0.36 * fractal(rng, canvas.size, (3, 6, 12, 24, 48), rng.uniform(0.4, 0.65))


def wash(canvas, rng):
    """A linear color gradient with a little noise."""
    angle = rng.uniform(0, 2 * np.pi)
    across = (canvas.at[None] - 0.5) * float(np.cos(angle)) + (canvas.at[:, None] - 0.5) * float(
        np.sin(angle)
    )
    return 0.5 + rng.uniform(0.7, 1.1) * across + 0.12 * fractal(rng, canvas.size, (2, 4, 32))


def glow(canvas, rng):
    """A bright spot with a little noise."""
    x, y = rng.uniform(0.2, 0.8, 2).tolist()
    far = (canvas.at[None] - x) ** 2 + (canvas.at[:, None] - y) ** 2
    return 1.1 * np.exp(-far * rng.uniform(2, 6)) + 0.1 * fractal(rng, canvas.size, (4, 8, 32))


def paper(canvas, rng):
    """Overlapping sheets of paper, each with a soft shadow on the next."""
    levels, field = 3, 1.5 + 0.8 * fractal(rng, canvas.size, (2, 3), 0.4)
    step = np.clip(np.floor(field), 0, levels)
    part = field - step
    sharp = np.clip((part - 1) * canvas.size / 12 + 1, 0, 1)
    return (
        (step + sharp) / levels
        - 0.18 * np.exp(-np.maximum(part, 0) / 0.18)
        + 0.05 * fractal(rng, canvas.size, (48,))
    )


def brushed(canvas, rng):
    """Elongated fractal noise, as on brushed metal."""
    return (
        0.5
        + 0.3 * fractal(rng, canvas.size, (6, 12, 24, 48), 0.8, aspect=4)
        + 0.3 * fractal(rng, canvas.size, (2, 3))
    )


GROUNDS = (clouds, wash, glow, paper, brushed)


def background(canvas, palette, rng):
    """Fill the canvas with the background colors of a scene."""
    first, second, third = to_rgb(palette.ground).clip(0, 1).astype(np.float32)
    mixed = np.clip(GROUNDS[rng.integers(len(GROUNDS))](canvas, rng), 0, 1)
    for plane, a, b in zip(canvas.image, first, second, strict=True):
        np.multiply(mixed, b - a, out=plane)
        plane += a
    if rng.random() < 0.6:
        canvas.mix(third, rng.uniform(0.4, 0.9) * stretch(clutter(rng), canvas.size))
    if rng.random() < 0.4:
        texture = fractal(rng, canvas.size, ((32, 64), (12, 48), (20, 40, 80))[rng.integers(3)], 0.8)
        canvas.image *= 1 + np.float32(rng.uniform(0.005, 0.022)) * texture


def clutter(rng):
    """Out-of-focus blobs and strokes, as a coarse lattice of their coverage."""
    total = np.zeros((COARSE + 3, COARSE + 3), np.float32)
    strokes, blur = rng.random() < 0.4, rng.uniform(0.02, 0.09)
    for _ in range(rng.integers(3, 9)):
        x, y = rng.uniform(-0.05, 1.05, 2).tolist()
        outline = stroke(rng) if strokes else pebble(rng)
        thing = Thing(outline, plain((0, 0, 0)), (x, y), rng.uniform(0.04, 0.2), rng.uniform(0, np.pi))
        total = np.maximum(total, blurred(thing, blur) * rng.uniform(0.4, 1))
    return total


def stroke(rng):
    """The outline of a rounded bar."""
    half = rng.uniform(0.1, 0.22)
    return lambda x, y: box(x, y, 1 - half, 0) - half
