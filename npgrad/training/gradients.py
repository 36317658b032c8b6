"""One batch forward and backward: the loss, and its gradient with respect to every parameter."""

from typing import Any

import numpy as np

from npgrad._outputs import expect_classes, explained
from npgrad._parallel import threads as parallel
from npgrad._targets import class_logits, class_logits_backward
from npgrad._typing import Array, Rng
from npgrad._validate import check_input, generator, whole_number
from npgrad.errors import InputError
from npgrad.losses import cross_entropy
from npgrad.model import Model

__all__ = ["batch_gradients"]

AT_ONCE = 4 * parallel.PIXELS  # this many pixels go through the network together


def batch_gradients(
    model: Model, x: Array, target: Array, rng: Rng = None, parts: int | None = None
) -> tuple[Any, int, dict[str, Array], dict[str, Array]]:
    """Return the cross-entropy of a batch, its mean over the images, and the gradients of all parameters.

    The batch is split into parts that run in parallel on all cores. The number of threads changes only rounding, if
    anything; the number of parts also changes the dropout masks, and the statistics of BatchNorm, which are those of
    the first part.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    target : ndarray of int (N,)
        Class indices.
    rng : numpy.random.Generator, int or None, default None
        For the dropout masks. None: unpredictable ones.
    parts : int or None
        Number of parts. None: at least two, and more for a large batch; one for a network with BatchNorm.

    Returns
    -------
    loss : float
        The mean loss.
    right : int
        Number of images whose top class is the target.
    gradients : dict of str to ndarray
        The loss's gradient by parameter.
    statistics : dict of str to ndarray
        BatchNorm's updated running statistics.

    Raises
    ------
    InputError, TargetError
        The batch or an option cannot be used.
    """
    expect_classes(model, "training")
    model, (x, target) = explained(model, declared=True), labeled(x, target)
    parts = _default_parts(model, x) if parts is None else whole_number(parts, "parts")
    rows = np.array_split(np.arange(len(x)), max(1, min(parts, len(x))))
    seeds = generator(rng).integers(2**63, size=len(rows))

    def run(part, seed):
        tape = model.forward(x[part], training=True, rng=int(seed), keep=())
        loss, logits, dy = loss_and_gradient(model, tape.output, target[part])
        share = len(part) / len(x)  # parts may differ in size; the mean weighs every image equally
        gradients = tape.parameter_gradients(share * dy)
        right = np.sum(logits.argmax(axis=1) == target[part])
        return share * loss, int(right), gradients, tape.statistics

    loss, right, total, statistics = 0.0, 0, {}, {}
    for found in parallel.thread_imap(lambda part: run(*part), zip(rows, seeds, strict=True)):
        loss, right, statistics = loss + found[0], right + found[1], statistics or found[3]
        total = {name: total[name] + own if total else own for name, own in found[2].items()}
    return loss, right, total, statistics


def labeled(x: Array, target: Array) -> tuple[Array, Array]:
    """Check a batch.

    Parameters
    ----------
    x : ndarray of float (N, C, H, W)
    target : array_like of int (N,)

    Returns
    -------
    x, target : ndarray
        The same, as arrays.

    Raises
    ------
    InputError
        x is no input of a network, or there is not one class index per image.
    """
    x, target = check_input(x), np.asarray(target)
    if target.dtype.kind not in "iu" or target.shape != (len(x),):
        found = f"{target.dtype} of shape {target.shape}"
        raise InputError(f"target: expected a class index for each of {len(x)} images, found {found}")
    return x, target


def loss_and_gradient(model: Model, outputs: Array, target: Array) -> tuple[Any, Array, Array]:
    """Return the mean cross-entropy, the logits, and the gradient of the loss with respect to the outputs.

    Parameters
    ----------
    model : Model
    outputs : ndarray (N, outputs)
    target : ndarray of int (N,)

    Returns
    -------
    scalar, ndarray (N, classes), ndarray (N, outputs)
    """
    logits = class_logits(model, outputs)
    if model.outputs == "scores" and logits is outputs:
        raise InputError(
            "training: expected exclusive classes or one output, found scores of independent ones"
        )
    loss, dlogits = cross_entropy(logits, target)
    return loss, logits, class_logits_backward(dlogits, outputs).astype(outputs.dtype)


def _default_parts(model, x):
    """One if the network has buffers, which are BatchNorm's running statistics; else by the number of pixels."""
    if len(model.network.arrays(buffers=True)) > len(model.parameters()):
        return 1
    return max(2, x[:, 0].size // AT_ONCE)
