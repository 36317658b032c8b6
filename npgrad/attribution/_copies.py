"""Shared by the methods that run many modified copies of each image.

The copies of all images are numbered consecutively and go through the network in batches. Each copy's result
is independent of the others, and results are accumulated one by one in the order of these numbers, so another
batch size changes a result only by rounding.
"""

import numpy as np

from npgrad._parallel.batches import batches, copies_at_once
from npgrad._parallel.threads import split_batch, thread_map
from npgrad._targets import one_hot, resolve_targets, scores, warn_if_dead
from npgrad._validate import check_input
from npgrad.attribution._narrow import narrowed


def begin(model, x, target=None, batch_size=None, backward=True):
    """The common first steps: (checked x, its targets (N,), their scores (N,), copies at once).

    The targets are resolved once, on the unmodified images, so that all copies are explained for the same class.
    """
    x = check_input(x)
    size = copies_at_once(model, x, batch_size, backward)
    logits = np.concatenate([model(x[rows]) for rows in batches(len(x), size)])
    targets = resolve_targets(model, logits, target)
    warn_if_dead(model, logits, targets)
    return x, targets, scores(model, logits, targets), size


def gradient_of_scores(model, x, targets):
    """d score / d x for each image's own target, of the shape of x."""
    model, targets = narrowed(model, targets)

    def of_part(rows):
        tape = model.forward(x[rows], keep=())
        return tape.backward(one_hot(model, tape.output, targets[rows]))["input"]

    return np.concatenate(thread_map(of_part, split_batch(x)))


def scores_of(model, x, targets, size):
    """The score of each image's own target (N,), computed `size` images at a time."""
    model, targets = narrowed(model, targets)
    return np.concatenate([scores(model, model(x[rows]), targets[rows]) for rows in batches(len(x), size)])


def per_sample(values, x):
    """One value per image, reshaped to (N, 1, 1, 1) to broadcast against x, in x's dtype."""
    return np.asarray(values, x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
