"""DeepLIFT: what each input's difference from a reference contributes to the score's difference from it.

Two passes are kept, one of the image x and one of the baseline x0. A backward pass over the first propagates
multipliers m = contribution / difference in place of derivatives. Linear layers treat multipliers as they treat
gradients. At a nonlinearity the rescale rule uses the slope between the two passes,

    dx = dy * (y - y0) / (x - x0)

in place of the slope at x (Shrikumar, Greenside, Kundaje 2017, section 3.5.2, and their chain rule for
multipliers, section 3.2). Nothing is lost: m * (x - x0) sums to F(x) - F(x0), at every layer through which the
whole network passes. The rules are in deep_lift_rules.py, and which layer has which in _layer_rules.py.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches, copies_at_once
from npgrad._targets import flat, one_hot, resolve_targets, scores, warn_if_dead
from npgrad._typing import Array, Layers, Progress, Rules, Target
from npgrad._validate import baseline_set, check_input, full_baseline
from npgrad.attribution._common import expect_inputs_for_delta, layer_names, of_layers
from npgrad.attribution._layer_rules import DEEP_LIFT as RULES
from npgrad.attribution._rule_tables import refuse_unknown_layers, with_defaults
from npgrad.model import Model
from npgrad.tape import INPUT


@explains_scores
def deep_lift(
    model: Model,
    x: Array,
    target: Target = None,
    baseline: float | Array | None = None,
    rules: Rules = None,
    return_delta: bool = False,
    multiply_by_inputs: bool = True,
) -> Array | Any:  # Any: a pair with return_delta, so that callers need no type check
    """Compute DeepLIFT's contributions m * (x - x0), with multipliers m by the rescale rule.

    Shrikumar, Greenside, Kundaje 2017, sections 3.2 and 3.5.2. The attributions of an image sum to
    F(x) - F(x0), up to rounding. (Captum's do not where max pooling windows overlap or max pooling and ReLU are
    adjacent; and where x = x0 at a max pooling, Captum mixes up the images.)

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
    rules : dict or None
        ``{layer type or name: f(record, reference, dy) -> dx}`` in addition to the defaults, for layer types of
        your own; `deep_lift_rules.linear` or `deep_lift_rules.elementwise` often apply.
    return_delta : bool, default False
        Whether to also return the error of each image's sum.
    multiply_by_inputs : bool, default True
        Whether to multiply by the difference from the baseline. False: the multipliers alone, a local attribution
        (Ancona et al. 2018).

    Returns
    -------
    attributions : ndarray (N, C, H, W)
        Signed.
    delta : ndarray (N,)
        The sum of each image's attributions minus (F(x) - F(x0)). Only if `return_delta` is true.

    Raises
    ------
    InputError
        If x, target, baseline or rules cannot be used, or a layer has no rule.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If a rule's layer does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> from npgrad import Model
    >>> from npgrad.attribution import deep_lift
    >>> from npgrad.layers import Linear, ReLU, Sequential
    >>> weight = np.array([[1.0, -2.0]])
    >>> model = Model(Sequential({"fc": Linear(weight, np.array([-1.0])), "relu": ReLU()}), outputs="value")
    >>> x = np.array([[4.0, 1.0]])
    >>> deep_lift(model, x, 0)  # score 1 at x and 0 at the baseline; the ReLU's slope between them is 1/2
    array([[ 2., -1.]])
    """
    expect_inputs_for_delta(return_delta, multiply_by_inputs)
    tape, reference, targets = _two_passes(model, x, target, baseline)
    attributions = contributions_at(model, tape, reference, targets, [INPUT], rules, multiply_by_inputs)[
        INPUT
    ]
    if not return_delta:
        return attributions
    return attributions, _delta(attributions, scores(model, tape.output - reference.output, targets))


@explains_scores
def layer_deep_lift(
    model: Model,
    x: Array,
    target: Target = None,
    layer: Layers | None = None,
    baseline: float | Array | None = None,
    rules: Rules = None,
    multiply_by_inputs: bool = True,
) -> Array | Any:  # Any: a dict of several layers, so that callers need no type check
    """Compute DeepLIFT's contributions m * (y - y0), with y a layer's output; see `deep_lift`.

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
    rules : dict or None
        ``{layer type or name: f(record, reference, dy) -> dx}`` in addition to the defaults.
    multiply_by_inputs : bool, default True
        Whether to multiply by the difference from the baseline. False: the multipliers alone, a local attribution
        (Ancona et al. 2018).

    Returns
    -------
    ndarray (N, ...)
        Signed, of the shape of the layer's output. Of several layers: {name: array}.

    Raises
    ------
    InputError
        If x, target, baseline or rules cannot be used, or a layer has no rule.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If no layer has the given name, or a rule's layer does not exist.
    """
    tape, reference, targets = _two_passes(model, x, target, baseline)
    names = layer_names(model, x, layer, tape)
    found = contributions_at(model, tape, reference, targets, names, rules, multiply_by_inputs)
    return of_layers(layer, names, found)


@explains_scores
def deep_lift_shap(
    model: Model,
    x: Array,
    target: Target = None,
    baseline: float | Array | None = None,
    rules: Rules = None,
    return_delta: bool = False,
    batch_size: int | None = None,
    progress: Progress = None,
    multiply_by_inputs: bool = True,
) -> Array | Any:  # Any: a pair with return_delta, so that callers need no type check
    """Compute the mean of `deep_lift` over a set of baselines.

    This approximates SHAP values, with the set as the background distribution (Lundberg, Lee 2017, section 4.2).
    The attributions of an image sum to F(x) minus the mean of F over the baselines.

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
        A set of reference inputs (M, C, H, W), shared by all images; or one that broadcasts to (C, H, W).
        None: 0, the mean color.
    rules : dict or None
        ``{layer type or name: f(record, reference, dy) -> dx}`` in addition to the defaults.
    return_delta : bool, default False
        Whether to also return the error of each image's sum.
    batch_size : int or None
        Number of pairs of image and baseline per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total).
    multiply_by_inputs : bool, default True
        Whether to multiply by the difference from the baseline. False: the multipliers alone, a local attribution
        (Ancona et al. 2018).

    Returns
    -------
    attributions : ndarray (N, C, H, W)
        Signed.
    delta : ndarray (N,)
        The sum of each image's attributions minus (F(x) - the mean of F(x0)). Only if `return_delta` is true.

    Raises
    ------
    InputError
        If x, target, baseline, rules or batch_size cannot be used, or a layer has no rule.
    TargetError
        If a target is not a class of the network.
    UnknownName
        If a rule's layer does not exist.
    """
    expect_inputs_for_delta(return_delta, multiply_by_inputs)
    x = check_input(x)
    baselines = baseline_set(baseline, x)
    size = copies_at_once(model, x, batch_size)
    if batch_size is None:
        size = max(1, size // 2)  # two passes of each pair are kept
    logits = _outputs(model, x, size)
    targets = resolve_targets(model, logits, target)
    of_baselines = _outputs(model, baselines, size)
    references = np.stack([scores(model, of_baselines, t) for t in targets])  # (N, M)
    warn_if_dead(model, logits + np.abs(references).sum(axis=1, keepdims=True), targets)
    total = np.zeros(x.shape, logits.dtype)
    for pairs in batches(len(x) * len(baselines), size, progress):
        image, base = np.divmod(pairs, len(baselines))
        tape = model.forward(x[image], whole=True)
        reference = model.forward(baselines[base], whole=True)
        contributions = contributions_at(
            model, tape, reference, targets[image], [INPUT], rules, multiply_by_inputs
        )
        for i, contribution in zip(image, contributions[INPUT], strict=True):
            total[i] += contribution
    attributions = total / len(baselines)
    if not return_delta:
        return attributions
    return attributions, _delta(attributions, scores(model, logits, targets) - references.mean(axis=1))


def _two_passes(model, x, target, baseline):
    """The tapes of x and of its baseline, and the targets."""
    x = check_input(x)
    tape = model.forward(x, whole=True)  # in one piece: the rules compare the two passes record by record
    reference = model.forward(full_baseline(baseline, x.shape, x.dtype), whole=True)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, np.abs(tape.output) + np.abs(reference.output), targets)
    return tape, reference, targets


def contributions_at(model, tape, reference, targets, layers, rules, multiply=True):
    """Multiplier times difference from the reference, at each layer's output; or the multipliers alone."""
    found = multipliers_of(tape, reference, one_hot(model, tape.output, targets), layers, rules)
    return {name: m * (tape[name] - reference[name]) for name, m in found.items()} if multiply else found


def multipliers_of(tape, reference, dy, layers, rules):
    """{layer: the multipliers with respect to its output}, given those with respect to the outputs in dy."""
    rules = with_defaults(rules, RULES)
    refuse_unknown_layers(tape, rules, "deep_lift")
    against = {key: partial(_with_reference, rule, reference) for key, rule in rules.items()}
    return tape.backward(dy, against, at=layers)


def _with_reference(rule, reference, record, dy):
    """A rule (record, reference, dy) in the form that the tape expects: (record, dy)."""
    return rule(record, reference.records[record.name], dy)


def _outputs(model, x, size):
    return flat(np.concatenate([model(x[rows]) for rows in batches(len(x), size)]))


def _delta(attributions, difference):
    return attributions.reshape(len(attributions), -1).sum(axis=1) - difference
