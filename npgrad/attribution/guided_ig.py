"""Guided integrated gradients: integrated along the path that changes first what the score depends on least."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.threads import thread_map
from npgrad._typing import Array, Progress, Target
from npgrad._validate import full_baseline, share, whole_number
from npgrad.attribution._copies import begin, gradient_of_scores, scores_of
from npgrad.model import Model


@explains_scores
def guided_ig(
    model: Model,
    x: Array,
    target: Target = None,
    baseline: float | Array | None = None,
    n_steps: int = 200,
    fraction: float = 0.25,
    max_distance: float = 0.02,
    return_delta: bool = False,
    progress: Progress = None,
) -> Array | Any:  # Any: a pair with return_delta
    """Compute integrated gradients along an adaptive path from a baseline to the image.

    Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi 2021. The path goes from the
    baseline x0 to x in `n_steps` steps of equal length in the L1 norm. In a step, the values with the smallest
    |dF/dx|, a `fraction` of all, move toward x first, so that the noise of steep gradients far from x is avoided. No
    value moves further than `max_distance` ahead of the straight path or stays further behind it. The attribution is
    the sum over steps of the gradient at the step's start times its movement, and sums to F(x) - F(x0) up to the error
    of this approximation.

    The step, the order among equal gradients and the defaults are those of the authors' code (PAIR saliency).

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    baseline : None, float or ndarray
        The reference input, broadcast to x. None: 0, the mean color.
    n_steps : int, default 200
        Number of steps of the path, with one gradient each.
    fraction : float, default 0.25
        The share of values that move at a time, above 0 and at most 1.
    max_distance : float, default 0.02
        How far a value may be from the straight path, as a share of its change from baseline to x, 0 to 1. At 0 the
        path is straight.
    return_delta : bool, default False
        Whether to also return the error of each image's sum.
    progress : callable or None
        Called with (done, total), counted in steps.

    Returns
    -------
    attributions : ndarray (N, C, H, W)
        Signed: positive where a value of x supports the target.
    delta : ndarray (N,)
        The sum of each image's attributions minus (F(x) - F(x0)). Only if `return_delta` is true.

    Raises
    ------
    InputError
        If x, target or an option cannot be used.
    TargetError
        If a target is not a class of the network.
    """
    n_steps, fraction = whole_number(n_steps, "n_steps"), share(fraction, "fraction")
    max_distance = share(max_distance, "max_distance", zero=True)
    x, targets, end, _ = begin(model, x, target)
    x0 = full_baseline(baseline, x.shape, x.dtype)
    images, starts = x.astype(np.float64), x0.astype(np.float64)
    points, total = starts.copy(), np.zeros(x.shape)

    def gradient(i):  # one image at a time: rounding would change the order of the values
        return gradient_of_scores(model, points[i : i + 1].astype(x.dtype), targets[i : i + 1])[0]

    for step in range(1, n_steps + 1):
        straight = step / n_steps
        limits = max(straight - max_distance, 0), min(straight + max_distance, 1)
        for i, dx in enumerate(thread_map(gradient, range(len(x)))):
            moved = _moved(points[i], np.abs(dx), starts[i], images[i], limits, 1 - straight, fraction)
            total[i] += dx * (moved - points[i])
            points[i] = moved
        if progress is not None:
            progress(step, n_steps)
    total = total.astype(end.dtype)
    if not return_delta:
        return total
    start = np.concatenate([scores_of(model, x0[[i]], targets[[i]], 1) for i in range(len(x))])
    return total, total.reshape(len(x), -1).sum(axis=1) - (end - start)


def _moved(point, steepness, x0, x, limits, left, fraction):
    """The point, moved toward x until only `left` of the L1 distance from x0 to x is left."""
    behind, ahead = (x0 + limit * (x - x0) for limit in limits)
    progress = np.divide(point - x0, x - x0, out=np.ones_like(x), where=x != x0)
    point = np.where(progress < limits[0], behind, point)
    steepness = steepness.astype(np.float64)
    rank = int(fraction * (point.size - 1))
    while True:
        free = point != ahead
        excess = np.abs(x - point).sum() - left * np.abs(x - x0).sum()
        if excess <= 0 or not free.any():
            return point
        steepness[~free] = np.inf
        chosen = free & (steepness <= np.partition(steepness, rank, axis=None)[rank])
        room = np.abs(ahead - point)[chosen].sum()
        if room > excess:
            point[chosen] += excess / room * (ahead - point)[chosen]
            return point
        point[chosen] = ahead[chosen]
