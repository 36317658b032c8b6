"""Blur integrated gradients: the gradient integrated along the path from a blurred image to the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._typing import Array, Progress, Target
from npgrad._validate import positive_number
from npgrad.attribution._common import expect_images
from npgrad.attribution._copies import begin, gradient_of_scores, scores_of
from npgrad.attribution._quadrature import quadrature
from npgrad.model import Model

LARGEST = 50 / 224  # of the shorter side
SHARP = 0.02  # px; with a smaller sigma, the weight of a neighbor is below the smallest float


@explains_scores
def blur_ig(
    model: Model,
    x: Array,
    target: Target = None,
    max_sigma: float | None = None,
    n_steps: int = 50,
    method: str = "gausslegendre",
    return_delta: bool = False,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array | Any:  # Any: a pair with return_delta
    """Compute integrated gradients along the path of less and less blurred images.

    With L(s), the image blurred by a Gaussian with the standard deviation s, and the score F, this is ::

        integral over s from max_sigma to 0 of dF/dx at L(s) * dL/ds

    (Xu, Venugopalan, Sundararajan 2020). No baseline is needed, and no path through images with other
    objects' colors. The attributions of an image sum to F(x) - F(L(max_sigma)), up to the error of the approximation.

    The derivative of the Gaussian is exact, and its kernel as large as the image; the authors' code takes differences
    of s and s + 0.01 of kernels cut off at 4 s, and a Riemann sum ("riemann_left") of 100 steps. Beyond the border of
    the image are zeros in either case.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    max_sigma : float or None
        Standard deviation of the largest blur, in pixels. None: 50 px for images of 224 px, in proportion to the
        shorter side.
    n_steps : int, default 50
        Number of integration steps.
    method : str, default "gausslegendre"
        Quadrature rule, as for `integrated_gradients`; the nodes are values of s / max_sigma.
    return_delta : bool, default False
        Whether to also return the error of each image's sum.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    attributions : ndarray (N, C, H, W)
        Signed: positive where a value of x supports the target.
    delta : ndarray (N,)
        The sum of each image's attributions minus (F(x) - F(L(max_sigma))). Only if `return_delta` is true.

    Raises
    ------
    InputError
        If x, target or an option cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no quadrature rule has the name `method`.
    """
    x = expect_images("blur_ig", x)
    largest = LARGEST * min(x.shape[2:]) if max_sigma is None else positive_number(max_sigma, "max_sigma")
    nodes, weights = quadrature(method, n_steps)
    x, targets, end, at_once = begin(model, x, target, batch_size)
    weights = (-largest * weights).astype(end.dtype)
    total = np.zeros(x.shape, end.dtype)
    for copies in batches(len(x) * len(nodes), at_once, progress):
        image, step = np.divmod(copies, len(nodes))
        pairs = [_blurred(x[i], largest * nodes[k]) for i, k in zip(image, step, strict=True)]
        gradients = gradient_of_scores(model, np.stack([L for L, _ in pairs]), targets[image])
        for i, k, gradient, (_, dL) in zip(image, step, gradients, pairs, strict=True):
            total[i] += weights[k] * gradient * dL
    if not return_delta:
        return total
    start = scores_of(model, np.stack([_blurred(image, largest)[0] for image in x]), targets, at_once)
    return total, total.reshape(len(x), -1).sum(axis=1) - (end - start)


def _blurred(image, sigma):
    """(L, dL/dsigma) of an image (C, H, W): L = A x B^T and, by the product rule, dL = dA x B^T + A x dB^T."""
    (A, dA), (B, dB) = (_gaussian(side, sigma, image.dtype) for side in image.shape[1:])
    across = image @ B.T
    return A @ across, dA @ across + A @ (image @ dB.T)


def _gaussian(side, sigma, dtype):
    """(G, dG/dsigma): the blur along one side as a matrix (side, side), and its derivative.

    g(d) = exp(-d^2 / (2 sigma^2)) / Z, where Z is the sum over all distances d, -(side - 1) to side - 1; therefore
    dg/dsigma = g(d) * (d^2 - mean of d^2 by g) / sigma^3.
    """
    if sigma < SHARP:
        return np.eye(side, dtype=dtype), np.zeros((side, side), dtype)
    d = np.arange(1 - side, side)
    g = np.exp(-0.5 * (d / sigma) ** 2)
    g /= g.sum()
    dg = g * (d**2 - g @ d**2) / sigma**3
    apart = np.subtract.outer(np.arange(side), np.arange(side)) + side - 1
    return g.astype(dtype)[apart], dg.astype(dtype)[apart]
