"""Drawing things on a canvas: their position, antialiased edges, shadow and shading."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from npgrad.scenes._noise import fractal, stretch

COARSE = 40  # cells per side of the lattice for what is blurred anyway: shadows, out-of-focus things


@dataclass(frozen=True)
class Thing:
    """Something with an outline: `outline(x, y)` is its signed distance, `paint(x, y, d, px)` its colors.

    Its `center` (x, y) and `radius` are in units of the image size, its rotation `angle` in radians. Both functions
    take coordinates in which it is upright and has radius 1; px is the width of a pixel in them. `paint` returns RGB
    (3, h, w).
    """

    outline: Callable
    paint: Callable
    center: tuple
    radius: float
    angle: float = 0.0
    bevel: float = 0.0
    rim: float = 0.15

    def straight(self, x, y):
        """Image coordinates in those of the outline."""
        x, y = x - self.center[0], y - self.center[1]
        cos, sin = float(np.cos(self.angle)) / self.radius, float(np.sin(self.angle)) / self.radius
        return x * cos + y * sin, y * cos - x * sin


@dataclass(frozen=True)
class Light:
    """The direction of the light (a unit vector), the slope of its intensity, and the shadows."""

    x: float
    y: float
    slope: float
    shadow: float
    blur: float
    shift: float

    @classmethod
    def drawn(cls, rng):
        """A random light."""
        angle = rng.uniform(-np.pi * 0.9, -np.pi * 0.1)  # from above
        slope, shadow = rng.uniform(0.05, 0.2), rng.uniform(0.25, 0.55)
        return cls(
            float(np.cos(angle)),
            float(np.sin(angle)),
            slope,
            shadow,
            rng.uniform(0.03, 0.09),
            rng.uniform(0.01, 0.04),
        )


class Canvas:
    """An image being drawn: RGB (3, size, size) in 0..1, and its coordinates 0..1 across."""

    def __init__(self, size):
        self.size = size
        self.at = ((np.arange(size) + 0.5) / size).astype(np.float32)
        self.image = np.empty((3, size, size), np.float32)

    def mix(self, color, amount):
        """Blend an RGB color over the image with opacity `amount` (size, size)."""
        for plane, value in zip(self.image, color, strict=True):
            plane += amount * (value - plane)

    def put(self, thing, light):
        """Draw a thing with its shadow; returns the coverage of each pixel, (size, size)."""
        self.image *= 1 - light.shadow * stretch(blurred(thing, light.blur, light), self.size)
        window = rows, columns = self.window(thing)
        right, down = self.at[None, columns], self.at[rows, None]
        x, y = thing.straight(right, down)
        px = 1 / (self.size * thing.radius)
        d = thing.outline(x, y)
        cover = np.clip(0.5 - d / px, 0, 1)
        toward = (right - thing.center[0]) * light.x + (down - thing.center[1]) * light.y
        shade = 1 + light.slope / thing.radius * toward
        if thing.bevel:
            # In the thing's own units: of length 1 near the outline, pointing outward.
            dy, dx = np.gradient(d, px)
            facing = np.clip(dx * light.x + dy * light.y, -1, 1)
            shade = shade + thing.bevel * np.clip(1 + d / thing.rim, 0, 1) * facing
        inside = self.image[:, rows, columns]
        inside += cover * (thing.paint(x, y, d, px) * shade - inside)
        whole = np.zeros((self.size, self.size), np.float32)
        whole[window] = cover
        return whole

    def window(self, thing):
        """The rows and columns that a thing may cover."""
        (x, y), reach = thing.center, thing.radius + 2 / self.size
        spans = [(max(int((c - reach) * self.size), 0), int((c + reach) * self.size) + 1) for c in (y, x)]
        return tuple(slice(low, min(high, self.size)) for low, high in spans)

    def finish(self, rng, light):
        """The image as uint8 (size, size, 3), with vignetting and a little grain."""
        far = np.float32(rng.uniform(0.04, 0.16))
        down, right = (self.at - 0.5)[:, None], (self.at - 0.5)[None]
        fall = 1 + far * (right * light.x + down * light.y)
        fall = fall - np.float32(rng.uniform(0, 0.35)) * (right * right + down * down)
        grain = fractal(rng, self.size, cells=(160,)) * np.float32(rng.uniform(0.002, 0.010))
        image = np.clip((self.image * fall + grain) * 255 + 0.5, 0, 255)
        return np.ascontiguousarray(image.astype(np.uint8).transpose(1, 2, 0))


def blurred(thing, blur, light=None):
    """The coverage of an out-of-focus thing, as a coarse lattice; with a light, that of its shadow."""
    at = ((np.arange(COARSE + 3) - 1) / COARSE).astype(np.float32)
    x, y = at[None], at[:, None]
    if light is not None:
        x, y = x + light.shift * light.x, y + light.shift * light.y
    d = thing.outline(*thing.straight(x, y)) * thing.radius
    return np.clip(0.5 - d / blur, 0, 1).astype(np.float32)


def plain(color):
    """A paint of one RGB color."""
    return lambda x, y, d, px: np.reshape(color, (3, 1, 1)).astype(np.float32)
