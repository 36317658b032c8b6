"""SmoothGrad: an attribution averaged over noisy copies of the image (Captum's noise tunnel)."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import baseline_set, generator, not_negative, whole_number
from npgrad.attribution._by_name import BY_NAME
from npgrad.attribution._copies import begin, gradient_of_scores, per_sample
from npgrad.errors import InputError, unknown
from npgrad.model import Model

KINDS = {
    **{kind: kind for kind in ("mean", "squares", "variance")},
    "smoothgrad": "mean",
    "smoothgrad_sq": "squares",
    "vargrad": "variance",
}


@explains_scores
def smoothgrad(
    model: Model,
    x: Array,
    target: Target = None,
    method: str | Callable[..., Array] | None = None,
    kind: str = "mean",
    n_samples: int = 25,
    noise: float | Array = 0.15,
    noise_absolute: float | Array | None = None,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    samples_at_once: int | None = None,
    baselines: Array | None = None,
    **options: Any,
) -> Array:
    """Average an attribution over noisy copies of the images, mean over samples of method(x + noise).

    Smilkov, Thorat, Kim, Viegas, Wattenberg 2017, section 3. By default the method is the signed gradient
    d score / d x: the usual visualization shows the absolute value of the result; for a mean of absolute
    gradients, pass ``method="saliency"``. All samples are explained for the target of the unmodified x.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    method : str, callable or None
        The name of a function of `npgrad.attribution`, or any function (model, x, target, **options) that
        returns one array. It is called once per sample with noise on all images of x (but see `samples_at_once`). If
        it has a parameter `batch_size`, it receives the one given here; if it has a parameter `rng`, a seed drawn from
        the generator given here, another one for each sample. None: the gradient.
    kind : str, default "mean"
        "mean"; "squares", the mean of squares (SmoothGrad-Squared, Hooker et al. 2019); or "variance", the mean of
        squares minus the square of the mean (VarGrad, Adebayo et al. 2018). Captum's names "smoothgrad",
        "smoothgrad_sq" and "vargrad" mean the same.
    n_samples : int, default 25
        Number of noisy copies of each image.
    noise : float or ndarray (N,), default 0.15
        Standard deviation of the noise as a fraction of each image's max - min, as in the authors' code; one for all
        images, or one for each.
    noise_absolute : float, ndarray (N,) or None
        Standard deviation of the noise in the units of x, in place of `noise`.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed. All images of a batch get the same random numbers, so that an
        image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    samples_at_once : int or None
        How many samples of all images to give to the method in one call, which is faster for small images. The method
        must treat its images independently, draw nothing, and have no option with an entry per image. None: one, and of
        the gradient as many as fit into 128 MB.
    baselines : ndarray (M, C, H, W) or None
        A set of which one, drawn at random for each sample, is the method's `baseline`.
    **options
        Further keyword arguments of `method`.

    Returns
    -------
    ndarray
        Of the shape of the method's result; (N, C, H, W) by default.

    Raises
    ------
    InputError
        If x, target or an argument cannot be used, or if the method does not return one array.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no method or no kind has the given name.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown("kind of smoothgrad", kind, KINDS)
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    x, targets, _, size = begin(model, x, target, batch_size)
    deviation = _deviation(x, noise, noise_absolute)
    method, options, rounds = _wrapped(method, options, size, len(x), batch_size)
    takes = inspect.signature(method).parameters
    _expect_options(method, takes, options)
    draws = "rng" in takes
    if samples_at_once is not None:
        rounds = _together(samples_at_once, draws, options, x)
    if baselines is not None:
        if "baseline" not in takes or "baseline" in options:
            raise InputError(
                "baselines: expected a method with an option `baseline` that is not given as well"
            )
        baselines = baseline_set(baselines, x)
    running = _Running(KINDS[kind])
    for samples in batches(n_samples, rounds, progress):
        noisy = [x + deviation * rng.standard_normal(x.shape[1:]).astype(x.dtype) for _ in samples]
        if draws:
            options["rng"] = int(rng.integers(2**32))
        if baselines is not None:
            drawn = baselines[[rng.integers(len(baselines)) for _ in samples]]
            options["baseline"] = np.repeat(drawn, len(x), axis=0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the score of")  # already issued once, for the unmodified x
            found = method(model, np.concatenate(noisy), np.tile(targets, len(samples)), **options)
        if not isinstance(found, np.ndarray):
            raise InputError(f"smoothgrad: its method must give one array, found a {type(found).__name__}")
        for one in np.split(found, len(samples)):
            running.add(one)
    return running.result()


class _Running:
    """The mean, mean of squares or variance of arrays that are added one by one.

    The variance is computed by Welford's (1962) algorithm: the mean of squares minus the square of the mean
    would lose precision where the mean is large.
    """

    def __init__(self, kind):
        self._kind, self._count, self._mean, self._spread = kind, 0, 0, 0

    def add(self, array):
        array = array * array if self._kind == "squares" else array
        self._count += 1
        away = array - self._mean
        self._mean = self._mean + away / self._count
        if self._kind == "variance":
            self._spread = self._spread + away * (array - self._mean)

    def result(self):
        return self._spread / self._count if self._kind == "variance" else self._mean


def _expect_options(method, takes, options):
    """An option that neither smoothgrad nor its method has is named, instead of an error from inside."""
    odd = [key for key in options if key not in takes]
    if odd and not any(taken.kind is taken.VAR_KEYWORD for taken in takes.values()):
        name = getattr(method, "__name__", "its method").lstrip("_")
        raise TypeError(f"smoothgrad: expected its own options or those of {name}, found {odd[0]!r}")


def _deviation(x, noise, noise_absolute):
    """The noise's standard deviation for each image: (N, 1, 1, 1)."""
    noise = _of_each(noise, "noise", len(x))
    if noise_absolute is not None:
        return per_sample(_of_each(noise_absolute, "noise_absolute", len(x)), x)
    flat = x.reshape(len(x), -1)
    return per_sample(noise * (flat.max(axis=1) - flat.min(axis=1)), x)


def _of_each(value, name, n):
    """A number >= 0 for each of n images, given as one or as n."""
    if not isinstance(value, (list, tuple, np.ndarray)) or np.shape(value) == ():
        return np.full(n, not_negative(value, name))
    if len(value) != n:
        raise InputError(f"{name}: expected one number, or {n}, one per image; found {len(value)}")
    return np.array([not_negative(one, name) for one in value])


def _together(samples_at_once, draws, options, x):
    """The number of samples per call, where the method's results cannot depend on it."""
    count = whole_number(samples_at_once, "samples_at_once")
    arrays = {key: one for key, one in options.items() if isinstance(one, np.ndarray) and one.ndim == x.ndim}
    own = [key for key, one in arrays.items() if len(one) == len(x) > 1]
    if count > 1 and (draws or own):
        why = (
            f"the option {own[0]}, which has an entry per image"
            if own
            else "a method that draws for each sample"
        )
        raise InputError(f"samples_at_once: expected 1 with {why}; found {count}")
    return count


def _wrapped(method, options, size, n, batch_size):
    """(the method, its options, the number of samples per call).

    Only the gradient is known to treat every image independently. Any other method gets one sample of x at a
    time, so that options with one entry per image fit and random methods always draw in the same order.
    """
    if method is None:
        return _gradient, {"size": size, **options}, max(1, size // n)
    method = named(method)
    own = {"batch_size": batch_size} if "batch_size" in inspect.signature(method).parameters else {}
    return method, {**own, **options}, 1


def named(method: str | Callable[..., Array]) -> Callable[..., Array]:
    """Return the function of an attribution method that is given by its name, or itself.

    Parameters
    ----------
    method : str or callable

    Returns
    -------
    callable
    """
    functions = {**BY_NAME, "smoothgrad": smoothgrad}
    if isinstance(method, str):
        if method not in functions:
            raise unknown("attribution method", method, functions)
        return functions[method]
    if not callable(method):
        raise InputError(f"method: expected a function (model, x, target) or its name, found {method!r:.60}")
    return method


def _gradient(model, x, targets, size):
    """d score / d x, `size` images at a time."""
    parts = [gradient_of_scores(model, x[rows], targets[rows]) for rows in batches(len(x), size)]
    return np.concatenate(parts)
