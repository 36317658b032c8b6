"""Normalization over any axes: the reference of batch, layer, spatial batch and group normalization.

    mean, var over `axes`      xhat = (x - mean) / sqrt(var + eps)      out = gamma * xhat + beta

The four differ in the axes alone: over the batch for each feature, over the features of each sample, and so on. With
d = gamma * dout, the gradient by xhat, and means over the same axes,

    dx = (d - mean(d) - xhat * mean(d * xhat)) / sqrt(var + eps)      dgamma = sum of dout * xhat,  dbeta = sum of dout

The second term is the path through the mean, the third that through the variance (Ioffe and Szegedy, 2015, section 3).
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

MOMENTUM, EPS = 0.9, 1e-5


@dataclass(frozen=True)
class Norm:
    """What a normalization is over. axes: those of the statistics, after `groups` channels are split from the others.

    per: the axes that gamma and beta are shared along, over which their gradients are sums.
    """

    axes: tuple
    per: tuple
    over: str  # the axes in words
    each: str  # what has statistics of its own, in words

    def split(self, array, groups):
        """(N, C, ...) as (N, G, C/G, ...), if there are groups."""
        return array.reshape(len(array), groups, -1, *array.shape[2:]) if groups else array


BATCH = Norm((0,), (0,), "the batch (axis 0)", "feature")
LAYER = Norm((1,), (0,), "the features (axis 1)", "sample")
SPATIAL = Norm((0, 2, 3), (0, 2, 3), "the batch, the height and the width (axes 0, 2, 3)", "channel")
GROUP = Norm((2, 3, 4), (0, 2, 3), "the channels of a group, the height and the width", "group of a sample")


def shaped(parameter, x):
    """gamma or beta so that it is multiplied channel by channel."""
    return parameter.reshape(1, -1, *[1] * (x.ndim - 2))


def normalize(norm, x, gamma, beta, eps, groups=0):
    """{out and what leads to it}."""
    parts = norm.split(x, groups)
    mean = parts.mean(axis=norm.axes, keepdims=True)
    centered = parts - mean
    var = np.mean(centered**2, axis=norm.axes, keepdims=True)
    xhat = (centered / np.sqrt(var + eps)).reshape(x.shape)
    scaled = shaped(gamma, x) * xhat
    out = scaled + shaped(beta, x)
    found = {"mean": mean, "var": var, "centered": centered, "xhat": xhat, "out": out, "eps": eps}
    return {**found, "terms": {"out": {"gamma * xhat": scaled, "beta": shaped(beta, x)}}}


def gradients(norm, dout, x, gamma, beta, eps, groups=0):
    """{dx, dgamma, dbeta}."""
    found = SimpleNamespace(**normalize(norm, x, gamma, beta, eps, groups))
    d, xhat = norm.split(shaped(gamma, x) * dout, groups), norm.split(found.xhat, groups)
    through_mean = d.mean(axis=norm.axes, keepdims=True)
    through_var = xhat * np.mean(d * xhat, axis=norm.axes, keepdims=True)
    spread = np.sqrt(found.var + eps)
    paths = {
        "the direct path": d,
        "the path through the mean": through_mean + 0 * d,
        "the path through the variance": through_var,
    }
    return {
        "terms": {"dx": {words: (path / spread).reshape(x.shape) for words, path in paths.items()}},
        "d": d,
        "through_mean": through_mean,
        "through_var": through_var,
        "dx": ((d - through_mean - through_var) / spread).reshape(x.shape),
        "dgamma": np.sum(dout * found.xhat, axis=norm.per).reshape(gamma.shape),
        "dbeta": np.sum(dout, axis=norm.per).reshape(beta.shape),
    }


def with_statistics(x, gamma, beta, mean, var, eps):
    """out with given statistics, one of each per feature or channel, as in test mode."""
    mean, var = shaped(mean, x), shaped(var, x)
    return {"out": shaped(gamma, x) * (x - mean) / np.sqrt(var + eps) + shaped(beta, x)}


def norm_arguments(rng, shape, parameters):
    """x with another mean and size for each sample and feature, gamma and beta."""
    each = tuple(n if axis < 2 else 1 for axis, n in enumerate(shape))
    x = rng.uniform(0.5, 2, each) * rng.normal(size=shape) + rng.normal(1, 1, each)
    return {"x": x, "gamma": rng.uniform(0.5, 2, parameters), "beta": rng.normal(1, 1, parameters)}
