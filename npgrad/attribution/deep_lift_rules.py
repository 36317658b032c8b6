"""How DeepLIFT passes multipliers back through one layer: one rule per kind of layer.

A rule is a function ``(record, reference, dy) -> dx``: the layer's record in the pass of the image x, its record in
the pass of the baseline x0, and the multipliers with respect to its output y. It returns the multipliers with
respect to its input x.
"""

from __future__ import annotations

import numpy as np

from npgrad._typing import Array
from npgrad.tape import Record

__all__ = [
    "elementwise",
    "linear",
    "local_response_norm",
    "log_softmax",
    "max_pool",
    "product",
    "softmax",
    "standardized",
]

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
    (log, log0), passed_on = _log_of_sum(record, reference)
    du = dy * _divide(record.y - reference.y, (record.x - log) - (reference.x - log0), record.y)
    return passed_on(du)


def log_softmax(record: Record, reference: Record, dy: Array) -> Array:
    """Apply the rescale rule to the parts of the logarithm of softmax: y = x - log(sum of exp(x)), as in `softmax`.

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
    return _log_of_sum(record, reference)[1](dy)


def product(record: Record, reference: Record, dy: Array) -> tuple[Array, ...]:
    """Pass multipliers back through a product y = a * b: the mean of its gradients at the image and at the baseline.

    a * b - a0 * b0 = (a - a0) * (b + b0) / 2 + (b - b0) * (a + a0) / 2: each input gets what its change contributes, on
    average over the two orders of changing one after the other, its Shapley value (Lundberg, Lee 2017, section 2.3).

    Parameters
    ----------
    record, reference : Record
        The layer's calls in the passes of the image and of the baseline.
    dy : ndarray
        Multipliers with respect to the layer's output.

    Returns
    -------
    tuple of ndarray
        Multipliers with respect to the layer's two inputs.
    """
    both = zip(*(record.layer.backward(dy, one.cache) for one in (record, reference)), strict=True)
    return tuple((dx + dx0) / 2 for dx, dx0 in both)


def standardized(record: Record, reference: Record, dy: Array) -> Array:
    """Pass multipliers back through LayerNorm or GroupNorm, part by part.

    xhat = c * r is a product (`product`) of c = x - mean, which is linear, and r = 1 / sqrt(var + eps), to which the
    rescale rule applies; var is the mean of the products c * c.

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
    layer = record.layer
    dxhat, axes = layer.dxhat(dy)

    def mean(values):
        return values.mean(axis=axes, keepdims=True)

    (x, _), (x0, _) = layer.blocks(record.x), layer.blocks(reference.x)
    c, c0 = x - mean(x), x0 - mean(x0)
    var, var0, (_, r), (_, r0) = mean(c * c), mean(c0 * c0), record.cache, reference.cache
    dr = (dxhat * (c + c0)).sum(axis=axes, keepdims=True) / 2
    dvar = dr * _divide(r - r0, var - var0, -(r**3) / 2)
    dc = dxhat * (r + r0) / 2 + dvar * (c + c0) / (c.size // r.size)
    return (dc - mean(dc)).reshape(dy.shape)


def local_response_norm(record: Record, reference: Record, dy: Array) -> Array:
    """Pass multipliers back through local response normalization, y = x * g(d), part by part.

    y is a product (`product`) of x and of g = d^-beta, to which the rescale rule applies; d is a sum of products x * x.

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
    layer, (x, d), (x0, d0) = record.layer, record.cache, reference.cache
    g, g0 = d**-layer.beta, d0**-layer.beta
    dd = dy * (x + x0) / 2 * _divide(g - g0, d - d0, -layer.beta * g / d)
    return dy * (g + g0) / 2 + (x + x0) * layer.alpha / layer.size * layer.neighbors(dd)


def _log_of_sum(record, reference):
    """(log of the sum of exp(x) in both passes, function from multipliers for x - log to those for x)."""
    axis = record.layer.axis
    shift = np.maximum(record.x, reference.x).max(axis=axis, keepdims=True)  # exp cannot overflow
    x, x0 = record.x - shift, reference.x - shift
    e, e0 = np.exp(x), np.exp(x0)
    total, total0 = e.sum(axis=axis, keepdims=True), e0.sum(axis=axis, keepdims=True)
    log, log0 = np.log(total), np.log(total0)

    def passed_on(du):
        dlog = -du.sum(axis=axis, keepdims=True)
        dtotal = dlog * _divide(log - log0, total - total0, 1 / total)
        return du + dtotal * _divide(e - e0, x - x0, e)

    return (log + shift, log0 + shift), passed_on


def _divide(contribution, difference, otherwise):
    """contribution / difference, and `otherwise` where the difference is too small to divide by."""
    tiny = np.abs(difference) < TINY
    return np.where(tiny, otherwise, contribution / np.where(tiny, 1, difference))
