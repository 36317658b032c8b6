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
    """Apply the rescale rule to the parts of softmax: y = exp(u) with u = x - log(sum of exp(x)).

    The rule is applied to each exp and to the log. With softmax as a single element-wise function, a logit that
    does not change while its probability does would lose its contribution. Captum subtracts a mean over the
    whole batch, which does not sum to the difference, either.

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
    shift = np.maximum(record.x, reference.x).max(axis=1, keepdims=True)  # exp cannot overflow
    x, x0 = record.x - shift, reference.x - shift
    e, e0 = np.exp(x), np.exp(x0)
    total, total0 = e.sum(axis=1, keepdims=True), e0.sum(axis=1, keepdims=True)
    log, log0 = np.log(total), np.log(total0)
    du = dy * _divide(record.y - reference.y, (x - log) - (x0 - log0), record.y)
    dlog = -du.sum(axis=1, keepdims=True)
    dtotal = dlog * _divide(log - log0, total - total0, 1 / total)
    return du + dtotal * _divide(e - e0, x - x0, e)


def _divide(contribution, difference, otherwise):
    """contribution / difference, and `otherwise` where the difference is too small to divide by."""
    tiny = np.abs(difference) < TINY
    return np.where(tiny, otherwise, contribution / np.where(tiny, 1, difference))
