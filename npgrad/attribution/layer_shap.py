"""Gradient SHAP and DeepLIFT averaged over baselines, at a layer."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._targets import one_hot, resolve_targets, warn_if_dead
from npgrad._typing import Array, Layers, Progress, Rng, Rules, Target
from npgrad._validate import baseline_set, check_input, generator, not_negative, whole_number
from npgrad.attribution._common import layer_names, of_layers
from npgrad.attribution._copies import begin, per_sample
from npgrad.attribution._surgery import outputs_at
from npgrad.attribution.deep_lift import contributions_at
from npgrad.attribution.gradient_shap import draw
from npgrad.model import Model


@explains_scores
def layer_gradient_shap(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    baseline: float | Array | None = None,
    n_samples: int = 5,
    noise: float = 0.0,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
    multiply_by_inputs: bool = True,
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute gradient SHAP at a layer: its gradient at random points, times the change of its output.

    With x' = x + noise, a baseline x0 and a number a between 0 and 1 drawn at random for each sample, and y the layer's
    output, this is the mean of (y(x') - y(x0)) * d score / d y at the input x0 + a * (x' - x0) (Lundberg, Lee 2017, in
    Captum's form for layers).

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
        A set of reference inputs (M, C, H, W), shared by all images; or one that broadcasts to (C, H, W).
        None: 0, the mean color.
    n_samples : int, default 5
        Number of samples per image.
    noise : float, default 0.0
        Standard deviation of the noise, in the units of x.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed. All images of a batch get the same random numbers, so that an
        image's result does not depend on the others.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    multiply_by_inputs : bool, default True
        Whether to multiply by the change of the layer's output. False: the mean gradient alone.

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If an argument cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has the given name.
    """
    n_samples, noise = whole_number(n_samples, "n_samples"), not_negative(noise, "noise")
    names, rng = layer_names(model, x, layer), generator(rng)
    x, targets, _, size = begin(model, x, target, batch_size)
    samples = draw(x, baseline_set(baseline, x), n_samples, noise, rng)
    totals = {name: [0] * len(x) for name in names}
    for copies in batches(len(x) * n_samples, size, progress):
        noisy, start, a = map(np.stack, zip(*islice(samples, len(copies)), strict=True))
        tape = model.forward(start + per_sample(a, noisy) * (noisy - start))
        image = copies // n_samples
        found = tape.backward(one_hot(model, tape.output, targets[image]), at=names)
        if multiply_by_inputs:
            ends, starts = outputs_at(model, noisy, names), outputs_at(model, start, names)
            found = {name: dy * (ends[name] - starts[name]) for name, dy in found.items()}
        for name, own in totals.items():
            for i, array in zip(image, found[name], strict=True):
                own[i] = own[i] + array
    return of_layers(layer, names, {name: np.stack(own) / n_samples for name, own in totals.items()})


@explains_scores
def layer_deep_lift_shap(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    baseline: float | Array | None = None,
    rules: Rules = None,
    progress: Progress = None,
    multiply_by_inputs: bool = True,
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute the mean of `layer_deep_lift` over a set of baselines, as `deep_lift_shap` does for the input.

    Lundberg, Lee 2017, section 4.2.

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
        A set of reference inputs (M, C, H, W), shared by all images; or one that broadcasts to (C, H, W).
        None: 0, the mean color.
    rules : dict or None
        ``{layer type or name: f(record, reference, dy) -> dx}`` in addition to the defaults.
    progress : callable or None
        Called with (done, total), counted in baselines.
    multiply_by_inputs : bool, default True
        Whether to multiply by the difference from the baseline. False: the mean of the multipliers alone.

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If an argument cannot be used.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has the given name.
    """
    x = check_input(x)
    baselines = baseline_set(baseline, x)
    tape = model.forward(x, whole=True)
    targets, names = resolve_targets(model, tape.output, target), layer_names(model, x, layer, tape)
    total, alive = dict.fromkeys(names, 0), np.abs(tape.output)
    for done, one in enumerate(baselines, 1):
        reference = model.forward(np.repeat(one[None], len(x), axis=0), whole=True)
        found = contributions_at(model, tape, reference, targets, names, rules, multiply_by_inputs)
        total = {name: total[name] + array for name, array in found.items()}
        alive = alive + np.abs(reference.output)
        if progress is not None:
            progress(done, len(baselines))
    warn_if_dead(model, alive, targets)
    return of_layers(layer, names, {name: array / len(baselines) for name, array in total.items()})
