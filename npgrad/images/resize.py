"""Resizing maps, for example to the size of an image."""

import numpy as np

from npgrad._typing import Array
from npgrad._validate import pair
from npgrad.errors import InputError, unknown

METHODS = ("nearest", "bilinear", "bicubic")


def resize_map(maps: Array, size: int | tuple[int, int], method: str = "nearest") -> Array:
    """Resize maps to another spatial size.

    Parameters
    ----------
    maps : ndarray (N, h, w)
        The maps.
    size : int or (int, int)
        The new height and width (H, W); one number for a square.
    method : {"nearest", "bilinear", "bicubic"}, default "nearest"
        "nearest" takes row floor(i * h / H) for row i, and columns likewise, as Captum does. "bilinear" and "bicubic"
        are Pillow's: they average when shrinking and compute in float32, and bicubic may overshoot.

    Returns
    -------
    ndarray (N, H, W)
        Of the same dtype; whole numbers become float32 unless the method is "nearest".

    Raises
    ------
    InputError
        If `maps` or `size` is invalid.
    UnknownName
        If `method` is unknown.

    Examples
    --------
    >>> resize_map(np.array([[[1, 2], [3, 4]]]), (2, 4))
    array([[[1, 1, 2, 2],
            [3, 3, 4, 4]]])
    """
    expect_method(method)
    maps = np.asarray(maps)
    if maps.ndim != 3 or 0 in maps.shape or maps.dtype.kind not in "fiub":
        raise InputError(f"maps: expected numbers (N, h, w), found {maps.dtype} of shape {maps.shape}")
    height, width = pair(size, "size")
    if method == "nearest":
        row = np.arange(height) * maps.shape[1] // height
        column = np.arange(width) * maps.shape[2] // width
        return maps[:, row[:, None], column]
    from PIL import Image

    how = getattr(Image.Resampling, method.upper())
    resized = [Image.fromarray(one.astype(np.float32)).resize((width, height), how) for one in maps]
    return np.stack(resized).astype(maps.dtype if maps.dtype.kind == "f" else np.float32)


def expect_method(method: str) -> None:
    """Raise an UnknownName if there is no such way to resize.

    Parameters
    ----------
    method : str
    """
    if method not in METHODS:
        raise unknown("resize method", method, METHODS)
