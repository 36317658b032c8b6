"""How DeepLIFT passes multipliers back through one layer: one rule per kind of layer.

A rule is a function ``(record, reference, dy) -> dx``: the layer's record in the pass of the image x, its record in
the pass of the baseline x0, and the multipliers with respect to its output y. It returns the multipliers with
respect to its input x.
"""

from __future__ import annotations

import numpy as np

from npgrad._typing import Array
from npgrad.attribution._quadrature import quadrature
from npgrad.tape import Record

__all__ = [
    "along_the_line",
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
    r, axis = _logarithmic_mean(record, reference), record.layer.axis
    # Only differences within dy count. Measured from the class with the largest r, they do not cancel in `center`.
    largest = r == r.max(axis=axis, keepdims=True)
    dz = dy - (dy * largest).sum(axis=axis, keepdims=True) / largest.sum(axis=axis, keepdims=True)
    center = (dz * r).sum(axis=axis, keepdims=True) / r.sum(axis=axis, keepdims=True)
    return (r * (dz - center)).astype(dy.dtype)


def log_softmax(record: Record, reference: Record, dy: Array) -> Array:
    """Apply the rescale rule to the parts of the logarithm of softmax: y = x - log(sum of exp(x)), as in `softmax`.

    The change of log(sum of exp(x)) is the sum of r * (x - x0) / (sum of r), with the logarithmic means r of
    `softmax`, because the probabilities of both passes have the same sum.

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
    r, axis = _logarithmic_mean(record, reference), record.layer.axis
    return (dy - r / r.sum(axis=axis, keepdims=True) * dy.sum(axis=axis, keepdims=True)).astype(dy.dtype)


def _logarithmic_mean(record, reference):
    """(p - p0) / (log p - log p0) of the probabilities in both passes, p where they are equal; in float64."""
    log_p, log_p0 = (_log_softmax(one.x, one.layer.axis) for one in (record, reference))
    away = np.abs(log_p - log_p0)
    ratio = np.divide(-np.expm1(-away), away, out=np.ones_like(away), where=away > 0)
    return np.exp(np.maximum(log_p, log_p0)) * ratio


def _log_softmax(x, axis):
    """The logarithms of the probabilities, in float64."""
    x = x.astype(np.float64)
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


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


def along_the_line(record: Record, reference: Record, dy: Array) -> Array:
    """Pass multipliers back through any function: its mean gradient on the line from the baseline's input to x.

    These are integrated gradients of this layer (Sundararajan, Taly, Yan 2017), with 32 Gauss-Legendre steps. The
    contributions sum to the difference of the outputs up to the error of the integral, which is 0 for polynomials up
    to degree 64, and largest where the gradient jumps.

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
    total = np.zeros_like(record.x)
    for node, weight in zip(*quadrature("gausslegendre", 32), strict=True):
        _, cache = record.layer.forward(reference.x + node.astype(dy.dtype) * (record.x - reference.x))
        total += weight * record.layer.backward(dy, cache)
    return total


def _divide(contribution, difference, otherwise):
    """contribution / difference, and `otherwise` where the difference is too small to divide by."""
    tiny = np.abs(difference) < TINY
    return np.where(tiny, otherwise, contribution / np.where(tiny, 1, difference))
