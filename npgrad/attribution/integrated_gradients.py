"""Integrated gradients: the mean gradient along the path from a baseline to the image, times their difference."""

from __future__ import annotations

from typing import Any

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Progress, Target
from npgrad._validate import full_baseline, positive_number
from npgrad.attribution._common import expect_inputs_for_delta
from npgrad.attribution._copies import begin, scores_of
from npgrad.attribution._doubling import certified_mean
from npgrad.attribution._path_mean import mean_gradient
from npgrad.attribution._quadrature import quadrature
from npgrad.model import Model


@explains_scores
def integrated_gradients(
    model: Model,
    x: Array,
    target: Target = None,
    baseline: float | Array | None = None,
    n_steps: int = 50,
    method: str = "gausslegendre",
    return_delta: bool = False,
    batch_size: int | None = None,
    progress: Progress = None,
    multiply_by_inputs: bool = True,
    tolerance: float | None = None,
) -> Array | Any:  # Any: a pair with return_delta, so that callers need no type check
    """Compute integrated gradients of the score, from a baseline to the image.

    With the baseline x0 and the score F, this is ::

        (x - x0) * integral over a from 0 to 1 of dF/dx at x0 + a * (x - x0)

    (Sundararajan, Taly, Yan 2017, equation 1). The integral is approximated by `n_steps` gradients along the
    straight path from x0 to x. The attributions of an image sum to F(x) - F(x0), up to the error of this
    approximation (the paper's axiom of completeness); `return_delta` returns that error.

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
    n_steps : int, default 50
        Number of integration steps along the path from baseline to x.
    method : str, default "gausslegendre"
        Quadrature rule. "gausslegendre" is exact for polynomials up to degree 2 * n_steps - 1; the Riemann sums
        are "riemann_left", "riemann_right", "riemann_middle" and "riemann_trapezoid".
    return_delta : bool, default False
        Whether to also return the error of each image's sum.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    multiply_by_inputs : bool, default True
        Whether to multiply by x - x0. False: the mean gradient alone, a local attribution (Ancona et al. 2018).
    tolerance : float or None
        The largest relative error. Steps then double, up to 128 * n_steps, until the sum of the attributions is within
        `tolerance` of F(x) - F(x0), relative to it, and another doubling changed the attributions by no more, relative
        to the sum of their magnitudes; a warning says where that was not reached. None: `n_steps` are taken.

    Returns
    -------
    attributions : ndarray (N, C, H, W)
        Signed: positive where a value of x supports the target.
    delta : ndarray (N,)
        The sum of each image's attributions minus (F(x) - F(x0)). Only if `return_delta` is true.

    Raises
    ------
    InputError
        If x, target, baseline, n_steps or batch_size cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no quadrature rule has the name `method`.

    Examples
    --------
    The bundled network recognizes a woven surface. The attributions of its logit sum to the difference between
    the image's logit and the baseline's, with an error of half a percent.

    >>> import npgrad
    >>> from npgrad.attribution import integrated_gradients
    >>> model = npgrad.load()
    >>> image, label, mask = npgrad.scenes.scene(3)
    >>> x = model.preprocess(image)
    >>> attributions, delta = integrated_gradients(model, x, "woven", n_steps=20, return_delta=True)
    >>> attributions.shape
    (1, 3, 224, 224)
    >>> difference = model(x) - model(0 * x)
    >>> bool(abs(attributions.sum() - difference[0, label]) < 0.05 * difference[0, label])
    True
    """
    expect_inputs_for_delta(return_delta, multiply_by_inputs)
    nodes, weights = quadrature(method, n_steps)
    if tolerance is not None:
        positive_number(tolerance, "tolerance")
    x, targets, end, size = begin(model, x, target, batch_size)
    x0 = full_baseline(baseline, x.shape, x.dtype)
    if tolerance is not None:
        change = end - scores_of(model, x0, targets, size)
        found = certified_mean(model, x, x0, targets, change, tolerance, n_steps, method, size, progress)
        found.warn(tolerance)
        integral = found.integral
    else:
        integral = mean_gradient(model, x, x0, targets, nodes, weights.astype(end.dtype), size, progress)
    attributions = (x - x0) * integral if multiply_by_inputs else integral
    if not return_delta:
        return attributions
    start = scores_of(model, x0, targets, size)
    return attributions, attributions.reshape(len(x), -1).sum(axis=1) - (end - start)
