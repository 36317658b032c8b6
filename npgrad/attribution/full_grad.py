"""FullGrad: the gradients of a score by the input and by every bias."""

import numpy as np

from npgrad._validate import check_input
from npgrad.attribution._common import score_gradients
from npgrad.attribution._maps import scaled
from npgrad.images.resize import resize_map
from npgrad.layers import BatchNorm2d


def full_grad(model, x, target=None):
    """psi(x * dx) summed over channels, plus psi(b * db) summed over channels and layers: (N, H, W), >= 0.

    Srinivas, Fleuret 2019, section 4: psi takes the absolute value of one channel's map, scales that to
    0..1 (its least value to 0, its greatest to 1), and resizes it to the image (bilinear). A constant map
    becomes 0. Of the biases those count here that have an extent, as in the paper: of convolutions and
    BatchNorms, not of fully connected layers. (The authors' code scales all channels of a layer together.)
    """
    terms = full_gradients(model, x, target)
    size = np.shape(x)[2:]
    sums = (scaled(np.abs(term)).sum(axis=1) for term in terms.values() if term.ndim == 4)
    return sum(resize_map(maps, size, "bilinear") for maps in sums)  # resizing is linear: sum first


def full_gradients(model, x, target=None):
    """Each image's score, cut into what comes from x and from every layer's bias: {name: its part}.

    "input" is x * d score / d x; the others are bias * d score / d y at each layer that adds a bias to its
    output y, of the shape of y. In a network that is piecewise linear (no Softmax) all parts of an image
    sum to its score (Srinivas, Fleuret 2019, proposition 1).
    """
    biases = {name: _bias(model.layer(name)) for name in model.layer_names()}
    biases = {name: bias for name, bias in biases.items() if bias is not None}
    _, _, gradients = score_gradients(model, x, target, at=("input", *biases))
    parts = {"input": check_input(x) * gradients["input"]}
    for name, bias in biases.items():
        dy = gradients[name]
        parts[name] = bias.reshape(-1, *(1,) * (dy.ndim - 2)) * dy
    return parts


def _bias(layer):
    """What a layer adds to each channel of its output, or None."""
    if isinstance(layer, BatchNorm2d):
        return layer.bias - layer.running_mean * layer.weight / np.sqrt(layer.running_var + layer.eps)
    return layer.arrays().get("bias")
