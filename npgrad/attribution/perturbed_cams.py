"""Class activation maps without gradients: each channel is weighted by its measured effect on the score.

This takes one forward pass per channel and image.
"""

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._typing import Array, Layers, Progress, Target
from npgrad.attribution._copies import begin, scores_of
from npgrad.attribution._maps import (
    at_size,
    divide,
    map_layer,
    over_layers,
    part_of,
    positive,
    scaled,
    weighted_sum,
)
from npgrad.attribution._surgery import run_to, score_from
from npgrad.images.resize import resize_map
from npgrad.model import Model


@explains_scores
@over_layers
def score_cam(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    resize: str | None = None,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Compute Score-CAM, each channel weighted by the score of the image masked by it.

    Wang et al. 2020, algorithm 1: relu(sum over k of alpha_k * A_k). Channel k, resized to the image (bilinear) and
    scaled to 0..1, multiplies x as a mask, and alpha is the softmax over channels of the scores of the masked images.
    (The paper subtracts the score of a baseline from each, which cancels in the softmax.)

    The mask of a channel that is constant up to rounding is 0 everywhere. An image whose own score is exactly 0 gets
    a map of zeros.

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
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in forward passes.

    Returns
    -------
    ndarray (N, h, w)
        The maps, not normalized, or (N, H, W) if resized.
    """
    layer = map_layer(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size, backward=False)
    maps = []
    for i, image in enumerate(x):
        A = run_to(model, image[None], layer)[layer]
        masked = np.empty(A.shape[1], score.dtype)
        for k in batches(len(masked), size, part_of(progress, i, len(x))):
            masks = scaled(resize_map(A[0, k], image.shape[1:], "bilinear"))
            masked[k] = scores_of(model, image * masks[:, None], np.repeat(targets[i], len(k)), size)
        alpha = np.exp(masked - masked.max())
        maps.append(positive(weighted_sum(alpha[None] / alpha.sum(), A)) * (score[i] != 0))
    return at_size(x, np.concatenate(maps), resize)


@explains_scores
@over_layers
def ablation_cam(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    resize: str | None = None,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Compute Ablation-CAM, each channel weighted by the relative drop of the score without it.

    Desai, Ramaswamy 2020: relu(sum over k of w_k * A_k) with w_k = (y - y_k) / y, where y is the score and y_k the
    score when channel k is set to 0 everywhere. Only the layers above `layer` run again. An image whose score is
    exactly 0 gets a map of zeros; a negative score flips the signs of the weights.

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
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in forward passes.

    Returns
    -------
    ndarray (N, h, w)
        The maps, not normalized, or (N, H, W) if resized.
    """
    layer = map_layer(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size, backward=False)
    maps = []
    for i, image in enumerate(x):
        tape = run_to(model, image[None], layer)
        A, above = tape[layer], score_from(model, tape, layer, targets[i])
        [clean] = above(A)
        without = np.empty(A.shape[1], score.dtype)
        for k in batches(len(without), size, part_of(progress, i, len(x))):
            ablated = np.repeat(A, len(k), axis=0)
            ablated[np.arange(len(k)), k] = 0
            without[k] = above(ablated)
        weights = divide(clean - without, np.full_like(without, clean))
        maps.append(positive(weighted_sum(weights[None], A)))
    return at_size(x, np.concatenate(maps), resize)
