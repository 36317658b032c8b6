"""DeepLIFT: what each input's difference from a reference contributes to the score's difference from it.

Two passes are kept, one of the image x and one of the baseline x0. One walk back over the first carries
multipliers m = contribution / difference, in place of derivatives. Through a linear layer they go as
gradients do. Through a nonlinear one the rescale rule takes the slope between the two passes,

    dx = dy * (y - y0) / (x - x0)

in place of the slope at x (Shrikumar, Greenside, Kundaje 2017, section 3.5.2, and their chain rule for
multipliers, section 3.2). Nothing is lost on the way: m * (x - x0) sums to F(x) - F(x0), at every layer
through which all of the network passes.

A rule here is a function (record, reference, dy) -> dx: the layer's record in the pass of x, its record in
the pass of x0, and the multipliers by y.
"""

from functools import partial

import numpy as np

from npgrad._parallel.batches import batches, copies_at_once
from npgrad._targets import one_hot, resolve_targets, scores, warn_if_dead
from npgrad._validate import baseline_set, check_input, full_baseline
from npgrad.errors import InputError
from npgrad.layers import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Composite,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Softmax,
)
from npgrad.tape import INPUT

TINY = 1e-10  # below this difference from the reference the slope is taken at x


def deep_lift(model, x, target=None, baseline=None, rules=None, return_delta=False):
    """m * (x - x0), with multipliers m by the rescale rule: signed, of the shape of x (N, C, H, W).

    The attributions of an image sum to F(x) - F(x0), up to rounding. (Captum's do not where max pool and
    ReLU stand side by side or windows overlap; and where x = x0 at a max pool, they mix up the images.)

    baseline x0: None for 0 (the mean color), a number, or an array that broadcasts to x. rules: {layer type
    or name: f(record, reference, dy)}, for layers of your own: `linear` or `elementwise` will often do.
    return_delta: return also, per image, the sum of attributions less (F(x) - F(x0)).
    """
    tape, reference, targets = _two_passes(model, x, target, baseline)
    attributions = _contributions(tape, reference, targets, INPUT, rules)
    if not return_delta:
        return attributions
    return attributions, _delta(attributions, scores(tape.output - reference.output, targets))


def layer_deep_lift(model, x, target=None, layer=None, baseline=None, rules=None):
    """m * (y - y0) with y the output of `layer` (None: the last fire), of y's shape; see `deep_lift`."""
    tape, reference, targets = _two_passes(model, x, target, baseline)
    return _contributions(tape, reference, targets, model.map_layer(tape, layer), rules)


