"""Infidelity and sensitivity under small perturbations of the image (Yeh, Hsieh, Suggala, Inouye, Ravikumar 2019).

Does the attribution predict how the score changes, and is it stable when the image hardly changes?
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores, scores_of, takes_any_target
from npgrad._parallel.batches import batches
from npgrad._targets import scores
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import generator, generators, not_negative, whole_number
from npgrad.errors import InputError
from npgrad.evaluation._checks import attributed, begin, expect_attribution, expect_function
from npgrad.model import Model


@explains_scores
def infidelity(
    model: Model,
    x: Array,
    attribution: Array,
    target: Target = None,
    noise: float | Callable[[Array, np.random.Generator], Array] = 0.2,
    n_samples: int = 10,
    normalize: bool = False,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Measure how badly an attribution predicts changes of the score: 0 is best.

    Yeh et al., definition 2.1: the mean over `n_samples` perturbations I of
    (sum of I * attribution - (F(x) - F(x - I)))^2, with F the logit of the target.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, as ``model.preprocess`` returns them, or other inputs of a network.
    attribution : ndarray
        The attribution of each image, of the shape of x.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    noise : float or callable, default 0.2
        The standard deviation of a normal I, or a function (image (C, H, W), rng) -> I, for example
        ``lambda image, rng: image`` to remove everything.
    n_samples : int, default 10
        Number of perturbations per image.
    normalize : bool, default False
        Whether to scale the attribution first by the factor that minimizes the mean, so that only its direction counts.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the perturbations. It is in the same state for every image of
        a batch, so that an image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).

    Returns
    -------
    ndarray (N,)
        The infidelity of each image's attribution.
    """
    perturb = _perturbation(noise)
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    x, logits, targets, size = begin(model, x, target, batch_size, images=False)
    n, before = len(x), scores(model, logits, targets).astype(np.float64)
    if np.shape(attribution) != x.shape:
        raise InputError(f"attribution: expected the input's shape {x.shape}, found {np.shape(attribution)}")
    attribution = expect_attribution(attribution, (x.ndim,))
    predicted, change, rngs = np.empty(n_samples * n), np.empty(n_samples * n), generators(rng, n)
    for part in batches(n_samples * n, size, progress):
        i = part % n  # the first sample of every image, then the second, ...
        moved = np.stack([_checked(perturb(x[j], rngs[j]), x[j], "noise") for j in i])
        predicted[part] = (moved * attribution[i]).reshape(len(i), -1).sum(axis=1, dtype=np.float64)
        change[part] = before[i] - scores(model, model((x[i] - moved).astype(x.dtype)), targets[i])
    predicted, change = predicted.reshape(n_samples, n), change.reshape(n_samples, n)
    if normalize:
        square = (predicted**2).mean(axis=0)
        predicted = predicted * (predicted * change).mean(axis=0) / np.where(square == 0, 1, square)
    return ((predicted - change) ** 2).mean(axis=0)


@takes_any_target
def sensitivity_max(
    method: Callable[..., Array],
    model: Model,
    x: Array,
    target: Target = None,
    radius: float | Callable[[Array, np.random.Generator], Array] = 0.02,
    n_samples: int = 10,
    rng: Rng = 0,
    progress: Progress = None,
    **options: Any,
) -> Array:
    """Measure how much an attribution changes when the image hardly does: 0 is best.

    Yeh et al., definition 3.1: the maximum over `n_samples` of |A(x + e) - A(x)| / |A(x)|, in Frobenius norms, with e
    uniform in [-radius, radius] and A(x) = method(model, x, targets, **options). The target of x is kept for x + e. If
    A(x) is 0 everywhere, the change is not divided by its norm.

    Parameters
    ----------
    method : callable
        A function (model, x, target, **options) -> attribution, such as those of `npgrad.attribution`.
    model : Model
        The network.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, as ``model.preprocess`` returns them, or other inputs of a network.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    radius : float or callable, default 0.02
        The largest change of an element, or a function (image (1, C, H, W), rng) -> e of the same shape.
    n_samples : int, default 10
        Number of perturbations.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the perturbations. It is in the same state for every image of
        a batch, so that an image's result does not depend on the others.
    progress : callable or None
        Called with (done, total).
    **options
        Keyword arguments for the method.

    Returns
    -------
    ndarray (N,)
        The sensitivity of each image's attribution.
    """
    expect_function(method)
    model = scores_of(model)
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    draw = _within(radius)
    x, _, targets, _ = begin(model, x, target, images=False)
    rngs, images = generators(rng, len(x)), [x[i : i + 1] for i in range(len(x))]
    before = attributed(method, model, x, targets, **options)
    norm = _norms(before)
    largest = np.zeros(len(x))
    for k in range(n_samples):
        e = [_checked(draw(*one), one[0], "radius") for one in zip(images, rngs, strict=True)]
        after = attributed(method, model, (x + np.concatenate(e)).astype(x.dtype), targets, **options)
        if after.shape != before.shape:
            raise InputError(
                f"method: expected attributions of one shape, found {before.shape}, {after.shape}"
            )
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


def _within(radius):
    if callable(radius):
        return radius
    not_negative(radius, "radius")
    return lambda image, rng: rng.uniform(-radius, radius, image.shape)


def _checked(moved, image, name):
    if np.shape(moved) != image.shape:
        raise InputError(f"{name}: expected a perturbation of shape {image.shape}, found {np.shape(moved)}")
    return moved
