"""The path of integrated gradients, step by step: how the sum of the attributions converges."""

import numpy as np

from npgrad._typing import Array
from npgrad.pages.maps import in_8_bits, shrink, small
from npgrad.pages.walks import Question

STEPS, AT_ONCE, SIDE = 32, 4, 56


def path_arrays(question: Question, x: Array, steps: int = STEPS) -> dict[str, Array]:
    """Integrated gradients from a baseline of 0 to the image, by the trapezoids between the ends of equal steps.

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
    total, before, size = np.zeros_like(x[0], float), None, small(x.shape[2:], SIDE)
    scores, sums, maps = [], [], []
    for k in range(0, steps + 1, AT_ONCE):
        a = np.arange(k, min(k + AT_ONCE, steps + 1)) / steps
        tape = question.model.forward((a.reshape(-1, 1, 1, 1) * x).astype(x.dtype), keep=())
        dy = np.repeat(question.dy, len(a), axis=0)  # 1 (or -1) at the output that is F, else 0
        scores.extend((tape.output * dy).reshape(len(a), -1).sum(axis=1))
        for gradient in tape.backward(dy)["input"]:
            if before is not None:
                total += x[0] * (before + gradient) / (2 * steps)
                maps.append(shrink(total.sum(axis=0), size))
            sums.append(total.sum())
            before = gradient
    eight, scale = in_8_bits(np.stack(maps))
    return {
        "path.sum": np.float32(sums),
        "path.score": np.float32(np.subtract(scores, scores[0])),
        "path.maps": eight,
        "path.scale": scale,
    }
