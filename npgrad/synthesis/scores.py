"""The gradient of a score with respect to the image, also where a final ReLU blocks it."""

import numpy as np

from npgrad._asked import is_value
from npgrad._targets import class_count, one_hot
from npgrad._typing import Array
from npgrad.layers import Dropout, Flatten, GlobalAvgPool2d, ReLU
from npgrad.model import Model
from npgrad.tape import Tape

__all__ = ["score_gradient", "waking_gradient"]


def score_gradient(model: Model, x: Array, target: int) -> tuple[Tape, Array]:
    """Return the gradient of a class's raw score, and the tape of the forward pass.

    The score is the network's output, so that of a network that ends in Softmax is a probability; `npgrad.synthesis`
    leaves the Softmax out. Of a single output s, class 1 has the score s and class 0 has -s.

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
    class_count(model, tape.output)  # refuses maps
    return tape, waking_gradient(tape, one_hot(model, tape.output, [target]), target)


def waking_gradient(tape: Tape, dy: Array, target: int) -> Array:
    """Return the gradient with respect to the image; a target that a final ReLU has set to 0 skips this ReLU.

    Such a score has gradient 0 everywhere. Without the ReLU, the gradient is the direction in which the score becomes
    positive again.

    Parameters
    ----------
    tape : Tape
        The pass of the images.
    dy : ndarray (N, outputs)
        Upstream gradient of the logits; only the target's part skips the ReLU.
    target : int
        Index of the class.

    Returns
    -------
    ndarray (N, C, H, W)
    """
    relu, asked = _final_relu(tape), is_value(list(tape)[-1].layer)
    if relu is not None and asked:
        return tape.backward(dy, rules={relu: _waking})["input"]
    dx = tape.backward(dy)["input"]
    column = min(target, dy.shape[1] - 1)  # one output may be the score of two classes
    shut = tape.output[:, column] == 0
    if relu is not None and shut.any():
        only = np.zeros_like(dy)
        only[shut, column] = dy[shut, column]
        dx = dx + tape.backward(only, rules={relu: lambda record, dy: dy})["input"]
    return dx


def _waking(record, dy):
    """A rule: where a channel lets nothing through and the value rises with it, the gradient passes."""
    dx = record.layer.backward(dy, record.cache)
    shut = ~dx.any(axis=tuple(range(2, dx.ndim)), keepdims=True)
    return np.where(shut & (dy > 0), dy, dx)


def _final_relu(tape):
    """The name of the ReLU that produces the logits, or None.

    After it come only pooling, and the layers of a target that is more than a class.
    """
    records = list(tape)
    if is_value(records[-1].layer):
        own = records.pop().name
        records = [record for record in records if not record.name.startswith(f"{own}.")]
    for record in reversed(records):
        if isinstance(record.layer, ReLU):
            return record.name
        if not isinstance(record.layer, (GlobalAvgPool2d, Flatten, Dropout)):
            return None
    return None
