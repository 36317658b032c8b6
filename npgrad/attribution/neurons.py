"""Attributions of one neuron, an element of a layer's output, to the image; or of several, or a function of them.

All are called like the methods for a class, but only `neuron_conductance` uses `target`. A neuron with an
inactive ReLU has gradient 0.
"""

from __future__ import annotations

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches, copies_at_once
from npgrad._targets import one_hot
from npgrad._typing import Array, Neuron, Progress, Target
from npgrad._validate import check_input, full_baseline
from npgrad.attribution._common import layer_name
from npgrad.attribution._copies import begin, per_sample
from npgrad.attribution._neuron import neuron_upstream
from npgrad.attribution._quadrature import quadrature
from npgrad.attribution._rule_tables import at_relus
from npgrad.attribution._surgery import run_to
from npgrad.model import Model
from npgrad.rules import guided


def neuron_gradient(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    *,
    neuron: Neuron,
) -> Array:
    """Compute the gradient of a neuron, d neuron / d x.

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
        If x cannot be used or the layer has no such neuron.
    UnknownName
        If no layer has this name.
    """
    layer = layer_name(model, x, layer)
    return _gradient(model, x, layer, neuron)


def neuron_guided_backprop(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    *,
    neuron: Neuron,
) -> Array:
    """Compute the gradient of a neuron with guided backpropagation at every ReLU.

    Springenberg, Dosovitskiy, Brox, Riedmiller 2015, section 3.4; see `guided_backprop`.

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
        If x cannot be used or the layer has no such neuron.
    UnknownName
        If no layer has this name.
    """
    layer = layer_name(model, x, layer)
    return _gradient(model, x, layer, neuron, rules=at_relus(model, guided))


def neuron_integrated_gradients(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    *,
    neuron: Neuron,
    baseline: float | Array | None = None,
    n_steps: int = 50,
    method: str = "gausslegendre",
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Compute integrated gradients of a neuron, from a baseline to the image.

    With the baseline x0, this is ::

        (x - x0) * integral over a from 0 to 1 of d neuron / d x at x0 + a * (x - x0)

    (Sundararajan, Taly, Yan 2017, equation 1, with the neuron for F). The attributions sum to
    neuron(x) - neuron(x0), up to the error of the quadrature.

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
    n_steps : int, default 50
        Number of integration steps along the path from baseline to x.
    method : str, default "gausslegendre"
        Quadrature rule, as for `integrated_gradients`.
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
        If x, baseline, n_steps or batch_size cannot be used, or the layer has no such neuron.
    UnknownName
        If no layer or no quadrature rule has the given name.
    """
    nodes, weights = quadrature(method, n_steps)
    layer, x = layer_name(model, x, layer), check_input(x)
    size = copies_at_once(model, x, batch_size)

    def gradient(points, _):
        return _gradient(model, points, layer, neuron)

    return _integral(gradient, x, baseline, nodes, weights, size, progress)


@explains_scores
def neuron_conductance(
    model: Model,
    x: Array,
    target: Target = None,
    layer: str | None = None,
    *,
    neuron: Neuron,
    baseline: float | Array | None = None,
    n_steps: int = 50,
    method: str = "gausslegendre",
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Compute the part of the score's integrated gradients that passes through a neuron.

    With the baseline x0, this is ::

        (x - x0) * integral over a from 0 to 1 of d score / d neuron * d neuron / d x at x0 + a * (x - x0)

    (Dhamdhere, Sundararajan, Yan 2018, equation 2 before its sum over the input). Of several neurons it is the sum of
    their conductances, and of a function of the layer's output the sum weighted by its gradient. (Captum multiplies the
    sums of both gradients, over the neurons, instead.)

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
    neuron : int, slice, tuple of them, or callable
        The neuron's 0-based index in the layer's output of one image: (channel, row, column), or one index where
        that output is a vector. With slices in it: the sum of these neurons. Or a function of the layer's output
        y (N, ...) that treats each image by itself, y -> (value (N,), its gradient (N, ...)).
    baseline : None, float or ndarray
        The reference input, broadcast to x. None: 0, the mean color.
    n_steps : int, default 50
        Number of integration steps along the path from baseline to x.
    method : str, default "gausslegendre"
        Quadrature rule, as for `integrated_gradients`.
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
        If x, target, baseline, n_steps or batch_size cannot be used, or the layer has no such neuron.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer or no quadrature rule has the given name.
    """
    nodes, weights = quadrature(method, n_steps)
    layer = layer_name(model, x, layer)
    x, targets, _, size = begin(model, x, target, batch_size)

    def gradient(points, image):
        tape = model.forward(points)
        own = neuron_upstream(tape[layer], layer, neuron)
        above = tape.backward(one_hot(model, tape.output, targets[image]), at=(layer,))[layer]
        return tape.backward({layer: own * above})["input"]

    return _integral(gradient, x, baseline, nodes, weights, size, progress)


def _gradient(model, x, layer, neuron, rules=None):
    tape = run_to(model, x, layer)
    return tape.backward({layer: neuron_upstream(tape[layer], layer, neuron)}, rules)["input"]


def _integral(gradient, x, baseline, nodes, weights, size, progress):
    """(x - x0) * sum over k of weights_k * gradient(points at nodes_k, the indices of their images)."""
    x0 = full_baseline(baseline, x.shape, x.dtype)
    total, weights = np.zeros(x.shape, x.dtype), weights.astype(x.dtype)
    for copies in batches(len(x) * len(nodes), size, progress):
        image, k = np.divmod(copies, len(nodes))
        points = x0[image] + per_sample(nodes[k], x) * (x[image] - x0[image])
        for i, weight, one in zip(image, weights[k], gradient(points, image), strict=True):
            total[i] += weight * one
    return (x - x0) * total
