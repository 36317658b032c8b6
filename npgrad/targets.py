"""What to explain, beyond the score of one class: functions of a network's outputs, with their gradients by hand.

    value, dlogits = target(logits)        # (N,), and d value / d logits, of the shape of the logits

Every function here returns such a target; so may a function of your own. Wherever a method takes `target`, it takes
one of these, a list of one per image, or the text of an expression:

    saliency(model, x, "tabby - golden retriever")            why a cat and not a dog?
    saliency(model, x, "-tabby")                              what lowers the score?
    saliency(model, x, "prob(tabby)")                         its softmax probability
    saliency(model, x, targets.entropy())                     what makes the network sure, or unsure?

A target becomes the last layer of the network, so that a method's own formula holds for its value: integrated gradients
and DeepLIFT sum to its difference from the baseline, and Grad-CAM weights channels by its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from npgrad._expressions import parsed
from npgrad._typing import Array
from npgrad._validate import whole_number
from npgrad.errors import InputError

__all__ = [
    "Expression",
    "Term",
    "difference",
    "distance",
    "entropy",
    "expression",
    "log_probability",
    "probability",
    "region",
    "score",
    "top_k_sum",
]


class Term(NamedTuple):
    """One term of an `Expression`: a factor times what is taken of a class.

    Parameters
    ----------
    factor : float
    kind : {"score", "probability", "log-probability"}
        Of the softmax, or where the outputs are scores of independent classes, of the sigmoid.
    index : int or str
        The class.
    position : int, default 0
        Where its name begins in the text, counted from 1; 0 if there is no text.
    """

    factor: float
    kind: str
    index: int | str
    position: int = 0


@dataclass(frozen=True)
class Expression:
    """A weighted sum of scores, probabilities and log-probabilities of classes.

    With p the softmax of the logits y, the terms of class c and their gradients are ::

        y_c                  d / d y_i = 1[i = c]
        p_c                  d / d y_i = p_c * (1[i = c] - p_i)
        log p_c              d / d y_i = 1[i = c] - p_i

    Parameters
    ----------
    terms : tuple of Term
    text : str
        How the expression is shown.
    """

    terms: tuple[Term, ...]
    text: str

    def __call__(self, logits: Array) -> tuple[Array, Array]:
        """The value of each image, and its gradient; the classes must be indices."""
        y = _vectors(logits)
        p, log_p = _softmax(y)
        value, dy = np.zeros_like(y[:, 0]), np.zeros_like(y)
        for factor, kind, c, _ in self.terms:
            if kind == "score":
                value += factor * y[:, c]
                dy[:, c] += factor
                continue
            of_log = -p
            of_log[:, c] += 1
            value += factor * (log_p if kind == "log-probability" else p)[:, c]
            dy += factor * (of_log if kind == "log-probability" else p[:, c : c + 1] * of_log)
        return value, dy.reshape(logits.shape)

    def __str__(self) -> str:
        return self.text


def expression(text: str) -> Expression:
    """Parse the text of an expression; it is never evaluated as Python.

    An expression is a sum of classes, each by name or index, with factors: ``"tabby - golden retriever"``,
    ``"-tabby"``, ``"0.5*281 + 0.5*282"``, ``"prob(tabby)"``, ``"logprob(tabby) - logprob(281)"``, ``"(a + b)/2"``. A
    hyphen within a word belongs to the name; a minus sign has a space, a parenthesis or nothing before it. Names that
    contain other signs are given in quotes.

    Parameters
    ----------
    text : str

    Returns
    -------
    Expression
        With the classes as in the text; the network that is asked finds them.

    Raises
    ------
    TargetError
        The text is no expression; the message names the position, counted from 1.

    Examples
    --------
    >>> for term in expression("tabby - 0.5*prob(281)").terms:
    ...     print(term.factor, term.kind, term.index)
    1.0 score tabby
    -0.5 probability 281
    """
    terms = parsed(text)
    return Expression(tuple(Term(*term) for term in terms), " ".join(text.split()))


def score(index: int | str) -> Expression:
    """Ask for the score of a class, which is what a target that is an index or a name means.

    Parameters
    ----------
    index : int or str
        The class, or the component of an output that is a vector of values.

    Returns
    -------
    Expression
    """
    return Expression((Term(1.0, "score", index),), str(index))


def difference(a: int | str, b: int | str) -> Expression:
    """Ask why one class and not another: y_a - y_b.

    Parameters
    ----------
    a, b : int or str
        The classes.

    Returns
    -------
    Expression
    """
    return Expression((Term(1.0, "score", a), Term(-1.0, "score", b)), f"{a} - {b}")


def probability(index: int | str) -> Expression:
    """Ask for the probability of a class, p_c.

    Parameters
    ----------
    index : int or str
        The class.

    Returns
    -------
    Expression
    """
    return Expression((Term(1.0, "probability", index),), f"prob({index})")


def log_probability(index: int | str) -> Expression:
    """Ask for the logarithm of the probability of a class, log p_c: minus the cross-entropy loss.

    Parameters
    ----------
    index : int or str
        The class.

    Returns
    -------
    Expression
    """
    return Expression((Term(1.0, "log-probability", index),), f"logprob({index})")


@dataclass(frozen=True, eq=False)
class Question:
    """A target that is not an `Expression`: a function of the outputs, and how it is shown."""

    function: Callable[[Any], Any]
    text: str

    def __call__(self, outputs):
        """(value (N,), gradient of the shape of the outputs)"""
        return self.function(outputs)

    def __str__(self):
        return self.text


def top_k_sum(k: int) -> Question:
    """Ask for the sum of the k highest scores; of equal scores, the first class counts.

    The gradient is 1 at these classes and 0 at the others.

    Parameters
    ----------
    k : int

    Returns
    -------
    callable
        logits (N, C) -> (value (N,), dlogits)
    """
    k = whole_number(k, "k", 1)

    def value_and_gradient(logits):
        y = _vectors(logits)
        if k > y.shape[1]:
            raise InputError(f"k: expected 1 to {y.shape[1]}, the number of outputs; found {k}")
        top = np.argsort(-y.real, axis=1, kind="stable")[:, :k]
        dy = np.zeros_like(y)
        np.put_along_axis(dy, top, 1, axis=1)
        return np.take_along_axis(y, top, axis=1).sum(axis=1), dy.reshape(logits.shape)

    return Question(value_and_gradient, f"sum of the {k} highest scores")


def entropy() -> Question:
    """Ask for the entropy of the probabilities, H = -sum over i of p_i * log p_i, in nats.

    Since d log p_j / d y_i = 1[i = j] - p_i, the gradient is dH / dy_i = -p_i * (log p_i + H).

    Returns
    -------
    callable
        logits (N, C) -> (value (N,), dlogits)
    """

    def value_and_gradient(logits):
        p, log_p = _softmax(_vectors(logits))
        H = -(p * log_p).sum(axis=1)
        return H, (-p * (log_p + H[:, None])).reshape(logits.shape)

    return Question(value_and_gradient, "entropy")


def distance(vector: Array) -> Question:
    """Ask for the Euclidean distance of the outputs from a vector, |y - v|; its gradient is (y - v) / |y - v|.

    Parameters
    ----------
    vector : ndarray (C,)
        Such as the embedding of another image.

    Returns
    -------
    callable
        outputs (N, C) -> (value (N,), doutputs); the gradient at a distance of 0 is 0.
    """
    v = np.asarray(vector)
    if v.ndim != 1 or v.dtype.kind not in "fiu" or not np.isfinite(v).all():
        raise InputError(f"vector: expected (C,), one finite number per output; found {v.dtype} {v.shape}")

    def value_and_gradient(outputs):
        y = _vectors(outputs)
        if y.shape[1] != len(v):
            raise InputError(f"vector: expected {y.shape[1]} numbers, one per output; found {len(v)}")
        away = y - v.astype(y.real.dtype)
        length = np.sqrt((away * away).sum(axis=1))
        dy = away / np.where(length == 0, 1, length)[:, None]
        return length, dy.reshape(outputs.shape)

    return Question(value_and_gradient, "distance")


@dataclass(frozen=True, eq=False)
class Region:
    """The target that `region` returns: the mean score of a class over the pixels of a mask."""

    index: int | str
    mask: Array

    def __call__(self, maps):
        """(value (N,), gradient of the shape of the maps); the class must be an index."""
        weight = self.weight(maps.shape)
        return (maps[:, self.index] * weight).sum(axis=(1, 2)), self.spread(maps.shape, maps.dtype)

    def weight(self, shape):
        """1 / (number of pixels) at each pixel of the mask: (1, H, W) or (N, H, W)."""
        mask = self.mask.reshape(-1, *self.mask.shape[-2:])
        if mask.shape[1:] != tuple(shape[2:]) or len(mask) not in (1, shape[0]):
            raise InputError(
                f"mask: expected {tuple(shape[2:])}, the spatial size of the outputs; found {self.mask.shape}"
            )
        return mask / mask.sum(axis=(1, 2), keepdims=True)

    def spread(self, shape, dtype):
        """The gradient: `weight` in the channel of the class, else 0."""
        dy = np.zeros(shape, dtype)
        dy[:, self.index] = self.weight(shape)
        return dy

    def __str__(self):
        return f"{self.index} in the mask"


def region(index: int | str, mask: Array) -> Region:
    """Ask of a network for segmentation for a class in a region: the mean of its scores over the pixels of a mask.

    Parameters
    ----------
    index : int or str
        The class, a channel of the outputs (N, C, H, W).
    mask : ndarray (H, W) or (N, H, W), bool
        The pixels, at the spatial size of the outputs.

    Returns
    -------
    callable
        outputs (N, C, H, W) -> (value (N,), doutputs)
    """
    found = np.asarray(mask)
    if found.ndim not in (2, 3) or found.dtype.kind not in "biu":
        raise InputError(f"mask: expected (H, W) or (N, H, W) of bools, found {found.dtype} {found.shape}")
    if not found.reshape(-1, *found.shape[-2:]).any(axis=(1, 2)).all():
        raise InputError("mask: expected at least one pixel in it, found none")
    return Region(index, found != 0)


def _vectors(outputs):
    """The outputs as (N, C); maps of one pixel are vectors, too."""
    y = np.asarray(outputs)
    if y.ndim != 2 and y.shape[2:] != (1, 1):
        raise InputError(f"outputs: expected (N, C), found shape {y.shape}")
    return y.reshape(y.shape[:2])


def _softmax(y):
    """(p, log p) of (N, C)"""
    y = y - y.real.max(axis=1, keepdims=True)
    log_p = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
    return np.exp(log_p), log_p
