"""Rules: what the backward pass computes at a layer in place of the layer's own backward.

A rule is a function ``(record, dy) -> dx``. The record holds the layer, its input x, its output y and its
cache; dy is the upstream gradient. Rules are passed to backward by layer type or by layer name::

    tape.backward(dy, rules={ReLU: guided})

so neither the layer nor the model is modified. Setting ``per_sample = True`` on a rule declares that it treats
each sample of the batch independently; a large batch may then be passed to it in parts.
"""

from __future__ import annotations

from npgrad._typing import Array
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


guided.per_sample = deconv.per_sample = True
