"""The course's preprocessing, its inverse, and its 25 labeled photos."""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import numpy as np

from npgrad._typing import Array, ImageLike, Path
from npgrad._validate import whole_number
from npgrad.errors import InputError
from npgrad.images.reading import open_image

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

SQUEEZENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
SQUEEZENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)

IMAGENET_VAL_URL = "http://cs231n.stanford.edu/imagenet_val_25.npz"


def preprocess(img: ImageLike, size: int = 224) -> Array:
    """Resize an image, scale it to 0..1 and normalize it. Nothing is cropped.

    Parameters
    ----------
    img : path, PIL image or uint8 array
        The image.
    size : int, default 224
        The shorter side in pixels (bilinear). The longer side keeps the aspect ratio, truncated to a whole number.

    Returns
    -------
    ndarray (1, 3, H, W), float32

    Examples
    --------
    >>> preprocess(np.zeros((40, 60, 3), np.uint8), size=20).shape
    (1, 3, 20, 30)
    """
    from PIL import Image

    size = whole_number(size, "size")
    image = open_image(img)
    shorter = min(image.size)
    image = image.resize([int(size * side / shorter) for side in image.size], Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32) / 255
    return ((pixels - SQUEEZENET_MEAN) / SQUEEZENET_STD)[None].transpose(0, 3, 1, 2)


def deprocess(x: Array, should_rescale: bool = True) -> "PILImage":
    """Turn a preprocessed image back into a PIL image.

    Parameters
    ----------
    x : ndarray (1, 3, H, W)
        One preprocessed image.
    should_rescale : bool, default True
        Stretch the values so that the smallest one is 0 and the largest one 1. Otherwise values outside
        0..1 are clipped.

    Returns
    -------
    PIL.Image.Image
        RGB. Values become bytes by truncation.

    Raises
    ------
    InputError
        If x is not one image (1, 3, H, W).
    """
    from PIL import Image

    x = np.asarray(x)
    if x.ndim != 4 or x.shape[:2] != (1, 3):
        raise InputError(f"deprocess: expected one image (1, 3, H, W), found shape {x.shape}")
    pixels = x[0].transpose(1, 2, 0) * SQUEEZENET_STD + SQUEEZENET_MEAN
    if should_rescale:
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) / (high - low if high > low else 1)
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def load_imagenet_val(
    num: int | None = None, path: Path | None = None
) -> tuple[Array, Array, dict[int, str]]:
    """Load the course's 25 labeled photos.

    Parameters
    ----------
    num : int or None
        Return only the first `num` photos. None: all of them.
    path : path or None
        The file ``imagenet_val_25.npz``. None: it is searched for in the working directory, in its subfolder
        ``datasets``, and in the folder to which ``npgrad weights get imagenet_val_25`` downloads it.

    Returns
    -------
    X : ndarray (N, 224, 224, 3), uint8
        The photos.
    y : ndarray (N,), int64
        Their classes.
    class_names : dict
        {class index: names}.

    Raises
    ------
    InputError
        If there is no such file.
    WeightsError
        If the file is damaged, or is not the course's.
    """
    from npgrad.io import known_weights
    from npgrad.io.formats.npz import read_imagenet_val

    name = "imagenet_val_25.npz"
    if path:
        places = [FilePath(path)]
    else:
        places = [FilePath(name), FilePath("datasets") / name, known_weights.find("imagenet_val_25")]
    found = next((place for place in places if place and place.is_file()), None)
    if found is None:
        raise InputError(
            f"{path or name}: no such file; it comes from {IMAGENET_VAL_URL} "
            "(`npgrad weights get imagenet_val_25` downloads it); "
            "any other photos can be used instead: concatenate what `preprocess` returns for each, and take y from "
            "model.class_index"
        )
    X, y, class_names = read_imagenet_val(found)
    return X[:num], y[:num], class_names
