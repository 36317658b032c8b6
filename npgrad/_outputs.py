"""What the outputs of a network mean: scores of classes, their probabilities, or values.

Everything that shows a probability, or explains a score, asks this module. The kinds of outputs:

    "logits"               scores of exclusive classes: their softmax is the probabilities
    "scores"               scores of independent classes: the sigmoid of each is its probability. A single output s is
                           the score of class 1, the positive class; class 0, the negative one, has the score -s
    "probabilities"        as they are; after a final Softmax or Sigmoid
    "log-probabilities"    their exponential is the probabilities; after a final LogSoftmax
    "value"                not of classes but of a regression, one or several
    "features"             what a network gives to layers that it has not, such as its classifier

A network says which by its last layer, except for the last two, which only its user or its file knows.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from npgrad._asked import asked, is_question
from npgrad._heads import FINAL, IDENTITY, final_activation, output_count, with_layer
from npgrad._targets import class_count, class_logits, flat
from npgrad._typing import Array
from npgrad._validate import check_input
from npgrad.errors import InputError, level_outside

if TYPE_CHECKING:
    from npgrad.model import Model

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("logits", "scores", "probabilities", "log-probabilities", "value", "features")
ONE_OUTPUT = (
    "the network has one output, read as the score of class 1 against class 0, whose sigmoid is the probability; "
    'Model(outputs="scores"), or --outputs, confirms this; outputs="value" says that it is a regression'
)


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
        network = with_layer(model.network, name, IDENTITY)
        model = replace(model, network=network, architecture=None, outputs=outputs)
        found = final_activation(network)
    return model


def explains_scores(method: F) -> F:
    """Make a method (model, x, ..., target) explain scores where the network gives probabilities, and any target.

    A target that is an expression or a function becomes the network's last layer; see `npgrad.targets`.

    Parameters
    ----------
    method : callable

    Returns
    -------
    callable
        The method, with one warning where a final layer is left out.
    """
    any_target = takes_any_target(method)

    @functools.wraps(method)
    def on_scores(model, *args, **options):
        if not hasattr(model, "network"):  # not a Model: the method says what it needs
            return method(model, *args, **options)
        return any_target(scores_of(model), *args, **options)

    return cast(F, on_scores)


def takes_any_target(method: F) -> F:
    """Make a method (model, x, ..., target) take targets that are more than a class.

    Parameters
    ----------
    method : callable

    Returns
    -------
    callable
        The method, which gets a network whose outputs are the values of the targets, and their indices.
    """
    names = list(inspect.signature(method).parameters)

    @functools.wraps(method)
    def on_values(*args, **options):
        given = {**dict(zip(names, args, strict=False)), **options}
        model, target = given.get("model"), given.get("target")
        if target is not None and hasattr(model, "network") and "x" in given and is_question(model, target):
            model, target = asked(explained(model), check_input(given["x"]), target)
            return method(**{**given, "model": model, "target": target})
        return method(*args, **options)

    return cast(F, on_values)


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
    if not model.has_classes:
        raise InputError(f'{purpose}: expected a network with classes, found outputs="{model.outputs}"')


def measure(model: Model) -> str:
    """Return what `Model.predict` gives for a class or output: "probability" or "value".

    Parameters
    ----------
    model : Model

    Returns
    -------
    str
    """
    return "probability" if model.has_classes else "value"


def measured(kind: str, number: float) -> str:
    """Return a probability in percent, or a value, as text.

    Parameters
    ----------
    kind : {"probability", "value"}
        As `measure` returns it.
    number : float

    Returns
    -------
    str
    """
    return f"{number:.6g}" if kind == "value" else f"{number:.2%}"


def _refuse_one(name, kind, count):
    """Raise an InputError for a Softmax over a single output: it is the same for every image."""
    if count == 1 and FINAL[kind][1] == "logits":
        raise InputError(
            f"{name}: expected at least two outputs for {kind}, found one, which is then constant"
        )
