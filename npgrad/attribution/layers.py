"""Attributions of a score to a layer's output y (a convolution's: before its ReLU) with one forward and backward pass.

Those that integrate along the path from a baseline to the image are in layer_paths.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from npgrad._outputs import explains_scores
from npgrad._targets import one_hot, resolve_targets, warn_if_dead
from npgrad._typing import Array, Layers, Target
from npgrad.attribution._common import layer_names, of_layers
from npgrad.attribution._maps import weighted_sum
from npgrad.attribution._surgery import outputs_at
from npgrad.model import Model


class LayerView(NamedTuple):
    """One layer in one pass.

    Attributes
    ----------
    activation : ndarray (N, ...)
        The layer's output y.
    gradient : ndarray (N, ...)
        d score / d y.
    grad_cam : ndarray (N, h, w) or None
        Grad-CAM at this layer, without the ReLU; None where y is not (N, C, h, w).
    """

    activation: Array
    gradient: Array
    grad_cam: Array | None


@explains_scores
def every_layer(model: Model, x: Array, target: Target = None) -> dict[str, LayerView]:
    """Compute activation, gradient and Grad-CAM of all layers with one forward and one backward pass.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.

    Returns
    -------
    dict of str to LayerView
        ``{layer: LayerView}``, in the order of the forward pass.

    Raises
    ------
    InputError
        If x or target cannot be used.
    TargetError
        If a target is not a class of the network.
    """
    tape = model.forward(x)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, tape.output, targets)
    names = [record.name for record in tape.parts[0]]
    gradients = tape.backward(one_hot(model, tape.output, targets), at=names)
    return {name: _view(tape[name], gradients[name]) for name in names}


def layer_activation(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Return a layer's output y.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the activation is the same for every class. Accepted as in all other methods.
    layer : str, sequence of str or None
        Name of the layer, or of several, which share all passes. None: the model's default layer
        for activation maps.

    Returns
    -------
    ndarray (N, ...)
        Of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If x cannot be used.
    UnknownName
        If no layer has this name.
    """
    names = layer_names(model, x, layer)
    found = outputs_at(model, x, names)  # of which that of inactive dropout is the caller's own x
    return of_layers(layer, names, {name: y.copy() for name, y in found.items()})


@explains_scores
def layer_gradient_x_activation(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute a layer's output times the gradient of the score, y * d score / d y.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str, sequence of str or None
        Name of the layer, or of several, which share all passes. None: the model's default layer
        for activation maps.

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If x or target cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has this name.
    """
    names = layer_names(model, x, layer)
    tape = model.forward(x)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, tape.output, targets)
    gradients = tape.backward(one_hot(model, tape.output, targets), at=names)
    return of_layers(layer, names, {name: tape[name] * dy for name, dy in gradients.items()})


def _view(y, dy):
    return LayerView(y, dy, weighted_sum(dy.mean(axis=(2, 3)), y) if y.ndim == 4 else None)
