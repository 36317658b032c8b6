"""The table of homework: the questions of each notebook, their functions, points, and what an answer may not call."""

from dataclasses import dataclass
from typing import NamedTuple

# Where the library has the homework's answers. A function that calls one of these is not the student's own code.
ANSWERS = ("npgrad.attribution", "npgrad.course", "npgrad.evaluation", "npgrad.synthesis")
# What these packages have that every answer may call: it is not asked for.
TOOLS = (
    "npgrad.course.gradient_ascent.blur_image",
    "npgrad.course.gradient_ascent.jitter",
    "npgrad.course.grading._cases",  # the networks that the checks pass
    "npgrad.course.images",
    "npgrad.course.style.feature_name",
    "npgrad.course.style.feature_names",
    "npgrad.synthesis.transforms",
)


@dataclass(frozen=True)
class Question:
    """A question of the homework.

    Parameters
    ----------
    title : str
        What the question is about.
    functions : dict
        {function name: points}.
    whole : bool, default False
        Full points or none: no partial credit.
    forbids : tuple of str, default ()
        Modules of npgrad that the functions may not call, because the question asks for one's own code, in addition to
        those that have the homework's answers.
    allows : tuple of str, default ()
        Modules, or functions as ``module.function``, that they may call nevertheless.
    """

    title: str
    functions: dict[str, int]
    whole: bool = False
    forbids: tuple[str, ...] = ()
    allows: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        """The points of all functions together."""
        return sum(self.functions.values())

    def may_call(self, name: str) -> bool:
        """Whether the question's functions may call a function of npgrad.

        Parameters
        ----------
        name : str
            Such as ``"npgrad.losses.tv_loss"``.

        Returns
        -------
        bool
        """
        return _within(name, (*TOOLS, *self.allows)) or not _within(name, (*ANSWERS, *self.forbids))


class Homework(NamedTuple):
    """A notebook's questions, and the module whose CHECKS has the check of each function."""

    questions: dict[str, Question]
    checks: str


def _within(name, modules):
    return any(name == module or name.startswith(f"{module}.") for module in modules)


NETWORK_VISUALIZATION = {
    "Q1.1": Question("Saliency maps", {"compute_saliency_maps": 11}),
    "Q1.2": Question(
        "Guided backprop and Grad-CAM",
        {"guided_backprop": 4, "grad_cam": 4, "guided_grad_cam": 3},
        forbids=("npgrad.rules",),
    ),
    "Q1.3a": Question("Attributions by name", {"compute_attributions": 3}, allows=("npgrad.attribution",)),
    "Q1.3b": Question("Fooling images", {"make_fooling_image": 10}),
    "Q1.4": Question(
        "Class visualization", {"class_visualization_update_step": 6, "create_class_visualization": 4}
    ),
}
STYLE_TRANSFER = {
    "Q2.1": Question("Content loss", {"content_loss": 3}, whole=True, forbids=("npgrad.losses",)),
    "Q2.2": Question(
        "Gram matrix and style loss",
        {"gram_matrix": 3, "style_loss": 3},
        whole=True,
        forbids=("npgrad.losses",),
    ),
    "Q2.3": Question("Total variation", {"tv_loss": 3}, whole=True, forbids=("npgrad.losses",)),
    "Q2.4": Question("Style transfer", {"extract_features": 2, "style_transfer": 4}),
    "Q2.5": Question("Feature inversion", {"style_transfer": 2}),
}
# Another notebook is another row here, with its questions and a module of checks.
HOMEWORKS = {
    "NetworkVisualization": Homework(NETWORK_VISUALIZATION, "npgrad.course.grading._checks_of_maps"),
    "StyleTransfer": Homework(STYLE_TRANSFER, "npgrad.course.grading._checks_of_style"),
}
QUESTIONS = {
    name: question for homework in HOMEWORKS.values() for name, question in homework.questions.items()
}
OTHER_NAMES = {"make_fooling_image": "make_fool_image"}
