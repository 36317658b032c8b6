"""What the methods share that run many changed copies of each picture.

The copies of all pictures are numbered through and go through the network a batch at a time. Every copy's
result is its own, and results are added up one by one in the order of the numbers, so the size of the batches
never shows in a result.
"""

import numpy as np

from npgrad import parallel
from npgrad.attribution.common import (
    batches,
    copies_at_once,
    resolve_targets,
    scores,
    seed_at,
    warn_if_dead,
)
from npgrad.attribution.narrow import narrowed
from npgrad.errors import InputError
from npgrad.model import check_input


def begin(model, x, target=None, batch_size=None, backward=True):
    """The usual beginning: (x as the layers take it, its targets (N,), their scores (N,), copies at once).

    The targets are asked of the clean pictures, once: no changed copy is explained for another class.
    """
    x = check_input(x)
    size = copies_at_once(model, x, batch_size, backward)
    logits = np.concatenate([model(x[rows]) for rows in batches(len(x), size)])
    targets = resolve_targets(model, logits, target)
    warn_if_dead(model, logits, targets)
    return x, targets, scores(logits, targets), size


def gradient_of_scores(model, x, targets):
    """d score / d x of each picture's own target, of the shape of x."""
    model, targets = narrowed(model, targets)

    def of_part(rows):
        tape = model.forward(x[rows], keep=())
        return tape.backward(seed_at(tape.output, targets[rows]))["input"]

    return np.concatenate(parallel.each(of_part, parallel.parts(x)))


def scores_of(model, x, targets, size):
    """The score of each picture's own target (N,), `size` pictures at a time."""
    model, targets = narrowed(model, targets)
    return np.concatenate([scores(model(x[rows]), targets[rows]) for rows in batches(len(x), size)])


def each(values, x):
    """One value a picture, shaped and typed so that it goes with x (N, ...): (N, 1, 1, 1)."""
    return np.asarray(values, x.dtype).reshape(-1, *(1,) * (x.ndim - 1))


def full_baseline(baseline, shape, dtype):
    """A baseline (None: 0, a number, or an array that broadcasts to `shape`) as an array of that shape."""
    array = np.asarray(0 if baseline is None else baseline)
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise InputError(f"baseline: expected finite numbers, found {array.dtype} of shape {array.shape}")
    try:
        return np.broadcast_to(array.astype(dtype), shape)
    except ValueError:
        raise InputError(
            f"baseline: expected a number or an array that broadcasts to {shape}, found shape {array.shape}"
        ) from None


def baseline_set(baseline, x):
    """The `baseline` argument as a set (M, C, H, W)."""
    count = len(baseline) if np.ndim(baseline) == x.ndim else 1
    if count == 0:
        raise InputError("baseline: expected a set (M, C, H, W) of at least one baseline, found none")
    return full_baseline(baseline, (count, *x.shape[1:]), x.dtype)


def whole_number(value, name, smallest=1):
    """`value`, if it is a whole number from `smallest` on; otherwise an InputError naming the argument."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < smallest:
        raise InputError(f"{name}: expected a whole number >= {smallest}, found {value!r}")
    return int(value)


def not_negative(value, name):
    """`value`, if it is a finite number >= 0; otherwise an InputError naming the argument."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not 0 <= value < np.inf:
        raise InputError(f"{name}: expected a number >= 0, found {value!r}")
    return float(value)


def generator(rng):
    """The Generator for an `rng` argument: itself, or one made from a seed."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise InputError(f"rng: expected a Generator or a whole number >= 0, found {rng!r}") from None
