"""Attributions of a score to a layer's output y (a convolution's: before its ReLU) with one forward and backward pass.

Those that integrate along the path from a baseline to the image are in layer_paths.py.
"""

from __future__ import annotations

from typing import NamedTuple

from npgrad._outputs import explains_scores
from npgrad._targets import one_hot, resolve_targets, warn_if_dead
from npgrad._typing import Array, Target
from npgrad.attribution._common import layer_name
from npgrad.attribution._maps import weighted_sum
from npgrad.attribution._surgery import run_to
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


def layer_activation(model: Model, x: Array, target: Target = None, layer: str | None = None) -> Array:
    """Return a layer's output y.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        Not used: the activation is the same for every class. Accepted as in all other methods.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.

    Returns
    -------
    ndarray (N, ...)
        Of the shape of the layer's output.

    Raises
    ------
    InputError
        If x cannot be used.
    UnknownName
        If no layer has this name.
    """
    layer = layer_name(model, x, layer)
    return run_to(model, x, layer)[layer].copy()  # the output of inactive dropout is the caller's own x


@explains_scores
def layer_gradient_x_activation(
    model: Model, x: Array, target: Target = None, layer: str | None = None
) -> Array:
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
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output.

    Raises
    ------
    InputError
        If x or target cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has this name.
    """
    layer = layer_name(model, x, layer)
    tape = model.forward(x)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, tape.output, targets)
    return tape[layer] * tape.backward(one_hot(model, tape.output, targets), at=(layer,))[layer]


def _view(y, dy):
    return LayerView(y, dy, weighted_sum(dy.mean(axis=(2, 3)), y) if y.ndim == 4 else None)
