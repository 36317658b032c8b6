"""What the adversarial attacks share: their arguments, and measuring and bounding the change of an image."""

import math

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


def steepest(g, norm):
    """The direction of unit length, in the given norm, in which a function with gradient g rises fastest, by image."""
    return np.sign(g) if norm == "linf" else g / np.maximum(lengths(g), np.finfo(g.dtype).tiny)


def into_ball(change, epsilon, norm):
    """The nearest change of norm epsilon or less, for each image of a batch."""
    if norm == "linf":
        return np.clip(change, -epsilon, epsilon)
    return change * (epsilon / np.maximum(lengths(change), epsilon or 1))


def random_in_ball(rng, x, epsilon, norm):
    """A change of the shape of x, drawn uniformly from the ball, for each image of a batch."""
    if norm == "linf":
        return rng.uniform(-epsilon, epsilon, x.shape).astype(x.dtype)
    direction = rng.standard_normal(x.shape)
    # Most of a ball's volume lies near its surface.
    radius = epsilon * rng.uniform(size=(len(x),) + (1,) * (x.ndim - 1)) ** (1 / max(x[:1].size, 1))
    return (radius * direction / lengths(direction)).astype(x.dtype)


def size_text(epsilon, norm):
    """The size of a ball, for messages."""
    return f"{255 * epsilon:.3g}/255" if norm == "linf" else f"a norm of {epsilon:.3g}"


def dot(a, b):
    """The scalar product, in float64, where the squares of tiny gradients do not underflow."""
    return float(np.vdot(a.astype(np.float64), b.astype(np.float64)))


def euclidean(a):
    """The Euclidean norm, in float64."""
    return math.sqrt(dot(a, a))


def lengths(a):
    """The Euclidean norm of each image of a batch, in the dtype of `a` and a shape that broadcasts."""
    norms = [euclidean(image) for image in a]
    return np.array(norms, a.dtype).reshape(len(a), *[1] * (a.ndim - 1))
