"""Test-time augmentation: an attribution averaged over flipped, darker and brighter copies of the image."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Progress, Target
from npgrad._validate import is_number
from npgrad.attribution._copies import begin
from npgrad.attribution._maps import positive
from npgrad.attribution._maps import scaled as scaled_maps
from npgrad.attribution.smoothgrad import named
from npgrad.errors import InputError
from npgrad.model import Model

OF_PIXELS = ("mask", "baseline")  # options that are flipped with the image


@explains_scores
def aug_smooth(
    model: Model,
    x: Array,
    target: Target = None,
    method: str | Callable[..., Array] = "grad_cam",
    factors: Sequence[float] = (0.9, 1.0, 1.1),
    flip: bool = True,
    scaled: bool = True,
    progress: Progress = None,
    **options: Any,
) -> Array:
    """Average an attribution over augmented copies of the images, each turned back before the mean is taken.

    pytorch-grad-cam's aug_smooth, with its six copies: the image and its mirror image, each times 0.9, 1 and 1.1. All
    copies are explained for the target of the unmodified x.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    method : str or callable, default "grad_cam"
        The name of a function of `npgrad.attribution`, or any function (model, x, target, **options) that returns
        (N, h, w) or (N, C, h, w).
    factors : sequence of float
        What the preprocessed images are multiplied by.
    flip : bool, default True
        Whether to add the copies flipped from left to right.
    scaled : bool, default True
        Whether the positive part of each attribution is scaled to 0..1 first, as in pytorch-grad-cam. Otherwise the
        result is the mean of the signed values.
    progress : callable or None
        Called with (done, total), counted in copies.
    **options
        Further keyword arguments of `method`, such as `layer`. A `mask` or `baseline` is flipped with the images.

    Returns
    -------
    ndarray
        Of the shape of the method's result; (N, h, w) by default.

    Raises
    ------
    InputError
        If an argument cannot be used, or if the method returns no maps.
    UnknownName
        If no method has the given name.
    """
    if not np.ndim(factors) or not len(factors) or not all(is_number(f) and np.isfinite(f) for f in factors):
        raise InputError(f"factors: expected finite numbers, found {factors!r}")
    method = named(method)
    x, targets, _, _ = begin(model, x, target)
    copies = [(sign, factor) for sign in ((1, -1) if flip else (1,)) for factor in factors]
    total = 0
    for done, (sign, factor) in enumerate(copies):
        own = {key: _flipped(value, sign) if key in OF_PIXELS else value for key, value in options.items()}
        with warnings.catch_warnings():
            # issued once already, for the unmodified x
            warnings.filterwarnings("ignore", "the score of|.*as pixels do")
            found = method(model, x[..., ::sign] * x.dtype.type(factor), targets, **own)
        if not isinstance(found, np.ndarray) or found.ndim not in (3, 4):
            what = f"shape {found.shape}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
            raise InputError(f"aug_smooth: its method must give (N, h, w) or (N, C, h, w), found {what}")
        total = total + (_scaled(found) if scaled else found)[..., ::sign]
        if progress is not None:
            progress(done + 1, len(copies))
    return total / len(copies)


def _flipped(option, sign):
    return np.asarray(option)[..., ::sign] if np.ndim(option) > 1 else option


def _scaled(found):
    """The positive part of each image's attribution, from 0 to 1."""
    return scaled_maps(positive(found).reshape(len(found), -1, found.shape[-1])).reshape(found.shape)
