"""The table of questions: their functions and points."""

from dataclasses import dataclass


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
    """

    title: str
    functions: dict[str, int]
    whole: bool = False

    @property
    def points(self) -> int:
        """The points of all functions together."""
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
