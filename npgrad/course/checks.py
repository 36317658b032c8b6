"""The course's own checks of the losses: a function's values against npgrad's, on random arrays.

As in the course, each check prints the largest relative error. It also returns it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad import losses
from npgrad._typing import Array, Rng
from npgrad.course import style

Loss = Callable[..., Any]


def content_loss_test(function: Loss = style.content_loss, rng: Rng = 0) -> float:
    """Check ``content_loss(content_weight, content_current, content_original)`` (Q2.1).

    Parameters
    ----------
    function : callable, default `content_loss`
        The function to check.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the arrays.

    Returns
    -------
    float
        The largest relative error, ``|a - b| / (|a| + |b|)``.

    Examples
    --------
    >>> error = content_loss_test(lambda weight, a, b: weight * ((a - b) ** 2).mean())
    Maximum error is 0.995
    """
    current, original = np.random.default_rng(rng).normal(size=(2, 1, 6, 9, 7))
    return _report(function(6e-2, current, original), losses.content_loss(6e-2, current, original)[0])


def gram_matrix_test(function: Loss = style.gram_matrix, rng: Rng = 0) -> float:
    """Check ``gram_matrix(features, normalize=True)``, with and without normalization, on a batch of two (Q2.2).

    Parameters
    ----------
    function : callable, default `gram_matrix`
        The function to check.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the arrays.

    Returns
    -------
    float
        The largest relative error, ``|a - b| / (|a| + |b|)``; infinite if a shape is wrong.
    """
    features = np.random.default_rng(rng).normal(size=(2, 5, 6, 8))
    found = [function(features), function(features, normalize=False)]
    return _report(found, [losses.gram_matrix(features), losses.gram_matrix(features, normalize=False)])


def style_loss_test(function: Loss = style.style_loss, rng: Rng = 0) -> float:
    """Check ``style_loss(feats, style_layers, style_targets, style_weights)`` (Q2.2).

    Parameters
    ----------
    function : callable, default `style_loss`
        The function to check.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the arrays.

    Returns
    -------
    float
        The largest relative error, ``|a - b| / (|a| + |b|)``.
    """
    rng = np.random.default_rng(rng)
    feats = [rng.normal(size=(1, channels, 6, 8)) for channels in (3, 4, 5, 6)]
    layers, weights = [1, 3], [300, 20]
    targets = [losses.gram_matrix(rng.normal(size=feats[layer].shape)) for layer in layers]
    by_layer = dict(zip(layers, feats[1::2], strict=True)), dict(zip(layers, targets, strict=True))
    expected = losses.style_loss(*by_layer, dict(zip(layers, weights, strict=True)))[0]
    return _report(function(feats, layers, targets, weights), expected)


def tv_loss_test(function: Loss = style.tv_loss, rng: Rng = 0) -> float:
    """Check ``tv_loss(img, tv_weight)`` (Q2.3).

    Parameters
    ----------
    function : callable, default `tv_loss`
        The function to check.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the arrays.

    Returns
    -------
    float
        The largest relative error, ``|a - b| / (|a| + |b|)``.
    """
    img = np.random.default_rng(rng).normal(size=(1, 3, 9, 7))
    return _report(function(img, 2e-2), losses.tv_loss(img, 2e-2)[0])


def _report(found: Any, expected: Array | float | list[Array]) -> float:
    """Print and return the largest relative error; infinite where the shapes differ."""
    error = 0.0
    for a, b in zip(found, expected, strict=True) if isinstance(expected, list) else [(found, expected)]:
        a, b = np.asarray(a, np.float64), np.asarray(b)
        if a.shape != b.shape:
            print(f"Expected shape {b.shape}, found {a.shape}")
            return np.inf
        error = max(error, float(np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b)))))
    print(f"Maximum error is {error:.3g}")
    return error
