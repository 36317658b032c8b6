"""Cutting an image into pieces that are switched on and off together: a grid, or superpixels."""

import numpy as np

from npgrad._validate import whole_number
from npgrad.errors import InputError


def grid(size, cells):
    """An integer map (H, W) of rectangular pieces, labeled 0, 1, ... row by row.

    size: (H, W), or one number for a square. cells: how many pieces down and across, or one number for both.
    Sides differ by one pixel at most.
    """
    (height, width), (down, across) = _two(size, "size"), _two(cells, "cells")
    if down > height or across > width:
        raise InputError(f"cells: expected at most {height} x {width}, one a pixel; found {down} x {across}")
    row = np.arange(height) * down // height
    column = np.arange(width) * across // width
    return row[:, None] * across + column


def superpixels(image, n_segments=50, compactness=1.0, n_steps=10):
    """An integer map (H, W) of about `n_segments` connected pieces of like color, labeled 0..k-1.

    SLIC (Achanta, Shaji, Smith, Lucchi, Fua, Süsstrunk 2012): k-means over color and place, in which each
    center looks only at the pixels within one grid step S of it, by the distance
    |dcolor|^2 + (compactness * |dplace| / S)^2. What is cut off from its piece then joins a neighbor.
    Nothing is drawn at random: the same image gives the same pieces.

    image: (C, H, W) in any units; the colors are divided by their standard deviation. (The paper works in
    CIELAB.) compactness: how much place counts against color; the larger, the squarer. n_steps: rounds.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.dtype.kind not in "fiu" or not np.isfinite(image).all():
        raise InputError(f"image: expected (C, H, W) of finite numbers, found {image.dtype} {image.shape}")
    height, width = image.shape[1:]
    if not _is_whole(n_segments) or not 1 <= n_segments <= height * width:
        raise InputError(f"n_segments: expected a whole number, 1 to {height * width}; found {n_segments!r}")
    if not compactness > 0:
        raise InputError(f"compactness: expected more than 0, found {compactness}")
    whole_number(n_steps, "n_steps", smallest=0)
    step = np.sqrt(height * width / n_segments)
    labels = grid((height, width), _near(height / step, width / step, height, width))
    pixels = _color_and_place(image, compactness / step)
    centers = np.zeros((labels.max() + 1, len(pixels)))
    for _ in range(n_steps):
        centers = _means(pixels, labels, centers)
        labels = _nearest(pixels, centers, labels, compactness / step, int(np.ceil(step)))
    return _connected(labels)


def feature_maps(mask, x):
    """For each image of x (N, C, H, W): which piece every element belongs to, (C, H, W), labeled 0..k-1.

    mask: integers that broadcast to x, such as (H, W), or (N, 1, H, W) for a map an image; None makes
    superpixels of each image.
    """
    if x.ndim != 4:
        raise InputError(f"input: expected (N, C, H, W), found shape {x.shape}")
    if mask is None:
        maps = [superpixels(image, min(50, image[0].size)) for image in x]
        return [np.broadcast_to(labels, x.shape[1:]) for labels in maps]
    mask = np.asarray(mask)
    if mask.dtype.kind not in "iub":
        raise InputError(f"mask: expected integers, one a piece; found {mask.dtype}")
    try:
        maps = np.broadcast_to(mask, x.shape)
    except ValueError:
        raise InputError(f"mask: expected a shape that broadcasts to {x.shape}, found {mask.shape}") from None
    return [np.unique(labels, return_inverse=True)[1].reshape(x.shape[1:]) for labels in maps]


def _near(down, across, height, width):
    """The whole numbers nearest to a grid's cells down and across, from 1 to one a pixel."""
    return min(max(round(down), 1), height), min(max(round(across), 1), width)


def _color_and_place(image, place_scale):
    """Every pixel as a point (C + 2, H, W): its color, then row and column in units of the distance."""
    color = image.astype(np.float64)
    color = color / (color.std() or 1)
    return np.concatenate([color, np.indices(image.shape[1:]) * place_scale])


def _means(pixels, labels, centers):
    """The mean point of each piece, (k, C + 2); a piece that lost all its pixels keeps its center."""
    k = len(centers)
    count = np.bincount(labels.ravel(), minlength=k)
    sums = np.stack([np.bincount(labels.ravel(), plane.ravel(), k) for plane in pixels], axis=1)
    return np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centers)


def _nearest(pixels, centers, labels, place_scale, reach):
    """Each pixel's nearest center among those within `reach` of it; where there is none, its old label."""
    best, labels = np.full(labels.shape, np.inf), labels.copy()
    for label, center in enumerate(centers):
        row, column = np.rint(center[-2:] / place_scale).astype(int)
        # one pixel more than S, so that no pixel between two starting centers is left out
        window = tuple(slice(max(at - reach - 1, 0), at + reach + 2) for at in (row, column))
        distance = ((pixels[:, window[0], window[1]] - center[:, None, None]) ** 2).sum(axis=0)
        closer = distance < best[window]
        best[window][closer] = distance[closer]
        labels[window][closer] = label
    return labels


def _connected(labels):
    """Keep each piece's largest connected part; the rest joins the parts beside it, pixel by pixel."""
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


def _two(value, name):
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(_is_whole(one) and one >= 1 for one in values):
        raise InputError(f"{name}: expected one or two whole numbers >= 1, found {value!r}")
    return values


def _is_whole(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
