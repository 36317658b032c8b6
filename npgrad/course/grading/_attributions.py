"""The check of the attributions by name (Q1.3a)."""

import itertools

import numpy as np

from npgrad import attribution
from npgrad.course.grading._answer import NotAnswered, Wrong
from npgrad.course.grading._cases import cases
from npgrad.course.grading._compare import compare
from npgrad.course.grading._gradients import gradient
from npgrad.images.resize import resize_map

NEAREST = 'expected by nearest neighbor, as in Captum: resize_map(map, X.shape[2:], "nearest")'
LAYER = {
    "layer": {
        name: f'found the attribution of {name}, expected that of features[3], which is fire2: layer="fire2"'
        for name in ("fire9", "pool1", "relu1", "fire3", "fire4")
    },
    "resize": {
        None: f"found the layer's own size: not resized, {NEAREST}",
        "bilinear": f"resized bilinearly, {NEAREST}",
        "bicubic": f"resized bicubically, {NEAREST}",
    },
    "reduce": {"kept": "found the shape (N, 1, H, W), expected (N, H, W)"},
}
SIGNED = {
    "positive": "negative values are set to 0, expected signed values",
    "absolute": "found absolute values, expected signed values",
}
CHANNELS = {
    **LAYER["reduce"],
    "none": "found all channels of the layer, expected their mean at the image's size, (N, H, W)",
    "sum": "found the sum over the layer's channels, expected their mean",
    "maximum": "found the maximum over the layer's channels, expected their mean",
}
BY_NAME = {
    "Saliency": {"reduce": {"gradient": "no absolute value: found the signed gradient"}},
    "IntegratedGradients": {
        "n_steps": {n: f"found {n} steps, expected n_steps = 10" for n in (5, 20, 50, 100)},
        "quadrature": {
            name: f'found a sum by {name}, expected the Gauss-Legendre sum, as in Captum: method="gausslegendre"'
            for name in ("riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")
        },
        "reduce": {**SIGNED, "gradient": "found the plain gradient, expected integrated gradients"},
    },
    "GuidedBackprop": {
        "reduce": {**SIGNED, "gradient": "found the plain gradient, expected guided backprop"}
    },
    "GuidedGradCam": {
        "reduce": SIGNED,
        "layer": {
            "fire2": 'found it at features[3], expected at features[12], which is fire9: layer="fire9"'
        },
        "resize": {how: text for how, text in LAYER["resize"].items() if how},
    },
    "LayerActivation": {**LAYER, "reduce": CHANNELS},
    "LayerConductance": {**LAYER, "reduce": {**CHANNELS, **SIGNED}},
    "LayerGradCam": {**LAYER, "reduce": {**LAYER["reduce"], **SIGNED}},
}
_DEFAULTS = {"IntegratedGradients": {"n_steps": 10}, "GuidedGradCam": {"layer": "fire9"}}
_FUNCTIONS = {
    "Saliency": attribution.saliency,
    "IntegratedGradients": attribution.integrated_gradients,
    "GuidedBackprop": attribution.guided_backprop,
    "GuidedGradCam": attribution.guided_grad_cam,
    "LayerActivation": attribution.layer_activation,
    "LayerConductance": attribution.layer_conductance,
    "LayerGradCam": attribution.grad_cam,
}


def by_name(method, X, y, model, reduce="", resize="nearest", quadrature=None, **options):
    """The attribution that Captum calls `method`."""
    if reduce == "gradient":
        return gradient(X, y, model)[1]
    layered = method.startswith("Layer")
    options = {**({"layer": "fire2"} if layered else _DEFAULTS.get(method, {})), **options}
    options |= {"resize": resize} if method == "GuidedGradCam" else {}
    options |= {"method": quadrature} if quadrature else {}
    values = _FUNCTIONS[method](model, X, y, **options)
    if layered and reduce != "none":
        if values.ndim == 4:
            values = {"sum": np.sum, "maximum": np.max}.get(reduce, np.mean)(values, axis=1)
        values = values if resize is None else resize_map(values, X.shape[2:], resize)
    changed = {"positive": np.maximum(values, 0), "absolute": np.abs(values), "kept": values[:, None]}
    return changed.get(reduce, values)


def small_cases(draw=0):
    """Two cases of small images: some methods take many passes."""
    return itertools.islice(cases(((52, 60), (60, 52), (52, 56), (56, 52)), draw), 1, 3)


def check_compute_attributions(answer):
    """compute_attributions(method, X, y, model, **options), for each of the seven names."""
    mistakes = []
    for method in BY_NAME:
        try:
            for arguments, where in small_cases(answer.draw):
                _check_method(answer, method, arguments, where)
        except NotAnswered:
            raise
        except Wrong as wrong:
            mistakes.append(f"{method}: {wrong}")
    if mistakes:
        raise Wrong(*mistakes)


def _check_method(answer, method, arguments, where):
    arguments = {"method": method, **arguments}
    compare(answer(arguments, where=where), by_name, arguments, BY_NAME[method], where, pairs=False)
    if method == "IntegratedGradients":
        fewer = np.asarray(answer(arguments, {"n_steps": 5}, where))
        if not np.allclose(fewer, by_name(**arguments, n_steps=5), rtol=1e-4):
            raise Wrong("the option n_steps=5 has no effect, expected a sum of 5 steps")
