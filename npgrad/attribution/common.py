"""What attributions share: which class is asked about, the seed of its score, and batches that fit into memory."""

import warnings

import numpy as np

from npgrad import parallel
from npgrad.classes import find_class
from npgrad.errors import InputError, TargetError, level_outside
from npgrad.layers import Fire
from npgrad.model import check_input

# Bytes of activations and gradients that a method with many copies of a picture may hold at once.
BUDGET = 128 << 20


def resolve_targets(model, logits, target=None):
    """The class asked about for each picture: an integer array (N,).

    logits: (N, classes). target: None for each picture's top class; an index or a name for all pictures; or
    a sequence of N of them. TargetError (an IndexError) names the range, TypeError says what is no class.
    """
    n, count = logits.shape
    target = target_list(target, n)
    if target is None:
        return logits.argmax(axis=1)
    names = model.classes or [f"class {i}" for i in range(count)]
    indices = np.array([find_class(t, names) for t in target])
    if indices.max() >= count:
        raise TargetError(f"target: expected 0 to {count - 1}; found {indices.max()}")
    return indices


def target_list(target, n):
    """The `target` argument as a list of n, one a picture, or None."""
    if target is None:
        return None
    if isinstance(target, (str, bytes)) or np.ndim(target) == 0:
        return [target] * n
    if len(target) != n or np.ndim(target) != 1:
        raise InputError(f"target: expected one class, or {n}, one a picture; found shape {np.shape(target)}")
    return list(target)


def scores(logits, targets):
    """The score of each picture's target: (N,)."""
    return logits[np.arange(len(logits)), targets]


def seed_at(logits, targets):
    """The seed for backward from the targets' scores: 1 at [i, target i] of an array like logits, else 0.

    One score per picture, so every picture's gradient is its own.
    """
    seed = np.zeros_like(logits)
    seed[np.arange(len(logits)), targets] = 1
    return seed


def warn_if_dead(model, logits, targets):
    """One warning where a score is exactly 0, shut off by a final ReLU: then it has no gradient at all."""
    dead = np.flatnonzero(scores(logits, targets) == 0)
    if len(dead):
        names = ", ".join(model.class_name(targets[i]) for i in dead[:3])
        warnings.warn(
            f"the score of {names} is exactly 0 (the network's final ReLU is shut), so its gradient is 0 everywhere",
            stacklevel=level_outside(),
        )


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
        return tape.output, targets, work(tape, seed_at(tape.output, targets))

    logits, targets, found = zip(*parallel.each(of_part, parallel.parts(x)), strict=True)
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


def copies_at_once(model, x, batch_size=None, backward=True):
    """How many pictures of x's size go through the network together: `batch_size`, or what the BUDGET allows.

    Counted are one picture's activations, twice where a backward pass follows: its gradients are as large.
    """
    if batch_size is not None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise InputError(f"batch_size: expected a whole number >= 1, found {batch_size!r}")
        return int(batch_size)
    one = sum(record.y.nbytes for record in model.forward(x[:1])) * (2 if backward else 1)
    return max(2, BUDGET // one)  # two threads have one each


def batches(total, size, progress=None):
    """Index arrays that cover 0..total-1 in order, `size` at a time; calls progress(done, total) after each."""
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))
        if progress is not None:
            progress(min(start + size, total), total)
