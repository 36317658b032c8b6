"""Gradient SHAP: integrated gradients by random sampling, averaged over many baselines."""

from __future__ import annotations

from itertools import islice

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import baseline_set, generator, generators, not_negative, whole_number
from npgrad.attribution._copies import begin, gradient_of_scores, per_sample
from npgrad.model import Model


@explains_scores
def gradient_shap(
    model: Model,
    x: Array,
    target: Target = None,
    baseline: float | Array | None = None,
    n_samples: int = 5,
    noise: float = 0.0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    multiply_by_inputs: bool = True,
) -> Array:
    """Compute gradient SHAP (expected gradients) of the score.

    This is the mean over samples of ::

        (x' - x0) * d score / d x at x0 + a * (x' - x0)

    where each sample draws a baseline x0 from a set, a coefficient a, uniform on [0, 1), and x', which is x plus
    normal noise. Its expectation is integrated gradients averaged over the baselines (Erion, Janizek,
    Sturmfels, Lundberg, Lee 2021), an approximation of SHAP values (Lundberg, Lee 2017).

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    baseline : None, float or ndarray
        A set of reference inputs (M, C, H, W), shared by all images; or one that broadcasts to (C, H, W).
        None: 0, the mean color.
    n_samples : int, default 5
        Number of samples per image.
    noise : float, default 0.0
        Standard deviation of the noise, in the units of x.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed. All images of a batch get the same random numbers, so that an
        image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    multiply_by_inputs : bool, default True
        Whether to multiply by x' - x0. False: the mean gradient alone, a local attribution (Ancona et al. 2018).

    Returns
    -------
    ndarray (N, C, H, W)
        Signed.

    Raises
    ------
    InputError
        If x, target, baseline, n_samples, noise, rng or batch_size cannot be used.
    TargetError
        If a target is not a class of the network.
    """
    n_samples, noise = whole_number(n_samples, "n_samples"), not_negative(noise, "noise")
    rng = generator(rng)
    x, targets, score, size = begin(model, x, target, batch_size)
    samples = draw(x, baseline_set(baseline, x), n_samples, noise, rng)
    total = np.zeros(x.shape, score.dtype)
    for copies in batches(len(x) * n_samples, size, progress):
        image = copies // n_samples
        contributions = _contributions(
            model, targets[image], list(islice(samples, len(copies))), multiply_by_inputs
        )
        for i, contribution in zip(image, contributions, strict=True):
            total[i] += contribution
    return total / n_samples


def _contributions(model, targets, samples, multiply):
    """(x' - x0) * d score / d x at x0 + a * (x' - x0), for each sample (x', x0, a); or the gradients alone."""
    noisy, start, a = map(np.stack, zip(*samples, strict=True))
    points = start + per_sample(a, noisy) * (noisy - start)
    gradients = gradient_of_scores(model, points, targets)
    return (noisy - start) * gradients if multiply else gradients


def draw(x, baselines, n_samples, noise, rng):
    """Generate the samples (x', x0, a), all of the first image first."""
    for image, own in zip(x, generators(rng, len(x)), strict=True):
        for _ in range(n_samples):
            start = baselines[own.integers(len(baselines))]
            a = own.random()
            yield image + (noise * own.standard_normal(image.shape)).astype(x.dtype), start, a
