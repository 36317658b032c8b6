"""The gradients behind the maps of Q1.1 and Q1.2: of the right score, or of what is often mistaken for it."""

import numpy as np

from npgrad import losses
from npgrad.course.grading._cases import cases
from npgrad.course.grading._compare import compare
from npgrad.layers import ReLU
from npgrad.rules import deconv, guided

RULES = {"plain": {}, "guided": {ReLU: guided}, "deconv": {ReLU: deconv}}
RAW = "expected that of the raw score s[i, y_i]"

# What is differentiated instead of the sum of the raw scores s[i, y_i].
KINDS = {
    "softmax": f"found the gradient of the softmax probability, {RAW}",
    "log softmax": f"found the gradient of the log of the softmax probability, {RAW}",
    "cross entropy": f"found the gradient of the cross-entropy loss, which contains the softmax, {RAW}",
    "mean cross entropy": f"found the gradient of the mean cross-entropy loss, {RAW}",
    "predicted": "found the result for the class that the network predicts, expected for the class in y",
    "all": "found the gradient of the sum of all classes' scores, expected only that of the class in y",
    "crossed": "every image has the classes of all images in y, expected only y[i] for image i",
    "first class": "every image has the first image's class, expected y[i] for image i",
    "first image": "only the first image has a gradient, expected every image of the batch",
    "mean": "found the gradient of the mean over the batch, divided by N, expected that of the sum",
    "score": "the upstream gradient is the score itself, expected 1, the derivative of a score by itself",
}


def upstream(kind, logits, y):
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


_kept = {}  # the tape and gradients of the last X: a diagnosis needs the same ones many times


def gradient(X, y, model, kind="", rule="plain", layer="input"):
    """(tape, the gradient at a layer's output)."""
    if _kept.get("of", (None, None))[0] is not X or _kept["of"][1] is not model:
        _kept.clear()
        _kept.update(of=(X, model), tape=model.forward(X))
    tape, key = _kept["tape"], (kind, rule, layer, tuple(y))
    if key not in _kept:
        _kept[key] = tape.backward(upstream(kind, tape.output, y), RULES[rule], at=(layer,))[layer]
    return tape, _kept[key]


def check_map(answer, reference, mistakes, coarsest=0.0):
    """Check a function (X, y, model) that returns a result for each image."""
    for arguments, where in cases(draw=answer.draw):
        found = answer(arguments, where=where)

        def single(i, arguments=arguments):
            alone = {**arguments, "X": arguments["X"][i : i + 1], "y": arguments["y"][i : i + 1]}
            return answer(alone), reference(**alone)

        compare(found, reference, arguments, mistakes, where, coarsest, single=single)


def scaled(values):
    """Scaled to 0..1, all values together."""
    values = values - values.min()
    return values / (values.max() or 1)
