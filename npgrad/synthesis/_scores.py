"""The score that an image is to increase, and its gradient with respect to the image."""

import numpy as np

from npgrad import losses
from npgrad._validate import check_input
from npgrad.errors import InputError
from npgrad.layers import Dropout, Flatten, GlobalAvgPool2d, ReLU


def one_image(x, name="x"):
    """x as a single image (1, C, H, W); InputError for anything else."""
    x = check_input(x)
    if x.ndim != 4 or len(x) != 1:
        raise InputError(f"{name}: expected one image (1, C, H, W), found shape {x.shape}")
    return x


def score_gradient(model, x, target):
    """(tape, d score / d x) for the raw score of class index `target` of one image x (1, C, H, W).

    See `waking_gradient` for a score that a final ReLU has set to 0.
    """
    tape = model.forward(x, keep=())
    return tape, waking_gradient(tape, losses.score(tape.output, target)[1], target)


def waking_gradient(tape, dy, target):
    """The gradient with respect to the image for an upstream gradient `dy` of the logits.

    Where a final ReLU has set the target's score to 0, its gradient is 0 everywhere. The target's part of `dy` then
    skips this ReLU, which gives the direction in which the score becomes positive again.
    """
    dx = tape.backward(dy)["input"]
    relu = final_relu(tape)
    if relu is not None and tape.output[0, target] == 0:
        only = np.zeros_like(dy)
        only[0, target] = dy[0, target]
        dx = dx + tape.backward(only, rules={relu: lambda record, dy: dy})["input"]
    return dx


def final_relu(tape):
    """The name of the ReLU that produces the logits, with nothing but pooling after it; or None."""
    for record in reversed(list(tape)):
        if isinstance(record.layer, ReLU):
            return record.name
        if not isinstance(record.layer, (GlobalAvgPool2d, Flatten, Dropout)):
            return None
    return None


def lead(logits, target):
    """The target's score minus the highest other score, for one image: logits (1, classes)."""
    others = np.delete(logits[0], target)
    return float(logits[0, target] - others.max()) if others.size else np.inf


def probability(logits, target):
    """The softmax probability of a class, for one image."""
    e = np.exp(logits[0] - logits[0].max())
    return float(e[target] / e.sum())
