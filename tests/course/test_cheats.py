"""Ways to be graded for what one has not written: each gets nothing, with a reason; right answers are not suspected."""

from pathlib import Path

import breaks
import cheats
import homework_answers
import pytest
from graded import LOSSES, graded, lines_of, matches, needs_jupyter

from npgrad.course.grading import QUESTIONS
from npgrad.course.submissions import _observe, _source
from npgrad.course.submissions._remote import originals


def question_of(function):
    return next(name for name, each in QUESTIONS.items() if function in each.functions)


def test_there_are_forty():
    assert sum(map(len, cheats.NOTEBOOKS.values())) + len(cheats.MEDDLING) >= 40


@needs_jupyter
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", cheats.NOTEBOOKS)
def test_a_cheat_gets_nothing(name, tmp_path):
    table = cheats.NOTEBOOKS[name]
    questions = {question_of(function) for function in table}
    cells = [cheats.START, *(cell for cell, _ in table.values())]
    results, failed, stopped = graded(tmp_path, cells, questions)
    assert (failed, stopped) == ({}, {})
    lines = lines_of(results)
    for function, (_, reason) in table.items():
        text = f"{function}: " + "; ".join(lines[function])
        assert matches(reason, text), text
    assert {result.got for result in results.values()} == {0}


@needs_jupyter
def test_one_cheat_among_right_answers_costs_its_own_points(tmp_path):
    """Also where cells delete builtins, and have no stdout."""
    cheat, reason = cheats.FORWARDED["tv_loss"]
    cells = [breaks.GENTLE["builtins"], LOSSES["content_loss"], LOSSES["gram_matrix"], LOSSES["style_loss"]]
    cells += [breaks.GENTLE["no stdout"], cheat]
    results, failed, stopped = graded(tmp_path, cells, ["Q2.1", "Q2.2", "Q2.3"])
    assert (failed, stopped) == ({}, {})
    assert {name: result.got for name, result in results.items()} == {"Q2.1": 3, "Q2.2": 6, "Q2.3": 0}, (
        results
    )
    assert matches(reason, results["Q2.3"].message)


@needs_jupyter
@pytest.mark.exhaustive
def test_a_forged_reply_is_none(tmp_path):
    """A cell that answers in the grader's place is left out; the others count."""
    forged = (
        "def forged(path):\n    open(path + '.reply', 'wb').write(b'0' * 32)\n"
        "get_ipython().register_magic_function(forged, 'line', 'npgrad' + '_answer')"
    )
    results, _, stopped = graded(tmp_path, [LOSSES["content_loss"], forged], ["Q2.1"])
    assert results["Q2.1"].got == 3
    assert stopped == {2: "left a process that does not answer"}


@pytest.mark.parametrize("name", cheats.MEDDLING)
def test_what_looks_into_the_interpreter_is_seen_in_the_source(name):
    assert list(_source.meddling({1: LOSSES["tv_loss"], 2: cheats.MEDDLING[name]})) == [2]


def test_right_answers_do_not_meddle():
    answers = Path(homework_answers.__file__).read_text()
    assert (
        _source.meddling({1: answers, 2: "from npgrad.course import check\ncheck('Q2.1', content_loss)"})
        == {}
    )


def test_no_right_answer_has_the_bytecode_of_npgrads():
    """Fingerprints are of functions long enough not to be alike by chance."""
    table = originals()
    assert len(table) > 500
    codes = [each.__code__ for each in vars(homework_answers).values() if hasattr(each, "__code__")]
    own = [code for code in codes if code.co_filename == homework_answers.__file__]
    assert len(own) > 15
    for code in own:
        names = table.get(_observe.fingerprint(code), ())
        assert all(question.may_call(name) for question in QUESTIONS.values() for name in names), code.co_name


@pytest.mark.parametrize(
    ("question", "name", "may"),
    [
        ("Q1.1", "npgrad.attribution.gradients.saliency", False),
        ("Q1.1", "npgrad.tape.backward", True),
        ("Q1.1", "npgrad.course.images.preprocess", True),
        ("Q1.2", "npgrad.rules.guided", False),
        ("Q1.2", "npgrad.images.resize.resize_map", True),
        ("Q1.3a", "npgrad.attribution.gradients.saliency", True),
        ("Q1.3a", "npgrad.course.attributions.compute_attributions", False),
        ("Q2.1", "npgrad.losses.content_loss", False),
        ("Q2.4", "npgrad.losses.content_loss", True),
        ("Q2.4", "npgrad.course.style.feature_names", True),
        ("Q2.4", "npgrad.course.style.extract_features", False),
        ("Q2.5", "npgrad.synthesis.style.style_transfer", False),
    ],
)
def test_what_an_answer_may_call(question, name, may):
    assert QUESTIONS[question].may_call(name) is may
