"""The attribution methods as a table: how each is shown, and what it needs besides a network and an image."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad import attribution
from npgrad._names import spelled
from npgrad._typing import Array
from npgrad.attribution._common import gray
from npgrad.attribution.lrp import composite_by_position
from npgrad.attribution.segments import superpixels
from npgrad.errors import unknown
from npgrad.images.resize import resize_map
from npgrad.layers import Sequential
from npgrad.layers.composite import Composite
from npgrad.model import Model


@dataclass(frozen=True)
class Method:
    """One attribution method.

    Parameters
    ----------
    sign : {"absolute", "positive", "signed"}
        How its values are shown by default; see `npgrad.images.heat_maps.heat_map`.
    note : str
        A description in one line.
    blind : bool, default False
        Whether its result is the same for every target.
    """

    sign: str
    note: str
    blind: bool = False


METHODS = {
    "saliency": Method("absolute", "magnitude of the gradient (Simonyan 2014)"),
    "input_x_gradient": Method("absolute", "input times gradient"),
    "guided_backprop": Method("absolute", "gradient through positive paths only (Springenberg 2015)"),
    "deconvolution": Method("absolute", "deconvolutional network (Zeiler, Fergus 2014)"),
    "integrated_gradients": Method(
        "absolute", "gradient integrated along the path from a baseline (Sundararajan 2017)"
    ),
    "blur_ig": Method("absolute", "gradient integrated while the image is less and less blurred (Xu 2020)"),
    "guided_ig": Method("absolute", "gradient integrated along an adaptive path (Kapishnikov 2021)"),
    "xrai": Method("positive", "regions of the highest mean integrated gradients (Kapishnikov 2019)"),
    "gradient_shap": Method("absolute", "gradient at random points of that path (Lundberg, Lee 2017)"),
    "smoothgrad": Method("absolute", "gradient averaged over noisy copies (Smilkov 2017)"),
    "deep_lift": Method("absolute", "differences from a baseline, rescale rule (Shrikumar 2017)"),
    "deep_lift_shap": Method("absolute", "deep_lift averaged over baselines (Lundberg, Lee 2017)"),
    "lrp": Method("signed", "layer-wise relevance propagation (Bach 2015)"),
    "excitation_backprop": Method(
        "positive", "probability passed back to what excited each unit (Zhang 2016)"
    ),
    "occlusion": Method("positive", "drop of the score when a window is covered (Zeiler, Fergus 2014)"),
    "feature_ablation": Method("positive", "drop of the score when a segment is covered"),
    "rise": Method("positive", "random masks weighted by the score of what they leave (Petsiuk 2018)"),
    "lime": Method("positive", "sparse linear model of segments (Ribeiro 2016)"),
    "kernel_shap": Method("positive", "Shapley values of segments (Lundberg, Lee 2017)"),
    "shapley_values": Method("positive", "Shapley values of few segments, exact (Shapley 1953)"),
    "shapley_value_sampling": Method("positive", "Shapley values of segments, sampled (Castro 2009)"),
    "grad_cam": Method("positive", "channels weighted by mean gradient (Selvaraju 2017)"),
    "guided_grad_cam": Method("absolute", "Grad-CAM times guided backprop (Selvaraju 2017)"),
    "grad_cam_plus_plus": Method("positive", "Grad-CAM++ (Chattopadhay 2018)"),
    "hires_cam": Method("positive", "activation times gradient, summed (Draelos, Carin 2020)"),
    "layer_cam": Method("positive", "activation times positive gradient (Jiang 2021)"),
    "x_grad_cam": Method("positive", "gradient weighted by activation (Fu 2020)"),
    "eigen_cam": Method(
        "positive", "first principal component of the activation (Muhammad, Yeasin 2020)", blind=True
    ),
    "eigen_grad_cam": Method("positive", "first principal component of activation times gradient"),
    "kpca_cam": Method("positive", "the same of the activation with a kernel (Karmani 2024)", blind=True),
    "fem": Method(
        "positive", "channels weighted by how often they are unusually active (Fuad 2020)", blind=True
    ),
    "random_cam": Method("positive", "channels weighted at random, for comparison", blind=True),
    "grad_cam_elementwise": Method("positive", "positive part of activation times gradient"),
    "finer_cam": Method("positive", "Grad-CAM against the most similar classes (Zhang 2025)"),
    "shapley_cam": Method("positive", "channels weighted by gradient and curvature (Cai 2025)"),
    "aug_smooth": Method("positive", "grad_cam averaged over flipped, darker and brighter copies"),
    "score_cam": Method("positive", "score of the image masked by each channel (Wang 2020)"),
    "ablation_cam": Method("positive", "drop of the score without each channel (Desai, Ramaswamy 2020)"),
    "full_grad": Method("positive", "gradient of input and biases (Srinivas, Fleuret 2019)"),
    "layer_ablation": Method("positive", "drop of the score when a part of a layer is covered"),
    "layer_activation": Method("absolute", "activation of a layer", blind=True),
    "layer_gradient_x_activation": Method("signed", "activation times gradient, at a layer"),
    "layer_integrated_gradients": Method("signed", "integrated gradients, at a layer"),
    "layer_conductance": Method("signed", "conductance of a layer (Dhamdhere 2018)"),
    "internal_influence": Method("absolute", "mean gradient along the path, at a layer (Leino 2018)"),
    "layer_deep_lift": Method("signed", "deep_lift, at a layer"),
    "layer_gradient_shap": Method("signed", "gradient_shap, at a layer"),
    "layer_deep_lift_shap": Method("signed", "deep_lift_shap, at a layer"),
    "layer_lrp": Method("signed", "layer-wise relevance propagation, at a layer"),
}


SHORT = {
    "IG": "integrated_gradients",
    "IxG": "input_x_gradient",
    "gradient x input": "input_x_gradient",
    "GBP": "guided_backprop",
    "guided backpropagation": "guided_backprop",
    "layer-wise relevance propagation": "lrp",
}


def method_name(text: str) -> str:
    """Find a method by its name in any spelling: case, hyphens, underscores and spaces do not matter.

    A warning says which method is taken, if the spelling is not that in `METHODS`.

    Parameters
    ----------
    text : str
        A name as in a paper or in `METHODS`, or an abbreviation such as "IG".

    Returns
    -------
    str
        The name of the function, a key of `METHODS`.

    Raises
    ------
    UnknownName
        There is no such method; the message lists the nearest names.
    InputError
        `text` is not a string.

    Examples
    --------
    >>> method_name("grad_cam")
    'grad_cam'
    """
    return spelled("method", text, METHODS, SHORT)


def function_of(name: str) -> Callable[..., Any]:
    """Return the function of a method.

    Parameters
    ----------
    name : str
        A key of `METHODS`.

    Returns
    -------
    callable
        The function with this name in `npgrad.attribution`.

    Raises
    ------
    UnknownName
        There is no such method.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise unknown("method", name, METHODS)
    return getattr(attribution, name)


