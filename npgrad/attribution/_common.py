"""What attributions share: which class is asked about, the seed of its score, and batches that fit into memory."""

import numpy as np

from npgrad._parallel import threads as parallel
from npgrad._targets import one_hot, resolve_targets, target_list, warn_if_dead
from npgrad._validate import check_input
from npgrad.errors import InputError
from npgrad.layers import Fire


def score_gradients(model, x, target=None, rules=None, at=("input",)):
    """One forward and one backward: (logits, targets, {layer: d score / d layer}). The usual beginning."""
    logits, targets, found = by_parts(model, x, target, lambda tape, seed: tape.backward(seed, rules, at), at)
    return logits, targets, {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def by_parts(model, x, target, work, keep=None):
    """(logits, targets, [work(tape, seed of the targets' scores) for each part of the batch]); keep as for forward.

    A part's tape is dropped before the next part's forward pass begins. A warning where scores are dead.
    """
    x = check_input(x)
    target = target_list(target, len(x))

    def of_part(rows):
        tape = model.forward(x[rows], keep=keep)
        targets = resolve_targets(model, tape.output, target and target[rows])
        return tape.output, targets, work(tape, one_hot(tape.output, targets))

    logits, targets, found = zip(*parallel.thread_map(of_part, parallel.split_batch(x)), strict=True)
    logits, targets = np.concatenate(logits), np.concatenate(targets)
    warn_if_dead(model, logits, targets)
    return logits, targets, found


def cam_layer(model, tape, layer=None):
    """The layer a class activation map is made at: `layer`, or the last Fire, or the last one with an extent."""
    if layer is not None:
        return model.resolve(layer)
    records = list(tape.parts[0])
    fires = [record.name for record in records if isinstance(record.layer, Fire)]
    wide = [record.name for record in records if record.y.ndim == 4 and max(record.y.shape[2:]) > 1]
    if not fires and not wide:
        raise InputError("layer: no layer of this network has a spatial extent")
    return (fires or wide)[-1]
