"""The score that an image is to climb, and its gradient by the image."""

import numpy as np

from npgrad import losses
from npgrad._validate import check_input
from npgrad.errors import InputError
from npgrad.layers import Dropout, Flatten, GlobalAvgPool2d, ReLU


def one_image(x, name="x"):
    """x as one image (1, C, H, W) that a network can work on; InputError for anything else."""
    x = check_input(x)
    if x.ndim != 4 or len(x) != 1:
        raise InputError(f"{name}: expected one image (1, C, H, W), found shape {x.shape}")
    return x


def score_gradient(model, x, target):
    """(tape, d score / d x) for the raw score of class `target`, an index, of one image x (1, C, H, W).

    A final ReLU may have shut the score off: it is 0, and so is its gradient, everywhere. There the gradient is that
    of the score without this ReLU, which says how to wake the class up.
    """
    tape = model.forward(x, keep=())
    return tape, waking_gradient(tape, losses.score(tape.output, target)[1], target)


def waking_gradient(tape, seed, target):
    """The gradient by the image for a `seed` at the scores; if class `target` is shut off, it is woken up.

    Its own part of the seed then goes past the final ReLU, and what comes through is added to the rest.
    """
    dx = tape.backward(seed)["input"]
    relu = final_relu(tape)
    if relu is not None and tape.output[0, target] == 0:
        only = np.zeros_like(seed)
        only[0, target] = seed[0, target]
        dx = dx + tape.backward(only, rules={relu: lambda record, dy: dy})["input"]
    return dx


def final_relu(tape):
    """The name of the ReLU that the scores come out of, with nothing but pooling behind it; or None."""
    for record in reversed(list(tape)):
        if isinstance(record.layer, ReLU):
            return record.name
        if not isinstance(record.layer, (GlobalAvgPool2d, Flatten, Dropout)):
            return None
    return None


def lead(logits, target):
    """By how much a class's score is above the best other one, for one image: logits (1, classes)."""
    others = np.delete(logits[0], target)
    return float(logits[0, target] - others.max()) if others.size else np.inf


def probability(logits, target):
    """The softmax probability of a class, for one image."""
    e = np.exp(logits[0] - logits[0].max())
    return float(e[target] / e.sum())
