"""Which part of a picture a network's answer comes from: one function a method.

All are `method(model, x, target=None, ...)` with x (N, C, H, W) and a class per picture (None: the top one), and
give raw arrays: nothing normalised, nothing resized.
"""

from npgrad.attribution.saliency import saliency

__all__ = ["saliency"]