def takes(name: str, option: str) -> bool:
    """Return whether a method has a parameter.

    Parameters
    ----------
    name : str
        A key of `METHODS`.
    option : str
        The name of the parameter.

    Returns
    -------
    bool
    """
    return option in inspect.signature(function_of(name)).parameters


def defaults(name: str, model: Model, x: Array, layer: str | None = None) -> dict[str, Any]:
    """Choose the arguments that a method needs for its images and whose own defaults do not depend on the images.

    These are segments of each image, a set of baselines, the LRP rules by the position of the layers, and, for
    internal_influence and excitation_backprop, a layer in the middle of the network. (The last block is followed by
    little more than a mean, so the gradient alone would be nearly constant over the map.) The features of
    layer_ablation are the layer's positions.

    Parameters
    ----------
    name : str
        A key of `METHODS`.
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    layer : str or None
        The layer that the method will get, if any.

    Returns
    -------
    dict
        Keyword arguments for the method.
    """
    if name in ("lrp", "layer_lrp"):
        return {"rules": composite_by_position(model)}
    if name in ("internal_influence", "excitation_backprop"):
        layer = _middle_layer(model, x)
        return {"layer": layer} if layer else {}
    if name == "feature_ablation":
        return {"mask": np.stack([superpixels(image) for image in x])[:, None]}
    if name == "layer_ablation":
        tape = model.forward(x[:1])
        shape = tape[model.map_layer(tape, layer)].shape[2:]
        return {"mask": np.arange(np.prod(shape)).reshape(shape)} if shape else {}
    if name in ("deep_lift_shap", "layer_deep_lift_shap"):
        mean = np.zeros_like(x[:1])
        return {"baseline": np.concatenate([mean, *(mean + gray(model, value, x) for value in (0, 1))])}
    return {}


def importance(name: str, attribution: Array, x: Array) -> Array:
    """Reduce an attribution to one value per pixel, as the method is usually shown.

    Parameters
    ----------
    name : str
        A key of `METHODS`, or "random" for random values, which are shown by magnitude.
    attribution : ndarray (N, C, H, W), (N, C, h, w) or (N, h, w)
        The result of the method.
    x : ndarray (N, C, H, W)
        The images.

    Returns
    -------
    ndarray (N, H, W)
        The importance of each pixel: channels are summed, as magnitudes or signed; the maps of layers are resized.
    """
    if attribution.ndim == 4:
        absolute = name == "random" or METHODS[name].sign == "absolute"
        attribution = (np.abs(attribution) if absolute else attribution).sum(axis=1)
    if attribution.shape[1:] != x.shape[2:]:
        attribution = resize_map(attribution, x.shape[2:], "bilinear")
    return attribution


def _middle_layer(model, x):
    """The middle one of the network's blocks, or else of its layers, among those with a spatial size; or None."""
    layers, tape = dict(_in_sequence(model.network)), model.forward(x[:1])
    spatial = [key for key in layers if tape[key].ndim == 4 and max(tape[key].shape[2:]) > 1]
    blocks = [key for key in spatial if isinstance(layers[key], Composite)]
    middle = blocks or spatial
    return middle[(len(middle) - 1) // 2] if middle else None


def _in_sequence(network, prefix=""):
    """(name, layer) of the network's top-level parts; a Sequential among them is replaced by its own parts."""
    for name, layer in network.parts().items():
        if isinstance(layer, Sequential):
            yield from _in_sequence(layer, f"{prefix}{name}.")
        else:
            yield prefix + name, layer
