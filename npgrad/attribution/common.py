"""What attributions share: which class is asked about, the seed of its score, and batches that fit into memory."""

import sys
import warnings

import numpy as np

from npgrad import parallel
from npgrad.classes import find_class
from npgrad.errors import InputError, TargetError
from npgrad.layers import Fire
from npgrad.model import check_input

BUDGET = (
    128 << 20
)  # bytes of activations and gradients that a method with many copies of a picture may hold at once


def resolve_targets(model, logits, target=None):
    """The class asked about for each picture: an integer array (N,).

    logits: (N, classes). target: None for each picture's top class; an index or a name for all pictures; or
    a sequence of N of them. TargetError (an IndexError) names the range, TypeError says what is no class.
    """
    n, count = logits.shape
    if target is None:
        return logits.argmax(axis=1)
    if isinstance(target, (str, bytes)) or np.ndim(target) == 0:
        target = [target] * n
    if len(target) != n or np.ndim(target) != 1:
        raise InputError(f"target: expected one class, or {n}, one a picture; found shape {np.shape(target)}")
    names = model.classes or [f"class {i}" for i in range(count)]
    indices = np.array([find_class(t, names) for t in target])
    if indices.max() >= count:
        raise TargetError(f"target: expected 0 to {count - 1}; found {indices.max()}")
    return indices


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
            stacklevel=_level_outside(),
        )


def _level_outside():
    """The stacklevel of the first caller outside npgrad: the line that the warning is about."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("npgrad."):
        level, frame = level + 1, frame.f_back
    return level


class Passes:
    """A batch forward, in parts, and back from its targets' scores. tapes: one a part; [name]: a layer's output."""

    def __init__(self, model, x):
        x = check_input(x)
        self.parts = parallel.parts(x)
        self.tapes = parallel.each(lambda rows: model.forward(x[rows]), self.parts)
        self.logits = np.concatenate([tape.output for tape in self.tapes])

    def __getitem__(self, name):
        return np.concatenate([tape[name] for tape in self.tapes])

    def gradients(self, targets, rules=None, at=("input",)):
        """{layer: d score / d layer}. rules as for `Tape.backward`; they see one part at a time."""
        seed = seed_at(self.logits, targets)
        back = zip(self.tapes, self.parts, strict=True)
        found = parallel.each(lambda part: part[0].backward(seed[part[1]], rules, at), back)
        return {name: np.concatenate([part[name] for part in found]) for name in at}


def score_gradients(model, x, target=None, rules=None, at=("input",)):
    """One forward and one backward: (logits, targets, {layer: d score / d layer}). The usual beginning."""
    passes = Passes(model, x)
    targets = resolve_targets(model, passes.logits, target)
    warn_if_dead(model, passes.logits, targets)
    return passes.logits, targets, passes.gradients(targets, rules, at)


def cam_layer(model, tape, layer=None):
    """The layer a class activation map is made at: `layer`, or the last Fire, or the last one with an extent."""
    if layer is not None:
        return model.resolve(layer)
    fires = [record.name for record in tape if isinstance(record.layer, Fire)]
    wide = [record.name for record in tape if record.y.ndim == 4 and max(record.y.shape[2:]) > 1]
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
