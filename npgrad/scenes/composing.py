"""One scene from its number: what it shows, in which colors, how large, where, and what hides it in part."""

import numpy as np

from npgrad._validate import whole_number
from npgrad.scenes.backgrounds import background
from npgrad.scenes.colors import Palette, to_rgb
from npgrad.scenes.drawing import Canvas, Light, Thing
from npgrad.scenes.natural import NATURAL
from npgrad.scenes.noise import lattice_noise, octaves
from npgrad.scenes.shapes import PLAIN, SHAPES, pebble
from npgrad.scenes.surfaces import MADE, soft

VERSION = 1  # counts up whenever the same number would give another image
SURFACES = MADE + NATURAL
CLASSES = tuple(draw.__name__ for draw in SHAPES + SURFACES)

SMALLEST, LARGEST = 0.03, 0.42  # what of the image an object may cover
THIN = {"key", "spiral", "lightning", "arrow"}
LEAN = {"heart": 0.6, "lightning": 0.5}  # how far (radians) a shape may lean; others: any way
HUES = {
    "wood": (62, (0.05, 0.11)),
    "brick": (38, (0.06, 0.13)),
    "leopard": (75, (0.05, 0.11)),
    "marble": (200, (0.0, 0.03)),
}
ANY_HUE = (None, (0.03, 0.18))
SHADED = {"woven", "wood"}  # made of light and shade, which dark colors would swallow
DARK_SECOND = {"cracked", "leopard"}  # the second color is the darker one

_GRID = np.meshgrid(*[((np.arange(40) + 0.5) / 20 - 1).astype(np.float32)] * 2)


def scene(index, seed=0, size=224):
    """One labeled image: (image uint8 (size, size, 3), label, mask bool (size, size)).

    The label is an index into CLASSES, all equally likely; the mask is true where the object is seen, from
    1 to 60 % of the image. The same index, seed and size give the same bits on the same machine, in any order; another
    size (32 or more) shows the same scene. InputError: not whole numbers, negative, or a size below 32.
    """
    rng, canvas = _begin(index, seed, size, 1)
    label = int(rng.integers(len(CLASSES)))
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


def two_objects(index, seed=0, size=224):
    """Two objects of different classes: (image, (label, label), (mask, mask)), the masks apart.

    Arguments, kinds of arrays and errors as for `scene`; neither object is hidden.
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
    index, seed = whole_number(index, "index", 0), whole_number(seed, "seed", 0)
    return np.random.default_rng((VERSION, kind, seed, index)), Canvas(whole_number(size, "size", 32))


def _outline(label, rng):
    if label < len(SHAPES):
        return SHAPES[label](rng)
    return PLAIN[rng.integers(len(PLAIN))](rng)


def _fit(outline, radius, hidden, smallest=SMALLEST):
    """`radius`, changed as far as the area needs it, which is measured on one grid for every size."""
    area = 4 * (outline(*_GRID) < 0).mean() * (1 - hidden)
    return float(np.clip(radius, min(np.sqrt(smallest / area), 0.46), np.sqrt(LARGEST / area)))


def _places(a, b, rng):
    """Two centers whose circles of radius a and b lie in the image and apart from each other."""
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
    """The inside of a shape: plain, a run of two near colors, or lightly mottled; with a rim or not."""
    base = palette.pick(apart=0.34)
    away = np.sign(base[0] - palette.ground[:, 0].mean())
    near = base + (away * rng.uniform(0, 0.1), *rng.normal(0, 0.025, 2))
    accent = palette.pick((base,), apart=0.24)
    a, b, c = _screen(base, near, accent)
    way, angle, noise = rng.integers(4), rng.uniform(0, 2 * np.pi), lattice_noise(rng)
    rim = rng.uniform(0.05, 0.09) if rng.random() < 0.3 and kind not in THIN | {"ring"} else 0
    cos, sin = float(np.cos(angle)), float(np.sin(angle))

    def paint(x, y, d, px):
        if way == 0:
            color = a + 0 * d
        else:
            if way == 1:
                t = 0.5 + 0.6 * (x * cos + y * sin)
            elif way == 2:
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
    """A surface over the whole object, its periods counted so that several are seen."""
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
    """A pebble over an outline's edge that hides up to `most` of it: (outline, x, y, radius), or None."""
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
    """The hider as a thing, in a color of neither the object nor the ground."""
    outline, x, y, radius = hider
    cos, sin = np.cos(thing.angle) * thing.radius, np.sin(thing.angle) * thing.radius
    center = (thing.center[0] + float(x * cos - y * sin), thing.center[1] + float(x * sin + y * cos))
    base = palette.pick(colors, apart=0.17, chroma=(0.01, 0.1))
    (a,) = _screen(base)
    return Thing(
        outline, lambda x, y, d, px: a + 0 * d, center, thing.radius * radius, thing.angle, 0.15, 0.4
    )
