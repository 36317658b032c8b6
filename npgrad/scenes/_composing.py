"""One scene from its index: its class, colors, size and position, and what partly occludes it."""

import numpy as np

from npgrad._typing import Array
from npgrad._validate import whole_number
from npgrad.scenes._backgrounds import background
from npgrad.scenes._colors import Palette, to_rgb
from npgrad.scenes._drawing import Canvas, Light, Thing
from npgrad.scenes._natural import NATURAL
from npgrad.scenes._noise import lattice_noise, octaves
from npgrad.scenes._shapes import PLAIN, SHAPES, pebble
from npgrad.scenes._surfaces import MADE, soft

VERSION = 1  # incremented whenever the same index would give a different image
SURFACES = MADE + NATURAL
CLASSES: tuple[str, ...] = tuple(draw.__name__ for draw in SHAPES + SURFACES)

SMALLEST, LARGEST = 0.03, 0.42  # the fraction of the image that an object may cover
THIN = {"key", "spiral", "lightning", "arrow"}
LEAN = {"heart": 0.6, "lightning": 0.5}  # the largest rotation (radians) of a shape; others: any
HUES = {
    "wood": (62, (0.05, 0.11)),
    "brick": (38, (0.06, 0.13)),
    "leopard": (75, (0.05, 0.11)),
    "marble": (200, (0.0, 0.03)),
}
ANY_HUE = (None, (0.03, 0.18))
SHADED = {"woven", "wood"}  # made of light and shade, which dark colors would hide
DARK_SECOND = {"cracked", "leopard"}  # the second color is the darker one

_GRID = np.meshgrid(*[((np.arange(40) + 0.5) / 20 - 1).astype(np.float32)] * 2)


def scene(index: int, seed: int = 0, size: int = 224) -> tuple[Array, int, Array]:
    """Draw one labeled image with one object.

    The same index, seed and size give bit-identical results on the same machine, in any order; a different size gives
    the same scene at a different resolution. All classes are equally likely.

    Parameters
    ----------
    index : int
        The index of the scene, >= 0.
    seed : int, default 0
        The seed of the data set, >= 0.
    size : int, default 224
        The side of the image in pixels, >= 32.

    Returns
    -------
    image : ndarray of uint8 (size, size, 3)
        The image, RGB.
    label : int
        The class, an index into `CLASSES`.
    mask : ndarray of bool (size, size)
        Where the object is visible, 1 to 60% of the image.

    Raises
    ------
    InputError
        An argument is not a whole number or too small.

    Examples
    --------
    >>> image, label, mask = scene(7, size=64)
    >>> image.shape, CLASSES[label], bool(mask.any())
    ((64, 64, 3), 'scales', True)
    """
    rng, canvas = _begin(index, seed, size, 1)
    label = drawn_label(rng)
    palette, light = Palette(rng), Light.drawn(rng)
    background(canvas, palette, rng)
    kind = CLASSES[label]
    low, high = (0.22, 0.40) if kind in THIN else (0.17, 0.36) if label < len(SHAPES) else (0.19, 0.36)
    outline = _outline(label, rng)
    hider = _hider(outline, rng, 0.12 if kind in THIN else 0.22) if rng.random() < 0.3 else None
    radius = _fit(outline, rng.uniform(low, high), 0.25 if hider else 0)
    x, y = rng.uniform(radius + 0.015, 0.985 - radius, 2).tolist()
    thing, colors = _thing(label, outline, (x, y), radius, palette, rng)
    mask = canvas.put(thing, light) > 0.5
    if hider:
        mask &= canvas.put(_hiding(hider, thing, colors, palette, rng), light) < 0.5
    return canvas.finish(rng, light), label, mask


