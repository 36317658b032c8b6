"""Attributions of one neuron by deconvolution, and against baselines: DeepLIFT, ablation and gradient SHAP."""

from __future__ import annotations

from itertools import islice

import numpy as np

from npgrad._parallel.batches import batches, copies_at_once
from npgrad._typing import Array, Neuron, Progress, Rng, Rules, Target
from npgrad._validate import baseline_set, check_input, full_baseline, generator, not_negative, whole_number
from npgrad.attribution._common import layer_name
from npgrad.attribution._copies import per_sample
from npgrad.attribution._neuron import neuron_upstream, neuron_value
from npgrad.attribution._rule_tables import at_relus
from npgrad.attribution._surgery import run_to
from npgrad.attribution.ablation import drops
from npgrad.attribution.deep_lift import multipliers_of
from npgrad.attribution.gradient_shap import draw
from npgrad.model import Model
from npgrad.rules import deconv
from npgrad.tape import INPUT


def neuron_deconvolution(
    model: Model, x: Array, target: Target = None, layer: str | None = None, *, neuron: Neuron
) -> Array:
    """Compute the gradient of a neuron with the deconvolutional network's rule at every ReLU.

    Zeiler, Fergus 2014, section 2.1; see `npgrad.attribution.deconvolution`.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the neuron takes the place of the score. Accepted as in all other methods.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    neuron : int, slice, tuple of them, or callable
        The neuron's 0-based index in the layer's output of one image: (channel, row, column), or one index where
        that output is a vector. With slices in it: the sum of these neurons. Or a function of the layer's output
        y (N, ...) that treats each image by itself, y -> (value (N,), its gradient (N, ...)).

    Returns
    -------
    ndarray (N, C, H, W)
        Signed.

    Raises
    ------
    InputError
        If an argument cannot be used or the layer has no such neuron.
    UnknownName
        If no layer has the given name.
    """
    layer = layer_name(model, x, layer)
    tape = model.forward(check_input(x), upto=layer)
    dy = neuron_upstream(tape[layer], layer, neuron)
    return tape.backward({layer: dy}, at_relus(model, deconv))["input"]


def neuron_deep_lift(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    *,
    neuron: Neuron,
    baseline: float | Array | None = None,
    rules: Rules = None,
) -> Array:
    """Compute DeepLIFT's contributions to a neuron, which sum to its difference from the baseline's.

    Shrikumar, Greenside, Kundaje 2017, section 3.2, with the neuron as the output; see `npgrad.attribution.deep_lift`.
    For a function of the layer's output that is not linear, its gradient at the image is used, and the sum differs.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the neuron takes the place of the score. Accepted as in all other methods.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    neuron : int, slice, tuple of them, or callable
        The neuron's 0-based index in the layer's output of one image: (channel, row, column), or one index where
        that output is a vector. With slices in it: the sum of these neurons. Or a function of the layer's output
        y (N, ...) that treats each image by itself, y -> (value (N,), its gradient (N, ...)).
    baseline : None, float or ndarray
        The reference input, broadcast to x. None: 0, the mean color.
    rules : dict or None
        {layer type or name: rule}, in addition to DeepLIFT's own.

    Returns
    -------
    ndarray (N, C, H, W)
        Signed.

    Raises
    ------
    InputError
        If an argument cannot be used or the layer has no such neuron.
    UnknownName
        If no layer has the given name.
    """
    layer, x = layer_name(model, x, layer), check_input(x)
    tape = model.forward(x, upto=layer, whole=True)
    reference = model.forward(full_baseline(baseline, x.shape, x.dtype), upto=layer, whole=True)
    dy = {layer: neuron_upstream(tape[layer], layer, neuron)}
    return multipliers_of(tape, reference, dy, [INPUT], rules)[INPUT] * (tape[INPUT] - reference[INPUT])


def neuron_feature_ablation(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    *,
    neuron: Neuron,
    mask: Array | None = None,
    baseline: float | Array | None = None,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Measure the drop of a neuron's value when a feature of the image is set to the baseline.

    See `npgrad.attribution.feature_ablation`, with the neuron in place of the score.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the neuron takes the place of the score. Accepted as in all other methods.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    neuron : int, slice, tuple of them, or callable
        The neuron's 0-based index in the layer's output of one image: (channel, row, column), or one index where
        that output is a vector. With slices in it: the sum of these neurons. Or a function of the layer's output
        y (N, ...) that treats each image by itself, y -> (value (N,), its gradient (N, ...)).
    mask : ndarray of int or None
        The elements of an image with the same integer are one feature; broadcast to x. None: every element is a
        feature, which takes C*H*W forward passes per image.
    baseline : None, float or ndarray
        The values that replace the feature, broadcast to x. None: 0, the mean color.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, C, H, W)
        Signed.

    Raises
    ------
    InputError
        If an argument cannot be used or the layer has no such neuron.
    UnknownName
        If no layer has the given name.
    """
    layer, x = layer_name(model, x, layer), check_input(x)

    def values(images):
        return neuron_value(run_to(model, images, layer)[layer], layer, neuron)

    size = copies_at_once(model, x, batch_size, backward=False)
    clean = values(x)
    return drops(x, mask, baseline, lambda i: (clean[i], values), size, progress)


def neuron_gradient_shap(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    *,
    neuron: Neuron,
    baseline: float | Array | None = None,
    n_samples: int = 5,
    noise: float = 0.0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Compute gradient SHAP of a neuron: its gradient at random points between baselines and noisy images.

    Lundberg, Lee 2017; see `npgrad.attribution.gradient_shap`, with the neuron in place of the score.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the neuron takes the place of the score. Accepted as in all other methods.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    neuron : int, slice, tuple of them, or callable
        The neuron's 0-based index in the layer's output of one image: (channel, row, column), or one index where
        that output is a vector. With slices in it: the sum of these neurons. Or a function of the layer's output
        y (N, ...) that treats each image by itself, y -> (value (N,), its gradient (N, ...)).
    baseline : None, float or ndarray
        A set of reference inputs (M, C, H, W), shared by all images; or one that broadcasts to (C, H, W).
        None: 0, the mean color.
    n_samples : int, default 5
        Number of samples per image.
    noise : float, default 0.0
        Standard deviation of the noise, in the units of x.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, which each image of a batch starts from.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).

    Returns
    -------
    ndarray (N, C, H, W)
        Signed.

    Raises
    ------
    InputError
        If an argument cannot be used or the layer has no such neuron.
    UnknownName
        If no layer has the given name.
    """
    n_samples, noise = whole_number(n_samples, "n_samples"), not_negative(noise, "noise")
    layer, x, rng = layer_name(model, x, layer), check_input(x), generator(rng)
    samples = draw(x, baseline_set(baseline, x), n_samples, noise, rng)
    total = np.zeros(x.shape, x.dtype)
    for copies in batches(len(x) * n_samples, copies_at_once(model, x, batch_size), progress):
        noisy, start, a = map(np.stack, zip(*islice(samples, len(copies)), strict=True))
        tape = model.forward(start + per_sample(a, noisy) * (noisy - start), upto=layer)
        dy = neuron_upstream(tape[layer], layer, neuron)
        contributions = (noisy - start) * tape.backward({layer: dy})["input"]
        for i, contribution in zip(copies // n_samples, contributions, strict=True):
            total[i] += contribution
    return total / n_samples
