"""The path of integrated gradients, step by step: how the sum of the attributions converges."""

import numpy as np

from npgrad._typing import Array
from npgrad.pages.maps import in_8_bits, shrink, small
from npgrad.pages.walks import Question

STEPS, AT_ONCE, SIDE = 32, 4, 56


def path_arrays(question: Question, x: Array, steps: int = STEPS) -> dict[str, Array]:
    """Integrated gradients from a baseline of 0 to the image, by the midpoints of `steps` equal steps.

    After step k the sum of the attributions so far approximates F(a * x) - F(0) with a = k / steps (completeness;
    Sundararajan, Taly, Yan 2017).

    Parameters
    ----------
    question : Question
        The target F.
    x : ndarray (1, C, H, W)
        The image.
    steps : int, default 32

    Returns
    -------
    dict of ndarray
        "path.sum" and "path.score" (steps + 1,): the sums so far, and F(a * x) - F(0); "path.maps" and
        "path.scale": the attributions so far, summed over channels, after each step. Empty for inputs that are not
        images.
    """
    if x.ndim != 4:
        return {}
    ends = np.concatenate([_scores(question, x, nodes) for nodes in _batches(np.arange(steps + 1) / steps)])
    total, sums, maps = np.zeros_like(x[0], float), [0.0], []
    size = small(x.shape[2:], SIDE)
    for nodes in _batches((np.arange(steps) + 0.5) / steps):
        for gradient in _gradients(question, x, nodes):
            total += x[0] * gradient / steps
            sums.append(total.sum())
            maps.append(shrink(total.sum(axis=0), size))
    eight, scale = in_8_bits(np.stack(maps))
    return {
        "path.sum": np.float32(sums),
        "path.score": np.float32(ends - ends[0]),
        "path.maps": eight,
        "path.scale": scale,
    }


def _batches(nodes):
    return [nodes[k : k + AT_ONCE] for k in range(0, len(nodes), AT_ONCE)]


def _along(x, nodes):
    return (nodes.reshape(-1, 1, 1, 1) * x).astype(x.dtype)


def _scores(question, x, nodes):
    """F at points of the path: the upstream gradient has a 1 (or -1) at F's output, and 0 elsewhere."""
    outputs = question.model(_along(x, nodes))
    return (outputs * question.dy).reshape(len(nodes), -1).sum(axis=1)


def _gradients(question, x, nodes):
    tape = question.model.forward(_along(x, nodes), keep=())
    return tape.backward(np.repeat(question.dy, len(nodes), axis=0))["input"]
