"""Q1.1 to Q1.3a: what the network looked at."""

import numpy as np

from npgrad import attribution
from npgrad.errors import unknown

FEATURES_3, FEATURES_12 = "fire2", "fire9"


def compute_saliency_maps(X, y, model):
    """Q1.1: the absolute gradient of each image's score s[i, y_i], its maximum over channels: (N, H, W)."""
    return attribution.saliency(model, X, y).max(axis=1)


def guided_backprop(X, y, model):
    """Q1.2: guided backprop, signed, as (N, H, W, 3)."""
    return attribution.guided_backprop(model, X, y).transpose(0, 2, 3, 1)


def grad_cam(X, y, model):
    """Q1.2: Grad-CAM at features[12], with ReLU, resized to the image (bicubic): (N, H, W).

    Scaled to 0..1 over the whole batch, as in the course.
    """
    maps = attribution.grad_cam(model, X, y, layer=FEATURES_12, relu=True)
    maps = attribution.resize_map(maps, np.shape(X)[2:], "bicubic")
    maps = maps - maps.min()
    return maps / (maps.max() or 1)


def guided_grad_cam(X, y, model):
    """Q1.2: `guided_backprop` times `grad_cam`: (N, H, W, 3)."""
    return guided_backprop(X, y, model) * grad_cam(X, y, model)[..., None]


def compute_attributions(method, X, y, model, **options):
    """Q1.3a: an attribution by Captum's name for it.

    Of the input, (N, 3, H, W): Saliency, IntegratedGradients (n_steps=10), GuidedBackprop, GuidedGradCam (at
    features[12]). Of a layer, by default features[3], its mean over channels, resized to the image, (N, H,
    W): LayerActivation, LayerConductance, LayerGradCam. options: those of the function in
    npgrad.attribution; `layer=` a layer's name, `resize=` "nearest" (Captum's), "bilinear" or "bicubic".
    """
    if method in _INPUT_METHODS:
        function, defaults = _INPUT_METHODS[method]
        return getattr(attribution, function)(model, X, y, **{**defaults, **options})
    if method not in _LAYER_METHODS:
        raise unknown("attribution", method, [*_INPUT_METHODS, *_LAYER_METHODS])
    how = options.pop("resize", "nearest")
    values = getattr(attribution, _LAYER_METHODS[method])(model, X, y, **{"layer": FEATURES_3, **options})
    if values.ndim == 4:
        values = values.mean(axis=1)
    return attribution.resize_map(values, np.shape(X)[2:], how)


_INPUT_METHODS = {
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
