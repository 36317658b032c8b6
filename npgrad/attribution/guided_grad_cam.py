"""Guided Grad-CAM: Grad-CAM times guided backprop."""

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Target
from npgrad.attribution._maps import (
    activation_and_its_gradient,
    at_map_layer,
    at_size,
    positive,
    weighted_sum,
)
from npgrad.attribution._rule_tables import at_relus
from npgrad.errors import InputError
from npgrad.model import Model
from npgrad.rules import guided


@explains_scores
def guided_grad_cam(
    model: Model, x: Array, target: Target = None, layer: str | None = None, resize: str = "nearest"
) -> Array:
    """Compute Grad-CAM with its ReLU, resized to the image, times guided backprop: signed, of the shape of x.

    Selvaraju et al. 2017, section 3.2: guided backprop gives the detail, Grad-CAM the location.

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
    resize : {"nearest", "bilinear", "bicubic"}, default "nearest"
        How to resize the map to the size of the images. The paper uses "bilinear", Captum "nearest".

    Returns
    -------
    ndarray (N, C, H, W)
        The attributions.
    """
    if resize is None:
        raise InputError("resize: expected nearest, bilinear or bicubic, found None")

    def both(tape, layer, dy):
        A, dA = activation_and_its_gradient(tape, layer, dy)
        return A, dA, tape.backward(dy, rules=at_relus(model, guided))["input"]

    A, dA, dx = at_map_layer(model, x, target, layer, both)
    return at_size(x, positive(weighted_sum(dA.mean(axis=(2, 3)), A)), resize)[:, None] * dx
