"""Opening images: files, PIL images and arrays.

Image files are untrusted: only a short list of formats is opened, the size is checked from the header before anything
is decoded, and every defect becomes an ImageError of one line.
"""

import io
import os
import struct
import warnings
import zlib
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npgrad._files import shown
from npgrad._typing import ImageLike
from npgrad.errors import ImageError, level_outside

if TYPE_CHECKING:
    from PIL import Image

# Not ICO, whose directory may understate the size of the image in it; nor TGA, which has no signature, so that other
# files could be taken for it.
READ_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000")
MAX_PIXELS = 64_000_000  # 192 MB as RGB
MAX_ASPECT = 20
DARK = 64  # of 255: if no value of 16 bits reaches this, it probably has fewer bits

# What Pillow raises on damaged files: fuzzing found the first three, its source code shows the others.
_DAMAGE = (OSError, ValueError, SyntaxError, TypeError, LookupError, EOFError, OverflowError,
           MemoryError, struct.error, zlib.error)  # fmt: skip
_EXIF_ORIENTATION = 0x0112
_WITH_ORIENTATION = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type APP1")


def open_image(source: ImageLike, to_srgb: bool = False) -> "Image.Image":
    """Open an image as an upright PIL image in RGB.

    The EXIF orientation is applied; of an animation, the first frame is used. Transparent pixels are composited onto
    white, CMYK is converted to RGB without its color profile, and 16-bit gray keeps its high byte. Other modes are
    refused, among them 32-bit and float gray, whose value for white is unknown. A nearly black image gives a warning if
    its values probably have another range: 16 bits of which the upper ones are 0, or 0 and 1.

    Parameters
    ----------
    source : str, path, PIL.Image.Image or ndarray
        A file in one of READ_FORMATS that Pillow can read (AVIF needs Pillow 11.3), a PIL image, or a uint8 array
        (H, W, 3), (H, W) gray or (H, W, 4) RGBA.
    to_srgb : bool, default False
        Convert the colors to sRGB if the image has a color profile (ICC). By default it is ignored, as by torchvision.

    Returns
    -------
    PIL.Image.Image
        In mode RGB, independent of `source`.

    Raises
    ------
    ImageError
        If the image is missing, damaged, in another format, over MAX_PIXELS, or has an aspect ratio over MAX_ASPECT.

    Examples
    --------
    >>> image = open_image(np.zeros((20, 30), np.uint8))
    >>> image.mode, image.size
    ('RGB', (30, 20))
    """
    from PIL import Image

    if isinstance(source, (str, os.PathLike)):
        name, (image, deep) = shown(source), _open_file(Path(source), to_srgb)
    elif isinstance(source, np.ndarray):
        name = "image array"
        image, deep = _upright_rgb(image_of_array(source), name)
    elif isinstance(source, Image.Image):
        name = shown(getattr(source, "filename", "") or "PIL image")
        with _reading(name):
            image, deep = _upright_rgb(source, name, to_srgb)
            image = image.copy()
    else:
        found = type(source).__name__
        raise ImageError(f"image: expected a path, a PIL image or a uint8 array; found {found}")
    _warn_if_dark(image, deep, name)
    return image


def _warn_if_dark(image, deep, name):
    """Warn of an image whose values seem to have another range than 0..255; `deep`: they had 16 bits."""
    lowest, largest = np.min(image.getextrema()), np.max(image.getextrema())
    if deep and 0 < largest < DARK:
        why = "the values have 16 bits, but seem to use fewer; multiply them, for example 12 bits by 16"
    elif (lowest, largest) == (0, 1):
        why = "the values are 0 and 1, where white is 255"
    else:
        return
    warnings.warn(
        f"{name}: nearly black, no value is above {largest} of 255: {why}", stacklevel=level_outside()
    )


def _open_file(path, to_srgb):
    name = shown(path)
    with _reading(name):
        if path.is_dir():
            raise ImageError(f"{name}: expected an image; found a folder")
        if not path.exists():
            raise ImageError(f"{name}: no such file")
        if not path.is_file():
            raise ImageError(f"{name}: expected an image; found a device or pipe")
        return _decoded(path, name, to_srgb)


