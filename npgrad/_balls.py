"""Balls around images, in the norms "linf" and "l2": directions, projections and random points, image by image."""

import math

import numpy as np

NORMS = ("linf", "l2")


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
