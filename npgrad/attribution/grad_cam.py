"""Class activation maps made of one layer's activation and its gradient.

With A (N, C, h, w) the output of the layer and dA = d score / d A (``tape.backward(dy, at=layer)[layer]``), every map
is a sum over channels k of A_k times a weight made of dA_k: (N, h, w), not normalized. `grad_cam_plus_plus` and
`layer_cam` include the ReLU of their paper, `grad_cam` omits it unless relu=True. In the signed maps positive values
support the class. The score is the raw logit of the target.
"""

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Layers, Target
from npgrad._validate import not_negative
from npgrad.attribution._maps import (
    activation_and_gradient,
    at_size,
    divide,
    over_layers,
    positive,
    weighted_sum,
)
from npgrad.model import Model


@explains_scores
@over_layers
def grad_cam(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    relu: bool = False,
    resize: str | None = None,
    sum_channels: bool = True,
) -> Array:
    """Compute Grad-CAM, each channel weighted by its mean gradient: sum over k of mean(dA_k) * A_k.

    Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, equations 1 and 2. A layer of vectors (N, C) is taken as one
    of a single pixel.

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
        Name of the layer. None: the model's default layer for activation maps. Of several layers, the result is the
        mean of their maps as in pytorch-grad-cam: each map's positive part is scaled to 0..1 and resized to the image
        (bilinear, if `resize` is None), so that the result is (N, H, W) and from 0 to 1.
    relu : bool, default False
        Whether to apply the ReLU of equation 2, which keeps only the positive evidence.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the map to the size of the images. None: keep the spatial size of the layer.
    sum_channels : bool, default True
        Whether to sum over the channels k; Captum's attr_dim_summation. Otherwise each channel has its map.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized; with channels apart (N, C, h, w).

    Raises
    ------
    InputError
        The output of the layer is neither (N, C, h, w) nor (N, C), or x is not a batch of finite floats.
    UnknownName
        The model has no such layer or class, or there is no such way to resize.

    Examples
    --------
    >>> import npgrad
    >>> model = npgrad.load()  # the bundled network
    >>> image, label, mask = npgrad.scenes.scene(7)
    >>> npgrad.attribution.grad_cam(model, model.preprocess(image)).shape
    (1, 13, 13)
    """
    A, dA = activation_and_gradient(model, x, target, layer, vectors=True)
    maps = dA.mean(axis=(2, 3), keepdims=True) * A
    maps = maps.sum(axis=1) if sum_channels else maps
    return at_size(x, positive(maps) if relu else maps, resize)


@explains_scores
@over_layers
def grad_cam_plus_plus(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    resize: str | None = None,
    epsilon: float = 0.0,
) -> Array:
    """Compute Grad-CAM++, in which each positive gradient has its own weight: relu(sum over k of w_k * A_k).

    Chattopadhay, Sarkar, Howlader, Balasubramanian 2018, section 3, for a network that is piecewise linear
    above the layer:

        w_k = sum over pixels of alpha_k * relu(dA_k),  alpha_k = dA_k^2 / (2 * dA_k^2 + sum(A_k) * dA_k^3)

    The paper differentiates exp(score), not the score. That multiplies the map of an image by exp(score), which is
    omitted here: it changes no proportion within a map, and it overflows. Where the denominator is 0, alpha is.

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
    epsilon : float, default 0
        Added to the denominator of alpha; 1e-6 in pytorch-grad-cam. Where dA^2 is not much larger, as in most networks,
        it decides about the map.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.
    """
    epsilon = not_negative(epsilon, "epsilon")
    A, dA = activation_and_gradient(model, x, target, layer)
    bottom = 2 + A.sum(axis=(2, 3), keepdims=True) * dA  # dA^2 cancels
    alpha = divide(dA**2, dA**2 * bottom + epsilon) if epsilon else divide(1, bottom)
    return at_size(x, positive(weighted_sum((alpha * positive(dA)).sum(axis=(2, 3)), A)), resize)


@explains_scores
@over_layers
def hires_cam(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None, resize: str | None = None
) -> Array:
    """Compute HiResCAM, each pixel weighted by its own gradient: sum over k of dA_k * A_k.

    Draelos, Carin 2020. If the score is linear in A, the map sums to the score up to a constant.

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
    A, dA = activation_and_gradient(model, x, target, layer)
    return at_size(x, (dA * A).sum(axis=1), resize)


@explains_scores
@over_layers
def grad_cam_elementwise(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None, resize: str | None = None
) -> Array:
    """Compute the positive part of HiResCAM, channel by channel: sum over k of ReLU(dA_k * A_k).

    The element-wise Grad-CAM of pytorch-grad-cam; unlike `layer_cam`, a negative activation with a negative gradient
    counts as evidence.

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
    A, dA = activation_and_gradient(model, x, target, layer)
    return at_size(x, positive(dA * A).sum(axis=1), resize)


@explains_scores
@over_layers
def layer_cam(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None, resize: str | None = None
) -> Array:
    """Compute LayerCAM, each pixel weighted by its positive gradient: relu(sum over k of relu(dA_k) * A_k).

    Jiang, Zhang, Hou, Cheng, Wei 2021. It is useful at early layers too, where the mean gradient of a channel
    carries little information.

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
    A, dA = activation_and_gradient(model, x, target, layer)
    return at_size(x, positive((positive(dA) * A).sum(axis=1)), resize)


@explains_scores
@over_layers
def x_grad_cam(
    model: Model, x: Array, target: Target = None, layer: Layers | None = None, resize: str | None = None
) -> Array:
    """Compute XGrad-CAM, each channel weighted by its gradient where it is active: sum over k of w_k * A_k.

    Fu, Hu, Dong, Guo, Gao, Li 2020: w_k = sum(A_k * dA_k) / sum(A_k), the mean of dA_k weighted by A_k. The map
    therefore has the same sum as the one of `hires_cam`. A channel whose activations sum to 0 has weight 0.

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
    A, dA = activation_and_gradient(model, x, target, layer)
    weights = divide((A * dA).sum(axis=(2, 3)), A.sum(axis=(2, 3)))
    return at_size(x, weighted_sum(weights, A), resize)
