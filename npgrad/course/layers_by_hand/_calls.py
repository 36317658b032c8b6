"""Ask a student's functions: a forward function by itself, or with its backward function after it, and in time."""

import functools
import time
from types import SimpleNamespace

import numpy as np

from npgrad.course.grading._answer import Wrong, in_case
from npgrad.course.grading._cases import generator
from npgrad.course.grading._chain import Kept, Step
from npgrad.course.grading._total_variation import loop_in
from npgrad.course.layers_by_hand import FUNCTIONS
from npgrad.course.layers_by_hand._judge import RTOL, close, forward_result, judge, results_of

BATCH = ("x", "y", "dout")  # arguments with a row for each sample
SLOW = 0.02  # seconds; a function is slow if it takes more, and many times as long as the reference:
TIMES_WITH_LOOP, TIMES = 4, 10  # where a Python loop is seen in its source; where none is
TRIES = 3  # a call counts as slow if it is each time


def numbers_for(answer):
    """The random generator for an answer's cases."""
    return generator(answer.draw, 231)


def values(arguments, results):
    """Arguments and results by name, the entries of dicts among them, too."""
    entries = {k: v for each in arguments.values() if isinstance(each, dict) for k, v in each.items()}
    return SimpleNamespace(**{**arguments, **entries, **results})


def case(arguments):
    """The arguments in words."""
    words = []
    for name, value in arguments.items():
        if isinstance(value, dict):
            entries = [f"{key} {v}" for key, v in value.items() if not isinstance(v, np.ndarray)]
            words.append(", ".join(entries))
        else:
            words.append(f"{name} {value.shape}" if isinstance(value, np.ndarray) else f"{name} = {value}")
    return ", ".join(filter(None, words))


def ask_forward(answer, arguments, where):
    """The output of a forward function."""
    (reply,) = answer.chain([Step(answer.name, list(arguments.values()), (1,))], where)
    return forward_result(reply["value"])


def ask_backward(answer, names, arguments, dout, where):
    """({name: gradient}, the forward function's output) of a backward function after its forward function."""
    (forward,) = FUNCTIONS[answer.name]
    steps = [Step(forward, list(arguments.values()), (1,)), Step(answer.name, [dout, Kept(0, 1)])]
    replies = answer.chain(steps, where)
    out = forward_result(replies[0]["value"], forward)
    return results_of(replies[-1]["value"], names), out


def check_forward(answer, cases, reference, faults, mixes=False):
    """Check a forward function on each case of arguments. mixes: its results may depend on the whole batch."""
    for arguments in cases(numbers_for(answer)):
        where = case(arguments)
        right = values(arguments, reference(**arguments))

        @_or_false
        def single(i, arguments=arguments):
            one = _sample(arguments, i)
            return close(ask_forward(answer, one, ""), reference(**one)["out"], RTOL)

        out = ask_forward(answer, arguments, where)
        judge({"out": out}, right, faults, where, None if mixes else single)


def check_backward(answer, names, cases, forward, reference, faults, mixes=False):
    """Check a backward function, on the caches of its forward function."""
    rng = numbers_for(answer)
    for arguments in cases(rng):
        where = case(arguments)
        ahead = forward(**arguments)
        dout = rng.normal(0.2, 1, ahead["out"].shape)
        right = values({**arguments, "dout": dout}, {**ahead, **reference(dout, **arguments)})

        @_or_false
        def single(i, arguments=arguments, dout=dout):
            one = _sample({**arguments, "dout": dout}, i)
            upstream = one.pop("dout")
            gradients, _ = ask_backward(answer, names, one, upstream, "")
            expected = reference(upstream, **one)
            return all(close(gradients[name], expected[name], RTOL) for name in names)

        found, out = ask_backward(answer, names, arguments, dout, where)
        try:
            judge(found, right, faults, where, None if mixes else single)
        except Wrong as wrong:
            if np.shape(out) == ahead["out"].shape and close(out, ahead["out"], RTOL):
                raise
            (name,) = FUNCTIONS[answer.name]
            raise Wrong(f"{wrong}; {name}, whose cache it gets, is wrong, too") from None


def check_loss(answer, cases, reference, faults):
    """Check a function (x, y) that returns (loss, dx)."""
    for arguments in cases(numbers_for(answer)):
        where = case(arguments)
        (reply,) = answer.chain([Step(answer.name, list(arguments.values()))], where)
        found = results_of(reply["value"], ("loss", "dx"))
        judge(found, values(arguments, reference(**arguments)), faults, where)


def check_speed(answer, arguments, reference, forward=None):
    """Wrong if the function loops where array operations would do. forward: as in `check_backward`."""
    if forward is None:
        steps, given = [Step(answer.name, list(arguments.values()), (1,))], arguments
    else:
        (name,) = FUNCTIONS[answer.name]
        dout = np.ones_like(forward(**arguments)["out"])
        steps = [Step(name, list(arguments.values()), (1,)), Step(answer.name, [dout, Kept(0, 1)])]
        given = {"dout": dout, **arguments}
    line = loop_in(answer.source())
    for _ in range(TRIES):
        begin = time.process_time()
        reference(**given)
        usual = time.process_time() - begin
        seconds = answer.chain(steps)[-1]["seconds"]
        if seconds <= SLOW or seconds <= usual * (TIMES if line is None else TIMES_WITH_LOOP):
            return
    hint = "is there a Python loop?" if line is None else f"there is a Python loop in line {line}"
    raise Wrong(
        f"it takes {seconds:.2f} s, array operations take {usual:.3f} s: {hint}{in_case(case(arguments))}"
    )


def _or_false(function):
    """The function, which returns False where it raised Wrong."""

    @functools.wraps(function)
    def found(i):
        try:
            return function(i)
        except Wrong:
            return False

    return found


def _sample(arguments, i):
    return {name: value[i : i + 1] if name in BATCH else value for name, value in arguments.items()}