def two_objects(
    index: int, seed: int = 0, size: int = 224
) -> tuple[Array, tuple[int, int], tuple[Array, Array]]:
    """Draw one image with two objects of different classes, both fully visible and without overlap.

    Parameters
    ----------
    index : int
        The index of the scene, >= 0.
    seed : int, default 0
        The seed of the data set, >= 0.
    size : int, default 224
        The side of the image in pixels, >= 32.

    Returns
    -------
    image : ndarray of uint8 (size, size, 3)
        The image, RGB.
    labels : (int, int)
        The classes, indices into `CLASSES`.
    masks : (ndarray, ndarray) of bool (size, size)
        The pixels of each object.

    Raises
    ------
    InputError
        An argument is not a whole number or too small.
    """
    rng, canvas = _begin(index, seed, size, 2)
    labels = tuple(rng.choice(len(CLASSES), 2, replace=False).tolist())
    palette, light = Palette(rng), Light.drawn(rng)
    background(canvas, palette, rng)
    outlines = [_outline(label, rng) for label in labels]
    radii = [_fit(outline, rng.uniform(0.20, 0.245), 0, 0.03) for outline in outlines]
    first, second = _places(*radii, rng)
    masks = []
    for label, outline, center, radius in zip(labels, outlines, (first, second), radii, strict=True):
        thing, _ = _thing(label, outline, center, radius, palette, rng)
        masks.append(canvas.put(thing, light) > 0.5)
    return canvas.finish(rng, light), labels, tuple(masks)


def _begin(index, seed, size, kind):
    return generator_of(index, seed, kind), Canvas(whole_number(size, "size", 32))


def generator_of(index, seed, kind):
    index, seed = whole_number(index, "index", 0), whole_number(seed, "seed", 0)
    return np.random.default_rng((VERSION, kind, seed, index))


def drawn_label(rng):
    return int(rng.integers(len(CLASSES)))


def _outline(label, rng):
    if label < len(SHAPES):
        return SHAPES[label](rng)
    return PLAIN[rng.integers(len(PLAIN))](rng)


def _fit(outline, radius, hidden, smallest=SMALLEST):
    """`radius`, adjusted so that the area is within limits, measured on the same grid for every image size."""
    area = 4 * (outline(*_GRID) < 0).mean() * (1 - hidden)
    return float(np.clip(radius, min(np.sqrt(smallest / area), 0.46), np.sqrt(LARGEST / area)))


def _places(a, b, rng):
    """Two centers whose circles of radius a and b are inside the image and disjoint."""
    while True:
        x0, y0 = rng.uniform(a + 0.01, 0.99 - a, 2).tolist()
        x1, y1 = rng.uniform(b + 0.01, 0.99 - b, 2).tolist()
        if np.hypot(x0 - x1, y0 - y1) > a + b + 0.02:
            return (x0, y0), (x1, y1)


def _thing(label, outline, center, radius, palette, rng):
    """An object of a class, and the colors (OKLab) in it."""
    kind = CLASSES[label]
    lean = LEAN.get(kind, np.pi)
    angle = rng.uniform(-lean, lean)
    bevel = rng.uniform(0.05, 0.28) if rng.random() < 0.7 else 0.0
    rim = rng.uniform(0.06, 0.2)
    if label < len(SHAPES):
        paint, colors = _fill(kind, palette, rng)
    else:
        paint, colors = _cover(kind, SURFACES[label - len(SHAPES)], radius, palette, rng)
        bevel *= 0.6
    return Thing(outline, paint, center, radius, angle, bevel, rim), colors


