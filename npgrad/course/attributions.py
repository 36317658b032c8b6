"""Q1.1 to Q1.3a: saliency maps, guided backprop, Grad-CAM, and attributions by Captum's names."""

from typing import Any

import numpy as np

from npgrad import attribution
from npgrad._typing import Array, Target
from npgrad.errors import unknown
from npgrad.images.resize import resize_map
from npgrad.model import Model

FEATURES_3, FEATURES_12 = "fire2", "fire9"


def compute_saliency_maps(X: Array, y: Target, model: Model) -> Array:
    """Compute saliency maps (Q1.1).

    M = max over channels of ``|d s_y / d X|``, with s_y the score before the softmax (Simonyan, Vedaldi,
    Zisserman 2014, section 3).

    Parameters
    ----------
    X : ndarray (N, 3, H, W)
        Preprocessed images.
    y : int, str or sequence of them
        The class of each image, by index or name.
    model : Model
        The network.

    Returns
    -------
    ndarray (N, H, W)

    Examples
    --------
    >>> import npgrad
    >>> model = npgrad.models.squeezenet1_1(num_classes=3, rng=0)
    >>> X = np.random.default_rng(0).normal(size=(2, 3, 33, 33)).astype(np.float32)
    >>> compute_saliency_maps(X, [0, 1], model).shape
    (2, 33, 33)
    """
    return attribution.saliency(model, X, y).max(axis=1)


def guided_backprop(X: Array, y: Target, model: Model) -> Array:
    """Compute guided backprop, signed (Q1.2).

    The gradient of s_y, where each ReLU passes ``dy * (x > 0) * (dy > 0)`` (Springenberg et al. 2015, figure 1).

    Parameters
    ----------
    X : ndarray (N, 3, H, W)
        Preprocessed images.
    y : int, str or sequence of them
        The class of each image, by index or name.
    model : Model
        The network.

    Returns
    -------
    ndarray (N, H, W, 3)
    """
    return attribution.guided_backprop(model, X, y).transpose(0, 2, 3, 1)


def grad_cam(X: Array, y: Target, model: Model) -> Array:
    """Compute Grad-CAM at ``features[12]``, resized to the image (bicubic) (Q1.2).

    L = ReLU(sum over k of alpha_k * A_k), with alpha_k the mean of d s_y / d A_k over height and width (Selvaraju et
    al. 2019, equations 1 and 2). As in the course, the maps are scaled to 0..1 over the whole batch.

    Parameters
    ----------
    X : ndarray (N, 3, H, W)
        Preprocessed images.
    y : int, str or sequence of them
        The class of each image, by index or name.
    model : Model
        The network.

    Returns
    -------
    ndarray (N, H, W)
        Values from 0 to 1.
    """
    maps = attribution.grad_cam(model, X, y, layer=FEATURES_12, relu=True)
    maps = resize_map(maps, np.shape(X)[2:], "bicubic")
    maps = maps - maps.min()
    return maps / (maps.max() or 1)


def guided_grad_cam(X: Array, y: Target, model: Model) -> Array:
    """Compute the product of `guided_backprop` and `grad_cam`, which is scaled over the whole batch (Q1.2).

    Parameters
    ----------
    X : ndarray (N, 3, H, W)
        Preprocessed images.
    y : int, str or sequence of them
        The class of each image, by index or name.
    model : Model
        The network.

    Returns
    -------
    ndarray (N, H, W, 3)
    """
    return guided_backprop(X, y, model) * grad_cam(X, y, model)[..., None]


def compute_attributions(method: str, X: Array, y: Target, model: Model, **options: Any) -> Array:
    """Compute an attribution given by Captum's name for it (Q1.3a).

    Parameters
    ----------
    method : str
        For the input: ``Saliency``, ``IntegratedGradients`` (with ``n_steps=10``), ``GuidedBackprop``, or
        ``GuidedGradCam`` (at ``features[12]``). For a layer, by default ``features[3]``: ``LayerActivation``,
        ``LayerConductance`` or ``LayerGradCam``.
    X : ndarray (N, 3, H, W)
        Preprocessed images.
    y : int, str or sequence of them
        The class of each image, by index or name.
    model : Model
        The network.
    **options
        Options of the function in `npgrad.attribution`, such as ``n_steps`` or ``layer``. For a layer's attribution
        also ``resize``: ``"nearest"`` (the default, as in Captum), ``"bilinear"`` or ``"bicubic"``.

    Returns
    -------
    ndarray
        (N, 3, H, W) for an attribution of the input. (N, H, W) for one of a layer: the mean over its channels,
        resized to the image.

    Raises
    ------
    UnknownName
        If there is no such method.
    """
    if not isinstance(method, str) or method not in {**_INPUT_METHODS, **_LAYER_METHODS}:
        raise unknown("attribution", method, [*_INPUT_METHODS, *_LAYER_METHODS])
    if method in _INPUT_METHODS:
        function, defaults = _INPUT_METHODS[method]
        return getattr(attribution, function)(model, X, y, **{**defaults, **options})
    resize = options.pop("resize", "nearest")
    values = getattr(attribution, _LAYER_METHODS[method])(model, X, y, **{"layer": FEATURES_3, **options})
    if values.ndim == 4:
        values = values.mean(axis=1)
    return resize_map(values, np.shape(X)[2:], resize)


_INPUT_METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "Saliency": ("saliency", {}),
    "IntegratedGradients": ("integrated_gradients", {"n_steps": 10}),
    "GuidedBackprop": ("guided_backprop", {}),
    "GuidedGradCam": ("guided_grad_cam", {"layer": FEATURES_12}),
}
_LAYER_METHODS = {
    "LayerActivation": "layer_activation",
    "LayerConductance": "layer_conductance",
    "LayerGradCam": "grad_cam",
}