def image_of_bytes(data, name):
    """The image in the bytes of a file, as `open_image` opens it; `name` is for messages."""
    with _reading(name):
        image, deep = _decoded(io.BytesIO(data), name)
    _warn_if_dark(image, deep, name)
    return image


def _decoded(file, name, to_srgb=False):
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(file, formats=_formats())
    except UnidentifiedImageError:
        readable = ", ".join(READ_FORMATS)
        raise ImageError(f"{name}: not an image, or not in one of the formats {readable}") from None
    with image:
        return _upright_rgb(image, name, to_srgb)


def _formats():
    """The formats that this version of Pillow knows; an unknown one would be a KeyError."""
    avif = find_spec("PIL.AvifImagePlugin") is not None
    return [kind for kind in READ_FORMATS if avif or kind != "AVIF"]


@contextmanager
def _reading(name):
    """Turn any exception of Pillow about a damaged image into an ImageError, and suppress its warnings."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # above Pillow's own, larger limit
        raise ImageError(f"{name}: expected at most {MAX_PIXELS:,} pixels; found more") from error
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(f"{name}: cannot be read as an image: {' '.join(reason.split())}") from error


def _upright_rgb(image, name, to_srgb=False):
    """The upright image in RGB, and whether its values had 16 bits."""
    from PIL import Image

    _check_size(image.size, name)
    if image.format == "EPS":  # decoding it would run Ghostscript
        raise ImageError(f"{name}: EPS images are not supported")
    deep = ";16" in f"{image.mode} {getattr(image, 'tile', '')}"  # Pillow reads 16-bit colors as 8
    image.load()
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
    }.get(_orientation(image))  # fmt: skip
    if to_srgb and image.info.get("icc_profile"):
        image = _in_srgb(image, name)
    image = to_rgb(image, name)
    if turn is not None:
        image = image.transpose(turn)
        for key in _WITH_ORIENTATION:  # an image that was turned is not turned again when it is opened again
            image.info.pop(key, None)
    return image, deep


def _in_srgb(image, name):
    """The image converted from its color profile to sRGB."""
    from PIL import ImageCms

    profile = io.BytesIO(image.info["icc_profile"])
    image = image if image.mode in ("L", "CMYK") else to_rgb(image, name)
    try:
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError as error:
        raise ImageError(
            f"{name}: its color profile cannot be applied: {' '.join(str(error).split())}"
        ) from None


def _orientation(image):
    """The EXIF orientation, 1 to 8; None if the EXIF data are missing or unreadable."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except _DAMAGE:
        return None


def _check_size(size, name):
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name}: expected at most {MAX_PIXELS:,} pixels; found {width} x {height}")
    if max(size) > MAX_ASPECT * min(size):
        limit = f"expected a longer side of at most {MAX_ASPECT} times the shorter"
        raise ImageError(f"{name}: {limit}; found {width} x {height} pixels")


def to_rgb(image, name):
    """The loaded image in mode RGB, composited onto white if it is transparent."""
    from PIL import Image

    # Pillow's mode I means 16 bits in these two formats and 32 bits in others.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode not in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"):
        raise ImageError(f"{name}: expected 8-bit or 16-bit colors; found mode {image.mode}")
    return image if image.mode == "RGB" else image.convert("RGB")


def image_of_array(array):
    """The PIL image of a uint8 array."""
    from PIL import Image

    channels_fit = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not channels_fit or array.size == 0:
        raise ImageError(
            "image array: expected uint8 of shape (H, W, 3), (H, W) or (H, W, 4); "
            f"found {array.dtype} of shape {array.shape}{_hint(array)}"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _hint(array):
    """What to do with an array that is not an image, or ""."""
    if array.ndim == 3 and array.shape[0] in (3, 4) and array.shape[2] not in (3, 4):
        return "; is it (C, H, W)? transpose(1, 2, 0) it"
    if array.ndim == 3 and array.shape[2] == 1:
        return "; of one channel pass array[:, :, 0]"
    if array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1:
        return "; if its values are 0 to 1, pass np.rint(255 * array).astype(np.uint8)"
    return ""
