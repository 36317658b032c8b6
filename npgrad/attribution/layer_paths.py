"""Attributions to a layer's output y that integrate along the straight path from a baseline x0 to the image x."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._targets import one_hot
from npgrad._typing import Array, Layers, Progress, Target
from npgrad._validate import full_baseline, whole_number
from npgrad.attribution._common import layer_names, of_layers
from npgrad.attribution._copies import begin, per_sample
from npgrad.attribution._maps import part_of
from npgrad.attribution._quadrature import quadrature
from npgrad.attribution._surgery import onward, run_to
from npgrad.model import Model


@explains_scores
def layer_integrated_gradients(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    baseline: float | Array | None = None,
    n_steps: int = 50,
    method: str = "gausslegendre",
    batch_size: int | None = None,
    progress: Progress = None,
    multiply_by_inputs: bool = True,
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute integrated gradients of the part of the network above a layer.

    With y0 the layer's output at the baseline x0, this is ::

        (y - y0) * integral over a from 0 to 1 of d score / d y at y0 + a * (y - y0)

    (Sundararajan, Taly, Yan 2017, equation 1). What bypasses the layer, such as the other branch of a fire
    module, keeps its values for x.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str, sequence of str or None
        Name of the layer, or of several, each with a path of its own. None: the model's default layer
        for activation maps.
    baseline : None, float or ndarray
        The reference input, broadcast to x. None: 0, the mean color.
    n_steps : int, default 50
        Number of integration steps along the path from y0 to y.
    method : str, default "gausslegendre"
        Quadrature rule, as for `integrated_gradients`.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    multiply_by_inputs : bool, default True
        Whether to multiply by y - y0. False: the mean gradient alone, a local attribution (Ancona et al. 2018).

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If x, target, baseline, n_steps or batch_size cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer or no quadrature rule has the given name.
    """
    nodes, weights = quadrature(method, n_steps)
    names = layer_names(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size)
    x0, weights = full_baseline(baseline, x.shape, x.dtype), weights.astype(score.dtype)
    found: dict[str, list[Array]] = {name: [] for name in names}
    for part, (name, i) in enumerate(product(found, range(len(x)))):
        tape = run_to(model, x[i : i + 1], name)
        y, y0 = tape[name], run_to(model, x0[i : i + 1], name)[name]
        integral = 0
        for steps in batches(len(nodes), size, part_of(progress, part, len(found) * len(x))):
            above = onward(model, tape, name, y0 + per_sample(nodes[steps], y) * (y - y0))
            dy = one_hot(model, above.output, np.full(len(steps), targets[i]))
            for k, gradient in zip(steps, above.backward(dy, at=(name,))[name], strict=True):
                integral = integral + weights[k] * gradient
        found[name].append((y - y0) * integral if multiply_by_inputs else integral[None])
    return of_layers(layer, names, {name: np.concatenate(parts) for name, parts in found.items()})


@explains_scores
def layer_conductance(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    baseline: float | Array | None = None,
    n_steps: int = 50,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute conductance, the integral of d score / d y * dy along the path from the baseline x0 to x.

    Dhamdhere, Sundararajan, Yan 2018, equation 2. As in Captum, the integral is approximated by the sum over
    k < n of ::

        d score / d y (a_k) * (y(a_k+1) - y(a_k))

    where a_0 ... a_n are the n_steps + 1 Gauss-Legendre nodes in [0, 1]. They do not include the ends of the path,
    so a layer's conductances sum to F(x) - F(x0) only in the limit of many steps.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str, sequence of str or None
        Name of the layer, or of several, which share all passes. None: the model's default layer
        for activation maps.
    baseline : None, float or ndarray
        The reference input, broadcast to x. None: 0, the mean color.
    n_steps : int, default 50
        Number of integration steps along the path from baseline to x.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If x, target, baseline, n_steps or batch_size cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has this name.
    """
    nodes, _ = quadrature("gausslegendre", whole_number(n_steps, "n_steps") + 1)
    names = layer_names(model, x, layer)
    x, targets, _, size = begin(model, x, target, batch_size)
    total, before = {name: [0] * len(x) for name in names}, {}
    for i, k, now in _along_path(model, x, targets, names, baseline, nodes, size, progress):
        if k > 0:
            for name, (y, _) in now.items():
                y_before, dy_before = before[name]
                total[name][i] = total[name][i] + dy_before * (y - y_before)
        before = now
    return of_layers(layer, names, {name: np.stack(arrays) for name, arrays in total.items()})


@explains_scores
def internal_influence(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    baseline: float | Array | None = None,
    n_steps: int = 50,
    method: str = "gausslegendre",
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute internal influence, the mean of d score / d y along the path from the baseline to x.

    Leino, Sen, Datta, Fredrikson, Li 2018, definition 1, with a uniform distribution of inputs on the straight
    path. The gradient is not multiplied by y.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    layer : str, sequence of str or None
        Name of the layer, or of several, which share all passes. None: the model's default layer
        for activation maps.
    baseline : None, float or ndarray
        The reference input, broadcast to x. None: 0, the mean color.
    n_steps : int, default 50
        Number of integration steps along the path from baseline to x.
    method : str, default "gausslegendre"
        Quadrature rule, as for `integrated_gradients`.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If x, target, baseline, n_steps or batch_size cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer or no quadrature rule has the given name.
    """
    nodes, weights = quadrature(method, n_steps)
    names = layer_names(model, x, layer)
    x, targets, score, size = begin(model, x, target, batch_size)
    total, weights = {name: [0] * len(x) for name in names}, weights.astype(score.dtype)
    for i, k, now in _along_path(model, x, targets, names, baseline, nodes, size, progress):
        for name, (_, dy) in now.items():
            total[name][i] = total[name][i] + weights[k] * dy
    return of_layers(layer, names, {name: np.stack(arrays) for name, arrays in total.items()})


def _along_path(model, x, targets, names, baseline, nodes, size, progress):
    """For each image i and node a_k, in order: (i, k, {layer: (y, d score / d y)}) at x0 + a_k * (x - x0)."""
    x0 = full_baseline(baseline, x.shape, x.dtype)
    for copies in batches(len(x) * len(nodes), size, progress):
        i, k = np.divmod(copies, len(nodes))
        tape = model.forward(x0[i] + per_sample(nodes[k], x) * (x[i] - x0[i]))
        gradients = tape.backward(one_hot(model, tape.output, targets[i]), at=names)
        found = {name: (tape[name], dy) for name, dy in gradients.items()}
        for at in range(len(copies)):
            yield i[at], k[at], {name: (y[at], dy[at]) for name, (y, dy) in found.items()}