def _fill(kind, palette, rng):
    """The inside of a shape: one color, a gradient of two similar colors, or mottled; with or without a rim."""
    base = palette.pick(apart=0.34)
    away = np.sign(base[0] - palette.ground[:, 0].mean())
    near = base + (away * rng.uniform(0, 0.1), *rng.normal(0, 0.025, 2))
    accent = palette.pick((base,), apart=0.24)
    a, b, c = _screen(base, near, accent)
    style, angle, noise = rng.integers(4), rng.uniform(0, 2 * np.pi), lattice_noise(rng)
    rim = rng.uniform(0.05, 0.09) if rng.random() < 0.3 and kind not in THIN | {"ring"} else 0
    cos, sin = float(np.cos(angle)), float(np.sin(angle))

    def paint(x, y, d, px):
        if style == 0:
            color = a + 0 * d
        else:
            if style == 1:
                t = 0.5 + 0.6 * (x * cos + y * sin)
            elif style == 2:
                t = np.hypot(x - 0.5 * cos, y - 0.5 * sin)
            else:
                t = 0.5 + 0.5 * octaves(noise, 3 * x, 3 * y)
            color = a + np.clip(t, 0, 1) * (b - a)
        if rim:
            color = color + soft(d + rim, px) * (c - color)
        if kind == "flower":
            color = color + soft(0.27 - np.hypot(x, y), px) * (c - color)
        return color

    return paint, (base, near, accent)


def _cover(kind, draw, radius, palette, rng):
    """A texture on the whole object, scaled so that several periods are visible."""
    surface = draw(rng)
    hue, chroma = HUES.get(kind, ANY_HUE) if rng.random() < 0.7 else ANY_HUE
    tones = (0.5, 0.96) if kind in SHADED else (0.2, 0.96)
    first = palette.pick(apart=0.22, lightness=tones, hue=hue, chroma=chroma)
    second = palette.pick((first,), apart=0.3, lightness=tones, step=0.12 if kind in SHADED else 0.2)
    if kind in DARK_SECOND and second[0] > first[0]:
        first, second = second, first
    third = palette.pick((first, second), apart=0.2)
    if kind == "wood":
        second = first - (rng.uniform(0.14, 0.22), 0, 0)
    if kind == "leopard":
        third = 0.55 * first + 0.45 * second
    a, b, c = _screen(first, second, third)
    scale = radius / max(2 * radius / rng.uniform(4.5, 7.5), 0.066)
    turn, (ox, oy) = rng.uniform(0, 2 * np.pi), rng.uniform(0, 16, 2).tolist()
    cos, sin = float(np.cos(turn)) * scale, float(np.sin(turn)) * scale

    def paint(x, y, d, px):
        over, top, shade = surface(x * cos + y * sin + ox, y * cos - x * sin + oy, px * scale)
        color = a + over * (b - a)
        if top is not None:
            color += top * (c - color)
        return color if shade is None else color * shade

    return paint, (first, second, third)


def _screen(*colors):
    """OKLab colors as RGB arrays (3, 1, 1)."""
    return [to_rgb(color).clip(0, 1).astype(np.float32).reshape(3, 1, 1) for color in colors]


def _hider(outline, rng, most):
    """A pebble on the edge of an outline that hides up to `most` of it: (outline, x, y, radius), or None."""
    inside = outline(*_GRID) < 0
    x, y = (grid[inside] for grid in _GRID)
    shape, angle, radius = pebble(rng), rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.7)
    best = None
    for far in (1.5, 1.35, 1.2, 1.05, 0.9, 0.75, 0.6):
        cx, cy = far * float(np.cos(angle)), far * float(np.sin(angle))
        hidden = (shape((x - cx) / radius, (y - cy) / radius) < 0).mean()
        if hidden > most:
            break
        if hidden > 0.03:
            best = shape, cx, cy, radius
    return best


def _hiding(hider, thing, colors, palette, rng):
    """The pebble as a Thing, in a color that differs from the object's and the background's."""
    outline, x, y, radius = hider
    cos, sin = np.cos(thing.angle) * thing.radius, np.sin(thing.angle) * thing.radius
    center = (thing.center[0] + float(x * cos - y * sin), thing.center[1] + float(x * sin + y * cos))
    base = palette.pick(colors, apart=0.17, chroma=(0.01, 0.1))
    (a,) = _screen(base)
    return Thing(
        outline, lambda x, y, d, px: a + 0 * d, center, thing.radius * radius, thing.angle, 0.15, 0.4
    )
