"""A map over the whole photo, at the photo's own resolution, in the place that the network saw."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from npgrad._typing import Array
from npgrad.images._smoothing import smoothed
from npgrad.images.captions import ALPHA, NARROW, under
from npgrad.images.colormaps import color
from npgrad.images.heat_maps import limit_of, normalize, to_map
from npgrad.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL import Image

LONGEST = 1280  # px: larger photos are shown smaller, since a file of their size takes longer to write than to explain
SMOOTH = 0.015  # as in `heat_map`


@dataclass(frozen=True)
class Overlay:
    """A photo with a map.

    Parameters
    ----------
    image : PIL.Image.Image
        The image.
    box : (int, int, int, int)
        Where the map is: left, top, right and bottom.
    framed : bool
        Whether a frame marks the part that the network saw, since it is not the whole photo.
    """

    image: "Image.Image"
    box: tuple[int, int, int, int]
    framed: bool


@dataclass(frozen=True)
class Shown:
    """A map's values as they are shown.

    Parameters
    ----------
    values : ndarray (H, W)
        Smoothed, in the units of the attribution, at the resolution of the network's input.
    limit : float
        The value from which on the color is the strongest, by the share that is clipped; 0 for a blank map.
    blank : {"", "zero", "negative", "constant"}
        Why there is nothing to show.
    """

    values: Array
    limit: float
    blank: str = ""


def shown_values(attribution: Array, size: tuple[int, int], sign: str, outliers: float = 2.0) -> Shown:
    """Reduce an attribution to the map that people look at.

    Parameters
    ----------
    attribution : ndarray (H, W) or (C, H, W)
        The attribution of one image.
    size : (int, int)
        Height and width of the network's input; smaller maps are resized to it (bilinear).
    sign : {"absolute", "positive", "signed"}
        Which values are shown.
    outliers : float, default 2.0
        The percentage of the map's sum that may be clipped.

    Returns
    -------
    Shown
    """
    from PIL import Image

    values = to_map(attribution, sign)
    largest = np.abs(values).max()
    if largest == 0 or np.ptp(values / largest) <= 1e-6:
        return Shown(values, 0.0, "constant" if largest else "zero")
    if sign == "positive" and values.max() <= 0:
        return Shown(values, 0.0, "negative")
    values = values / largest
    if values.shape != tuple(size):
        small = Image.fromarray(values.astype(np.float32))
        values = np.asarray(small.resize(size[::-1], Image.Resampling.BILINEAR), np.float64)
    values = smoothed(values, SMOOTH)
    limit = limit_of(values, sign, outliers)
    return Shown(values * largest, float(limit * largest), "" if limit else "constant")


def overlay(
    shown: Shown,
    photo: "Image.Image",
    preprocessing: Preprocessing | None,
    sign: str,
    limit: float | None = None,
    colormap: str | None = None,
    alone: bool = False,
) -> Overlay:
    """Draw a map over a photo.

    Parameters
    ----------
    shown : Shown
        The map.
    photo : PIL.Image.Image
        The whole photo. It is drawn at its own resolution, at most `LONGEST` px a side; small ones are enlarged by a
        whole number.
    preprocessing : Preprocessing or None
        Says which part of the photo the network saw. None: all of it.
    sign : {"absolute", "positive", "signed"}
        Which values are shown.
    limit : float or None, default None
        The value that has the strongest color. None: the map's own.
    colormap : str or None, default None
        See `npgrad.images.colormaps.color`.
    alone : bool, default False
        Whether to draw the map without the photo.

    Returns
    -------
    Overlay
    """
    from PIL import Image

    size = _display_size(photo.size)
    box, source = _placed(photo.size, size, preprocessing, shown.values.shape)
    part = box[2] - box[0], box[3] - box[1]
    levels, colors, covers = _levels(shown, sign, limit, colormap)
    level = Image.fromarray(levels).resize(part, Image.Resampling.BILINEAR, box=source)
    colored = level.copy()
    colored.putpalette(colors.tobytes())
    if alone:
        return Overlay(colored.convert("RGB"), (0, 0, *part), False)
    grays = [round(float(value)) for value in under(np.arange(256.0), sign)]
    gray = photo.convert("L")  # before it is resized, since one channel is less work than three
    if size != photo.size:
        enlarged = size[0] > photo.width
        how = Image.Resampling.NEAREST if enlarged else Image.Resampling.BILINEAR
        gray = gray.resize(size, how, reducing_gap=None if enlarged else 2.0)
    image = gray.point(grays).convert("RGB")
    below = image if part == size else image.crop(box)
    blended = Image.composite(colored.convert("RGB"), below, level.point(covers))
    image.paste(blended, box[:2])
    framed = part != size
    if framed:
        _frame(image, box)
    return Overlay(image, box, framed)


def _levels(shown, sign, limit, colormap):
    """The map in 8 bits, the color of each level (256, 3), and how much it covers the photo."""
    values = np.zeros(shown.values.shape)
    if not shown.blank:
        values = normalize(shown.values, sign, limit=limit or shown.limit)
    low, steps = (-1, 127) if sign == "signed" else (0, 255)
    levels = np.rint((values - low) * steps).astype(np.uint8)
    scale = np.minimum(low + np.arange(256) / steps, 1)
    covers = [round(255 * ALPHA * abs(float(value))) for value in scale]
    return levels, color(scale[None], sign, colormap)[0], covers


def _display_size(size):
    width, height = size
    if max(size) > LONGEST:
        return tuple(max(1, round(side * LONGEST / max(size))) for side in size)
    times = max(1, min(math.ceil(NARROW / width), LONGEST // max(size)))
    return width * times, height * times


def _placed(size, display, preprocessing, shape):
    """(the box of the map in the display, the box of the map's own pixels that is drawn there).

    A network that pads an image has a map that is larger than the photo.
    """
    rows, columns = shape
    if preprocessing is None:
        return (0, 0, *display), (0, 0, columns, rows)
    (width, height), (left, top) = preprocessing.layout(size)
    down, across = preprocessing.size
    edges, source = [], []
    for start, length, whole, side, cells in (
        (left, across, width, display[0], columns),
        (top, down, height, display[1], rows),
    ):
        first, last = max(start, 0), min(start + length, whole)
        begin = min(round(first * side / whole), side - 1)
        edges.append((begin, max(begin + 1, round(last * side / whole))))
        source.append(((first - start) * cells / length, (last - start) * cells / length))
    (x0, x1), (y0, y1) = edges
    return (x0, y0, x1, y1), (source[0][0], source[1][0], source[0][1], source[1][1])


def _frame(image, box):
    """Two lines, one dark and one bright, so that one of them is seen on any photo."""
    from PIL import ImageDraw

    draw, wide = ImageDraw.Draw(image), max(1, round(max(image.size) / 400))
    x0, y0, x1, y1 = box
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline="black", width=2 * wide)
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline="white", width=wide)
