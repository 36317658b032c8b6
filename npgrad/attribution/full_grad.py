"""FullGrad: the gradients of a score by the input and by every bias."""

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Target
from npgrad._validate import check_input, one_of
from npgrad.attribution._common import expect_images, score_gradients
from npgrad.attribution._maps import scaled
from npgrad.images.resize import resize_map
from npgrad.layers import Affine, BatchNorm2d
from npgrad.layers.standardizing import Standardizing
from npgrad.model import Model


@explains_scores
def full_grad(model: Model, x: Array, target: Target = None, scaling: str = "channel") -> Array:
    """Sum psi(x * dx) over channels, and psi(b * db) over the channels of every layer with a bias b.

    Srinivas, Fleuret 2019, section 4: psi takes the absolute value of one channel's map, scales it to 0..1 (its
    minimum to 0, its maximum to 1), and resizes it to the image (bilinear). A map that is constant up to rounding
    becomes 0. As in the paper, only biases of spatial layers count, those of convolutions and BatchNorms, not those of
    fully connected layers.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    scaling : {"channel", "layer"}, default "channel"
        Whether psi scales each channel by itself, as in the paper and in pytorch-grad-cam, or all channels of a layer
        together, as the authors' code does.

    Returns
    -------
    ndarray (N, H, W)
        The maps, not negative.
    """
    x = expect_images("full_grad", x)
    one_of(scaling, "scaling", ("channel", "layer"))
    over = (-2, -1) if scaling == "channel" else (-3, -2, -1)
    terms = full_gradients(model, x, target)
    size = x.shape[2:]
    sums = (scaled(np.abs(term), over).sum(axis=1) for term in terms.values() if term.ndim == 4)
    return sum(resize_map(maps, size, "bilinear") for maps in sums)  # resizing is linear: sum first


@explains_scores
def full_gradients(model: Model, x: Array, target: Target = None) -> dict[str, Array]:
    """Split each image's score into the contributions of the input and of every layer's bias.

    "input" is x * d score / d x; the others are bias * d score / d y at each layer that adds a bias to its output y.
    In a network that is piecewise linear (no Softmax) all contributions of an image sum to its score (Srinivas,
    Fleuret 2019, proposition 1).

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
    dict of str to ndarray
        The contributions by layer name: "input" of the shape of x, the others of the shape of the layer's output.
    """
    layers = {name: model.layer(name) for name in model.layer_names()}
    biases = {name: bias for name, layer in layers.items() if (bias := _bias(layer)) is not None}
    _, _, gradients = score_gradients(model, x, target, at=("input", *biases))
    parts = {"input": check_input(x) * gradients["input"]}
    for name, bias in biases.items():
        dy = gradients[name]
        per_value = isinstance(layers[name], Standardizing)  # it may have a bias for each pixel
        spread = layers[name].spread(bias, dy) if per_value else bias.reshape(-1, *(1,) * (dy.ndim - 2))
        parts[name] = spread * dy
    return parts


def _bias(layer):
    """What a layer adds to each channel of its output, or None."""
    if isinstance(layer, BatchNorm2d):
        return layer.bias - layer.running_mean * layer.weight / np.sqrt(layer.running_var + layer.eps)
    if isinstance(layer, Affine):
        return np.atleast_1d(layer.shift) if np.any(layer.shift) else None
    return layer.arrays().get("bias")
