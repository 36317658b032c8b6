"""Rules: what the backward pass computes at a layer in place of the layer's own backward.

A rule is a function ``(record, dy) -> dx``. The record holds the layer, its input x, its output y and its
cache; dy is the upstream gradient. Rules are passed to backward by layer type or by layer name::

    tape.backward(dy, rules={ReLU: guided})

so neither the layer nor the model is modified. Setting ``per_sample = True`` on a rule declares that it treats
each sample of the batch independently; a large batch may then be passed to it in parts.
"""

from __future__ import annotations

from dataclasses import dataclass

from npgrad._typing import Array
from npgrad._validate import positive_number
from npgrad.layers import Sigmoid
from npgrad.tape import Record


def guided(record: Record, dy: Array) -> Array:
    """Guided backpropagation at a ReLU: dx = dy * (dy > 0) * (x > 0).

    Springenberg, Dosovitskiy, Brox, Riedmiller 2015, figure 1c.

    Parameters
    ----------
    record : Record
        The ReLU's call in the forward pass.
    dy : ndarray
        Upstream gradient, of the shape of the ReLU's output.

    Returns
    -------
    ndarray
        The gradient passed on to the ReLU's input, of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from npgrad import Model
    >>> from npgrad.layers import ReLU, Sequential
    >>> from npgrad.rules import deconv, guided
    >>> tape = Model(Sequential({"relu": ReLU()})).forward(np.array([[1.0, 2.0, -3.0]]))
    >>> dy = np.array([[1.0, -1.0, 1.0]])
    >>> tape.backward(dy)["input"].astype(int)
    array([[ 1, -1,  0]])
    >>> tape.backward(dy, rules={ReLU: guided})["input"].astype(int)
    array([[1, 0, 0]])
    >>> tape.backward(dy, rules={ReLU: deconv})["input"].astype(int)
    array([[1, 0, 1]])
    """
    return record.layer.backward(dy * (dy > 0), record.cache)


def deconv(record: Record, dy: Array) -> Array:
    """Deconvolutional network at a ReLU: dx = dy * (dy > 0), whatever the sign of x.

    Zeiler, Fergus 2014, section 2.1.

    Parameters
    ----------
    record : Record
        The ReLU's call in the forward pass; not used.
    dy : ndarray
        Upstream gradient, of the shape of the ReLU's output.

    Returns
    -------
    ndarray
        The gradient passed on to the ReLU's input, of the same shape.
    """
    return dy * (dy > 0)


@dataclass(frozen=True)
class BetaSmooth:
    """The gradient of a smooth ReLU at a ReLU: dx = dy * sigmoid(beta * x).

    Dombrowski et al. 2019: the derivative of the softplus log(1 + exp(beta * x)) / beta, which approaches
    the ReLU's as beta grows. The forward pass is the ReLU's, as in zennit's ReLUBetaSmooth.

    Parameters
    ----------
    beta : float, default 10.0
        How sharp the transition is, in 1 / units of x.

    Raises
    ------
    InputError
        If beta is not a finite number > 0.

    Examples
    --------
    >>> import npgrad
    >>> from npgrad.attribution import saliency
    >>> from npgrad.layers import ReLU
    >>> model = npgrad.load()
    >>> saliency(model, model.preprocess(npgrad.scenes.scene(3)[0]), rules={ReLU: BetaSmooth(5)}).shape
    (1, 3, 224, 224)
    """

    beta: float = 10.0

    per_sample = True

    def __post_init__(self) -> None:
        positive_number(self.beta, "BetaSmooth beta")

    def __call__(self, record: Record, dy: Array) -> Array:
        """Return the gradient passed on to the ReLU's input, given that of its output."""
        return dy * Sigmoid()(self.beta * record.x)


guided.per_sample = deconv.per_sample = True
