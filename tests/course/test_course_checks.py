"""The homework's checks: right answers get full points; each typical wrong one is caught, and its mistake is named."""

import functools
import re

import homework_answers as own
import pytest
import wrong_answers
from wrong_answers import variant

import npgrad
from npgrad import course
from npgrad.course.grading import (
    QUESTIONS,
    Result,
    _attributions,
    _grad_cam,
    _losses,
    _results,
    _saliency,
    _style_transfer,
    _total_variation,
    check,
    grade,
)
from npgrad.course.grading._answer import Answer, NoExample, Wrong
from npgrad.course.grading._cases import cases
from npgrad.course.grading._compare import close, variants

POINTS = {"Q1.1": 11, "Q1.2": 11, "Q1.3a": 3, "Q1.3b": 10, "Q1.4": 10, "Q2.1": 3, "Q2.2": 6, "Q2.3": 3, "Q2.4": 6,
          "Q2.5": 2}  # fmt: skip


def test_the_points_are_the_homeworks():
    found = {name: question.points for name, question in QUESTIONS.items()}
    assert {name: points for name, points in found.items() if not name.startswith("Q3")} == POINTS
    assert sum(POINTS.values()) == 65
    assert sum(found.values()) == 165


@pytest.mark.sampled(1)
@pytest.mark.parametrize("question", POINTS)
def test_npgrads_own_functions_are_right(question):
    assert check(question, *[getattr(course, name) for name in QUESTIONS[question].functions])


@pytest.mark.exhaustive
def test_right_answers_get_full_points(capsys):
    results, got, total = grade(vars(own))
    assert [result.id for result in results] == list(POINTS)
    assert (got, total) == (65, 65), [result for result in results if not result]
    assert all(results)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Q1.1 compute_saliency_maps: ok"
    assert lines[-2:] == ["Q2.5 2 of 2 points", "65 of 65 points"]
    assert len(lines) == 15 + 10 + 1


def test_an_imported_function_is_not_ones_own():
    results = grade({"content_loss": course.content_loss}).results
    assert results[5] == Result("Q2.1", 3, 0, "content_loss: imported from npgrad, not written here")


def cases_of(table):
    return [(where, *case) for where, answers in table.items() for case in answers]


def checked(where, function):
    """(Result, its lines about the function, the function's points). where: a question, and one of its functions."""
    question, _, name = where.partition(" ")
    name = name or next(iter(QUESTIONS[question].functions))
    result = check(question, **{name: function})
    lines = [line for line in result.message.splitlines() if not line.endswith(": not given")]
    return result, lines, QUESTIONS[question].functions.get(name, result.points)


def test_there_are_many_wrong_answers_for_every_question():
    assert len(cases_of(wrong_answers.WRONG)) > 80
    assert {where.split()[0] for where in wrong_answers.WRONG} == set(POINTS)


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("where", "function", "message"), cases_of(wrong_answers.WRONG))
def test_a_wrong_answer_is_caught_and_its_mistake_named(where, function, message):
    result, lines, _ = checked(where, function)
    assert (bool(result), result.got) == (False, 0)
    assert re.search(message, "\n".join(lines)), lines


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("where", "function", "note"), cases_of(wrong_answers.ACCEPTED))
def test_what_is_as_good_is_accepted(where, function, note):
    result, lines, points = checked(where, function)
    assert result.got == points
    assert [note in line for line in lines] == [True] * bool(note)


def test_part_of_the_points(capsys):
    result = check("Q1.2", own.guided_backprop, variant(own.grad_cam, relu=lambda c: c), own.guided_grad_cam)
    assert (result.points, result.got, bool(result)) == (11, 7, False)
    assert result.message.startswith("grad_cam: no ReLU")
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[2:]) == (
        "Q1.2 guided_backprop: ok",
        ["Q1.2 guided_grad_cam: ok", "Q1.2 7 of 11 points"],
    )
    assert lines[1] == f"Q1.2 {result.message}"
    half = check("Q2.2", own.gram_matrix, wrong_answers.early_return)
    assert (half.points, half.got) == (6, 0)  # full or nothing
    alone = check("Q1.2", grad_cam=own.grad_cam)
    assert alone == Result("Q1.2", 11, 4, "guided_backprop: not given\nguided_grad_cam: not given")


def test_a_product_of_wrong_parts_is_said_to_be_right_itself():
    parts = [lambda X, y, m: abs(own.guided_backprop(X, y, m)), own.grad_cam]

    def product(X, y, model):
        return parts[0](X, y, model) * parts[1](X, y, model)[..., None]

    result = check("Q1.2", *parts, product)
    assert result.got == 4
    assert (
        "guided_grad_cam: it multiplies your guided_backprop and grad_cam, and will be right once"
        in result.message
    )


