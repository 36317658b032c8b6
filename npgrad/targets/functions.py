"""Targets that are other functions of the outputs: sums of the highest, entropy, distance, and regions of maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._typing import Array
from npgrad._validate import whole_number
from npgrad.errors import InputError
from npgrad.targets._outputs_as_vectors import softmax, vectors

__all__ = ["distance", "entropy", "region", "top_k_sum"]


@dataclass(frozen=True, eq=False)
class Question:
    """A target that is not an `Expression`: a function of the outputs, and how it is shown."""

    function: Callable[[Any], Any]
    text: str

    def __call__(self, outputs):
        """(value (N,), gradient of the shape of the outputs)"""
        return self.function(outputs)

    def __str__(self):
        return self.text


def top_k_sum(k: int) -> Question:
    """Ask for the sum of the k highest scores; of equal scores, the first class counts.

    The gradient is 1 at these classes and 0 at the others.

    Parameters
    ----------
    k : int

    Returns
    -------
    callable
        logits (N, C) -> (value (N,), dlogits)
    """
    k = whole_number(k, "k", 1)

    def value_and_gradient(logits):
        y = vectors(logits)
        if k > y.shape[1]:
            raise InputError(f"k: expected 1 to {y.shape[1]}, the number of outputs; found {k}")
        top = np.argsort(-y.real, axis=1, kind="stable")[:, :k]
        dy = np.zeros_like(y)
        np.put_along_axis(dy, top, 1, axis=1)
        return np.take_along_axis(y, top, axis=1).sum(axis=1), dy.reshape(logits.shape)

    return Question(value_and_gradient, f"sum of the {k} highest scores")


def entropy() -> Question:
    """Ask for the entropy of the probabilities, H = -sum over i of p_i * log p_i, in nats.

    Since d log p_j / d y_i = 1[i = j] - p_i, the gradient is dH / dy_i = -p_i * (log p_i + H).

    Returns
    -------
    callable
        logits (N, C) -> (value (N,), dlogits)
    """

    def value_and_gradient(logits):
        p, log_p = softmax(vectors(logits))
        H = -(p * log_p).sum(axis=1)
        return H, (-p * (log_p + H[:, None])).reshape(logits.shape)

    return Question(value_and_gradient, "entropy")


def distance(vector: Array) -> Question:
    """Ask for the Euclidean distance of the outputs from a vector, |y - v|; its gradient is (y - v) / |y - v|.

    Parameters
    ----------
    vector : ndarray (C,)
        Such as the embedding of another image.

    Returns
    -------
    callable
        outputs (N, C) -> (value (N,), doutputs); the gradient at a distance of 0 is 0.
    """
    v = np.asarray(vector)
    if v.ndim != 1 or v.dtype.kind not in "fiu" or not np.isfinite(v).all():
        raise InputError(f"vector: expected (C,), one finite number per output; found {v.dtype} {v.shape}")

    def value_and_gradient(outputs):
        y = vectors(outputs)
        if y.shape[1] != len(v):
            raise InputError(f"vector: expected {y.shape[1]} numbers, one per output; found {len(v)}")
        away = y - v.astype(y.real.dtype)
        length = np.sqrt((away * away).sum(axis=1))
        dy = away / np.where(length == 0, 1, length)[:, None]
        return length, dy.reshape(outputs.shape)

    return Question(value_and_gradient, "distance")


@dataclass(frozen=True, eq=False)
class Region:
    """The target that `region` returns: the mean score of a class over the pixels of a mask."""

    index: int | str
    mask: Array

    def __call__(self, maps):
        """(value (N,), gradient of the shape of the maps); the class must be an index."""
        weight = self.weight(maps.shape)
        return (maps[:, self.index] * weight).sum(axis=(1, 2)), self.spread(maps.shape, maps.dtype)

    def weight(self, shape):
        """1 / (number of pixels) at each pixel of the mask: (1, H, W) or (N, H, W)."""
        mask = self.mask.reshape(-1, *self.mask.shape[-2:])
        if mask.shape[1:] != tuple(shape[2:]) or len(mask) not in (1, shape[0]):
            raise InputError(
                f"mask: expected {tuple(shape[2:])}, the spatial size of the outputs; found {self.mask.shape}"
            )
        return mask / mask.sum(axis=(1, 2), keepdims=True)

    def spread(self, shape, dtype):
        """The gradient: `weight` in the channel of the class, else 0."""
        dy = np.zeros(shape, dtype)
        dy[:, self.index] = self.weight(shape)
        return dy

    def __str__(self):
        return f"{self.index} in the mask"


def region(index: int | str, mask: Array) -> Region:
    """Ask of a network for segmentation for a class in a region: the mean of its scores over the pixels of a mask.

    Parameters
    ----------
    index : int or str
        The class, a channel of the outputs (N, C, H, W).
    mask : ndarray (H, W) or (N, H, W), bool
        The pixels, at the spatial size of the outputs.

    Returns
    -------
    callable
        outputs (N, C, H, W) -> (value (N,), doutputs)
    """
    found = np.asarray(mask)
    if found.ndim not in (2, 3) or found.dtype.kind not in "biu":
        raise InputError(f"mask: expected (H, W) or (N, H, W) of bools, found {found.dtype} {found.shape}")
    if not found.reshape(-1, *found.shape[-2:]).any(axis=(1, 2)).all():
        raise InputError("mask: expected at least one pixel in it, found none")
    return Region(index, found != 0)
