"""The attribution methods as a table: how each is shown, and what it needs besides a network and a photo."""

import inspect
from dataclasses import dataclass

from npgrad.errors import unknown


@dataclass(frozen=True)
class Method:
    """One method. sign: how its values are shown unless asked otherwise. note: one line for --list-methods."""

    sign: str
    note: str


METHODS = {
    "saliency": Method("absolute", "size of the gradient (Simonyan 2014)"),
    "input_x_gradient": Method("absolute", "pixel times gradient"),
    "guided_backprop": Method("absolute", "gradient through positive paths only (Springenberg 2015)"),
    "deconvolution": Method("absolute", "deconvolutional network (Zeiler, Fergus 2014)"),
    "integrated_gradients": Method("absolute", "gradient along the way from a baseline (Sundararajan 2017)"),
    "gradient_shap": Method("absolute", "gradient at random points of that way (Lundberg, Lee 2017)"),
    "smoothgrad": Method("absolute", "gradient averaged over noisy copies (Smilkov 2017)"),
    "deep_lift": Method("absolute", "differences from a baseline, rescale rule (Shrikumar 2017)"),
    "deep_lift_shap": Method("absolute", "deep_lift averaged over baselines (Lundberg, Lee 2017)"),
    "lrp": Method("signed", "layer-wise relevance propagation (Bach 2015)"),
    "occlusion": Method("positive", "what hiding a window takes away (Zeiler, Fergus 2014)"),
    "feature_ablation": Method("positive", "what hiding a segment takes away"),
    "lime": Method("positive", "linear model over segments (Ribeiro 2016)"),
    "kernel_shap": Method("positive", "Shapley values of segments (Lundberg, Lee 2017)"),
    "grad_cam": Method("positive", "channels weighted by mean gradient (Selvaraju 2017)"),
    "guided_grad_cam": Method("absolute", "Grad-CAM times guided backprop (Selvaraju 2017)"),
    "grad_cam_plus_plus": Method("positive", "Grad-CAM++ (Chattopadhay 2018)"),
    "hires_cam": Method("positive", "activation times gradient, summed (Draelos, Carin 2020)"),
    "layer_cam": Method("positive", "activation times positive gradient (Jiang 2021)"),
    "x_grad_cam": Method("positive", "gradient weighted by activation (Fu 2020)"),
    "eigen_cam": Method("positive", "first principal component of the activations (Muhammad, Yeasin 2020)"),
    "score_cam": Method("positive", "score with each channel as a mask (Wang 2020)"),
    "ablation_cam": Method("positive", "drop of the score without each channel (Desai, Ramaswamy 2020)"),
    "full_grad": Method("positive", "gradient of input and biases (Srinivas, Fleuret 2019)"),
    "layer_activation": Method("absolute", "a layer's output"),
    "layer_gradient_x_activation": Method("signed", "activation times gradient, at a layer"),
    "layer_integrated_gradients": Method("signed", "integrated gradients, at a layer"),
    "layer_conductance": Method("signed", "what flows through a layer (Dhamdhere 2018)"),
    "internal_influence": Method("absolute", "mean gradient along the way, at a layer (Leino 2018)"),
    "layer_deep_lift": Method("signed", "deep_lift, at a layer"),
    "layer_lrp": Method("signed", "relevance, at a layer"),
}


def function_of(name):
    """The function of this name in npgrad.attribution."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    import npgrad.attribution

    return getattr(npgrad.attribution, name)


def takes(name, option):
    """Whether the method has this keyword."""
    return option in inspect.signature(function_of(name)).parameters


def defaults(name, model, x):
    """What a shell cannot give: segments of the photo, a set of baselines, LRP's rules by the layers' position.

    And a layer in the middle for internal_influence: behind the last fire or block comes hardly more than a
    mean, so there the gradient alone is the same almost everywhere.
    """
    import numpy as np

    if name in ("lrp", "layer_lrp"):
        from npgrad.attribution import composite_by_position

        return {"rules": composite_by_position(model)}
    if name == "internal_influence":
        from npgrad.layers import Fire

        parts, tape = model.network.parts(), model.forward(x[:1])
        fires = [key for key in model.layer_names() if isinstance(model.layer(key), Fire)]
        wide = [key for key in parts if tape[key].ndim == 4 and max(tape[key].shape[2:]) > 1]
        middle = fires or wide
        return {"layer": middle[(len(middle) - 1) // 2]} if middle else {}
    if name == "feature_ablation":
        from npgrad.attribution.segments import superpixels

        return {"mask": superpixels(x[0])}
    if name == "deep_lift_shap":
        black, white = (np.broadcast_to(_pixel(model, value, x), x.shape) for value in (0, 1))
        return {"baseline": np.concatenate([np.zeros_like(x), black, white])}
    return {}


def importance(name, attribution, x):
    """One number a pixel of x (N, H, W), as the method is usually shown; "random" counts as shown by its size."""
    import numpy as np

    from npgrad.attribution import resize_map

    if attribution.ndim == 4:
        absolute = name == "random" or METHODS[name].sign == "absolute"
        attribution = (np.abs(attribution) if absolute else attribution).sum(axis=1)
    if attribution.shape[1:] != x.shape[2:]:
        attribution = resize_map(attribution, x.shape[2:], "bilinear")
    return attribution


def _pixel(model, value, x):
    """A gray of 0..1 as the network's input has it: (1, 3, 1, 1)."""
    import numpy as np

    seen = model.preprocessing
    return ((value - np.array(seen.mean)) / np.array(seen.std)).reshape(1, 3, 1, 1).astype(x.dtype)
