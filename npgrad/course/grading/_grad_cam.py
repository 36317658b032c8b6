"""The checks of Grad-CAM and guided Grad-CAM (Q1.2)."""

import numpy as np

from npgrad.course.grading._answer import Wrong
from npgrad.course.grading._cases import cases
from npgrad.course.grading._gradients import KINDS, check_map, gradient, scaled
from npgrad.course.grading._saliency import guided_backprop
from npgrad.images.resize import resize_map

OTHER_LAYERS = ("relu1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "conv10")
BICUBIC = 'expected bicubic: resize_map(map, X.shape[2:], "bicubic")'
NEAREST = f"the map is resized by nearest neighbor, {BICUBIC}"
CAM = {
    # a constant factor is lost when the map is scaled
    "kind": {key: text for key, text in KINDS.items() if key not in ("mean", "mean cross entropy")},
    "layer": {
        name: f'found the map at {name}, expected at features[12], which is fire9: tape["fire9"]'
        for name in OTHER_LAYERS
    },
    "weights": {
        "maximum": "a channel's weight is the maximum of its gradient, expected the mean over height and width",
        "absolute": "a channel's weight is the mean of the absolute gradient, expected of the signed one",
        "positive": "a channel's weight is the mean of only the positive gradient, expected of the whole gradient",
        "batch": "the weights are means over the batch as well, expected separate weights for each image",
        "none": "the activation is multiplied by the gradient elementwise, expected each channel by its mean gradient",
        "ones": "the channels are summed without weights, expected each times the mean of its gradient",
    },
    "relu": {
        "no": "no ReLU: negative evidence is still in the map, expected 0 there",
        "late": "the ReLU comes after the map is resized, expected before it",
        "absolute": "found the map's absolute value, expected its ReLU",
    },
    "resize": {
        "nearest": NEAREST,
        "Pillow's nearest": NEAREST,
        "bilinear": f"the map is resized bilinearly, {BICUBIC}",
        "no": f"found the map at the layer's own size: not resized, {BICUBIC}",
        "swapped": "height and width are swapped: Pillow's resize takes (width, height)",
    },
    "scale": {
        "no": "the map is not scaled to 0..1",
        "each": "each image's map is scaled to 0..1 separately, expected the whole batch at once",
        "early": "the maps are scaled to 0..1 before they are resized, expected after it",
        "maximum": "the maps are divided by the largest value, but the smallest is not subtracted before",
        "clipped": "the maps are clipped at 0 and divided by the largest value, expected the smallest subtracted",
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
        cam = _pillow_nearest(cam, size)
    elif resize != "no":
        cam = resize_map(cam, *((size[::-1], "bicubic") if resize == "swapped" else (size, resize)))
    cam = np.maximum(cam, 0) if relu == "late" else cam
    return {
        "": lambda: scaled(cam),
        "no": lambda: cam,
        "early": lambda: cam,
        "each": lambda: np.stack([scaled(one) for one in cam]),
        "maximum": lambda: cam / (cam.max() or 1),
        "clipped": lambda: np.maximum(cam, 0) / (cam.max() or 1),
    }[scale]()


def _pillow_nearest(maps, size):
    """Row i is row floor((i + 1/2) * h / H), and the same for columns; `resize_map`, like Captum, has no 1/2."""
    row, column = (
        ((np.arange(n) + 0.5) * m / n).astype(int) for m, n in zip(maps.shape[1:], size, strict=True)
    )
    return maps[:, row[:, None], column]


def check_grad_cam(answer):
    """grad_cam(X, y, model)."""
    check_map(answer, grad_cam, CAM, coarsest=1e-4)  # Pillow resizes in float32


PRODUCT = {
    "product": {
        "sum": "found the sum of guided backprop and Grad-CAM, expected their product",
        "positive": "negative values are set to 0, expected the signed product",
        "absolute": "found absolute values, expected the signed product",
        "guided": "found only guided backprop, expected it times Grad-CAM",
        "cam": "found only Grad-CAM, expected guided backprop times it",
        "scaled": "the product is scaled to 0..1, expected the product itself",
    },
    "shape": {"first": "found the shape (N, 3, H, W), expected (N, H, W, 3): channels last"},
    "rule": {"plain": "Grad-CAM is multiplied by the plain gradient, expected by guided backprop"},
    "relu": {"no": "its Grad-CAM has no ReLU"},
    "scale": {
        "no": "its Grad-CAM is not scaled to 0..1",
        "each": "its Grad-CAM is scaled image by image, expected the whole batch at once",
    },
    "resize": {
        "nearest": f"its Grad-CAM is resized by nearest neighbor, {BICUBIC}",
        "bilinear": f"its Grad-CAM is resized bilinearly, {BICUBIC}",
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


def check_guided_grad_cam(answer):
    """guided_grad_cam(X, y, model)."""
    try:
        check_map(answer, guided_grad_cam, PRODUCT, coarsest=1e-4)
    except Wrong:
        if _is_product_of_its_parts(answer):
            raise Wrong(
                "it multiplies your guided_backprop and grad_cam, and will be right once these are"
            ) from None
        raise


def _is_product_of_its_parts(answer):
    """Whether it is the product of the student's own functions, so that the mistake is in those."""
    arguments, _ = next(cases(draw=answer.draw))
    try:
        found, back, cam = (
            np.asarray(part(arguments))
            for part in (answer, answer.part("guided_backprop"), answer.part("grad_cam"))
        )
        return np.allclose(found, back * cam[..., None], rtol=1e-4)
    except (Wrong, ValueError, TypeError, IndexError):
        return False
