"""Quadrature rules for the integrals along the path from a baseline to an image."""

import numpy as np

from npgrad._validate import whole_number
from npgrad.errors import unknown

RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")


def quadrature(method="gausslegendre", n_steps=50):
    """Nodes in [0, 1] and weights, float64 (n_steps,) each: sum of weights * f(nodes) approximates f's integral.

    "gausslegendre" is exact for polynomials up to degree 2 * n_steps - 1. The Riemann rules divide [0, 1] into
    n_steps equal intervals and evaluate f at the left end, right end or middle of each. "riemann_trapezoid"
    uses n_steps equally spaced nodes including both ends, whose weights are halved. The weights of every rule
    sum to 1.
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
