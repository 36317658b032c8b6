"""How a target that is more than a class becomes the last layer of the network, whose output is the target's value.

Every method then explains that output by its own formula, with the layer's gradient and its rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npgrad._targets import class_count
from npgrad._typing import Array, Cache
from npgrad.errors import InputError, NpgradError
from npgrad.layers import Affine, Concat, Graph, Layer, LogSoftmax, Sequential, Sigmoid, Softmax, Softplus
from npgrad.targets.expressions import Expression, expression, is_expression
from npgrad.targets.functions import Region

NAME = "target"  # of the layer

# How the kinds of terms are computed from the outputs of a network, by the kind of these outputs. None: as they are.
# Of scores s, log p = -log(1 + exp(-s)).
FORMS: dict[str, dict[str, tuple[Layer, ...]]] = {
    "logits": {"probability": (Softmax(),), "log-probability": (LogSoftmax(),)},
    "log-probabilities": {"probability": (Softmax(),), "log-probability": ()},
    "probabilities": {"probability": ()},
    "scores": {
        "probability": (Sigmoid(),),
        "log-probability": (Affine(-1.0, 0.0), Softplus(), Affine(-1.0, 0.0)),
    },
    "value": {},
    "features": {},
}


@dataclass(frozen=True, eq=False)
class Combination(Layer):
    """y = W x, the values of linear targets: x (N, C, ...), y (N, K), W (K, C, ...), which is not a parameter."""

    matrix: Array

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return x.reshape(len(x), -1) @ self.matrix.reshape(len(self.matrix), -1).T, x.shape

    def backward(self, dy: Array, shape: Cache) -> Array:
        return (dy @ self.matrix.reshape(len(self.matrix), -1)).reshape(shape)


@dataclass(frozen=True, eq=False)
class Values(Layer):
    """y_k = f_k(x), the values of targets that are functions x -> (value, dx): x (N, ...), y (N, K)."""

    functions: tuple[Any, ...]

    def forward(self, x: Array) -> tuple[Array, Cache]:
        found = [called(function, x) for function in self.functions]
        return np.stack([value for value, _ in found], axis=1), [dx for _, dx in found]

    def backward(self, dy: Array, gradients: Cache) -> Array:
        columns = (column.reshape(-1, *(1,) * (gradients[0].ndim - 1)) for column in dy.T)
        return sum(column * dx for column, dx in zip(columns, gradients, strict=True))


def called(function, x, name="target"):
    """(value, dx) of a function that a user gives as the argument `name`, checked."""
    try:
        value, dx = function(x)
    except (TypeError, ValueError) as error:
        if isinstance(error, NpgradError):
            raise
        raise InputError(
            f"{name}: expected a function outputs -> (value, gradient); it failed: {error}"
        ) from error
    value, dx = np.asarray(value), np.asarray(dx)
    if value.shape != x.shape[:1] or dx.shape != x.shape:
        raise InputError(
            f"{name}: expected a function that returns a value {x.shape[:1]} and its gradient {x.shape}; "
            f"found {value.shape} and {dx.shape}"
        )
    if not (np.isfinite(value).all() and np.isfinite(dx).all()):
        raise InputError(f"{name}: expected a function with finite values and gradients, found NaN or Inf")
    return value, dx


def is_value(layer):
    """Whether a layer computes the values of targets that are more than a class."""
    last = layer.nodes[next(reversed(layer.nodes))][0] if isinstance(layer, Graph) else layer
    return isinstance(last, (Combination, Values))


def is_question(model, target):
    """Whether a target is more than a class for all images, or one per image."""
    if isinstance(target, (list, tuple)) or (isinstance(target, np.ndarray) and target.dtype.kind in "OU"):
        return any(is_question(model, one) for one in target)
    return callable(target) or (isinstance(target, str) and is_expression(target, model.classes or ()))


def resolved(model, target):
    """The target with an expression's text parsed, and its classes found: their errors name the position."""
    if isinstance(target, (list, tuple)):
        return [resolved(model, one) for one in target]
    if isinstance(target, str) and is_expression(target, model.classes or ()):
        target = expression(target)
    if isinstance(target, Expression):
        return replace(target, terms=tuple(_found(model, term, target.text) for term in target.terms))
    if isinstance(target, Region):
        return replace(target, index=_channel(model, target.index))
    if callable(target):
        return target
    index = model.class_index(target)
    return Expression((expression("0").terms[0]._replace(index=index),), model.class_name(index))


def target_found(model, target):
    """A class as its index; what is more than a class with its own classes found."""
    return resolved(model, target) if is_question(model, target) else model.class_index(target)


def _found(model, term, text):
    try:
        return term._replace(index=model.class_index(term.index))
    except NpgradError as error:
        where = f", position {term.position}" if term.position else ""
        raise type(error)(f"target {text!r}{where}: {error}") from None


