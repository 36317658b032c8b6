"""Class activation maps made of one layer's activation and its gradient.

With A (N, C, h, w) the layer's output and dA = d score / d A, every map here is a sum over channels k of
A_k times some weight made of dA_k: (N, h, w), unscaled. Where a paper's formula has a ReLU it stands in the
function, the other maps are signed. A positive value speaks for the class.

target: a class for all images, one an image, or None for each image's top class; its score is the raw
logit. layer: any with an extent; None is the last fire or, without one, the last such layer. resize: None
for the layer's own size, or "nearest", "bilinear" or "bicubic" for the image's (`resize_map`).
"""

from npgrad.attribution._maps import (
    activation_and_gradient,
    activation_and_its_gradient,
    at_map_layer,
    at_size,
    divide,
    positive,
    weighted_sum,
)
from npgrad.errors import InputError
from npgrad.layers import ReLU
from npgrad.rules import guided


def grad_cam(model, x, target=None, layer=None, relu=False, resize=None):
    """Each channel weighted by the mean of its gradient: sum over k of mean(dA_k) * A_k.

    Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, equations 1 and 2. Equation 2 has a ReLU, to
    show only what speaks for the class: relu=True.
    """
    A, dA = activation_and_gradient(model, x, target, layer)
    maps = weighted_sum(dA.mean(axis=(2, 3)), A)
    return at_size(x, positive(maps) if relu else maps, resize)


def grad_cam_plus_plus(model, x, target=None, layer=None, resize=None):
    """Grad-CAM of the positive gradients, each with a share of its own: relu(sum over k of w_k * A_k).

    Chattopadhay, Sarkar, Howlader, Balasubramanian 2018, section 3, for a network that is piecewise linear
    above the layer:

        w_k = sum over pixels of alpha_k * relu(dA_k),  alpha_k = dA_k^2 / (2 * dA_k^2 + sum(A_k) * dA_k^3)

    The paper differentiates exp(score), not the score. That multiplies an image's map by exp(score), which
    is left out here: it changes no proportion, and overflows.
    """
    A, dA = activation_and_gradient(model, x, target, layer)
    alpha = divide(1, 2 + A.sum(axis=(2, 3), keepdims=True) * dA)  # dA^2 cancels
    return at_size(x, positive(weighted_sum((alpha * positive(dA)).sum(axis=(2, 3)), A)), resize)


def hires_cam(model, x, target=None, layer=None, resize=None):
    """Each pixel weighted by its own gradient: sum over k of dA_k * A_k. Draelos, Carin 2020.

    So it shows what the score was made of: if the score is linear in A, the map sums to it, but for a
    constant.
    """
    A, dA = activation_and_gradient(model, x, target, layer)
    return at_size(x, (dA * A).sum(axis=1), resize)


def layer_cam(model, x, target=None, layer=None, resize=None):
    """Each pixel weighted by its positive gradient: relu(sum over k of relu(dA_k) * A_k).

    Jiang, Zhang, Hou, Cheng, Wei 2021. Serves at early layers, too, where a channel's mean gradient says
    little.
    """
    A, dA = activation_and_gradient(model, x, target, layer)
    return at_size(x, positive((positive(dA) * A).sum(axis=1)), resize)


def x_grad_cam(model, x, target=None, layer=None, resize=None):
    """Each channel weighted by its gradient where it is active: sum over k of w_k * A_k.

    Fu, Hu, Dong, Guo, Gao, Li 2020: w_k = sum(A_k * dA_k) / sum(A_k), the mean of dA_k weighted by A_k. So
    the map sums to what hires_cam's sums to. A channel whose activations sum to 0 has weight 0.
    """
    A, dA = activation_and_gradient(model, x, target, layer)
    weights = divide((A * dA).sum(axis=(2, 3)), A.sum(axis=(2, 3)))
    return at_size(x, weighted_sum(weights, A), resize)


def guided_grad_cam(model, x, target=None, layer=None, resize="nearest"):
    """Grad-CAM with its ReLU, resized to the image, times guided backprop: signed, of the shape of x.

    Selvaraju et al. 2017, section 3.2: the detail of one, the place of the other. resize: the paper's is
    "bilinear", Captum's "nearest".
    """
    if resize is None:
        raise InputError("resize: expected nearest, bilinear or bicubic, found None")

    def both(tape, layer, seed):
        A, dA = activation_and_its_gradient(tape, layer, seed)
        return A, dA, tape.backward(seed, rules={ReLU: guided})["input"]

    A, dA, dx = at_map_layer(model, x, target, layer, both)
    return at_size(x, positive(weighted_sum(dA.mean(axis=(2, 3)), A)), resize)[:, None] * dx
