"""Class activation maps without gradients: each channel is tried out, and weighted by what the score does.

That takes one pass a channel and image, run `batch_size` at a time (None: as memory allows). progress:
called with (passes done, passes in all). target, layer, resize: as for `grad_cam`.
"""

import numpy as np

from npgrad._parallel.batches import batches
from npgrad.attribution._copies import begin
from npgrad.attribution._maps import at_size, divide, map_layer, part_of, positive, scaled, weighted_sum
from npgrad.attribution._surgery import onward, run_to
from npgrad.images.resize import resize_map


def score_cam(model, x, target=None, layer=None, resize=None, batch_size=None, progress=None):
    """Each channel weighted by the score of the image seen through it: relu(sum over k of alpha_k * A_k).

    Wang et al. 2020, algorithm 1: channel k, resized to the image (bilinear) and scaled to 0..1, is laid
    over x as a mask, and alpha is the softmax over channels of the masked images' scores. (The score of a
    baseline, which the paper takes off each, cancels in the softmax.) The map is (N, h, w), unscaled.

    A channel that is constant says nothing of place: its mask is 0 everywhere. An image whose own score is
    exactly 0 gets a map of zeros.
    """
    layer = map_layer(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size, backward=False)
    maps = []
    for i, image in enumerate(x):
        A = run_to(model, image[None], layer)[layer]
        seen = np.empty(A.shape[1], score.dtype)
        for k in batches(len(seen), size, part_of(progress, i, len(x))):
            masks = scaled(resize_map(A[0, k], image.shape[1:], "bilinear"))
            seen[k] = model(image * masks[:, None])[:, targets[i]]
        alpha = np.exp(seen - seen.max())
        maps.append(positive(weighted_sum(alpha[None] / alpha.sum(), A)) * (score[i] != 0))
    return at_size(x, np.concatenate(maps), resize)


def ablation_cam(model, x, target=None, layer=None, resize=None, batch_size=None, progress=None):
    """Each channel weighted by the part of the score that is lost without it: relu(sum over k of w_k * A_k).

    Desai, Ramaswamy 2020: w_k = (y - y_k) / y, where y is the score and y_k the score when channel k is set
    to 0 everywhere. Only the network above the layer is run again. The map is (N, h, w), unscaled. A
    image whose score is exactly 0 gets a map of zeros; a negative score turns the signs of the weights
    around.
    """
    layer = map_layer(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size, backward=False)
    maps = []
    for i, image in enumerate(x):
        tape = run_to(model, image[None], layer)
        A = tape[layer]
        without = np.empty(A.shape[1], score.dtype)
        for k in batches(len(without), size, part_of(progress, i, len(x))):
            ablated = np.repeat(A, len(k), axis=0)
            ablated[np.arange(len(k)), k] = 0
            without[k] = onward(model, tape, layer, ablated).output[:, targets[i]]
        weights = divide(score[i] - without, np.full_like(without, score[i]))
        maps.append(positive(weighted_sum(weights[None], A)))
    return at_size(x, np.concatenate(maps), resize)
