"""Cells and functions that never end, end the process, or spoil it cost their own points only."""

import breaks
import pytest
from graded import LOSSES, graded, lines_of, matches, needs_jupyter

from npgrad.course.submissions import _source

AS_OTHERS = ("endless", "no interrupt in C", "abort")  # stopped in the same way as others, after as long
ALL = {"Q2.1": 3, "Q2.2": 6, "Q2.3": 3}


def test_there_are_forty():
    assert len(breaks.GENTLE) + len(breaks.HARD) + len(breaks.FUNCTIONS) >= 40


def around(cells):
    """The cells between right answers."""
    first, second, third, fourth = LOSSES.values()
    return [first, second, *cells, third, fourth]


@needs_jupyter
@pytest.mark.exhaustive
def test_bad_cells_cost_nothing_else(tmp_path):
    """All of them in one notebook."""
    results, failed, stopped = graded(tmp_path, around(breaks.GENTLE.values()), ALL)
    assert {name: result.got for name, result in results.items()} == ALL, (results, failed, stopped)
    assert stopped == {}
    names = dict(enumerate(breaks.GENTLE, 3))
    assert {"error", "syntax", "input", "recursion", "memory", "the grader's process"} <= {
        names[n] for n in failed
    }


@needs_jupyter
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in AS_OTHERS else pytest.mark.exhaustive)
        for name in breaks.HARD
    ],
)
def test_a_cell_that_does_not_end_costs_nothing_else(tmp_path, name):
    results, _, stopped = graded(tmp_path, around([breaks.HARD[name]]), ALL, cell=12.0)
    assert {name: result.got for name, result in results.items()} == ALL, (results, stopped)
    assert list(stopped) == [3]


@needs_jupyter
@pytest.mark.exhaustive
def test_functions_that_do_not_end_cost_their_own_points(tmp_path):
    questions = {"Q1.1": 0, "Q1.2": 0, "Q2.1": 0, "Q2.2": 0, "Q2.3": 3, "Q2.4": 0}
    bad = [cell for cell, _ in breaks.FUNCTIONS.values()]
    cells = [LOSSES["style_loss"], *bad, LOSSES["tv_loss"]]
    results, failed, stopped = graded(tmp_path, cells, questions, check=15.0)
    assert {name: result.got for name, result in results.items()} == questions, results
    assert (failed, stopped) == ({}, {})
    lines = lines_of(results)
    for function, (_, reason) in breaks.FUNCTIONS.items():
        assert matches(reason, "; ".join(lines[function])), lines[function]


@needs_jupyter
@pytest.mark.exhaustive
def test_what_a_stopped_cell_defines_counts(tmp_path):
    cell = f"{LOSSES['content_loss']}\nimport os\nos._exit(1)\n{LOSSES['tv_loss']}"
    results, _, stopped = graded(tmp_path, [cell], ["Q2.1", "Q2.3"])
    assert (results["Q2.1"].got, results["Q2.3"].got) == (3, 3)
    assert stopped == {1: "ended the process"}


def test_the_definitions_of_a_cell():
    cell = "%matplotlib inline\nimport numpy as np\nK = 3\nx = np.ones(3)\nprint(x)\n"
    cell += "def f(a):\n    return a\nwhile True: pass"
    assert _source.definitions(cell) == "import numpy as np\nK = 3\ndef f(a):\n    return a"
    assert _source.definitions("def broken(:") == ""
