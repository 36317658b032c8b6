"""ShapleyCAM: channels weighted by the gradient and the curvature of the score."""

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Layers, Target
from npgrad.attribution._copies import begin
from npgrad.attribution._maps import at_size, map_layer, over_layers, weighted_sum
from npgrad.attribution._surgery import run_to
from npgrad.attribution.hessian import gradient_and_product
from npgrad.model import Model


@explains_scores
@over_layers
def shapley_cam(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None, resize: str | None = None
) -> Array:
    """Weight each channel by the mean of gradient minus half the curvature: mean(dA_k - (H A)_k / 2), times A_k.

    Cai 2025: a channel's contribution F(A) - F(A without it), expanded to second order around A. H is the Hessian, and
    the product H A is exact, as in `hvp`. Where the score is piecewise linear in A, H is 0 and the map is `grad_cam`;
    it differs for probabilities, as in target="prob(tabby)", and after smooth activations.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str, sequence of str, or None
        Name of the layer; of several, the mean of their maps, see `grad_cam`. None: the model's default layer for
        activation maps.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the map to the size of the images. None: keep the spatial size of the layer.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
    """
    layer = map_layer(model, x, layer)
    x, targets, _, _ = begin(model, x, target)
    maps = []
    for i in range(len(x)):
        tape = run_to(model, x[i : i + 1], layer)
        A = tape[layer]
        dA, HA = gradient_and_product(model, tape, layer, A, targets[i : i + 1])
        weights = (dA - HA / 2).mean(axis=(2, 3)).astype(A.dtype)
        maps.append(weighted_sum(weights, A))
    return at_size(x, np.concatenate(maps), resize)
