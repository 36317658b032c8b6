"""Check the functions of a question, and count the points."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from npgrad.course.grading._answer import NOT_YET, Answer, NoExample, Wrong
from npgrad.course.grading._questions import HOMEWORKS, OTHER_NAMES, QUESTIONS, Question, questions_of
from npgrad.course.layers_by_hand import FUNCTIONS
from npgrad.errors import InputError, unknown

# In the process that `npgrad grade` runs a notebook in, its own calls of `check` wait for the grading after all cells.
later = {"checks": False}
DRAWS = 20  # draws of inputs that are tried for one with examples


@dataclass(frozen=True)
class Result:
    """The result of checking one question. It is true if all points were earned.

    Parameters
    ----------
    id : str
        The question, such as ``"Q1.1"``.
    points : int
        The question's points.
    got : int
        The points earned.
    message : str
        One line for each mistake or remark.
    """

    id: str
    points: int
    got: int
    message: str = ""

    def __bool__(self) -> bool:
        return self.got == self.points


class Grades(NamedTuple):
    """The results of all questions, and the sums of their points.

    Parameters
    ----------
    results : list of Result
        One result per question.
    got : int
        The points earned.
    total : int
        The points that can be earned.
    """

    results: list[Result]
    got: int
    total: int


def check(question: str, *functions: Callable[..., Any], **named: Callable[..., Any]) -> Result:
    """Check your functions for one question, and print a line for each.

    Parameters
    ----------
    question : str
        Such as ``"Q1.1"``; the keys of `QUESTIONS`. Or the name of a function of `npgrad.course.layers_by_hand`.
    *functions : callable
        Your functions, in the order of ``QUESTIONS[question].functions``. After a backward function its forward
        function, whose cache it gets: ``check("affine_backward", affine_backward, affine_forward)``.
    **named : callable
        Your functions by name. A function that is not given earns no points.

    Returns
    -------
    Result

    Raises
    ------
    UnknownName
        If there is no such question, or it has no function of that name.
    InputError
        If no function is given, too many are, or one is given twice.

    Examples
    --------
    >>> def content_loss(content_weight, content_current, content_original):
    ...     return content_weight * ((content_current - content_original) ** 2).mean()
    >>> result = check("Q2.1", content_loss)
    Q2.1 content_loss: found the mean of the squared differences, expected their sum (features of shape (1, 5, 7, 9), \
float64, weight 0.06)
    Q2.1 0 of 3 points
    """
    if question in FUNCTIONS:
        asked, names = Question(question, {question: 1}), [question, *FUNCTIONS[question]]
    else:
        asked = _question(question)
        names = list(asked.functions)
    if len(functions) > len(names):
        raise InputError(f"{question}: expected {', '.join(names)}, found {len(functions)} functions")
    given = dict(zip(names, functions, strict=False))
    for name, function in named.items():
        own = next((key for key, other in OTHER_NAMES.items() if name == other and key in names), name)
        if own not in names:
            raise unknown(f"function of {question}", name, names)
        if own in given:
            raise InputError(f"{question}: {name}: expected it once, found it twice")
        given[own] = function
    if not given:
        raise InputError(f"{question}: expected {' and '.join(names)}, found no function")
    if later["checks"]:
        print(f"{question} is checked after the last cell")
        return Result(question, asked.points, 0, "checked after the last cell")
    return _result(question, asked, given, missing="not given")


def grade(namespace: dict[str, Any]) -> Grades:
    """Check the functions in a namespace for every question of their assignment, and print the points.

    There are two assignments: that on image gradients (Q1 and Q2), and `LayersByHand` (Q3).

    A function that is missing, that raises NotImplementedError, or that is npgrad's own, earns no points.

    Parameters
    ----------
    namespace : dict
        {name: function}, such as ``globals()``.

    Returns
    -------
    Grades
        (results, got, total).

    Raises
    ------
    InputError
        If namespace is not a dict.
    """
    if not isinstance(namespace, dict):
        raise InputError(
            f"grade: expected a dict of names, such as globals(), found {type(namespace).__name__}"
        )
    functions = {name for name, value in namespace.items() if callable(value)}
    results = [grade_one(question, namespace) for question in questions_of(functions)]
    got, total = (sum(getattr(result, key) for result in results) for key in ("got", "points"))
    print(f"{got} of {total} points")
    return Grades(results, got, total)


def grade_one(question: str, namespace: Mapping[str, Any], missing: str = NOT_YET) -> Result:
    """Check one question as `grade` does.

    Parameters
    ----------
    question : str
        Such as ``"Q1.1"``.
    namespace : dict
        {name: function}.
    missing : str, default "not answered yet"
        The message for a function that is not in the namespace.

    Returns
    -------
    Result

    Raises
    ------
    UnknownName
        If there is no such question.
    """
    asked = _question(question)
    given = {}
    for name in asked.functions:
        here = next((each for each in (name, OTHER_NAMES.get(name)) if each in namespace), None)
        if here is not None:
            given[name] = namespace[here]
    return _result(question, asked, given, missing, own=True)


def _question(question):
    if question not in QUESTIONS:
        raise unknown("question", question, [*QUESTIONS, *FUNCTIONS])
    return QUESTIONS[question]


def result_of(question, given, missing, answer):
    """The Result of functions given as {name: what `answer` makes an Answer of}; npgrad's own earn nothing."""
    return _result(question, _question(question), given, missing, own=True, answer=answer)


def _result(question, asked, given, missing, own=False, answer=Answer):
    """The Result of the given functions, with a printed line for each. own: npgrad's functions earn nothing."""
    got, lines = 0, []
    for name, points in asked.functions.items():
        if name not in given:
            mistakes, notes = [missing], []
        elif own and str(getattr(given[name], "__module__", "")).startswith("npgrad."):
            mistakes, notes = ["imported from npgrad, not written here"], []
        else:
            mistakes, notes = _checked(question, name, answer(name, given[name], given))
        got += 0 if mistakes else points
        lines += [f"{name}: {text}" for text in (*mistakes, *notes)]
        for text in mistakes or ["ok", *notes]:
            print(f"{name}: {text}" if name == question else f"{question} {name}: {text}")
    if asked.whole and got < asked.points:
        got = 0
    if question in FUNCTIONS:
        return Result(question, asked.points, got, "\n".join(lines))
    print(f"{question} {got} of {asked.points} points")
    return Result(question, asked.points, got, "\n".join(lines))


@cache
def _check_of(question, name):
    homeworks = (each.checks for each in HOMEWORKS.values() if question in each.questions)
    checks = next(homeworks, "npgrad.course.layers_by_hand.checks")
    table = importlib.import_module(checks).CHECKS
    return table.get(name) or table[question, name]


def _check_with_examples(check, answer):
    """Check, with the next draw where one has no examples; after DRAWS of them, with those that everybody sees."""
    draws = [answer.draw + i for i in range(DRAWS)] if answer.draw else []
    for answer.draw in draws:
        try:
            return check(answer)
        except NoExample:
            continue
    answer.draw = 0
    return check(answer)


def _checked(question, name, answer):
    """(mistakes, remarks that cost no points)."""
    try:
        _check_with_examples(_check_of(question, name), answer)
    except Wrong as wrong:
        return answer.mistakes(wrong), []
    except Exception as error:
        if not answer.guarded:
            raise
        return answer.mistakes(Wrong(f"not graded: the check raised {type(error).__name__}")), []
    return answer.mistakes(), answer.notes
