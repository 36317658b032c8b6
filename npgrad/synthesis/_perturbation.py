"""What the adversarial attacks share: their arguments, and measuring and bounding the change of an image."""

import numpy as np

from npgrad._outputs import expect_classes, explained
from npgrad._targets import resolve_targets
from npgrad._validate import one_image
from npgrad.errors import InputError
from npgrad.synthesis.pixels import image_limits

ZERO = "its gradient is 0 everywhere"


def start(model, x, target, targeted):
    """(the model up to its scores, x, the target's index, 1 to increase its loss or -1 to decrease it)."""
    expect_classes(model, "target")
    model, x = explained(model, declared=True), one_image(x)
    if target is None and targeted:
        raise InputError("target: expected a class to aim at, found None")
    target = resolve_targets(model, model(x), target)[0] if target is None else model.class_index(target)
    return model, x, int(target), -1 if targeted else 1


def limits(model, x):
    """The range of an image file, widened where x itself exceeds it."""
    low, high = image_limits(model, x)
    return np.minimum(low, x), np.maximum(high, x)


def size_text(epsilon, norm):
    """The size of a ball, for messages."""
    return f"{255 * epsilon:.3g}/255" if norm == "linf" else f"a norm of {epsilon:.3g}"
