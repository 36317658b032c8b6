"""Judges of Q1.1 and of guided backprop: an Answer's values beside those of a twin that can make typical mistakes.

A twin's options are its mistakes; without any it is the right function. The tables say what each one is in words.
"""

import numpy as np

from npgrad import losses
from npgrad.course.grading.calls import compare
from npgrad.course.grading.cases import cases
from npgrad.layers import ReLU
from npgrad.rules import deconv, guided

RULES = {"plain": {}, "guided": {ReLU: guided}, "deconv": {ReLU: deconv}}
RAW = "expected that of the raw score s[i, y_i]"

# What is differentiated instead of the sum of the raw scores s[i, y_i].
KINDS = {
    "softmax": f"found the gradient of the softmax probability, {RAW}",
    "log softmax": f"found the gradient of the log of the softmax probability, {RAW}",
    "cross entropy": f"found the gradient of the cross-entropy loss, which has the softmax in it, {RAW}",
    "mean cross entropy": f"found the gradient of the mean cross-entropy loss, {RAW}",
    "predicted": "found the result for the class that the network predicts, expected for the class in y",
    "all": "found the gradient of all classes' scores together, expected that of the class in y alone",
    "crossed": "every image has the classes of all images in y, expected image i with y[i] alone",
    "first class": "every image has the first image's class, expected image i with y[i]",
    "first image": "only the first image has a gradient, expected every image of the batch",
    "mean": "found the gradient of the mean over the batch, divided by N, expected that of the sum",
    "score": "the score itself is put in at the scores, expected 1, the gradient of a score by itself",
}


def seed(kind, logits, y):
    """The gradient, by the logits, of what is differentiated."""
    rows = np.arange(len(y))
    one_hot = losses.score(logits, y)[1]
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return {
        "": lambda: one_hot,
        "softmax": lambda: p[rows, y][:, None] * (one_hot - p),
        "log softmax": lambda: one_hot - p,
        "cross entropy": lambda: p - one_hot,
        "mean cross entropy": lambda: (p - one_hot) / len(y),
        "predicted": lambda: losses.score(logits, logits.argmax(axis=1))[1],
        "all": lambda: np.ones_like(logits),
        "crossed": lambda: np.broadcast_to(one_hot.max(axis=0), logits.shape),
        "first class": lambda: losses.score(logits, np.full_like(y, y[0]))[1],
        "first image": lambda: one_hot * (rows == 0)[:, None],
        "mean": lambda: one_hot / len(y),
        "score": lambda: one_hot * logits,
    }[kind]()


_kept = {}  # of the last X: its tape, and gradients; a diagnosis asks for the same ones many times


def gradient(X, y, model, kind="", rule="plain", layer="input"):
    """(tape, the gradient at a layer's output)."""
    if _kept.get("of", (None, None))[0] is not X or _kept["of"][1] is not model:
        _kept.clear()
        _kept.update(of=(X, model), tape=model.forward(X))
    tape, key = _kept["tape"], (kind, rule, layer, tuple(y))
    if key not in _kept:
        _kept[key] = tape.backward(seed(kind, tape.output, y), RULES[rule], at=(layer,))[layer]
    return tape, _kept[key]


def judge_map(answer, twin, faults, coarsest=0.0):
    """A function (X, y, model) with a result for each image."""
    for arguments, where in cases():
        found = answer(arguments, where=where)

        def single(i, arguments=arguments):
            alone = {**arguments, "X": arguments["X"][i : i + 1], "y": arguments["y"][i : i + 1]}
            return answer(alone), twin(**alone)

        compare(found, twin, arguments, faults, where, coarsest, single=single)


SALIENCY = {
    "kind": {
        key: text for key, text in KINDS.items() if key != "log softmax"
    },  # without sign it is the loss's
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
        "square": "found the maximum of the squared gradient, expected of its absolute value",
        "channels": "found all channels, (N, 3, H, W), expected their maximum, (N, H, W)",
        "gradient": "found the gradient itself, (N, 3, H, W), expected its absolute value's maximum over channels",
        "kept": "found the shape (N, 1, H, W), expected (N, H, W): the axis of the channels goes",
        "scaled": "the maps are scaled to 0..1, expected the gradient's own values",
        "each": "each map is scaled to 0..1 by itself, expected the gradient's own values",
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


def judge_saliency(answer):
    """compute_saliency_maps(X, y, model)."""
    judge_map(answer, saliency, SALIENCY)


GUIDED = {
    "kind": KINDS,
    "rule": {
        "plain": "found the plain gradient: no ReLU holds back what is negative on the way back",
        "deconv": "found the deconvnet's rule: a ReLU that was shut in the forward pass must stay shut, too",
    },
    "shape": {
        "absolute": "found absolute values, expected signed ones",
        "positive": "the negative values are cut off at the end, expected signed ones",
        "first": "found the shape (N, 3, H, W), expected (N, H, W, 3): the channels last",
        "turned": "height and width have changed places, expected (N, H, W, 3)",
        "reshaped": "the values are not in their places: a reshape does not move the axis of the channels",
        "maximum": "found the maximum over channels, expected all three, (N, H, W, 3)",
        "scaled": "the result is scaled to 0..1, expected the values themselves, signed",
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
        "turned": lambda: g.transpose(0, 3, 2, 1),
        "reshaped": lambda: np.ascontiguousarray(g).reshape(last.shape),
        "maximum": lambda: np.abs(g).max(axis=1),
        "scaled": lambda: scaled(last),
    }[shape]()


def judge_guided_backprop(answer):
    """guided_backprop(X, y, model)."""
    judge_map(answer, guided_backprop, GUIDED)


def scaled(values):
    """Brought to 0..1, all together."""
    values = values - values.min()
    return values / (values.max() or 1)
