"""Segmentations of an image, whose segments are switched on and off together: a grid, or superpixels."""

import numpy as np

from npgrad._typing import Array
from npgrad._validate import feature_mask, is_whole, pair, positive_number, whole_number
from npgrad.errors import InputError


def grid(size: int | tuple[int, int], cells: int | tuple[int, int]) -> Array:
    """Cut an image into a grid of rectangles whose sides differ by at most one pixel.

    Parameters
    ----------
    size : int or (int, int)
        Spatial size of the image (H, W), or the side of a square.
    cells : int or (int, int)
        The number of rectangles vertically and horizontally, or one number for both.

    Returns
    -------
    ndarray of int (H, W)
        The label of each pixel's rectangle: 0, 1, ... row by row.

    Examples
    --------
    >>> grid((2, 4), (2, 2)).tolist()
    [[0, 0, 1, 1], [2, 2, 3, 3]]
    """
    (height, width), (down, across) = pair(size, "size"), pair(cells, "cells")
    if down > height or across > width:
        raise InputError(
            f"cells: expected at most {height} x {width}, one per pixel; found {down} x {across}"
        )
    row = np.arange(height) * down // height
    column = np.arange(width) * across // width
    return row[:, None] * across + column


def superpixels(image: Array, n_segments: int = 50, compactness: float = 1.0, n_steps: int = 10) -> Array:
    """Cut an image into connected segments of similar color, by SLIC.

    Achanta, Shaji, Smith, Lucchi, Fua, Süsstrunk 2012: k-means over color and position, in which each center
    considers only the pixels within one grid step S of it, by the distance
    |dcolor|^2 + (compactness * |dposition| / S)^2. Fragments cut off from their segment then join a neighbor. The
    algorithm is deterministic.

    Parameters
    ----------
    image : ndarray (C, H, W)
        One image in any units; the colors are divided by their standard deviation. (The paper uses CIELAB.)
    n_segments : int, default 50
        The approximate number of segments, at most H*W.
    compactness : float, default 1.0
        The weight of position relative to color. The larger, the more square are the segments.
    n_steps : int, default 10
        Iterations of k-means.

    Returns
    -------
    ndarray of int (H, W)
        The label of each pixel's segment, 0..k-1.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.dtype.kind not in "fiu" or not np.isfinite(image).all():
        raise InputError(f"image: expected (C, H, W) of finite numbers, found {image.dtype} {image.shape}")
    height, width = image.shape[1:]
    if not is_whole(n_segments) or not 1 <= n_segments <= height * width:
        raise InputError(f"n_segments: expected a whole number, 1 to {height * width}; found {n_segments!r}")
    positive_number(compactness, "compactness")
    whole_number(n_steps, "n_steps", smallest=0)
    step = np.sqrt(height * width / n_segments)
    labels = grid((height, width), _near(height / step, width / step, height, width))
    pixels = _color_and_position(image, compactness / step)
    centers = np.zeros((labels.max() + 1, len(pixels)))
    for _ in range(n_steps):
        centers = _means(pixels, labels, centers)
        labels = _nearest(pixels, centers, labels, compactness / step, int(np.ceil(step)))
    return _connected(labels)


def feature_maps(mask: Array | None, x: Array, n_segments: int = 50) -> list[Array]:
    """Label the segment of every element of every image, with the labels of each image renumbered to 0..k-1.

    Parameters
    ----------
    mask : ndarray of int or None
        Labels that broadcast to x, such as (H, W), or (N, 1, H, W) with a map per image. None: the superpixels of
        each image, or each element of what is not an image.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, or other inputs of a network.
    n_segments : int, default 50
        The approximate number of superpixels.

    Returns
    -------
    list of N ndarrays of int (C, H, W) or (...)
        The labels.
    """
    if mask is None and x.ndim != 4:
        mask = np.arange(x[0].size).reshape(x.shape[1:])
    if mask is None:
        maps = [superpixels(image, min(n_segments, image[0].size)) for image in x]
        return [np.broadcast_to(labels, x.shape[1:]) for labels in maps]
    maps = feature_mask(mask, x.shape)
    return [np.unique(labels, return_inverse=True)[1].reshape(x.shape[1:]) for labels in maps]


def _near(down, across, height, width):
    """The number of cells of a grid down and across, rounded, from 1 to one per pixel."""
    return min(max(round(down), 1), height), min(max(round(across), 1), width)


def _color_and_position(image, position_scale):
    """Every pixel as a point (C + 2, H, W): its color, then row and column in units of the distance."""
    color = image.astype(np.float64)
    color = color / (color.std() or 1)
    return np.concatenate([color, np.indices(image.shape[1:]) * position_scale])


def _means(pixels, labels, centers):
    """The mean point of each segment, (k, C + 2); a segment that lost all its pixels keeps its center."""
    k = len(centers)
    count = np.bincount(labels.ravel(), minlength=k)
    sums = np.stack([np.bincount(labels.ravel(), plane.ravel(), k) for plane in pixels], axis=1)
    return np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centers)


def _nearest(pixels, centers, labels, position_scale, reach):
    """Each pixel's nearest center among those within `reach` of it; without one, its old label."""
    best, labels = np.full(labels.shape, np.inf), labels.copy()
    for label, center in enumerate(centers):
        row, column = np.rint(center[-2:] / position_scale).astype(int)
        # one pixel more than S, so that every pixel between two initial centers is in a window
        window = tuple(slice(max(at - reach - 1, 0), at + reach + 2) for at in (row, column))
        distance = ((pixels[:, window[0], window[1]] - center[:, None, None]) ** 2).sum(axis=0)
        closer = distance < best[window]
        best[window][closer] = distance[closer]
        labels[window][closer] = label
    return labels


def _connected(labels):
    """Keep each segment's largest connected part; the rest joins adjacent segments, pixel by pixel."""
    from scipy import ndimage

    kept = np.full(labels.shape, -1)
    for label in range(labels.max() + 1):
        parts, count = ndimage.label(labels == label)
        if count:
            largest = np.bincount(parts.ravel())[1:].argmax() + 1
            kept[parts == largest] = label
    while (kept < 0).any():
        padded = np.pad(kept, 1, constant_values=-1)
        around = [padded[:-2, 1:-1], padded[1:-1, :-2], padded[2:, 1:-1], padded[1:-1, 2:]]
        for neighbor in around:
            kept = np.where((kept < 0) & (neighbor >= 0), neighbor, kept)
    return np.unique(kept, return_inverse=True)[1].reshape(kept.shape)
