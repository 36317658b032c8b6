"""Saving images to files."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Union

import numpy as np

from npgrad._files import atomic_file, check_suffix
from npgrad._typing import Array, Path
from npgrad.errors import ImageError
from npgrad.images.reading import image_of_array, to_rgb

if TYPE_CHECKING:
    from PIL import Image

WRITE_FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF",
    ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM",
}  # fmt: skip


def save_image(image: Union["Image.Image", Array], path: Path, text: Mapping[str, str] | None = None) -> None:
    """Write an image as RGB; an existing file is replaced whole or not at all.

    Parameters
    ----------
    image : PIL.Image.Image or ndarray (H, W, 3), uint8
        The image.
    path : str or path
        The file. Its suffix, one of WRITE_FORMATS, determines the format.
    text : dict of str or None, default None
        Entries of the file for programs, where its format has them: text chunks of a PNG.

    Raises
    ------
    ImageError
        If the suffix or the image has another type.
    InputError
        If the file cannot be written.
    """
    from PIL import Image

    check_suffix(path, "an image", WRITE_FORMATS, ImageError)
    kind = WRITE_FORMATS[FilePath(path).suffix.lower()]
    if isinstance(image, np.ndarray):
        image = image_of_array(image)
    elif not isinstance(image, Image.Image):
        raise ImageError(f"image: expected a PIL image or a uint8 array; found {type(image).__name__}")
    image = to_rgb(image, "image")
    # PNG level 3 takes a third of the time of the default level 6, for files that are hardly larger.
    options = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}, "PNG": {"compress_level": 3}}
    with atomic_file(path) as file:
        image.save(file, kind, **options.get(kind, {}), **_entries(kind, text))


def _entries(kind, text):
    if kind != "PNG" or not text:
        return {}
    from PIL.PngImagePlugin import PngInfo

    entries = PngInfo()
    for key, value in text.items():
        entries.add_text(key, value)
    return {"pnginfo": entries}
