"""Bringing maps to another size, to lay them over an image."""

import numpy as np

from npgrad._validate import pair
from npgrad.errors import InputError, unknown

METHODS = ("nearest", "bilinear", "bicubic")


def resize_map(maps, size, method="nearest"):
    """Maps (N, h, w) at the size (H, W), of the same dtype: (N, H, W).

    size: (H, W), or one number for a square. method: "nearest" (Captum's) takes pixel floor(i * h / H) for
    row i, and so for columns. "bilinear" and "bicubic" are Pillow's: they average over what they shrink,
    work in float32, and bicubic may overshoot.
    """
    if method not in METHODS:
        raise unknown("way to resize", method, METHODS)
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
