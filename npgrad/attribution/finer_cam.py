"""Finer-CAM: Grad-CAM of what sets a class apart from the classes most similar to it."""

from __future__ import annotations

from functools import partial

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._targets import class_logits, resolve_targets
from npgrad._typing import Array, Layers, Target
from npgrad._validate import check_input, not_negative, whole_number
from npgrad.attribution.grad_cam import grad_cam
from npgrad.errors import InputError
from npgrad.model import Model
from npgrad.targets import Expression, Term


@explains_scores
def finer_cam(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    alpha: float = 1.0,
    n_similar: int | None = None,
    weighting: str = "uniform",
    relu: bool = False,
    resize: str | None = None,
) -> Array:
    """Compute Grad-CAM of a class's score minus that of similar classes: y_c - alpha * mean over d of y_d.

    Finer-CAM (Zhang et al. 2025): the similar classes d of an image are those whose scores are
    nearest to the score of its class c.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, sequence of them, or None
        The class by index or name, for all images or one per image. None: each image's top class.
    layer : str, sequence of str, or None
        Name of the layer; of several, the mean of their maps, see `grad_cam`. None: the model's default layer for
        activation maps.
    alpha : float, default 1.0
        How much of the similar classes' scores to subtract.
    n_similar : int or None
        Number of similar classes. None: 3, or all others of a network with fewer.
    weighting : {"uniform", "pytorch-grad-cam"}, default "uniform"
        Whether the similar classes count alike, or as in pytorch-grad-cam's code in proportion to their softmax
        probabilities, which change with the scores and so have a gradient, too.
    relu : bool, default False
        Whether to keep only the positive evidence.
    resize : {"nearest", "bilinear", "bicubic"} or None
        How to resize the map to the size of the images. None: keep the spatial size of the layer.

    Returns
    -------
    ndarray (N, h, w)
        The maps, or (N, H, W) if resized.

    Raises
    ------
    InputError
        The target is not a class, or the network has fewer classes.
    """
    if not model.has_classes:
        raise InputError("finer_cam: expected a class as the target, which is compared with similar classes")
    if weighting not in ("uniform", "pytorch-grad-cam"):
        raise InputError(f'weighting: expected "uniform" or "pytorch-grad-cam", found {weighting!r}')
    x, alpha = check_input(x), not_negative(alpha, "alpha")
    outputs = model(x)
    targets, y = resolve_targets(model, outputs, target), class_logits(model, outputs)
    others = y.shape[1] - 1
    count = min(3, others) if n_similar is None else whole_number(n_similar, "n_similar", 1)
    if count > others:
        raise InputError(f"n_similar: expected 1 to {others}, found {count}")
    questions = []
    for row, c in zip(y, targets, strict=True):
        away = np.abs(row - row[c])
        away[c] = -1  # the class itself comes first
        similar = np.argsort(away, kind="stable")[1 : count + 1]
        if weighting == "uniform":
            against = [Term(-alpha / count, "score", int(d)) for d in similar]
            questions.append(
                Expression((Term(1.0, "score", int(c)), *against), f"{model.class_name(c)}, finer")
            )
        else:
            questions.append(partial(_weighted, c, similar, alpha))
    return grad_cam(model, x, questions, layer, relu, resize)


def _weighted(c, similar, alpha, logits):
    """(value, gradient) of sum over d of p_d * (y_c - alpha * y_d) / (sum over d of p_d + 1e-9)."""
    y = logits.reshape(logits.shape[:2])
    e = np.exp(y - y.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    mine = np.zeros_like(y)
    mine[:, similar] = p[:, similar]
    lead = y[:, c : c + 1] - alpha * y
    total = mine.sum(axis=1, keepdims=True) + 1e-9
    value = (mine * lead).sum(axis=1, keepdims=True) / total
    dp = np.zeros_like(y)
    dp[:, similar] = ((lead - value) / total)[:, similar]
    dy = p * (dp - (dp * p).sum(axis=1, keepdims=True)) - alpha * mine / total
    dy[:, c] += mine.sum(axis=1) / total[:, 0]
    return value[:, 0], dy.reshape(logits.shape)
