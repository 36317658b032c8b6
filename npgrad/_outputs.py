"""What the outputs of a network mean: scores of classes, their probabilities, or values.

Everything that shows a probability, or explains a score, asks this module. The kinds of outputs:

    "logits"               scores of exclusive classes: their softmax is the probabilities
    "scores"               scores of independent classes: the sigmoid of each is its probability. A single output s is
                           the score of class 1, the positive class; class 0, the negative one, has the score -s
    "probabilities"        as they are; after a final Softmax or Sigmoid
    "log-probabilities"    their exponential is the probabilities; after a final LogSoftmax
    "value"                not of classes but of a regression, one or several

A network says which by its last layer, except for "value", which only its user knows.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from npgrad._targets import class_count, class_logits, flat
from npgrad._typing import Array
from npgrad.errors import InputError, level_outside
from npgrad.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

if TYPE_CHECKING:
    from npgrad.model import Model

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("logits", "scores", "probabilities", "log-probabilities", "value")
FINAL = {  # a final layer, by the name of its class: (kind of its outputs, kind of its inputs)
    "Softmax": ("probabilities", "logits"),
    "LogSoftmax": ("log-probabilities", "logits"),
    "Sigmoid": ("probabilities", "scores"),
}
IDENTITY = Dropout(0.0)  # takes the place of a final layer, so that every name remains valid
PER_CHANNEL = (
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Dropout,
    MaxPool2d,
    ReLU,
)  # one output channel for each of the input
GLOBAL = (AdaptiveAvgPool2d, GlobalAvgPool2d)
ONE_OUTPUT = (
    "the network has one output, read as the score of class 1 against class 0, whose sigmoid is the probability; "
    'Model(outputs="scores"), or --outputs, confirms this; outputs="value" says that it is a regression'
)


def final_activation(network: Layer) -> tuple[str, str] | None:
    """Return name and type of the Softmax, LogSoftmax or Sigmoid that makes the outputs, or None.

    Parameters
    ----------
    network : Layer

    Returns
    -------
    (str, str) or None
        The layer's name, and the name of its class.
    """
    for name, layer in _from_the_end(network):
        if type(layer).__name__ in FINAL:
            return name, type(layer).__name__
        if not isinstance(layer, (Flatten, Dropout)):
            break
    return None


def kind_of(network: Layer) -> str:
    """Return the kind of a network's outputs, as far as its layers say it.

    Parameters
    ----------
    network : Layer

    Returns
    -------
    str
        One of `KINDS`, but not "value".
    """
    if found := final_activation(network):
        return FINAL[found[1]][0]
    layers = (
        layer for _, layer in _from_the_end(network) if not isinstance(layer, (Flatten, Dropout, *GLOBAL))
    )
    last = next(layers, None)
    if type(last).__name__ == "Softmax" and getattr(last, "axis", 1) == 1:
        return "probabilities"  # the mean of the probabilities at every pixel
    return "scores" if output_count(network) == 1 else "logits"


def output_count(network: Layer) -> int | None:
    """Return the number of outputs of an image, if the last layers say it.

    Parameters
    ----------
    network : Layer

    Returns
    -------
    int or None
    """
    count, flattened = None, False
    for _, layer in _from_the_end(network):
        if isinstance(layer, (Linear, Conv2d)):
            count = count or len(layer.weight)
        elif isinstance(layer, Flatten):
            flattened = True  # with more than one pixel, there are several outputs of each channel
        elif isinstance(layer, GLOBAL):
            flattened = flattened and getattr(layer, "output_size", (1, 1)) != (1, 1)
        elif not isinstance(layer, PER_CHANNEL) and type(layer).__name__ not in FINAL:
            break
        if count and (not flattened or isinstance(layer, Linear)):
            return count
    return None


def probabilities(model: Model, outputs: Array) -> Array:
    """Return the probability of every class.

    Parameters
    ----------
    model : Model
    outputs : ndarray (N, outputs)
        The network's, or those before its final activation for a model that `explained` returned.

    Returns
    -------
    ndarray (N, classes), float64

    Raises
    ------
    InputError
        The outputs are values or maps, or their number is not that of the classes.
    """
    expect_classes(model, "probabilities")
    kind, y = model.output_kind, flat(np.asarray(outputs, np.float64))
    count = class_count(model, y)
    if found := final_activation(model.network):
        _refuse_one(*found, y.shape[1])
    if kind in ("logits", "scores") and y.shape[1] != count:
        if model.outputs is None:
            warnings.warn(ONE_OUTPUT, stacklevel=level_outside())
        y, kind = 2 * class_logits(model, y), "scores"
    if kind == "logits":
        e = np.exp(y - y.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if kind == "scores":
        e = np.exp(-np.abs(y))  # cannot overflow
        return np.where(y < 0, e, 1) / (1 + e)
    y = np.exp(y) if kind == "log-probabilities" else y
    return y if y.shape[1] == count else np.hstack([1 - y, y])


def explained(model: Model, declared: bool = False) -> Model:
    """Return the model whose outputs are the scores: without a final Softmax, LogSoftmax or Sigmoid.

    Parameters
    ----------
    model : Model
    declared : bool, default False
        Whether to leave the layer out even if `Model.outputs` says that the probabilities are what is meant.

    Returns
    -------
    Model
        The same one if there is nothing to leave out.
    """
    if model.outputs is not None and not (declared and model.outputs.endswith("probabilities")):
        return model
    found = final_activation(model.network)
    while found:
        name, kind = found
        outputs = FINAL[kind][1]
        _refuse_one(name, kind, output_count(model.network))
        network = _with_layer(model.network, name, IDENTITY)
        model = replace(model, network=network, architecture=None, outputs=outputs)
        found = final_activation(network)
    return model


def explains_scores(method: F) -> F:
    """Make an attribution method (model, x, ...) explain the scores where the network gives probabilities.

    Parameters
    ----------
    method : callable

    Returns
    -------
    callable
        The method, with one warning where a final layer is left out.
    """

    @functools.wraps(method)
    def on_scores(model, *args, **options):
        if not hasattr(model, "network"):  # not a Model: the method says what it needs
            return method(model, *args, **options)
        return method(scores_of(model), *args, **options)

    return cast(F, on_scores)


def scores_of(model: Model) -> Model:
    """Return the model that attributions explain, with one warning where that was not said by its user.

    Parameters
    ----------
    model : Model

    Returns
    -------
    Model
    """
    scored = explained(model)
    if scored is not model:
        name, kind = final_activation(model.network) or ("", "")
        warnings.warn(
            f"the network ends in {kind} ({name}), and what is explained is the {scored.outputs} before it; "
            f'Model(outputs="{model.output_kind}"), or --outputs, explains the output itself',
            stacklevel=level_outside(),
        )
    elif model.outputs is None and model.output_kind == "scores":
        warnings.warn(ONE_OUTPUT, stacklevel=level_outside())
        scored = replace(model, outputs="scores")
    return scored


def expect_classes(model: Model, purpose: str) -> None:
    """Raise an InputError if the outputs are values: then there are no classes to choose from.

    Parameters
    ----------
    model : Model
    purpose : str
        What needs classes.
    """
    if model.outputs == "value":
        raise InputError(f'{purpose}: expected a network with classes, found outputs="value"')


def measure(model: Model) -> str:
    """Return what `Model.predict` gives for a class or output: "probability" or "value".

    Parameters
    ----------
    model : Model

    Returns
    -------
    str
    """
    return "value" if model.outputs == "value" else "probability"


def measured(model: Model, number: float) -> str:
    """Return a probability in percent, or a value, as text.

    Parameters
    ----------
    model : Model
    number : float

    Returns
    -------
    str
    """
    return f"{number:.6g}" if model.outputs == "value" else f"{number:.2%}"


def _refuse_one(name, kind, count):
    """Raise an InputError for a Softmax over a single output: it is the same for every image."""
    if count == 1 and FINAL[kind][1] == "logits":
        raise InputError(
            f"{name}: expected at least two outputs for {kind}, found one, which is then constant"
        )


def _from_the_end(network, name=""):
    """(name, layer) of the layers that make the outputs, the last first, as long as each has one input."""
    if isinstance(network, Sequential):
        chain = reversed(network.layers)
    elif isinstance(network, Graph):
        chain, source = [], next(reversed(network.nodes))
        while isinstance(source, str) and source != "input":
            chain.append(source)
            source = network.nodes[source][1]
    else:
        yield name, network
        return
    for part in chain:
        yield from _from_the_end(network.parts()[part], f"{name}.{part}" if name else part)


def _with_layer(network, name, layer):
    """The network with another layer under a name."""
    parts = network.parts()
    own = name if name in parts else next(part for part in parts if name.startswith(f"{part}."))
    inner = layer if own == name else _with_layer(parts[own], name.removeprefix(f"{own}."), layer)
    return network.with_parts({**parts, own: inner})