def deep_lift_shap(
    model,
    x,
    target=None,
    baseline=None,
    rules=None,
    return_delta=False,
    batch_size=None,
    progress=None,
):
    """The mean of `deep_lift` over a set of baselines: signed, of the shape of x.

    It approximates SHAP values with the set as what is expected of an image (Lundberg, Lee 2017, section
    4.2). The attributions of an image sum to F(x) less the mean of F over the baselines.

    baseline: the set (M, C, H, W), which all images share; or one baseline: None for 0, a number, or an
    array that broadcasts to (C, H, W). batch_size: pairs of image and baseline at once (None: as memory
    allows). progress: called with (pairs done, pairs in all). The rest as for `deep_lift`.
    """
    x = check_input(x)
    baselines = baseline_set(baseline, x)
    size = copies_at_once(model, x, batch_size)
    if batch_size is None:
        size = max(1, size // 2)  # of every pair two passes are kept
    logits = _outputs(model, x, size)
    targets = resolve_targets(model, logits, target)
    references = _outputs(model, baselines, size)[:, targets].T  # (N, M)
    warn_if_dead(model, logits + np.abs(references).sum(axis=1, keepdims=True), targets)
    total = np.zeros(x.shape, logits.dtype)
    for pairs in batches(len(x) * len(baselines), size, progress):
        image, base = np.divmod(pairs, len(baselines))
        tape = model.forward(x[image], whole=True)
        reference = model.forward(baselines[base], whole=True)
        contributions = _contributions(tape, reference, targets[image], INPUT, rules)
        for i, contribution in zip(image, contributions, strict=True):
            total[i] += contribution
    attributions = total / len(baselines)
    if not return_delta:
        return attributions
    return attributions, _delta(attributions, scores(logits, targets) - references.mean(axis=1))


def linear(record, reference, dy):
    """y - y0 is a linear function of x - x0, whatever the reference: its derivative is the multiplier."""
    return record.layer.backward(dy, record.cache)


def elementwise(record, reference, dy):
    """The rescale rule for y = f(x), element by element: the slope between reference and input."""
    at_x = record.layer.backward(dy, record.cache)
    return _divide(dy * (record.y - reference.y), record.x - reference.x, at_x)


def max_pool(record, reference, dy):
    """y - y0 = (top - y0) + (y - top), with top = max(y, y0), in each window.

    The first part is what the input's winner adds to the reference, the second what the reference's winner
    has lost. Each goes to the pixel that won, and overlapping windows add up.
    """
    y, y0, back = record.y, reference.y, record.layer.backward
    top = np.maximum(y, y0)
    contribution = back(dy * (top - y0), record.cache) + back(dy * (y - top), reference.cache)
    return _divide(contribution, record.x - reference.x, back(dy, record.cache))


def softmax(record, reference, dy):
    """y = exp(u) with u = x - log(sum of exp(x)): the rescale rule at each exp and at the log.

    Taken together as one element-wise function, a logit that stands still while its probability moves
    would lose its contribution. Captum subtracts a mean over the whole batch, which does not sum up, either.
    """
    shift = np.maximum(record.x, reference.x).max(axis=1, keepdims=True)  # exp cannot overflow
    x, x0 = record.x - shift, reference.x - shift
    e, e0 = np.exp(x), np.exp(x0)
    total, total0 = e.sum(axis=1, keepdims=True), e0.sum(axis=1, keepdims=True)
    log, log0 = np.log(total), np.log(total0)
    du = dy * _divide(record.y - reference.y, (x - log) - (x0 - log0), record.y)
    dlog = -du.sum(axis=1, keepdims=True)
    dtotal = dlog * _divide(log - log0, total - total0, 1 / total)
    return du + dtotal * _divide(e - e0, x - x0, e)


RULES = {
    Conv2d: linear,
    Linear: linear,
    AvgPool2d: linear,
    GlobalAvgPool2d: linear,
    AdaptiveAvgPool2d: linear,
    BatchNorm2d: linear,  # with the running statistics
    Dropout: linear,  # off
    Flatten: linear,
    Concat: linear,
    Add: linear,
    ReLU: elementwise,  # and ReLU6, which is one
    Clip: elementwise,
    MaxPool2d: max_pool,
    Softmax: softmax,
}


def with_defaults(rules, defaults):
    """The `rules` argument, completed by the defaults; an InputError where it is none."""
    rules = {} if rules is None else rules
    if not isinstance(rules, dict) or not all(map(callable, rules.values())):
        raise InputError(f"rules: expected {{layer type or name: function}}, found {rules!r}")
    return {**defaults, **rules}


def refuse_unknown_layers(tape, rules, method):
    """An InputError for the first layer for which the rules of `method` have no entry."""
    named = {tape.resolve(key) for key in rules if isinstance(key, str)}
    for record in tape.parts[0]:
        known = record.name in named or any(kind in rules for kind in type(record.layer).__mro__)
        if not known and not isinstance(record.layer, Composite):
            kind = type(record.layer).__name__
            raise InputError(
                f"{record.name}: {method} has no rule for {kind}; give one in rules={{{kind}: ...}}"
            )


def _two_passes(model, x, target, baseline):
    """The tapes of x and of its baseline, and the targets."""
    x = check_input(x)
    tape = model.forward(x, whole=True)  # in one piece: the rules compare the two passes record by record
    reference = model.forward(full_baseline(baseline, x.shape, x.dtype), whole=True)
    targets = resolve_targets(model, tape.output, target)
    warn_if_dead(model, np.abs(tape.output) + np.abs(reference.output), targets)
    return tape, reference, targets


def _contributions(tape, reference, targets, layer, rules):
    """Multiplier times difference from the reference, at a layer's output."""
    rules = with_defaults(rules, RULES)
    refuse_unknown_layers(tape, rules, "deep_lift")
    against = {key: partial(_with_reference, rule, reference) for key, rule in rules.items()}
    multipliers = tape.backward(one_hot(tape.output, targets), against, at=layer)[layer]
    return multipliers * (tape[layer] - reference[layer])


def _with_reference(rule, reference, record, dy):
    """A rule (record, reference, dy) as the tape wants it: (record, dy)."""
    return rule(record, reference.records[record.name], dy)


def _divide(contribution, difference, otherwise):
    """contribution / difference, and `otherwise` where the difference is too small to divide by."""
    tiny = np.abs(difference) < TINY
    return np.where(tiny, otherwise, contribution / np.where(tiny, 1, difference))


def _outputs(model, x, size):
    return np.concatenate([model(x[rows]) for rows in batches(len(x), size)])


def _delta(attributions, difference):
    return attributions.reshape(len(attributions), -1).sum(axis=1) - difference
