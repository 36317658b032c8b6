"""SmoothGrad: an attribution, averaged over noisy versions of the image."""

import inspect
import warnings

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._validate import generator, not_negative, whole_number
from npgrad.attribution._copies import begin, gradient_of_scores, per_sample
from npgrad.errors import InputError, unknown

KINDS = ("mean", "squares", "variance")


def smoothgrad(
    model,
    x,
    target=None,
    method=None,
    kind="mean",
    n_samples=25,
    noise=0.15,
    noise_absolute=None,
    rng=0,
    batch_size=None,
    progress=None,
    **options,
):
    """The mean over samples of method(x + noise), noise normal: of the shape of what the method gives.

    Smilkov, Thorat, Kim, Viegas, Wattenberg 2017. By default the method is the signed gradient d score / d x;
    for the image most often shown take the absolute value of the result, and for a mean of absolute
    gradients `method="saliency"`. All samples ask about the target of the clean x.

    method: a function of npgrad.attribution or its name, or any function (model, x, target, **options) that
    gives one array; `options` go to it. It is called once a sample, with noise on all images of x; if it
    takes `batch_size` or `rng`, it gets those given here.
    kind: "mean"; "squares", the mean of squares (Hooker et al. 2019, SmoothGrad-Squared); "variance", the
    mean of squares less the square of the mean (Adebayo et al. 2018, VarGrad).
    noise: the standard deviation as a part of each image's max - min, as in the authors' code;
    noise_absolute: in the units of x, instead.
    rng: a Generator or a seed. batch_size: copies at once (None: as memory allows).
    progress: called with (samples done, samples in all).
    """
    if kind not in KINDS:
        raise unknown("kind of smoothgrad", kind, KINDS)
    n_samples, rng = whole_number(n_samples, "n_samples"), generator(rng)
    not_negative(noise, "noise")
    x, targets, _, size = begin(model, x, target, batch_size)
    deviation = _deviation(x, noise, noise_absolute)
    method, options, rounds = _wrapped(method, options, size, len(x), batch_size, rng)
    running = _Running(kind)
    for samples in batches(n_samples, rounds, progress):
        noisy = [x + deviation * rng.standard_normal(x.shape).astype(x.dtype) for _ in samples]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the score of")  # said once already, of the clean x
            found = method(model, np.concatenate(noisy), np.tile(targets, len(samples)), **options)
        if not isinstance(found, np.ndarray):
            raise InputError(f"smoothgrad: its method must give one array, found a {type(found).__name__}")
        for one in np.split(found, len(samples)):
            running.take(one)
    return running.result()


class _Running:
    """The mean, mean of squares or variance of arrays that come one by one.

    The variance is summed up as Welford (1962) does: the mean of squares less the square of the mean would
    lose its digits where the mean is large.
    """

    def __init__(self, kind):
        self._kind, self._count, self._mean, self._spread = kind, 0, 0, 0

    def take(self, array):
        array = array * array if self._kind == "squares" else array
        self._count += 1
        away = array - self._mean
        self._mean = self._mean + away / self._count
        if self._kind == "variance":
            self._spread = self._spread + away * (array - self._mean)

    def result(self):
        return self._spread / self._count if self._kind == "variance" else self._mean


def _deviation(x, noise, noise_absolute):
    """The noise's standard deviation for each image: (N, 1, 1, 1)."""
    if noise_absolute is not None:
        return per_sample([not_negative(noise_absolute, "noise_absolute")] * len(x), x)
    flat = x.reshape(len(x), -1)
    return per_sample(noise * (flat.max(axis=1) - flat.min(axis=1)), x)


def _wrapped(method, options, size, n, batch_size, rng):
    """(the method, its options, how many samples it gets in one call).

    Only the gradient is known to treat every image by itself; any other method gets one sample of x at a
    time, so that options with one entry an image fit and random methods draw in the same order always.
    """
    if method is None:
        return _gradient, {"size": size, **options}, max(1, size // n)
    if isinstance(method, str):
        method = _by_name(method)
    if not callable(method):
        raise InputError(f"method: expected a function (model, x, target) or its name, found {method!r:.60}")
    taken = inspect.signature(method).parameters
    own = {"batch_size": batch_size, "rng": rng}
    return method, {**{key: own[key] for key in own if key in taken}, **options}, 1


def _by_name(name):
    from npgrad import attribution

    if name not in attribution.__all__:
        raise unknown("attribution method", name, attribution.__all__)
    return getattr(attribution, name)


def _gradient(model, x, targets, size):
    """d score / d x, `size` images at a time."""
    parts = [gradient_of_scores(model, x[rows], targets[rows]) for rows in batches(len(x), size)]
    return np.concatenate(parts)
