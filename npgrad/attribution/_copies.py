"""What the methods share that run many changed copies of each image.

The copies of all images are numbered through and go through the network a batch at a time. Every copy's
result is its own, and results are added up one by one in the order of the numbers, so the size of the batches
never shows in a result.
"""

import numpy as np

from npgrad._parallel import threads as parallel
from npgrad._parallel.batches import batches, copies_at_once
from npgrad._targets import one_hot, resolve_targets, scores, warn_if_dead
from npgrad._validate import check_input
from npgrad.attribution._narrow import narrowed


def begin(model, x, target=None, batch_size=None, backward=True):
    """The usual beginning: (x as the layers take it, its targets (N,), their scores (N,), copies at once).

    The targets are asked of the clean images, once: no changed copy is explained for another class.
    """
    x = check_input(x)
    size = copies_at_once(model, x, batch_size, backward)
    logits = np.concatenate([model(x[rows]) for rows in batches(len(x), size)])
    targets = resolve_targets(model, logits, target)
    warn_if_dead(model, logits, targets)
    return x, targets, scores(logits, targets), size


def gradient_of_scores(model, x, targets):
    """d score / d x of each image's own target, of the shape of x."""
    model, targets = narrowed(model, targets)

    def of_part(rows):
        tape = model.forward(x[rows], keep=())
        return tape.backward(one_hot(tape.output, targets[rows]))["input"]

    return np.concatenate(parallel.thread_map(of_part, parallel.split_batch(x)))


def scores_of(model, x, targets, size):
    """The score of each image's own target (N,), `size` images at a time."""
    model, targets = narrowed(model, targets)
    return np.concatenate([scores(model(x[rows]), targets[rows]) for rows in batches(len(x), size)])


def per_sample(values, x):
    """One value an image, shaped and typed so that it goes with x (N, ...): (N, 1, 1, 1)."""
    return np.asarray(values, x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
