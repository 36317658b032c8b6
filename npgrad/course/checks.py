"""The course's checks of Part 2: a function of one's own against the right values, on drawn arrays.

Each prints the largest relative error, as the course does, and returns it. Without a function, npgrad's own is checked.
"""

import numpy as np

from npgrad import losses
from npgrad.course import style


def content_loss_test(function=style.content_loss, rng=0):
    """Check content_loss(content_weight, content_current, content_original)."""
    current, original = np.random.default_rng(rng).normal(size=(2, 1, 6, 9, 7))
    return _report(function(6e-2, current, original), losses.content_loss(6e-2, current, original)[0])


def gram_matrix_test(function=style.gram_matrix, rng=0):
    """Check gram_matrix(features, normalize=True), with and without normalizing, for two images at once."""
    features = np.random.default_rng(rng).normal(size=(2, 5, 6, 8))
    found = [function(features), function(features, normalize=False)]
    return _report(found, [losses.gram_matrix(features), losses.gram_matrix(features, normalize=False)])


def style_loss_test(function=style.style_loss, rng=0):
    """Check style_loss(feats, style_layers, style_targets, style_weights)."""
    rng = np.random.default_rng(rng)
    feats = [rng.normal(size=(1, channels, 6, 8)) for channels in (3, 4, 5, 6)]
    layers, weights = [1, 3], [300, 20]
    targets = [losses.gram_matrix(rng.normal(size=feats[layer].shape)) for layer in layers]
    by_layer = dict(zip(layers, feats[1::2], strict=True)), dict(zip(layers, targets, strict=True))
    expected = losses.style_loss(*by_layer, dict(zip(layers, weights, strict=True)))[0]
    return _report(function(feats, layers, targets, weights), expected)


def tv_loss_test(function=style.tv_loss, rng=0):
    """Check tv_loss(img, tv_weight)."""
    img = np.random.default_rng(rng).normal(size=(1, 3, 9, 7))
    return _report(function(img, 2e-2), losses.tv_loss(img, 2e-2)[0])


def _report(found, expected):
    """Print and return max |found - expected| / (|found| + |expected|); infinite where the shapes differ."""
    error = 0.0
    for a, b in zip(found, expected, strict=True) if isinstance(expected, list) else [(found, expected)]:
        a, b = np.asarray(a, np.float64), np.asarray(b)
        if a.shape != b.shape:
            print(f"Expected shape {b.shape}, found {a.shape}")
            return np.inf
        error = max(error, float(np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b)))))
    print(f"Maximum error is {error:.3g}")
    return error