def _channel(model, index):
    """The channel of a class, also where nothing says how many there are."""
    return model.class_index(index) if model.classes or isinstance(index, str) else int(index)


def asked(model, x, target):
    """(model, target) as methods take them: if the target is more than a class, the network computes its value.

    The model has the target as its last layer, one output for each different target, and the targets are outputs. x:
    the images, of which one goes through the network for the shape of its outputs.
    """
    if isinstance(target, np.ndarray) and target.dtype.kind in "OU":
        target = target.tolist()
    if not is_question(model, target):
        return model, target
    several = isinstance(target, (list, tuple))
    if several and len(target) != len(x):
        raise InputError(f"target: expected one, or {len(x)}, one per image; found {len(target)}")
    questions = resolved(model, target) if several else [resolved(model, target)]
    if isinstance(questions[0], Region) and questions[0].mask.ndim == 3 and not several:
        one = questions[0]
        if len(one.mask) != len(x):
            raise InputError(f"mask: expected one, or {len(x)}, one per image; found {len(one.mask)}")
        questions, several = [replace(one, mask=mask) for mask in one.mask], True
    distinct = list(dict.fromkeys(questions))
    tape = model.forward(x[:1])
    layer = _layer_of(model, distinct, tape.output)
    network, aliases = _with_last(model, layer)
    default = model.default_layer
    if default is None:
        try:
            default = model.map_layer(tape)
        except InputError:  # no layer has a spatial size
            default = None
    changed = replace(
        model,
        network=network,
        classes=tuple(map(str, distinct)),
        architecture=None,
        aliases=aliases,
        outputs="value",
        default_layer=default,
    )
    return changed, [distinct.index(one) for one in questions] if several else 0


def _layer_of(model, questions, outputs):
    """The last layer: linear for expressions and regions, where possible."""
    kinds = {Expression if isinstance(one, Expression) else type(one) for one in questions}
    if kinds == {Expression}:
        return _of_expressions(model, questions, outputs)
    if kinds == {Region}:
        if outputs.ndim != 4:
            raise InputError(f"target: a region is one of maps (N, C, H, W); found outputs {outputs.shape}")
        if not all(0 <= one.index < outputs.shape[1] for one in questions):
            raise InputError(f"target: expected a class from 0 to {outputs.shape[1] - 1}")
        return Combination(np.concatenate([one.spread(outputs.shape, outputs.dtype) for one in questions]))
    if Expression in kinds or Region in kinds:
        raise InputError("target: expected all images' targets to be expressions, or all to be functions")
    return Values(tuple(questions))


def _of_expressions(model, expressions, outputs):
    """A graph from the outputs, by way of their probabilities where a term needs them, to a weighted sum."""
    count, kind = class_count(model, outputs), model.output_kind
    nodes: dict[str, Any] = {}
    source = "input"
    if outputs.shape[1] != count:  # the score s of one class against another, whose scores are s and -s
        kind = "scores" if kind == "logits" else kind
        nodes["both"] = (_matrix([[-1], [1]], outputs), source)
        source = "both"
    used = sorted({term.kind for one in expressions for term in one.terms})
    blocks = {}
    for form in used:
        layers = () if form == "score" else FORMS[kind].get(form)
        if layers is None or (kind.endswith("probabilities") and form != "score" and source != "input"):
            raise InputError(
                f"target: {form} of a network whose outputs are {kind}: expected its logits or scores"
            )
        last = source
        for place, layer in enumerate(layers):
            name = form if len(layers) == 1 else f"{form} {place + 1}"
            nodes[name] = (layer, last)
            last = name
        blocks[form] = last
    sources = tuple(blocks.values())
    if len(sources) > 1:
        nodes["terms"] = (Concat(), sources)
        sources = ("terms",)
    weights = np.zeros((len(expressions), len(blocks) * count))
    for row, one in zip(weights, expressions, strict=True):
        for factor, form, index, _ in one.terms:
            row[used.index(form) * count + index] += factor
    nodes["value"] = (_matrix(weights, outputs), sources[0])
    return Graph(nodes) if len(nodes) > 1 else nodes["value"][0]


def _matrix(weights, outputs):
    return Combination(np.asarray(weights, outputs.dtype))


def _with_last(model, layer):
    """(the network followed by another layer, the aliases): all names of layers stay valid."""
    network = model.network
    parts = network.parts()
    name = NAME
    while name in parts or name in model.aliases:
        name += "_"
    if isinstance(network, Sequential):
        return Sequential({**network.layers, name: layer}), model.aliases
    if isinstance(network, Graph):
        return Graph({**network.nodes, name: (layer, next(reversed(network.nodes)))}), model.aliases
    own = {one: f"network.{one}" for one in model.layer_names()}
    aliases = {**own, **{other: own[one] for other, one in model.aliases.items()}}
    return Sequential({"network": network, name: layer}), aliases
