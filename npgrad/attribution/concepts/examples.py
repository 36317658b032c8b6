"""Examples of a concept: a folder of images, a list, or an array."""

import os
import warnings
from collections.abc import Sequence

import numpy as np

from npgrad._files import shown
from npgrad._typing import Array, ImageLike
from npgrad._validate import check_input
from npgrad.attribution.folders.finding import find_photos
from npgrad.errors import ImageError, level_outside
from npgrad.model import Model


def examples(model: Model, images: ImageLike | Sequence[ImageLike] | Array) -> Array:
    """Return images as the network's input.

    Parameters
    ----------
    model : Model
        The network.
    images : path of a folder, path, PIL image, uint8 ndarray (H, W, 3), a list of them, or float ndarray (N, C, H, W)
        Of a folder, all images, in the order of their names; those that cannot be read are skipped, with a warning. An
        array of floats is taken as preprocessed already.

    Returns
    -------
    ndarray (N, C, H, W)

    Raises
    ------
    ImageError, InputError
        An image cannot be read, or there is none.
    """
    if isinstance(images, np.ndarray) and images.dtype.kind == "f":
        return check_input(images)
    if isinstance(images, (str, os.PathLike)) and os.path.isdir(images):
        return _of_folder(model, images)
    return model.preprocess(images)


def _of_folder(model, folder):
    photos, _, _ = find_photos(folder)
    found, skipped = [], []
    for photo in photos:
        try:
            found.append(model.preprocess(os.path.join(folder, photo)))
        except ImageError as error:
            skipped.append(error)
    if not found:
        raise skipped[0]
    if skipped:
        count = f"{len(skipped)} of {len(photos)} images"
        warnings.warn(f"{shown(folder)}: {count} skipped; {skipped[0]}", stacklevel=level_outside())
    return np.concatenate(found)
