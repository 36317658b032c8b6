"""Infidelity and sensitivity (Yeh, Hsieh, Suggala, Inouye, Ravikumar 2019): small changes of the image.

Does the attribution foretell how the score changes, and does it stay the same where the image nearly does?
"""

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._targets import scores
from npgrad._validate import generator, not_negative, whole_number
from npgrad.errors import InputError
from npgrad.evaluation._checks import begin, expect_function


def infidelity(
    model,
    x,
    attribution,
    target=None,
    noise=0.2,
    n_samples=10,
    normalize=False,
    rng=0,
    batch_size=None,
    progress=None,
):
    """How badly the attribution foretells changes of the score (Yeh et al., definition 2.1): (N,), 0 is best.

    The mean over `n_samples` perturbations I of (sum of I * attribution - (F(x) - F(x - I)))^2, with F the
    target's logit. With `normalize` the attribution is first scaled by the factor that makes this mean
    smallest, so that only its direction counts.

    attribution: of the shape of x. noise: the standard deviation of a normal I; or a function
    (image (C, H, W), rng) -> I, for example `lambda image, rng: image` for "everything goes".
    """
    perturb = _perturbation(noise)
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    x, logits, targets, size = begin(model, x, target, batch_size)
    n, before = len(x), scores(logits, targets).astype(np.float64)
    attribution = np.asarray(attribution)
    if attribution.shape != x.shape:
        raise InputError(f"attribution: expected the input's shape {x.shape}, found {attribution.shape}")
    foretold, change = np.empty(n_samples * n), np.empty(n_samples * n)
    for part in batches(n_samples * n, size, progress):
        i = part % n  # sample by sample, every image in turn
        moved = np.stack([_checked(perturb(x[j], rng), x[j]) for j in i])
        foretold[part] = (moved * attribution[i]).sum(axis=(1, 2, 3), dtype=np.float64)
        change[part] = before[i] - scores(model((x[i] - moved).astype(x.dtype)), targets[i])
    foretold, change = foretold.reshape(n_samples, n), change.reshape(n_samples, n)
    if normalize:
        square = (foretold**2).mean(axis=0)
        foretold = foretold * (foretold * change).mean(axis=0) / np.where(square == 0, 1, square)
    return ((foretold - change) ** 2).mean(axis=0)


def sensitivity_max(
    method, model, x, target=None, radius=0.02, n_samples=10, rng=0, progress=None, **options
):
    """How much an attribution changes where the image hardly does (Yeh et al., definition 3.1): (N,).

    The largest of `n_samples` values of |A(x + e) - A(x)| / |A(x)|, Frobenius norms, with e uniform within
    `radius` of 0 in every element, and A(x) = method(model, x, targets, **options). The target stays the one
    of x itself. Where A(x) is 0 everywhere the change is not divided.

    radius: a number; or a function (x, rng) -> e of x's shape.
    """
    expect_function(method)
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    if not callable(radius):
        not_negative(radius, "radius")
    x, _, targets, _ = begin(model, x, target)
    before = np.asarray(method(model, x, targets, **options))
    norm = _norms(before)
    largest = np.zeros(len(x))
    for k in range(n_samples):
        e = radius(x, rng) if callable(radius) else rng.uniform(-radius, radius, x.shape)
        after = method(model, (x + e).astype(x.dtype), targets, **options)
        largest = np.maximum(largest, _norms(after - before) / np.where(norm == 0, 1, norm))
        if progress is not None:
            progress(k + 1, n_samples)
    return largest


def _norms(a):
    return np.sqrt((a.astype(np.float64) ** 2).reshape(len(a), -1).sum(axis=1))


def _perturbation(noise):
    if callable(noise):
        return noise
    not_negative(noise, "noise")
    return lambda image, rng: noise * rng.standard_normal(image.shape)


def _checked(moved, image):
    if np.shape(moved) != image.shape:
        raise InputError(f"noise: expected a perturbation of shape {image.shape}, found {np.shape(moved)}")
    return moved
