"""Gradient SHAP: integrated gradients by chance, over many baselines."""

from itertools import islice

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._validate import baseline_set, generator, not_negative, whole_number
from npgrad.attribution._copies import begin, gradient_of_scores, per_sample


def gradient_shap(
    model,
    x,
    target=None,
    baseline=None,
    n_samples=5,
    noise=0.0,
    rng=0,
    batch_size=None,
    progress=None,
):
    """The mean over samples of (x' - x0) * d score / d x at x0 + a * (x' - x0): signed, of the shape of x.

    Each sample draws its own baseline x0 out of a set, a coefficient a, uniform on [0, 1), and x', which is
    x plus normal noise. In the mean this is integrated gradients, averaged over the baselines: expected
    gradients (Erion, Janizek, Sturmfels, Lundberg, Lee 2021), an approximation of SHAP values
    (Lundberg, Lee 2017).

    baseline: the set (M, C, H, W); or one baseline for all samples: None for 0, a number, or an array that
    broadcasts to (C, H, W). noise: its standard deviation, in the units of x. rng: a Generator or a seed.
    batch_size: samples at once (None: as memory allows). progress: called with (done, in all) samples.
    """
    n_samples, noise = whole_number(n_samples, "n_samples"), not_negative(noise, "noise")
    rng = generator(rng)
    x, targets, score, size = begin(model, x, target, batch_size)
    samples = _draw(x, baseline_set(baseline, x), n_samples, noise, rng)
    total = np.zeros(x.shape, score.dtype)
    for copies in batches(len(x) * n_samples, size, progress):
        image = copies // n_samples
        contributions = _contributions(model, targets[image], list(islice(samples, len(copies))))
        for i, contribution in zip(image, contributions, strict=True):
            total[i] += contribution
    return total / n_samples


def _contributions(model, targets, samples):
    """(x' - x0) * d score / d x at x0 + a * (x' - x0), for each drawn (x', x0, a)."""
    noisy, start, a = map(np.stack, zip(*samples, strict=True))
    points = start + per_sample(a, noisy) * (noisy - start)
    return (noisy - start) * gradient_of_scores(model, points, targets)


def _draw(x, baselines, n_samples, noise, rng):
    """The samples (x', x0, a), one after the other: first all of the first image."""
    for image in x:
        for _ in range(n_samples):
            start = baselines[rng.integers(len(baselines))]
            a = rng.random()
            yield image + (noise * rng.standard_normal(image.shape)).astype(x.dtype), start, a
