"""Judges of Grad-CAM, guided Grad-CAM (Q1.2) and the attributions by name (Q1.3a). How: see grading_maps."""

import itertools

import numpy as np

from npgrad import attribution
from npgrad.attribution import resize_map
from npgrad.course.grading.calls import NotAnswered, Wrong, compare
from npgrad.course.grading.cases import cases
from npgrad.course.grading.maps import KINDS, gradient, guided_backprop, judge_map, scaled

OTHER_LAYERS = ("relu1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "conv10")
NEAREST = "the map is enlarged by nearest neighbors, expected bicubic"
# Factors are gone when the map is scaled; and above features[12] the guided gradient is the plain one.
CAM = {
    "kind": {key: text for key, text in KINDS.items() if key not in ("mean", "mean cross entropy")},
    "layer": {
        name: f"found the map at {name}, expected at features[12], which is fire9" for name in OTHER_LAYERS
    },
    "weights": {
        "maximum": "a channel's weight is the maximum of its gradient, expected the mean over height and width",
        "absolute": "a channel's weight is the mean of the absolute gradient, expected of the signed one",
        "positive": "a channel's weight is the mean of the positive gradient alone, expected of all of it",
        "batch": "the weights are means over the batch, too, expected each image's own",
        "none": "the activation is weighted place by place, expected each channel by the mean of its gradient",
        "ones": "the channels are summed without weights, expected each times the mean of its gradient",
    },
    "relu": {
        "no": "no ReLU: what speaks against the class is still in the map, expected 0 there",
        "late": "the ReLU comes after the map is enlarged, expected before it",
        "absolute": "found the map's absolute value, expected its ReLU",
    },
    "resize": {
        "nearest": NEAREST,
        "Pillow's nearest": NEAREST,
        "bilinear": "the map is enlarged bilinearly, expected bicubic",
        "no": "found the map at the layer's own size: not resized, expected the image's size",
        "turned": "height and width have changed places: Pillow's resize takes (width, height)",
    },
    "scale": {
        "no": "the map is not scaled to 0..1",
        "each": "each image's map is scaled to 0..1 by itself, expected the whole batch at once",
        "early": "the maps are scaled to 0..1 before they are enlarged, expected after it",
        "maximum": "the maps are divided by the largest value, but the smallest is not subtracted before",
        "cut": "the maps are cut off at 0 and divided by the largest value, expected the smallest subtracted",
    },
}


def grad_cam(X, y, model, kind="", layer="fire9", weights="", relu="", resize="bicubic", scale=""):
    """relu(sum over k of mean(dA_k) * A_k), resized, scaled to 0..1 over the batch: (N, H, W)."""
    tape, dA = gradient(X, y, model, kind, layer=layer)
    A, size = tape[layer], X.shape[2:]
    w = {
        "": lambda: dA.mean(axis=(2, 3), keepdims=True),
        "maximum": lambda: dA.max(axis=(2, 3), keepdims=True),
        "absolute": lambda: np.abs(dA).mean(axis=(2, 3), keepdims=True),
        "positive": lambda: np.maximum(dA, 0).mean(axis=(2, 3), keepdims=True),
        "batch": lambda: dA.mean(axis=(0, 2, 3), keepdims=True),
        "none": lambda: dA,
        "ones": lambda: np.ones_like(dA),
    }[weights]()
    cam = (w * A).sum(axis=1)
    cam = {"": np.maximum(cam, 0), "absolute": np.abs(cam)}.get(relu, cam)
    cam = scaled(cam) if scale == "early" else cam
    if resize == "Pillow's nearest":
        cam = _pillows_nearest(cam, size)
    elif resize != "no":
        cam = resize_map(cam, *((size[::-1], "bicubic") if resize == "turned" else (size, resize)))
    cam = np.maximum(cam, 0) if relu == "late" else cam
    return {
        "": lambda: scaled(cam),
        "no": lambda: cam,
        "early": lambda: cam,
        "each": lambda: np.stack([scaled(one) for one in cam]),
        "maximum": lambda: cam / (cam.max() or 1),
        "cut": lambda: np.maximum(cam, 0) / (cam.max() or 1),
    }[scale]()


def _pillows_nearest(maps, size):
    """Row i is row floor((i + 1/2) * h / H), and so for columns; resize_map's, and Captum's, has no 1/2."""
    row, column = (
        ((np.arange(n) + 0.5) * m / n).astype(int) for m, n in zip(maps.shape[1:], size, strict=True)
    )
    return maps[:, row[:, None], column]


def judge_grad_cam(answer):
    """grad_cam(X, y, model). The enlarging works in float32."""
    judge_map(answer, grad_cam, CAM, coarsest=1e-4)


PRODUCT = {
    "product": {
        "sum": "found the sum of guided backprop and Grad-CAM, expected their product",
        "positive": "the negative values are cut off, expected the signed product",
        "absolute": "found absolute values, expected the signed product",
        "guided": "found guided backprop alone, expected it times Grad-CAM",
        "cam": "found Grad-CAM alone, expected guided backprop times it",
        "scaled": "the product is scaled to 0..1, expected the product itself",
    },
    "shape": {"first": "found the shape (N, 3, H, W), expected (N, H, W, 3): the channels last"},
    "rule": {"plain": "Grad-CAM is multiplied with the plain gradient, expected with guided backprop"},
    "relu": {"no": "the Grad-CAM in it has no ReLU"},
    "scale": {
        "no": "the Grad-CAM in it is not scaled to 0..1",
        "each": "the Grad-CAM in it is scaled image by image, expected the whole batch at once",
    },
    "resize": {
        "nearest": "the Grad-CAM in it is enlarged by nearest neighbors, expected bicubic",
        "bilinear": "the Grad-CAM in it is enlarged bilinearly, expected bicubic",
    },
    "kind": KINDS,
}


def guided_grad_cam(
    X, y, model, product="", shape="", rule="guided", relu="", scale="", resize="bicubic", kind=""
):
    """guided_backprop times grad_cam: (N, H, W, 3)."""
    back = guided_backprop(X, y, model, rule=rule, kind=kind)
    cam = grad_cam(X, y, model, relu=relu, scale=scale, resize=resize, kind=kind)[..., None]
    result = {
        "": lambda: back * cam,
        "sum": lambda: back + cam,
        "positive": lambda: np.maximum(back * cam, 0),
        "absolute": lambda: np.abs(back * cam),
        "guided": lambda: back,
        "cam": lambda: cam[..., 0],
        "scaled": lambda: scaled(back * cam),
    }[product]()
    return result.transpose(0, 3, 1, 2) if shape == "first" and result.ndim == 4 else result


def judge_guided_grad_cam(answer):
    """guided_grad_cam(X, y, model). If it goes with functions that are wrong themselves, this is said."""
    try:
        judge_map(answer, guided_grad_cam, PRODUCT, coarsest=1e-4)
    except Wrong:
        if _goes_with_its_parts(answer):
            raise Wrong(
                "it multiplies your guided_backprop and grad_cam, and is right once these are"
            ) from None
        raise


def _goes_with_its_parts(answer):
    arguments, _ = next(cases())
    try:
        found, back, cam = (
            np.asarray(part(arguments))
            for part in (answer, answer.part("guided_backprop"), answer.part("grad_cam"))
        )
        return np.allclose(found, back * cam[..., None], rtol=1e-4)
    except (Wrong, ValueError, TypeError, IndexError):
        return False


LAYER = {
    "layer": {
        name: f"found the attribution of {name}, expected of features[3], which is fire2"
        for name in ("fire9", "pool1", "relu1", "fire3", "fire4")
    },
    "resize": {
        None: "found the layer's own size: not resized, expected the image's size",
        "bilinear": "enlarged bilinearly, expected by nearest neighbors, as Captum does",
        "bicubic": "enlarged bicubic, expected by nearest neighbors, as Captum does",
    },
    "reduce": {"kept": "found the shape (N, 1, H, W), expected (N, H, W)"},
}
SIGNED = {
    "positive": "the negative values are cut off, expected signed ones",
    "absolute": "found absolute values, expected signed ones",
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
            name: f"found a sum by {name}, expected the Gauss-Legendre sum, as Captum does"
            for name in ("riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")
        },
        "reduce": {**SIGNED, "gradient": "found the plain gradient, expected integrated gradients"},
    },
    "GuidedBackprop": {
        "reduce": {**SIGNED, "gradient": "found the plain gradient, expected guided backprop"}
    },
    "GuidedGradCam": {
        "reduce": SIGNED,
        "layer": {"fire2": "found it at features[3], expected at features[12], which is fire9"},
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


def small_cases():
    """Some methods take many passes."""
    return itertools.islice(cases(((52, 60), (60, 52), (52, 56), (56, 52))), 1, 3)


def judge_compute_attributions(answer):
    """compute_attributions(method, X, y, model, **options): each of the seven names."""
    findings = []
    for method in BY_NAME:
        try:
            for arguments, where in small_cases():
                judge_method(answer, method, arguments, where)
        except NotAnswered:
            raise
        except Wrong as wrong:
            findings.append(f"{method}: {wrong}")
    if findings:
        raise Wrong(*findings)


def judge_method(answer, method, arguments, where):
    """One of the names, on one case."""
    arguments = {"method": method, **arguments}
    compare(answer(arguments, where=where), by_name, arguments, BY_NAME[method], where, pairs=False)
    if method == "IntegratedGradients":
        fewer = np.asarray(answer(arguments, {"n_steps": 5}, where))
        if not np.allclose(fewer, by_name(**arguments, n_steps=5), rtol=1e-4):
            raise Wrong("the option n_steps=5 has no effect, expected a sum of 5 steps")
