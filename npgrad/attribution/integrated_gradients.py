"""Integrated gradients: the gradient's mean along the way from a baseline to the image."""

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._validate import full_baseline, whole_number
from npgrad.attribution._copies import begin, gradient_of_scores, per_sample, scores_of
from npgrad.errors import unknown

RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")


def integrated_gradients(
    model,
    x,
    target=None,
    baseline=None,
    n_steps=50,
    method="gausslegendre",
    return_delta=False,
    batch_size=None,
    progress=None,
):
    """(x - x0) * the integral over a from 0 to 1 of d score / d x at x0 + a * (x - x0).

    Signed, of the shape of x. Sundararajan, Taly, Yan 2017, equation 1; the integral is a sum over
    `quadrature(method, n_steps)` in place of their equation 3. The attributions of an image sum to
    F(x) - F(x0), up to the error of that sum.

    baseline x0: None for 0 (the mean color), a number, or an array that broadcasts to x.
    return_delta: return also, per image, the sum of attributions less (F(x) - F(x0)).
    batch_size: copies at once (None: as memory allows). progress: called with (copies done, copies in all).
    """
    nodes, weights = quadrature(method, n_steps)
    x, targets, end, size = begin(model, x, target, batch_size)
    x0 = full_baseline(baseline, x.shape, x.dtype)
    integral = np.zeros(x.shape, end.dtype)
    weights = weights.astype(end.dtype)
    for copies in batches(len(x) * len(nodes), size, progress):
        image, step = np.divmod(copies, len(nodes))
        points = x0[image] + per_sample(nodes[step], x) * (x[image] - x0[image])
        gradients = gradient_of_scores(model, points, targets[image])
        for i, k, gradient in zip(image, step, gradients, strict=True):
            integral[i] += weights[k] * gradient
    attributions = (x - x0) * integral
    if not return_delta:
        return attributions
    start = scores_of(model, x0, targets, size)
    return attributions, attributions.reshape(len(x), -1).sum(axis=1) - (end - start)


def quadrature(method="gausslegendre", n_steps=50):
    """Nodes on [0, 1] and weights, float64 (n_steps,) each: sum of weights * f(nodes) is about f's integral.

    "gausslegendre" is exact for polynomials up to degree 2 * n_steps - 1. The Riemann rules cut [0, 1] into
    n_steps equal parts and take f at the "riemann_left", "riemann_right" or "riemann_middle" of each.
    "riemann_trapezoid" has its nodes at both ends and between them, n_steps in all, with the ends halved.
    The weights of every rule sum to 1.
    """
    if method not in RULES:
        raise unknown("integration rule (method)", method, RULES)
    n = whole_number(n_steps, "n_steps", smallest=2 if method == "riemann_trapezoid" else 1)
    if method == "gausslegendre":
        t, w = np.polynomial.legendre.leggauss(n)  # on [-1, 1]
        return (1 + t) / 2, w / 2
    if method == "riemann_trapezoid":
        weights = np.full(n, 1 / (n - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, n), weights
    shift = {"riemann_left": 0, "riemann_middle": 0.5, "riemann_right": 1}[method]
    return (np.arange(n) + shift) / n, np.full(n, 1 / n)
