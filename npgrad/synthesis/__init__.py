"""Pictures made by gradient steps: each function is a loop over forward, seed, backward, update."""

from npgrad.synthesis.fooling import Fooling, make_fooling_image
from npgrad.synthesis.run import Synthesis

__all__ = ["Fooling", "Synthesis", "make_fooling_image"]
