"""What an image file can hold, in a network's normalized units."""

import numpy as np

from npgrad._typing import Array
from npgrad.images.preprocessing import IMAGENET
from npgrad.model import Model

__all__ = ["as_saved", "image_limits", "pixel_std", "standardization"]


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
    mean, std = (
        _per_channel(model.preprocessing.pixel_mean, x),
        _per_channel(model.preprocessing.pixel_std, x),
    )
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
    return _per_channel(model.preprocessing.pixel_std, x)


def standardization(model: Model, x: Array) -> tuple[float, Array]:
    """Return the unit in which step lengths, noise and losses are given, and its origin, for a network's own input.

    Photographs have about mean 0 and standard deviation 1 in (x - origin) / unit. Both are defined by ImageNet's mean
    and std of each color, so they are 1 and 0 for a network that is normalized with these.

    Parameters
    ----------
    model : Model
        The network, for its preprocessing.
    x : ndarray
        An array of the dtype wanted.

    Returns
    -------
    unit : float
        The mean over the channels.
    origin : ndarray (1, C, 1, 1)
    """
    seen = model.preprocessing
    mean, std = (np.array(IMAGENET[name]) for name in ("mean", "std"))
    if seen.channels == "BGR":
        mean, std = mean[::-1], std[::-1]
    elif seen.channels == "gray":
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    unit = np.mean(std / seen.pixel_std)
    return float(unit), _per_channel((mean - seen.pixel_mean) / seen.pixel_std, x)


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
