"""The mean gradient along the straight path from a baseline to an image."""

import numpy as np

from npgrad._parallel.batches import batches
from npgrad.attribution._copies import gradient_of_scores, per_sample


def mean_gradient(model, x, x0, targets, nodes, weights, size, progress=None):
    """The weighted sum of the gradients at x0 + node * (x - x0), of the shape of x."""
    integral = np.zeros(x.shape, weights.dtype)
    for copies in batches(len(x) * len(nodes), size, progress):
        image, step = np.divmod(copies, len(nodes))  # copy i * len(nodes) + k is image i at node k
        points = x0[image] + per_sample(nodes[step], x) * (x[image] - x0[image])
        gradients = gradient_of_scores(model, points, targets[image])
        for i, k, gradient in zip(image, step, gradients, strict=True):
            integral[i] += weights[k] * gradient
    return integral
