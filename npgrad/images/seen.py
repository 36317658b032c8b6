"""What a network makes of an image: the part of it that it sees, and whether it knows images of this kind."""

import os
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from npgrad._typing import Array, ImageLike, Path
from npgrad.errors import ImageError, level_outside
from npgrad.images.preprocessing import Preprocessing
from npgrad.images.reading import READ_FORMATS, _orientation, _reading, open_image

SIDE = 224  # of a drawn scene, in pixels
DRAWN_SCENES = "drawn scenes only"  # in `Model.source` of the bundled network: what it knows
_warned = (
    weakref.WeakSet()
)  # networks that have said so; Python's own record is lost whenever a file is opened


def middle(preprocessing: Preprocessing, size: tuple[int, int]) -> str:
    """Say which part of an image is left by a crop to other proportions.

    Parameters
    ----------
    preprocessing : Preprocessing
        The network's.
    size : (int, int)
        The image's width and height in pixels.

    Returns
    -------
    str
        Such as "the middle 175x175 of 300x200 px"; empty for an image of the proportions that the network takes.
    """
    (width, height), (left, top) = preprocessing.layout(size)
    rows, columns = preprocessing.size
    if size[0] * rows == size[1] * columns or max(left, top) <= 0:
        return ""
    seen = round(min(columns, width) * size[0] / width), round(min(rows, height) * size[1] / height)
    return f"the middle {seen[0]}x{seen[1]} of {size[0]}x{size[1]} px"


def upright_size(path: Path) -> tuple[int, int] | None:
    """Read the size of an image file from its header.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    (int, int) or None
        Width and height as the image is shown. None: it cannot be read, and `open_image` says why.
    """
    from PIL import Image

    if not os.path.isfile(path):
        return None
    try:
        with _reading(path), Image.open(path, formats=READ_FORMATS) as image:
            width, height = image.size
            return (height, width) if (_orientation(image) or 1) > 4 else (width, height)
    except ImageError:
        return None


def looks_drawn(image: Any) -> bool:
    """Tell whether an image may be one of `npgrad.scenes`: `SIDE` px, smooth but for an even and colorless grain.

    Measured by the absolute Laplacian of the gray values and of the color differences, whose grain is rounding alone:
    true for all of 500 scenes, and for 1 of 25 photos of that size.

    Parameters
    ----------
    image : PIL.Image.Image or ndarray (H, W, 3), uint8
        In RGB.

    Returns
    -------
    bool
    """
    pixels = np.asarray(image, np.float32)
    if pixels.shape[:2] != (SIDE, SIDE):
        return False
    red, green, blue = pixels.transpose(2, 0, 1)
    gray, *colors = (_roughness(plane) for plane in (pixels.mean(axis=2), red - green, blue - green))
    drawn = 1 <= gray[1] <= 6.5 and all(0.9 <= half <= 2.1 and 1.9 <= most <= 4.1 for half, most in colors)
    return bool(drawn)


def _roughness(plane: Array) -> Array:
    """Median and 75th percentile of the absolute Laplacian."""
    inner = 4 * plane[1:-1, 1:-1]
    around = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
    return np.percentile(np.abs(inner - around), (50, 75))


def warn_unless_drawn(model: Any, images: ImageLike | Sequence[ImageLike]) -> None:
    """Warn, once for each network, if the bundled one is shown anything but drawn scenes.

    It gives one of its 26 classes with confidence, whatever it is shown.

    Parameters
    ----------
    model : Model
        Any network; others than the bundled one say nothing.
    images : as for `Model.preprocess`
        The images.
    """
    if model.source.get("knows") != DRAWN_SCENES or model in _warned:
        return
    several = isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4)
    if all(looks_drawn(open_image(image)) for image in (images if several else [images])):
        return
    _warned.add(model)
    warnings.warn(
        "the bundled network knows only drawn scenes (npgrad.scenes), and this image does not look like one; "
        "npgrad.load(NAME), or --weights NAME in the command, takes another network "
        "(`npgrad weights list` has names)",
        stacklevel=level_outside(),
    )
