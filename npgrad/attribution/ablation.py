"""Ablation and permutation: replace a feature of the image or of a layer, and measure how much the score drops."""

from __future__ import annotations

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._parallel.threads import thread_map
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import check_input, feature_mask, full_baseline, generator
from npgrad.attribution._common import layer_name
from npgrad.attribution._copies import begin
from npgrad.attribution._patches import Rescoring
from npgrad.attribution._surgery import run_to, score_from
from npgrad.errors import InputError
from npgrad.model import Model


@explains_scores
def feature_ablation(
    model: Model,
    x: Array,
    target: Target = None,
    mask: Array | None = None,
    baseline: float | Array | None = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Measure the drop of the score when a feature is set to the baseline: F(x) - F(x without the feature).

    Every element of the feature gets this value.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    mask : ndarray of int or None
        The elements of an image with the same integer are one feature. (H, W) holds for all images and channels,
        (C, H, W) for all images, (N, C, H, W) has one map per image. None: every element is a feature, which takes
        C*H*W forward passes per image.
    baseline : None, float or ndarray, default 0
        The values that replace the feature, broadcast to x. None: 0, the mean color.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, C, H, W)
        The attributions.
    """
    x, targets, _, size = begin(model, x, target, batch_size, backward=False)

    def scored(i):
        score = Rescoring(model, x[i : i + 1], targets[i])
        return score.clean, lambda copies: thread_map(lambda copy: score(copy[None]), copies)

    return drops(x, mask, baseline, scored, size, progress)


def feature_permutation(
    model: Model,
    x: Array,
    target: Target = None,
    mask: Array | None = None,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Measure the drop of the score when a feature has its values from another image of the batch.

    Breiman 2001, section 10, with the score for the measure of error, as in Captum: for each feature the images of the
    batch are permuted at random, in a permutation that is not the identity, and every element of the feature gets
    F(x) - F(x with the feature of the image that took its place). Unlike with all other methods, an image's result
    depends on the other images of its batch.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them; at least two.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    mask : ndarray of int or None
        The elements of an image with the same integer are one feature, the same in all images: (H, W) holds for all
        channels, or (C, H, W). None: every element is a feature, which takes C*H*W forward passes per image.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the permutations.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, C, H, W)
        The attributions.

    Raises
    ------
    InputError
        There is only one image, the mask differs between images, or an argument cannot be used.
    """
    x = check_input(x)
    return feature_ablation(model, x, target, mask, _permuted(x, mask, rng), batch_size, progress)


@explains_scores
def layer_ablation(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    mask: Array | None = None,
    baseline: float | Array | None = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Measure the drop of the score when a feature of a layer's output y is set to a baseline.

    Only the layers above run again, and only for features that this changes. What bypasses the layer keeps its values
    for x.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    mask : ndarray of int or None
        The elements of y with the same integer are one feature; broadcast to y. ``arange(h * w).reshape(h, w)`` makes
        each position a feature, ``arange(C)[:, None, None]`` each channel. None: each element.
    baseline : None, float or ndarray, default 0
        The values that replace the feature, broadcast to y. None: 0.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output.

    Raises
    ------
    InputError
        If an argument cannot be used.
    UnknownName
        If no layer has this name.
    """
    layer = layer_name(model, x, layer)
    x, targets, _, size = begin(model, x, target, batch_size, backward=False)
    y = run_to(model, x, layer)[layer]

    def scored(i):
        above = score_from(model, run_to(model, x[i : i + 1], layer), layer, targets[i])
        return above(y[i : i + 1])[0], above

    return drops(y, mask, baseline, scored, size, progress)


def layer_feature_permutation(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    mask: Array | None = None,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Measure the drop of the score when a feature of a layer's output has its values from another image of the batch.

    As `feature_permutation`, with the layer's output y for x. An image's result depends on the others of its batch.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them; at least two.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    mask : ndarray of int or None
        The elements of y with the same integer are one feature, as for `layer_ablation`, the same in all images. None:
        each element.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the permutations.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output.

    Raises
    ------
    InputError
        There is only one image, the mask differs between images, or an argument cannot be used.
    UnknownName
        If no layer has this name.
    """
    layer = layer_name(model, x, layer)
    values = _permuted(run_to(model, check_input(x), layer)[layer], mask, rng)
    return layer_ablation(model, x, target, layer, mask, values, batch_size, progress)


def drops(y, mask, baseline, scored, size, progress):
    """The drop of a score without each feature of y (N, ...), where the baseline differs; 0 elsewhere.

    scored(i): (the score of y[i], a function of changed copies of y[i] that gives their scores).
    """
    mask, baseline = features_of(mask, y.shape), full_baseline(baseline, y.shape, y.dtype)
    changing = [np.unique(own[new != old]) for own, new, old in zip(mask, baseline, y, strict=True)]
    lost, done, total = [], 0, sum(map(len, changing))
    for i, features in enumerate(changing):
        clean, score = scored(i)
        lost.append(np.zeros(y.shape[1:], clean.dtype))
        for some in batches(len(features), size):
            chosen = [mask[i] == feature for feature in features[some]]
            copies = np.stack([np.where(feature, baseline[i], y[i]) for feature in chosen])
            for feature, one in zip(chosen, score(copies), strict=True):
                lost[i][feature] = clean - one
            done += len(some)
            if progress is not None:
                progress(done, total)
    return np.stack(lost)


def features_of(mask, shape):
    """A map of features of the given shape; None: each element of an image is one."""
    if mask is None:
        mask = np.arange(np.prod(shape[1:])).reshape(shape[1:])
    return feature_mask(mask, shape)


def _permuted(y, mask, rng):
    """What each feature is replaced by: the same one of another image, with a random permutation for each feature."""
    if len(y) < 2:
        raise InputError("input: expected at least two images, whose features are exchanged; found one")
    mask, rng = features_of(mask, y.shape), generator(rng)
    if (mask != mask[0]).any():
        raise InputError("mask: expected the same features in all images, which exchange them")
    features, which = np.unique(mask[0], return_inverse=True)
    orders = np.stack([_permutation(len(y), rng) for _ in features], axis=1)
    return np.take_along_axis(y, orders[:, which.reshape(y.shape[1:])], axis=0)


def _permutation(n, rng):
    """A random permutation of n that is not the identity."""
    order = np.arange(n)
    while (order == np.arange(n)).all():
        order = rng.permutation(n)
    return order
