"""The gradient of a score with respect to the image, also where a final ReLU blocks it."""

import numpy as np

from npgrad import losses
from npgrad._typing import Array
from npgrad.layers import Dropout, Flatten, GlobalAvgPool2d, ReLU
from npgrad.model import Model
from npgrad.tape import Tape

__all__ = ["score_gradient", "waking_gradient"]


def score_gradient(model: Model, x: Array, target: int) -> tuple[Tape, Array]:
    """Return the gradient of a class's raw score, and the tape of the forward pass.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images.
    target : int
        Index of the class.

    Returns
    -------
    tape : Tape
        Keeps only what backward needs; ``tape.output`` are the logits.
    dx : ndarray (N, C, H, W)
        See `waking_gradient` for a score that a final ReLU has set to 0.
    """
    tape = model.forward(x, keep=())
    return tape, waking_gradient(tape, losses.score(tape.output, target)[1], target)


def waking_gradient(tape: Tape, dy: Array, target: int) -> Array:
    """Return the gradient with respect to the image; a target that a final ReLU has set to 0 skips this ReLU.

    Such a score has gradient 0 everywhere. Without the ReLU, the gradient is the direction in which the score becomes
    positive again.

    Parameters
    ----------
    tape : Tape
        The pass of the images.
    dy : ndarray (N, classes)
        Upstream gradient of the logits; only the target's part skips the ReLU.
    target : int
        Index of the class.

    Returns
    -------
    ndarray (N, C, H, W)
    """
    dx = tape.backward(dy)["input"]
    relu = _final_relu(tape)
    shut = tape.output[:, target] == 0
    if relu is not None and shut.any():
        only = np.zeros_like(dy)
        only[shut, target] = dy[shut, target]
        dx = dx + tape.backward(only, rules={relu: lambda record, dy: dy})["input"]
    return dx


def _final_relu(tape):
    """The name of the ReLU that produces the logits, with nothing but pooling after it; or None."""
    for record in reversed(list(tape)):
        if isinstance(record.layer, ReLU):
            return record.name
        if not isinstance(record.layer, (GlobalAvgPool2d, Flatten, Dropout)):
            return None
    return None
