"""Call several of a student's functions one after another, where they live: a backward function after its forward one.

What a forward function keeps in its cache never leaves the student's process; it goes from step to step there. What
comes back of each step is the value without the cache, the dicts among its arguments as the step left them, and which
arrays it changed.
"""

import copy
import time
from typing import Any, NamedTuple

import numpy as np


class Kept(NamedTuple):
    """An argument: entry `index` of the tuple that step `step` returned."""

    step: int
    index: int


class Step(NamedTuple):
    """A call of the function `name`. hidden: the entries of its value that stay where the function ran.

    A dict that is an argument of two steps is one dict for both.
    """

    name: str
    arguments: list[Any]
    hidden: tuple[int, ...] = ()


def run(functions, steps, raised):
    """Call the steps' functions on copies of their arguments.

    Parameters
    ----------
    functions : dict
        {name: function}.
    steps : list of Step
    raised : callable
        ``raised(error, function)`` is the words for an exception.

    Returns
    -------
    list of dict
        One for each step that ran: "value", "dicts" ({index of the argument: the dict afterwards}), "changed" (a list
        of [step, index] of arrays that are no longer what they were), "seconds"; the last one may be only "raised" or
        "not yet".
    """
    given = copy.deepcopy([step.arguments for step in steps])
    values, replies = [], []
    for number, step in enumerate(steps):
        function = functions[step.name]
        if not all(_exists(each, values) for each in given[number]):
            break  # the value of an earlier step is no tuple: the check says so
        arguments = [values[a.step][a.index] if isinstance(a, Kept) else a for a in given[number]]
        begin = time.process_time()
        try:
            value = function(*arguments)
        except NotImplementedError:
            replies.append({"not yet": True})
            break
        except (Exception, SystemExit) as error:
            replies.append({"raised": raised(error, function)})
            break
        seconds = time.process_time() - begin
        values.append(value)
        dicts = {str(i): dict(a) for i, a in enumerate(arguments) if type(a) is dict}
        replies.append(
            {
                "value": _copied(_shown(value, step.hidden)),
                "dicts": _copied(dicts),
                "changed": _changed(steps, given, number),
                "seconds": seconds,
            }
        )
    return replies


def _copied(value):
    """The value with copies of its arrays, lists and dicts, which later steps may change."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(_copied(each) for each in value)
    if type(value) is dict:
        return {key: _copied(each) for key, each in value.items()}
    return value


def _exists(argument, values):
    if not isinstance(argument, Kept):
        return True
    value = values[argument.step]
    return isinstance(value, (tuple, list)) and len(value) > argument.index


def _shown(value, hidden):
    """The value with the type's name in place of each hidden entry."""
    if not isinstance(value, (tuple, list)):
        return value
    return tuple(type(each).__name__ if i in hidden else each for i, each in enumerate(value))


def _changed(steps, given, number):
    """[step, index] of each array argument, up to a step, that is not what it was."""
    return [
        [i, j]
        for i, step in enumerate(steps[: number + 1])
        for j, (before, after) in enumerate(zip(step.arguments, given[i], strict=True))
        if isinstance(before, np.ndarray) and not np.array_equal(before, after)
    ]
