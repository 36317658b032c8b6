"""What the attribution methods share: targets, the upstream gradient of their scores, and the default layer."""

import numpy as np

from npgrad._parallel.threads import split_batch, thread_map
from npgrad._targets import named_targets, one_hot, resolve_targets, target_list, warn_if_dead
from npgrad._validate import check_input
from npgrad.errors import InputError


def score_gradients(model, x, target=None, rules=None, at=("input",), any_rules=False):
    """One forward and one backward pass: (logits, targets, {layer: d score / d layer}).

    any_rules: whether the rules may need the inputs and outputs of their layers, which are not kept otherwise.
    """
    keep = None if any_rules else at
    logits, targets, found = by_parts(model, x, target, lambda tape, dy: tape.backward(dy, rules, at), keep)
    return logits, targets, {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def by_parts(model, x, target, work, keep=None):
    """(logits, targets, [work(tape, dy) for each part of the batch]); warns where scores are dead.

    dy is the upstream gradient of the targets' scores; keep as for `Model.forward`. Each part's tape is
    dropped before the next part's forward pass begins.
    """
    x = check_input(x)
    target = named_targets(model, target_list(target, len(x)))

    def of_part(rows):
        tape = model.forward(x[rows], keep=keep)
        targets = resolve_targets(model, tape.output, target and target[rows])
        return tape.output, targets, work(tape, one_hot(model, tape.output, targets))

    logits, targets, found = zip(*thread_map(of_part, split_batch(x)), strict=True)
    logits, targets = np.concatenate(logits), np.concatenate(targets)
    warn_if_dead(model, logits, targets)
    return logits, targets, found


def layer_name(model, x, layer=None):
    """The layer's own name for `layer` or, if it is None, for the default."""
    return model.map_layer(None if layer else model.forward(check_input(x)[:1]), layer)


def layer_names(model, x, layer=None, tape=None):
    """The layers' own names, for the name of one, of several, or None: the default. tape: a pass, if there is one."""
    if not isinstance(layer, (list, tuple)):
        return [layer_name(model, x, layer) if tape is None else model.map_layer(tape, layer)]
    if not layer:
        raise InputError("layer: expected at least one name, found none")
    return [model.resolve(one) for one in layer]


def of_layers(layer, names, found):
    """The array of the one layer asked for, or {name as it was given: array} of several. found: {own name: array}."""
    if not isinstance(layer, (list, tuple)):
        return found[names[0]]
    return {one: found[name] for one, name in zip(layer, names, strict=True)}


def expect_images(method, x):
    """x as images (N, C, H, W), checked; InputError for other shapes."""
    x = check_input(x)
    if x.ndim != 4:
        raise InputError(f"{method}: expected images (N, C, H, W), found shape {x.shape}")
    return x


def gray(model, value, x):
    """A gray level of 0..1 in the units of the network's input: (1, C, 1, 1)."""
    mean, std = np.array(model.preprocessing.pixel_mean), np.array(model.preprocessing.pixel_std)
    if len(mean) not in (1, x.shape[1]):
        raise InputError(
            f"baseline: expected one for inputs of {x.shape[1]} channels; black and white are known for {len(mean)}"
        )
    return ((value - mean) / std).reshape(1, -1, 1, 1).astype(x.dtype)


def expect_inputs_for_delta(return_delta, multiply_by_inputs):
    """Raise an InputError for the error of a sum that is none: without the inputs, there is no completeness."""
    if return_delta and not multiply_by_inputs:
        raise InputError(
            "return_delta: expected multiply_by_inputs=True, without which nothing sums to the difference"
        )
