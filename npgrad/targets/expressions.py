"""Targets that are weighted sums of classes' scores, probabilities and log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npgrad._names import plain
from npgrad._typing import Array
from npgrad.targets._grammar import has_operators, parsed
from npgrad.targets._outputs_as_vectors import softmax, vectors

__all__ = ["Expression", "Term", "difference", "expression", "log_probability", "probability", "score"]


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
        y = vectors(logits)
        p, log_p = softmax(y)
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


def is_expression(text: str, classes: Sequence[str]) -> bool:
    """Return whether a text is more than the name of a class: it has an operator or quotes, and no class has this name.

    A negative number is none: it could be meant as Python's index from the end. "- 281" is minus the score of 281.

    Parameters
    ----------
    text : str
    classes : sequence of str
        The names of the network's classes.

    Returns
    -------
    bool
    """
    named = any(name == text or plain(name) == plain(text) for name in classes)
    return not named and has_operators(text)


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
