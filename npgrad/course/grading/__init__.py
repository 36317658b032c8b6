"""The homework's questions and their points, and the checks of one's own functions.

    check("Q1.1", compute_saliency_maps)      prints what is right and what is not; a Result
    grade(globals())                          every question whose functions are found there

A function is called on little networks of random weights and on random images, and its values are compared with
npgrad's. Where they are wrong, the mistake is named if it is one of those that are often made.
"""

from dataclasses import dataclass
from typing import NamedTuple

from npgrad.course.grading import cams as grading_cams
from npgrad.course.grading import gradient_ascent as grading_climbs
from npgrad.course.grading import losses as grading_losses
from npgrad.course.grading import maps as grading_maps
from npgrad.course.grading import style as grading_style
from npgrad.course.grading.calls import NOT_YET, Answer, Wrong
from npgrad.errors import InputError, unknown


@dataclass(frozen=True)
class Question:
    """A question of the homework. functions: {name: points}. whole: full points or none."""

    title: str
    functions: dict
    whole: bool = False

    @property
    def points(self):
        return sum(self.functions.values())


QUESTIONS = {
    "Q1.1": Question("Saliency maps", {"compute_saliency_maps": 11}),
    "Q1.2": Question(
        "Guided backprop and Grad-CAM", {"guided_backprop": 4, "grad_cam": 4, "guided_grad_cam": 3}
    ),
    "Q1.3a": Question("Attributions by name", {"compute_attributions": 3}),
    "Q1.3b": Question("Fooling images", {"make_fooling_image": 10}),
    "Q1.4": Question(
        "Class visualization", {"class_visualization_update_step": 6, "create_class_visualization": 4}
    ),
    "Q2.1": Question("Content loss", {"content_loss": 3}, whole=True),
    "Q2.2": Question("Gram matrix and style loss", {"gram_matrix": 3, "style_loss": 3}, whole=True),
    "Q2.3": Question("Total variation", {"tv_loss": 3}, whole=True),
    "Q2.4": Question("Style transfer", {"extract_features": 2, "style_transfer": 4}),
    "Q2.5": Question("Feature inversion", {"style_transfer": 2}),
}
OTHER_NAMES = {"make_fooling_image": "make_fool_image"}

_JUDGES = {
    "compute_saliency_maps": grading_maps.judge_saliency,
    "guided_backprop": grading_maps.judge_guided_backprop,
    "grad_cam": grading_cams.judge_grad_cam,
    "guided_grad_cam": grading_cams.judge_guided_grad_cam,
    "compute_attributions": grading_cams.judge_compute_attributions,
    "make_fooling_image": grading_climbs.judge_make_fooling_image,
    "class_visualization_update_step": grading_climbs.judge_update_step,
    "create_class_visualization": grading_climbs.judge_create,
    "content_loss": grading_losses.judge_content_loss,
    "gram_matrix": grading_losses.judge_gram_matrix,
    "style_loss": grading_losses.judge_style_loss,
    "tv_loss": grading_losses.judge_tv_loss,
    "extract_features": grading_losses.judge_extract_features,
    ("Q2.4", "style_transfer"): grading_style.judge_style_transfer,
    ("Q2.5", "style_transfer"): grading_style.judge_inversion,
}


@dataclass(frozen=True)
class Result:
    """What a check found: true if it got full points. message: a line for each thing that is wrong, or to be said."""

    id: str
    points: int
    got: int
    message: str = ""

    def __bool__(self):
        return self.got == self.points


class Grades(NamedTuple):
    """Results, and their points added up."""

    results: list
    got: int
    total: int


def check(question, *functions, **named):
    """Check your own functions of one question, such as "Q1.1": a Result, and a printed line for each function.

    The functions in the order of QUESTIONS[question].functions, or by their names; one that is not given gets no
    points. InputError for a question or name that there is not, or no function at all.
    """
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
    return _result(question, asked, given, missing="not given")


def grade(namespace):
    """Check every question on the functions of a namespace, such as globals(): (results, got, total).

    A function that is not there, that raises NotImplementedError, or that is npgrad's own, gets no points.
    """
    if not isinstance(namespace, dict):
        raise InputError(
            f"grade: expected a dict of names, such as globals(), found {type(namespace).__name__}"
        )
    results = [grade_one(question, namespace) for question in QUESTIONS]
    got, total = (sum(getattr(result, key) for result in results) for key in ("got", "points"))
    print(f"{got} of {total} points")
    return Grades(results, got, total)


def grade_one(question, namespace, missing=NOT_YET):
    """One question as `grade` checks it: a Result. missing: what is said of a function that is not there."""
    asked = _question(question)
    given = {}
    for name in asked.functions:
        here = next((each for each in (name, OTHER_NAMES.get(name)) if each in namespace), None)
        if here is not None:
            given[name] = namespace[here]
    return _result(question, asked, given, missing, own=True)


def _question(question):
    if question not in QUESTIONS:
        raise unknown("question", question, QUESTIONS)
    return QUESTIONS[question]


def _result(question, asked, given, missing, own=False):
    """The Result of the functions that are given, with a printed line for each. own: npgrad's own get nothing."""
    got, lines = 0, []
    for name, points in asked.functions.items():
        if name not in given:
            findings, notes = [missing], []
        elif own and str(getattr(given[name], "__module__", "")).startswith("npgrad."):
            findings, notes = ["imported from npgrad, not written here"], []
        else:
            findings, notes = _judged(question, name, given)
        got += 0 if findings else points
        lines += [f"{name}: {text}" for text in (*findings, *notes)]
        for text in findings or ["ok", *notes]:
            print(f"{question} {name}: {text}")
    if asked.whole and got < asked.points:
        got = 0
    print(f"{question} {got} of {asked.points} points")
    return Result(question, asked.points, got, "\n".join(lines))


def _judged(question, name, given):
    """(what is wrong, what is to be said though it is not wrong)."""
    answer = Answer(name, given[name], given)
    judge = _JUDGES.get(name) or _JUDGES[question, name]
    try:
        judge(answer)
    except Wrong as wrong:
        return answer.findings(wrong), []
    return answer.findings(), answer.notes
