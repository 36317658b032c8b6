"""What a network makes of an image that is not of its kind: the part that it sees, and whether it knows such images."""

import os

import numpy as np

from npgrad.errors import ImageError
from npgrad.images.reading import READ_FORMATS, _orientation, _reading

SIDE = 224  # of a drawn scene, in pixels


def middle(preprocessing, size):
    """What a caption says of an image (width, height) that is cropped to other proportions, or ""."""
    (width, height), (left, top) = preprocessing.layout(size)
    rows, columns = preprocessing.size
    if size[0] * rows == size[1] * columns or max(left, top) <= 0:
        return ""
    seen = round(min(columns, width) * size[0] / width), round(min(rows, height) * size[1] / height)
    return f"the middle {seen[0]}x{seen[1]} of {size[0]}x{size[1]} px"


def upright_size(path):
    """The (width, height) of an image file from its header, or None where reading the image will say what is wrong."""
    from PIL import Image

    if not os.path.isfile(path):
        return None
    try:
        with _reading(path), Image.open(path, formats=READ_FORMATS) as image:
            return image.size[::-1] if (_orientation(image) or 1) > 4 else image.size
    except ImageError:
        return None


def looks_drawn(image):
    """Whether an RGB image may be one of npgrad.scenes: SIDE px, smooth but for their even and colorless grain.

    Measured as the absolute Laplacian of the gray values and of the color differences, whose grain is rounding alone:
    true for all of 500 scenes, and for 1 of 25 photos of that size.
    """
    pixels = np.asarray(image, np.float32)
    if pixels.shape[:2] != (SIDE, SIDE):
        return False
    red, green, blue = pixels.transpose(2, 0, 1)
    gray, *colors = (_roughness(plane) for plane in (pixels.mean(axis=2), red - green, blue - green))
    return 1 <= gray[1] <= 6.5 and all(0.9 <= half <= 2.1 and 1.9 <= most <= 4.1 for half, most in colors)


def _roughness(plane):
    """Median and 75th percentile of the absolute Laplacian."""
    inner = 4 * plane[1:-1, 1:-1]
    around = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
    return np.percentile(np.abs(inner - around), (50, 75))
