"""What is asked of a network, and the backward passes that answer it: every gradient, also along every edge."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._asked import asked, is_question, resolved
from npgrad._outputs import explained, probabilities
from npgrad._passes import RuleTable
from npgrad._targets import class_logits, one_hot, resolve_targets, scores
from npgrad._typing import Array, Rules, Target
from npgrad.attribution.lrp import RULES, composite_by_position, lrp
from npgrad.errors import InputError, NpgradError
from npgrad.layers import Composite, ReLU
from npgrad.model import Model
from npgrad.rules import deconv, guided
from npgrad.tape import Tape

TOP = 5
PLAIN, LRP = "plain", "LRP"
RULE_NAMES = (PLAIN, "guided", "deconvolution", LRP)


@dataclass(frozen=True, eq=False)
class Question:
    """A target, with the pass that it is asked of.

    Parameters
    ----------
    name : str
        The class's name, or the text of what is asked.
    index : int or None
        The class's index; None for a target that is more than a class.
    score : float
        Its value.
    probability : float or None
        None where there is none.
    model, tape : Model, Tape
        A target that is more than a class has a pass of its own, with the question as the last layer.
    dy : ndarray
        The upstream gradient at the last output.
    """

    name: str
    index: int | None
    score: float
    probability: float | None
    model: Model
    tape: Tape
    dy: Array


def questions(model: Model, tape: Tape, target: Target = None) -> tuple[list[Question], int]:
    """List the most likely classes, or the largest values, and what was asked.

    Parameters
    ----------
    model : Model
        Before a final activation; see `npgrad._outputs.explained`.
    tape : Tape
        Its pass of one image.
    target : int, str, callable or None
        What is asked. None: the top class.

    Returns
    -------
    (list of Question, int)
        The most likely ones first; and which of them was asked.
    """
    question = target is not None and is_question(model, target)
    if question and tape.output.ndim == 4 and max(tape.output.shape[2:]) > 1:
        return [_valued(model, tape.x, target)], 0  # maps have no top classes
    values = class_logits(model, tape.output)[0] if model.has_classes else tape.output.reshape(-1)
    top = [
        int(i) for i in np.argsort(-(values if model.has_classes else np.abs(values)), kind="stable")[:TOP]
    ]
    if target is None:
        [index] = resolve_targets(model, tape.output)
        return [_of_class(model, tape, i) for i in top], top.index(int(index))
    if question:
        return [*(_of_class(model, tape, i) for i in top), _valued(model, tape.x, target)], len(top)
    index = model.class_index(target)
    top += [index] if index not in top else []
    return [_of_class(model, tape, i) for i in top], top.index(index)


def _of_class(model, tape, index):
    [score] = scores(model, tape.output, [index])
    chance = float(probabilities(model, tape.output)[0, index]) if model.has_classes else None
    dy = one_hot(model, tape.output, [index])
    return Question(model.class_name(index), index, float(score), chance, model, tape, dy)


def _valued(model, x, target):
    valued, index = asked(explained(model), x, resolved(model, target))
    tape = valued.forward(x)
    dy = one_hot(valued, tape.output, [index])
    return Question(valued.class_name(index), None, float(tape.output[0, index]), None, valued, tape, dy)


def rules_of(question: Question) -> tuple[dict[str, Any], dict[str, str]]:
    """The rules that a network has, and why it does not have the others.

    Parameters
    ----------
    question : Question
        Any of the network's.

    Returns
    -------
    (dict, dict)
        {name: rules}, and {name: reason}.
    """
    table: dict[str, Any] = {PLAIN: None}
    missing = {}
    layers = [record.layer for record in question.tape]
    if any(isinstance(layer, ReLU) for layer in layers):
        table |= {"guided": {ReLU: guided}, "deconvolution": {ReLU: deconv}}
    else:
        missing |= dict.fromkeys(("guided", "deconvolution"), "the network has no ReLU")
    try:
        recommended = composite_by_position(question.model)
        lrp(question.model, question.tape.x, 0, rules=recommended)
        table[LRP] = {**RULES, **recommended}
    except NpgradError as error:
        missing[LRP] = str(error)
    return table, missing


@dataclass(frozen=True, eq=False)
class Walked:
    """The gradients of one backward pass.

    Parameters
    ----------
    at : list of ndarray
        At each of the wanted layers' outputs.
    into : dict
        {layer: the gradient that it sends to its input}; a tuple for several inputs.
    """

    at: list[Array]
    into: dict[str, Any]


def walk(question: Question, names: list[str], rule: str, rules: Rules) -> Walked:
    """Run one backward pass that notes what every layer sends to its inputs.

    Parameters
    ----------
    question : Question
        What is asked.
    names : list of str
        The layers wanted.
    rule : str
        The name of the rule: LRP starts with the score, gradients with 1.
    rules : dict or None
        The rules.

    Returns
    -------
    Walked
    """
    tape = question.tape
    table, into = RuleTable(tape, rules), {}
    own = {tape.resolve(name): name for name in names}

    def noting(record, dy):
        through = table.rule_for(record)
        dx = record.layer.backward(dy, record.cache) if through is None else through(record, dy)
        into[own.get(record.name, record.name)] = dx
        return dx

    leaves = [record.name for record in tape if not isinstance(record.layer, Composite)]
    dy = question.dy * tape.output if rule == LRP else question.dy
    found = tape.backward(dy, dict.fromkeys(leaves, noting), at=names)
    return Walked([found[name] for name in names], into)


def expect_one(x: Array) -> None:
    """Raise an InputError unless x is one image."""
    if getattr(x, "ndim", 0) < 2 or len(x) != 1:
        raise InputError(f"explore: expected one image (1, C, H, W), found shape {np.shape(x)}")
