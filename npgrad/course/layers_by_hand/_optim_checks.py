"""The check of an optimizer: steps one after another, with the config that each of them returned."""

from types import SimpleNamespace

import numpy as np

from npgrad.course.grading._answer import Wrong, in_case
from npgrad.course.grading._chain import Kept, Step
from npgrad.course.layers_by_hand._adam_faults import ADAM
from npgrad.course.layers_by_hand._calls import numbers_for
from npgrad.course.layers_by_hand._judge import judge, results_of
from npgrad.course.layers_by_hand._optim import (
    DEFAULTS,
    GIVEN,
    STATE,
    STEPS,
    drawn_state,
    first_state,
)
from npgrad.course.layers_by_hand._optim_faults import RMSPROP, SGD

TABLES = {"sgd_momentum": SGD, "rmsprop": RMSPROP, "adam": ADAM}


def optimizer_check(name):
    """The check of the optimizer of a name."""

    def check(answer):
        rng = numbers_for(answer)
        shape = (3, 4)
        state = drawn_state(name, np.empty(shape), rng)
        _check_steps(answer, name, rng, shape, {**GIVEN[name], **state}, "config with everything")
        _check_steps(answer, name, rng, shape, dict(GIVEN[name]), "config without a state: it begins at 0")
        _check_steps(answer, name, rng, shape, None, "no config: the defaults")

    return check


def _check_steps(answer, name, rng, shape, config, where):
    """Three steps, each with another w and gradient, and with the config that the step before returned."""
    given = [rng.normal(size=(2, *shape)) for _ in range(3)]
    first = [] if config is None else [config]
    steps = [Step(name, [w, dw, *(first if i == 0 else [Kept(i - 1, 1)])]) for i, (w, dw) in enumerate(given)]
    replies = answer.chain(steps[:1], where)
    known = {**DEFAULTS[name], **first_state(name, given[0][0]), **(config or {})}
    for i, (w, dw) in enumerate(given):
        words = f"step {i + 1}, {where}"
        found = _found(replies[i]["value"] if i < len(replies) else None, name, words)
        results = STEPS[name](w=w, dw=dw, **known)
        right = SimpleNamespace(**{"x": w, "w": w, "dw": dw, **known, **results})
        judge(found, right, TABLES[name], words, ordered=False)
        if i == 0:
            replies = answer.chain(steps, where)
        known.update({key: results[key] for key in STATE[name]})


def _found(value, name, where):
    """{next_w and the state in the returned config}."""
    results = results_of(value, ("next_w", "config"))
    config = results["config"]
    if not isinstance(config, dict):
        raise Wrong(f"expected (next_w, config), found a {type(config).__name__} as config{in_case(where)}")
    found = {"next_w": results["next_w"]}
    for key in STATE[name]:
        if key not in config:
            raise Wrong(f"{key} is not stored in config: config['{key}'] = ...{in_case(where)}")
        found[key] = float(config[key]) if isinstance(config[key], (int, np.integer)) else config[key]
    return found
