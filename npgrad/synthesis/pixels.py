"""What an image file can hold, in a network's normalized units."""

import numpy as np

from npgrad._typing import Array
from npgrad.model import Model

__all__ = ["as_saved", "image_limits", "pixel_std"]


def image_limits(model: Model, x: Array) -> tuple[Array, Array]:
    """Return the lowest and highest normalized value of each channel, those of pixel values 0 and 1.

    Parameters
    ----------
    model : Model
        The network, for its preprocessing.
    x : ndarray
        An array of the dtype wanted.

    Returns
    -------
    low, high : ndarray (1, C, 1, 1)
    """
    mean, std = _per_channel(model.preprocessing.mean, x), _per_channel(model.preprocessing.std, x)
    return (0 - mean) / std, (1 - mean) / std


def pixel_std(model: Model, x: Array) -> Array:
    """Return the factor from normalized units to pixel values on the scale 0 to 1.

    Parameters
    ----------
    model : Model
        The network, for its preprocessing.
    x : ndarray
        An array of the dtype wanted.

    Returns
    -------
    ndarray (1, C, 1, 1)
    """
    return _per_channel(model.preprocessing.std, x)


def as_saved(model: Model, x: Array) -> Array:
    """Return images as they are after being saved to a file and read again: clipped, and rounded to whole bytes.

    Parameters
    ----------
    model : Model
        The network, for its preprocessing.
    x : ndarray (N, C, H, W)
        Preprocessed images.

    Returns
    -------
    ndarray (N, C, H, W)
    """
    return model.preprocess(list(model.deprocess(x)), resize=False).astype(x.dtype)


def _per_channel(values, like):
    return np.reshape(values, (1, -1, 1, 1)).astype(like.dtype)
