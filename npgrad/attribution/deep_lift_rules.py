"""How DeepLIFT passes multipliers back through one layer: one rule per kind of layer.

A rule is a function ``(record, reference, dy) -> dx``: the layer's record in the pass of the image x, its record in
the pass of the baseline x0, and the multipliers with respect to its output y. It returns the multipliers with
respect to its input x.
"""

from __future__ import annotations

import numpy as np

from npgrad._typing import Array
from npgrad.tape import Record

__all__ = ["elementwise", "linear", "max_pool", "softmax"]

TINY = 1e-10  # below this difference from the reference, the slope is taken at x


def linear(record: Record, reference: Record, dy: Array) -> Array:
    """Pass multipliers back through a layer that is linear in x: dx is the layer's own gradient.

    Shrikumar, Greenside, Kundaje 2017, section 3.5.1, without separating positive and negative contributions.

    Parameters
    ----------
    record, reference : Record
        The layer's calls in the passes of the image and of the baseline.
    dy : ndarray
        Multipliers with respect to the layer's output.

    Returns
    -------
    ndarray
        Multipliers with respect to the layer's input.
    """
    return record.layer.backward(dy, record.cache)


def elementwise(record: Record, reference: Record, dy: Array) -> Array:
    """Apply the rescale rule to an element-wise y = f(x): dx = dy * (y - y0) / (x - x0).

    Shrikumar, Greenside, Kundaje 2017, section 3.5.2. Where x is within 1e-10 of x0, dx is the gradient at x.

    Parameters
    ----------
    record, reference : Record
        The layer's calls in the passes of the image and of the baseline.
    dy : ndarray
        Multipliers with respect to the layer's output.

    Returns
    -------
    ndarray
        Multipliers with respect to the layer's input.
    """
    at_x = record.layer.backward(dy, record.cache)
    return _divide(dy * (record.y - reference.y), record.x - reference.x, at_x)


def max_pool(record: Record, reference: Record, dy: Array) -> Array:
    """Pass multipliers back through max pooling.

    With top = max(y, y0), each window's difference is split into y - y0 = (top - y0) + (y - top): what the
    image's maximum adds to the reference, and what the reference's maximum loses. Each part is assigned to the
    pixel where that maximum is; contributions of overlapping windows add up.

    Parameters
    ----------
    record, reference : Record
        The layer's calls in the passes of the image and of the baseline.
    dy : ndarray
        Multipliers with respect to the layer's output.

    Returns
    -------
    ndarray
        Multipliers with respect to the layer's input.
    """
    y, y0, back = record.y, reference.y, record.layer.backward
    top = np.maximum(y, y0)
    contribution = back(dy * (top - y0), record.cache) + back(dy * (y - top), reference.cache)
    return _divide(contribution, record.x - reference.x, back(dy, record.cache))


def softmax(record: Record, reference: Record, dy: Array) -> Array:
    """Pass multipliers back through softmax: dx = r * (dy - sum of dy * r / sum of r), sums over classes.

    r is the logarithmic mean of the probabilities of image and baseline, (y - y0) / (log y - log y0): this is the
    layer's own gradient, y * (dy - sum of dy * y), with r in place of y. The contributions sum to the difference of
    the outputs, because r * (x - x0) is y - y0 except for a multiple of r that is the same for all classes. The
    multipliers of an image sum to 0: like softmax itself, they depend only on differences between logits. For two
    classes they are those of the rescale rule at the sigmoid of the difference. They are finite for any logits. If all
    logits of an image rise together, the contributions grow with them, with both signs, and their sum does not, as for
    the difference of any two large numbers.

    The common rule (Captum's) treats softmax as element-wise, dx = dy * (y - y0) / (x - x0), and subtracts the mean of
    dx over all images and classes. Its contributions sum to the difference only if x - x0 sums to 0, a logit that does
    not change while its probability does loses its contribution, and an image's result depends on its batch.

    Parameters
    ----------
    record, reference : Record
        The layer's calls in the passes of the image and of the baseline.
    dy : ndarray
        Multipliers with respect to the layer's output.

    Returns
    -------
    ndarray
        Multipliers with respect to the layer's input.
    """
    log_y, log_y0 = _log_softmax(record.x), _log_softmax(reference.x)
    away = np.abs(log_y - log_y0)
    ratio = np.divide(-np.expm1(-away), away, out=np.ones_like(away), where=away > 0)
    r = np.exp(np.maximum(log_y, log_y0)) * ratio
    # Only differences within dy count. Measured from the class with the largest r, they do not cancel in `center`.
    dz = dy - np.take_along_axis(dy, r.argmax(axis=1, keepdims=True), axis=1)
    center = (dz * r).sum(axis=1, keepdims=True) / r.sum(axis=1, keepdims=True)
    return (r * (dz - center)).astype(dy.dtype)


def _log_softmax(x):
    """The logarithms of the probabilities, in float64."""
    x = x.astype(np.float64)
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def _divide(contribution, difference, otherwise):
    """contribution / difference, and `otherwise` where the difference is too small to divide by."""
    tiny = np.abs(difference) < TINY
    return np.where(tiny, otherwise, contribution / np.where(tiny, 1, difference))
