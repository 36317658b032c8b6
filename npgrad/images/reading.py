"""Images: from files, PIL images and arrays to what a network takes, and back.

Images come from strangers, so only a short list of formats is opened at all, the size is checked from
the header before anything is decoded, and whatever is wrong with a file is said in one line (ImageError).
"""

import os
import struct
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from npgrad._files import atomic_file, shown
from npgrad.errors import ImageError

READ_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
WRITE_FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF",
    ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM",
}  # fmt: skip
MAX_PIXELS = 64_000_000  # as RGB, 192 MB
MAX_ASPECT = 20

# What Pillow raises on damaged files: fuzzing shows the first three, its sources the others.
_DAMAGE = (OSError, ValueError, SyntaxError, TypeError, LookupError, EOFError, OverflowError,
           MemoryError, struct.error, zlib.error)  # fmt: skip
_EXIF_ORIENTATION = 0x0112


def open_image(source):
    """An image as an upright PIL image in RGB.

    source   a path, a PIL image, or a uint8 array (H, W, 3), (H, W) gray or (H, W, 4) RGBA

    Turned upright as EXIF says; of an animation the first frame. Transparency is laid on white; CMYK
    becomes RGB without its color profile; 16-bit gray keeps its high byte. Gray of 32 bits or floats is
    refused, since nothing says which value is white, and so is any other mode.

    Raises ImageError, in one line that names the file, for what is missing, damaged, of another format than
    READ_FORMATS, over MAX_PIXELS, or more than MAX_ASPECT times as long as wide.
    """
    from PIL import Image

    if isinstance(source, (str, os.PathLike)):
        return _open_file(Path(source))
    if isinstance(source, np.ndarray):
        return _upright_rgb(_image_of_array(source), "image array")
    if isinstance(source, Image.Image):
        name = shown(getattr(source, "filename", "") or "PIL image")
        with _reading(name):
            return _upright_rgb(source, name).copy()
    found = type(source).__name__
    raise ImageError(f"image: expected a path, a PIL image or a uint8 array; found {found}")


def _open_file(path):
    from PIL import Image, UnidentifiedImageError

    name = shown(path)
    with _reading(name):
        if path.is_dir():
            raise ImageError(f"{name}: expected an image; found a folder")
        if not path.exists():
            raise ImageError(f"{name}: no such file")
        if not path.is_file():
            raise ImageError(f"{name}: expected an image; found a device or pipe")
        try:
            image = Image.open(path, formats=READ_FORMATS)
        except UnidentifiedImageError:
            readable = ", ".join(READ_FORMATS)
            raise ImageError(f"{name}: not an image, or of a format not read here ({readable})") from None
        with image:
            return _upright_rgb(image, name)


@contextmanager
def _reading(name):
    """Turn whatever Pillow raises on a damaged image into one line, and keep its warnings quiet."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, which is above ours
        raise ImageError(f"{name}: over {MAX_PIXELS:,} pixels, the most that are read") from error
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(f"{name}: cannot be read as an image: {' '.join(reason.split())}") from error


def _upright_rgb(image, name):
    from PIL import Image

    _check_size(image.size, name)
    if image.format == "EPS":  # decoding it would run Ghostscript
        raise ImageError(f"{name}: EPS images are not read")
    image.load()
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
    }.get(_orientation(image))  # fmt: skip
    image = _rgb(image, name)
    return image if turn is None else image.transpose(turn)


def _orientation(image):
    """The way the image lies, 1 to 8, as EXIF says; None where its EXIF is not there or cannot be read."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except _DAMAGE:
        return None


def _check_size(size, name):
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name}: {width} x {height} pixels; at most {MAX_PIXELS:,} are read")
    if max(size) > MAX_ASPECT * min(size):
        limit = f"the longer side may be at most {MAX_ASPECT} times the shorter"
        raise ImageError(f"{name}: {width} x {height} pixels; {limit}")


def _rgb(image, name):
    """The loaded image in mode RGB, on white where it is transparent."""
    from PIL import Image

    # Pillow's mode I stands for 16 bits in these two formats, and for 32 in others.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode not in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"):
        raise ImageError(f"{name}: expected 8-bit or 16-bit colors; found mode {image.mode}")
    return image if image.mode == "RGB" else image.convert("RGB")


def _image_of_array(array):
    from PIL import Image

    channels_fit = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not channels_fit or array.size == 0:
        raise ImageError(
            "image array: expected uint8 of shape (H, W, 3), (H, W) or (H, W, 4); "
            f"found {array.dtype} of shape {array.shape}"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def save_image(image, path):
    """Write a PIL image or uint8 array (H, W, 3) as RGB; an existing file is replaced whole or not at all.

    The format follows the suffix, one of WRITE_FORMATS, usually .png; ImageError for any other.
    """
    from PIL import Image

    suffix = Path(path).suffix.lower()
    if suffix not in WRITE_FORMATS:
        known = ", ".join(WRITE_FORMATS)
        raise ImageError(f"{shown(path)}: expected an image's suffix ({known}); found {suffix or 'none'!r}")
    if isinstance(image, np.ndarray):
        image = _image_of_array(image)
    elif not isinstance(image, Image.Image):
        raise ImageError(f"image: expected a PIL image or a uint8 array; found {type(image).__name__}")
    image = _rgb(image, "image")
    # Of PNGs' nine levels the third takes a third of the time of the usual sixth, for files hardly larger.
    options = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}, "PNG": {"compress_level": 3}}
    with atomic_file(path) as file:
        image.save(file, WRITE_FORMATS[suffix], **options.get(WRITE_FORMATS[suffix], {}))
