"""The table of homework: the questions of each notebook, their functions, points, and what an answer may not call."""

from collections.abc import Container
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
    """A notebook's questions, the module whose CHECKS has the check of each function, and its assignment."""

    questions: dict[str, Question]
    checks: str
    assignment: str = "image gradients"


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
# What computes gradients by itself, and npgrad: an answer to LayersByHand calls NumPy alone.
OTHERS = ("npgrad", "autograd", "jax", "keras", "mxnet", "tensorflow", "tinygrad", "torch")


def _by_hand(title, **points):
    return Question(title, points, forbids=OTHERS)


LAYERS_BY_HAND = {
    "Q3.1": _by_hand(
        "Affine layer and ReLU", affine_forward=2, affine_backward=3, relu_forward=1, relu_backward=2
    ),
    "Q3.2": _by_hand("Softmax and SVM loss", softmax_loss=4, svm_loss=4),
    "Q3.3": _by_hand(
        "Batch normalization", batchnorm_forward=4, batchnorm_backward=4, batchnorm_backward_alt=4
    ),
    "Q3.4": _by_hand("Layer normalization", layernorm_forward=2, layernorm_backward=3),
    "Q3.5": _by_hand("Dropout", dropout_forward=2, dropout_backward=1),
    "Q3.6": _by_hand("Convolution", conv_forward_naive=5, conv_backward_naive=7),
    "Q3.7": _by_hand(
        "Pooling",
        max_pool_forward_naive=2,
        max_pool_backward_naive=4,
        global_avg_pool_forward=1,
        global_avg_pool_backward=2,
    ),
    "Q3.8": _by_hand(
        "Normalization of images",
        spatial_batchnorm_forward=2,
        spatial_batchnorm_backward=2,
        spatial_groupnorm_forward=4,
        spatial_groupnorm_backward=5,
    ),
    "Q3.9": _by_hand("Steps", sgd_momentum=2, rmsprop=3, adam=4),
    "Q3.10": _by_hand(
        "Blocks with forks",
        residual_forward=2,
        residual_backward=4,
        inception_forward=2,
        inception_backward=4,
        fire_forward=3,
        fire_backward=6,
    ),
}
# Another notebook is another row here, with its questions and a module of checks.
HOMEWORKS = {
    "NetworkVisualization": Homework(NETWORK_VISUALIZATION, "npgrad.course.grading._checks_of_maps"),
    "StyleTransfer": Homework(STYLE_TRANSFER, "npgrad.course.grading._checks_of_style"),
    "LayersByHand": Homework(LAYERS_BY_HAND, "npgrad.course.layers_by_hand.checks", "layers by hand"),
}
QUESTIONS = {
    name: question for homework in HOMEWORKS.values() for name, question in homework.questions.items()
}
OTHER_NAMES = {"make_fooling_image": "make_fool_image"}


def questions_of(names: Container[str]) -> list[str]:
    """The questions of the assignments that any of these functions belongs to; all questions if none does.

    Parameters
    ----------
    names : container of str
        Names of functions.

    Returns
    -------
    list of str
    """
    found = {
        homework.assignment
        for homework in HOMEWORKS.values()
        for question in homework.questions.values()
        for name in question.functions
        if name in names or OTHER_NAMES.get(name, name) in names
    }
    return [
        question
        for homework in HOMEWORKS.values()
        if homework.assignment in found or not found
        for question in homework.questions
    ]
