"""Images made by gradient steps: each function is a loop over forward, upstream gradients, backward, update."""

from npgrad.synthesis._fooling import Fooling
from npgrad.synthesis._run import Synthesis
from npgrad.synthesis.adversarial import fgsm, pgd
from npgrad.synthesis.class_visualization import Visualization, create_class_visualization
from npgrad.synthesis.deep_dream import deep_dream
from npgrad.synthesis.fooling import make_fooling_image
from npgrad.synthesis.inversion import Inversion, invert_features
from npgrad.synthesis.presets import PRESETS
from npgrad.synthesis.smallest_perturbation import smallest_perturbation
from npgrad.synthesis.style_transfer import StyleTransfer, style_transfer

__all__ = [
    "Fooling", "Inversion", "PRESETS", "StyleTransfer", "Synthesis", "Visualization", "create_class_visualization",
    "deep_dream", "fgsm", "invert_features", "make_fooling_image", "pgd", "smallest_perturbation", "style_transfer",
]  # fmt: skip