def not_yet(*args, **options):
    raise NotImplementedError


def test_an_empty_edition_gets_nothing():
    names = {name for question in QUESTIONS.values() for name in question.functions}
    for namespace in ({}, dict.fromkeys(names, not_yet), {**vars(course), **dict.fromkeys(names, not_yet)}):
        results, got, total = grade(namespace)
        assert (got, total, any(results)) == (0, 165, False)
        for result in results:
            functions = QUESTIONS[result.id].functions
            assert result.message.splitlines() == [f"{name}: not answered yet" for name in functions]


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        (("Q1.5", own.grad_cam), {}, "no question 'Q1.5'; nearest: Q1.1, Q1.2, Q1.4, Q2.5"),
        (("Q1.1",), {}, "Q1.1: expected compute_saliency_maps, found no function"),
        (("Q1.1", own.grad_cam, own.grad_cam), {}, "Q1.1: expected compute_saliency_maps, found 2 functions"),
        (("Q1.2",), {"gradcam": own.grad_cam}, "no function of Q1.2 'gradcam'; nearest: grad_cam"),
        (("Q2.1", own.content_loss), {"content_loss": own.content_loss}, "expected it once, found it twice"),
    ],
)
def test_a_mistake_in_asking_is_one_line(arguments, named, message):
    with pytest.raises(npgrad.NpgradError) as error:
        check(*arguments, **named)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(npgrad.InputError, match="grade: expected a dict of names, .* found list"):
        grade([])


def test_every_mistake_in_a_loss_is_told_from_every_other():
    """Each reference with one mistake gets the words of just this mistake."""
    for name in ("content_loss", "gram_matrix", "style_loss", "tv_loss"):
        module = _total_variation if name == "tv_loss" else _losses
        reference, check_function = getattr(module, name), getattr(module, f"check_{name}")
        mistakes = getattr(module, name.split("_")[0].upper())
        for (text,), options in variants(mistakes, pairs=False):
            with pytest.raises(Wrong) as wrong:
                check_function(Answer(name, functools.partial(reference, **options)))
            assert str(wrong.value).startswith(text), (name, options)


@pytest.mark.exhaustive
def test_every_mistake_in_a_map_is_told_from_every_other():
    """No two mistakes give the same values on the first inputs of the checks."""
    batch, _ = next(cases())
    for reference, mistakes in (
        (_saliency.saliency, _saliency.SALIENCY),
        (_saliency.guided_backprop, _saliency.GUIDED),
        (_grad_cam.grad_cam, _grad_cam.CAM),
        (_grad_cam.guided_grad_cam, _grad_cam.PRODUCT),
    ):
        assert_distinct(reference, mistakes, batch)
    arguments, _ = next(_attributions.small_cases())
    for method, mistakes in _attributions.BY_NAME.items():
        if method == "LayerConductance":  # takes many passes, and its mistakes are LayerActivation's
            continue
        assert_distinct(functools.partial(_attributions.by_name, method), mistakes, arguments)


@pytest.mark.exhaustive
def test_every_mistake_in_style_transfer_has_its_own_words():
    trajectory = _style_transfer.Trajectory(init_random=False)
    for (text,), options in variants(_style_transfer.MISTAKES, pairs=False):
        adam = _style_transfer.Adam(_style_transfer.RATE, options.pop("adam", ""))
        xs = [_style_transfer.clamped(trajectory.content)]
        for _ in range(14):
            xs.append(_style_transfer.clamped(adam.step(xs[-1], trajectory.gradient(xs[-1], **options))))
        with pytest.raises(Wrong) as wrong:
            trajectory.follow(xs)
        assert str(wrong.value) == text


def assert_distinct(reference, mistakes, arguments):
    found = {"right": reference(**arguments)}
    for (text,), options in variants(mistakes, pairs=False):
        value = reference(**arguments, **options)
        same = [other for other in found if close(value, found[other], 1e-2)]
        assert all(other == text for other in same), (text, same)
        found[text] = value


@pytest.mark.parametrize(("without", "used"), [((7, 8), 9), (range(7, 100), 0)])
def test_a_draw_without_examples_is_replaced(without, used):
    answer = Answer("content_loss", own.content_loss, {})
    answer.draw, seen = 7, []

    def check(answer):
        if answer.draw in without:
            raise NoExample
        seen.append(answer.draw)

    _results._check_with_examples(check, answer)
    assert seen == [used]
