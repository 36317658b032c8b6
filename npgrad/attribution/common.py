"""What every attribution begins with: which class is asked about, and the gradient of its score."""

import warnings

import numpy as np

from npgrad.errors import InputError, TargetError


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
    indices = np.array([model.class_index(t) for t in target])
    if indices.max() >= count:
        raise TargetError(f"target: expected 0 to {count - 1}; found {indices.max()}")
    return indices


def score_seed(model, logits, target=None):
    """The seed for backward from the targets' scores: 1 at [i, target i] of an array like logits, else 0.

    One score per picture, so every picture's gradient is its own. A score at 0 behind a final ReLU has no
    gradient at all; that is said once.
    """
    targets = resolve_targets(model, logits, target)
    seed = np.zeros_like(logits)
    seed[np.arange(len(logits)), targets] = 1
    dead = np.flatnonzero(logits[np.arange(len(logits)), targets] == 0)
    if len(dead):
        names = ", ".join(model.class_name(targets[i]) for i in dead[:3])
        warnings.warn(
            f"the score of {names} is exactly 0 (the network's final ReLU is shut), so its gradient is 0 everywhere",
            stacklevel=3,
        )
    return seed
