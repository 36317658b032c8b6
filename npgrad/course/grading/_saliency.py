"""The checks of saliency maps (Q1.1) and of guided backprop (Q1.2)."""

import numpy as np

from npgrad.course.grading._gradients import KINDS, check_map, gradient, scaled

SALIENCY = {
    # of the log of the probability and of the cross entropy, the absolute gradients are equal
    "kind": {key: text for key, text in KINDS.items() if key != "log softmax"},
    "rule": {
        "guided": "found guided backprop, expected the plain gradient",
        "deconv": "found the deconvnet's rule at the ReLUs, expected the plain gradient",
    },
    "reduce": {
        "signed": "no absolute value: found the maximum of the signed gradient over channels",
        "late": "the absolute value is taken after the maximum over channels, expected before it",
        "mean": "found the mean over channels, expected the maximum",
        "sum": "found the sum over channels, expected the maximum",
        "norm": "found the norm over channels, expected the maximum of the absolute values",
        "signed mean": "no absolute value, and the mean over channels: expected the maximum of the absolute values",
        "square": "found the maximum of the squared gradient, expected that of its absolute value",
        "channels": "found all channels, (N, 3, H, W), expected their maximum, (N, H, W)",
        "gradient": "found the gradient itself, (N, 3, H, W), expected its absolute value's maximum over channels",
        "kept": "found the shape (N, 1, H, W), expected (N, H, W): without the channel axis",
        "scaled": "the maps are scaled to 0..1, expected the gradient's own values",
        "each": "each map is scaled to 0..1 separately, expected the gradient's own values",
        "height": "the maximum is taken over the height, expected over the channels",
    },
}


def saliency(X, y, model, kind="", rule="plain", reduce=""):
    """The absolute gradient, its maximum over channels: (N, H, W)."""
    _, g = gradient(X, y, model, kind, rule)
    a = np.abs(g)
    maps = a.max(axis=1)
    return {
        "": lambda: maps,
        "signed": lambda: g.max(axis=1),
        "late": lambda: np.abs(g.max(axis=1)),
        "mean": lambda: a.mean(axis=1),
        "sum": lambda: a.sum(axis=1),
        "norm": lambda: np.sqrt((g * g).sum(axis=1)),
        "signed mean": lambda: g.mean(axis=1),
        "square": lambda: maps * maps,
        "channels": lambda: a,
        "gradient": lambda: g,
        "kept": lambda: maps[:, None],
        "scaled": lambda: scaled(maps),
        "each": lambda: np.stack([scaled(one) for one in maps]),
        "height": lambda: a.max(axis=2),
    }[reduce]()


def check_saliency(answer):
    """compute_saliency_maps(X, y, model)."""
    check_map(answer, saliency, SALIENCY)


GUIDED = {
    "kind": KINDS,
    "rule": {
        "plain": "found the plain gradient: no ReLU stops negative gradients",
        "deconv": "found the deconvnet's rule: a ReLU must also stop the gradient where its input was negative",
    },
    "shape": {
        "absolute": "found absolute values, expected signed ones",
        "positive": "negative values are set to 0 at the end, expected signed values",
        "first": "found the shape (N, 3, H, W), expected (N, H, W, 3): channels last",
        "swapped": "height and width are swapped, expected (N, H, W, 3)",
        "reshaped": "the values are in the wrong places: a reshape does not move the channel axis, a transpose does",
        "maximum": "found the maximum over channels, expected all three, (N, H, W, 3)",
        "scaled": "the result is scaled to 0..1, expected the signed values themselves",
    },
}


def guided_backprop(X, y, model, kind="", rule="guided", shape=""):
    """The gradient with the guided rule at every ReLU, signed: (N, H, W, 3)."""
    _, g = gradient(X, y, model, kind, rule)
    last = g.transpose(0, 2, 3, 1)
    return {
        "": lambda: last,
        "absolute": lambda: np.abs(last),
        "positive": lambda: np.maximum(last, 0),
        "first": lambda: g,
        "swapped": lambda: g.transpose(0, 3, 2, 1),
        "reshaped": lambda: np.ascontiguousarray(g).reshape(last.shape),
        "maximum": lambda: np.abs(g).max(axis=1),
        "scaled": lambda: scaled(last),
    }[shape]()


def check_guided_backprop(answer):
    """guided_backprop(X, y, model)."""
    check_map(answer, guided_backprop, GUIDED)
