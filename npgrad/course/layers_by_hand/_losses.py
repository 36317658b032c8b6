"""The softmax loss and the multiclass SVM loss: references and typical mistakes.

p = exp(x) / sum over classes of exp(x)     loss = mean over samples of -log p[i, y_i]     dx = (p - one_hot(y)) / N
m[i, j] = max(0, x[i, j] - x[i, y_i] + 1), 0 at j = y_i     loss = mean over samples of the sum over classes of m
"""

import numpy as np

from npgrad.course.layers_by_hand._judge import Fault


def softmax(x, y):
    """The largest score of a sample is subtracted first: p stays what it is, and exp does not overflow."""
    rows, one_hot = np.arange(len(x)), np.eye(x.shape[1])[y]
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    log_p = x - x.max(axis=1, keepdims=True) - np.log(e.sum(axis=1, keepdims=True))
    loss = np.mean(-log_p[rows, y])
    return {
        "p": p,
        "one_hot": one_hot,
        "log_p": log_p,
        "loss": loss,
        "dx": (p - one_hot) / len(x),
        "terms": {"dx": {"the probability": p, "the 1 of the right class": one_hot}},
    }


def svm(x, y):
    """dx is 1/N for each class whose margin counts, and minus their number, over N, for the right class."""
    one_hot = np.eye(x.shape[1])[y]
    right = np.sum(x * one_hot, axis=1, keepdims=True)
    margins = np.maximum(x - right + 1, 0) * (1 - one_hot)
    counts = (margins > 0) * 1.0
    dx = (counts - counts.sum(axis=1, keepdims=True) * one_hot) / len(x)
    return {
        "one_hot": one_hot,
        "right": right,
        "margins": margins,
        "counts": counts,
        "loss": margins.sum() / len(x),
        "dx": dx,
        "terms": {"dx": {"the 1 of each positive margin": counts, "the right class's part": dx * one_hot}},
    }


def softmax_cases(rng):
    """Usual scores, in which classes occur twice; then some that overflow without a subtraction."""
    for size, y in ((1.5, [2, 0, 2, 3, 1]), (700.0, [1, 2, 2])):
        yield {"x": rng.normal(0.5, size, (len(y), 4)), "y": np.array(y)}


def svm_cases(rng):
    """Margins of both kinds."""
    for size, y in ((1.5, [2, 0, 2, 3, 1]), (4.0, [1, 2, 2])):
        yield {"x": rng.normal(0.5, size, (len(y), 4)), "y": np.array(y)}


def large_loss(rng):
    """Arguments for which a loop over samples takes long."""
    return {"x": rng.normal(size=(20000, 4)), "y": rng.integers(4, size=20000)}


MEAN = "found the sum over the samples, expected their mean: divide by N"
MEAN_DX = "not divided by N, as that of the mean over the samples is"


def _by(axis, of_each=False):
    """Softmax over another axis, as loss and gradient. of_each: each sample's largest score is subtracted before."""

    def wrong(v):
        e = np.exp(v.x - v.x.max(axis=1 if of_each else None, keepdims=True))
        p = e / e.sum(axis=axis, keepdims=True)
        loss = np.mean(-np.log(p[np.arange(len(v.x)), v.y]))
        return {"loss": loss, "dx": (p - v.one_hot) / len(v.x)}

    return wrong


def _picked_from_all(v):
    dx = v.p.copy()
    dx[:, v.y] -= 1
    return {"dx": dx / len(v.x)}


def _overflow(v):
    e = np.exp(v.x)
    p = e / e.sum(axis=1, keepdims=True)
    return {"loss": np.mean(-np.log(p[np.arange(len(v.x)), v.y])), "dx": (p - v.one_hot) / len(v.x)}


# Mistakes in either loss
OF_BOTH = {
    "over classes": Fault(
        "divided by the number of classes, too, expected only by N",
        lambda v: {"loss": v.loss / v.x.shape[1], "dx": v.dx / v.x.shape[1]},
    ),
    "only classes": Fault(
        "divided by the number of classes, expected by the number of samples N",
        lambda v: {"loss": v.loss * len(v.x) / v.x.shape[1], "dx": v.dx * len(v.x) / v.x.shape[1]},
    ),
}

SOFTMAX = {
    "overflow": Fault(
        "large scores overflow to NaN or Inf: subtract the largest score of each sample before exp", _overflow
    ),
    "sum": Fault(MEAN, lambda v: {"loss": v.loss * len(v.x)}),
    "dx of the sum": Fault(MEAN_DX, lambda v: {"dx": v.dx * len(v.x)}),
    "no minus": Fault(
        "the sign is flipped: the loss is minus the log of a probability",
        lambda v: {"loss": -v.loss, "dx": -v.dx},
    ),
    "no log": Fault(
        "the log is missing: found minus the mean probability of the right class",
        lambda v: {
            "loss": -np.mean(np.sum(v.p * v.one_hot, axis=1)),
            "dx": v.p * (v.p - v.one_hot) / len(v.x),
        },
    ),
    "error rate": Fault(
        "found one minus the mean probability of the right class, expected the mean of minus its log",
        lambda v: {"loss": 1 - np.mean(np.sum(v.p * v.one_hot, axis=1))},
    ),
    **OF_BOTH,
    "log of the mean": Fault(
        "found the log of the mean probability, expected the mean of the logs",
        lambda v: {"loss": -np.log(np.mean(np.sum(v.p * v.one_hot, axis=1)))},
    ),
    "all classes": Fault(
        "the logs of all classes are added, expected that of the right class y[i] only",
        lambda v: {"loss": -v.log_p.sum() / len(v.x)},
    ),
    "largest": Fault(
        "found that of the class with the largest score, expected that of the right class y[i]",
        lambda v: {
            "loss": -np.mean(v.log_p.max(axis=1)),
            "dx": (v.p - (v.p == v.p.max(axis=1, keepdims=True))) / len(v.x),
        },
    ),
    "not normalized": Fault(
        "the scores are not normalized: expected log p = x - log of the sum of exp(x)",
        lambda v: {"loss": -np.mean(np.sum(v.x * v.one_hot, axis=1)), "dx": -v.one_hot / len(v.x)},
    ),
    "unnormalized dx": Fault(
        "exp(x) is not divided by its sum over the classes",
        lambda v: {"dx": (np.exp(v.x - v.x.max(axis=1, keepdims=True)) - v.one_hot) / len(v.x)},
    ),
    "log sum alone": Fault(
        "the right class's score is not subtracted",
        lambda v: {"loss": np.mean(np.sum((v.x - v.log_p) * v.one_hot, axis=1))},
    ),
    "log 2": Fault("the log has base 2, expected the natural one", lambda v: {"loss": v.loss / np.log(2)}),
    "over samples": Fault(
        "softmax is taken over the samples (axis 0), expected over the classes (axis 1)", _by(0)
    ),
    "over everything": Fault(
        "softmax is taken over the whole array, expected for each sample by itself", _by(None)
    ),
    "sum over samples": Fault(
        "the sum that normalizes is over the samples (axis 0), expected over the classes (axis 1)",
        _by(0, True),
    ),
    "sum over everything": Fault(
        "the sum that normalizes is over the whole array, expected over the classes of each sample",
        _by(None, True),
    ),
    "only p": Fault(
        "1 is not subtracted at the right class: p - one_hot(y)", lambda v: {"dx": v.p / len(v.x)}
    ),
    "only the right class": Fault(
        "only the right class has a gradient, but every score is in the sum that normalizes",
        lambda v: {"dx": v.dx * v.one_hot},
    ),
    "one minus p": Fault("the sign is flipped: expected p - one_hot(y)", lambda v: {"dx": -v.dx}),
    "picked from all": Fault(
        "1 is subtracted in the columns y of every row, expected in row i at column y[i] only",
        _picked_from_all,
    ),
    "by probability": Fault(
        "found the gradient by the probabilities, -1/p, expected that by the scores",
        lambda v: {"dx": -v.one_hot / v.p / len(v.x)},
    ),
    "jacobian twice": Fault(
        "multiplied by p once too often: the softmax's own derivative is already in p - one_hot(y)",
        lambda v: {"dx": v.p * v.dx},
    ),
    "svm": Fault(
        "found the SVM loss, expected the softmax loss",
        lambda v: {key: svm(v.x, v.y)[key] for key in ("loss", "dx")},
    ),
}


def _picked_margins(v, delta=1.0, square=False, keep=False):
    margins = np.maximum(v.x - v.right + delta, 0)
    margins = margins if keep else margins * (1 - v.one_hot)
    counts = 2 * margins if square else (margins > 0) * 1.0
    dx = (counts - counts.sum(axis=1, keepdims=True) * v.one_hot) / len(v.x)
    return {"loss": (margins**2 if square else margins).sum() / len(v.x), "dx": dx}


def _reversed_margins(v):
    margins = np.maximum(v.right - v.x + 1, 0) * (1 - v.one_hot)
    counts = (margins > 0) * 1.0
    return {
        "loss": margins.sum() / len(v.x),
        "dx": (counts.sum(axis=1, keepdims=True) * v.one_hot - counts) / len(v.x),
    }


def _largest_margin(v):
    counts = v.counts * (v.margins == v.margins.max(axis=1, keepdims=True))
    return {
        "loss": v.margins.max(axis=1).mean(),
        "dx": (counts - counts.sum(axis=1, keepdims=True) * v.one_hot) / len(v.x),
    }


SVM = {
    "sum": Fault(MEAN, lambda v: {"loss": v.loss * len(v.x)}),
    "dx of the sum": Fault(MEAN_DX, lambda v: {"dx": v.dx * len(v.x)}),
    "right class counts": Fault(
        "the right class's own margin, which is 1, is counted: set it to 0",
        lambda v: {
            "loss": v.loss + 1,
            "dx": (v.counts - v.counts.sum(axis=1, keepdims=True) * v.one_hot + v.one_hot) / len(v.x),
        },
    ),
    "right class counts twice": Fault(
        "the right class's own margin is counted: set it to 0 before the margins are counted",
        lambda v: {"dx": v.dx - v.one_hot / len(v.x)},
    ),
    "no delta": Fault("the 1 in the margin is missing", lambda v: _picked_margins(v, delta=0.0)),
    "minus delta": Fault(
        "1 is subtracted from the margin, expected added", lambda v: _picked_margins(v, delta=-1.0)
    ),
    "squared": Fault(
        "the margins are squared, expected as they are", lambda v: _picked_margins(v, square=True)
    ),
    "reversed": Fault(
        "the margin has the wrong sign: expected the other class's score minus the right class's",
        _reversed_margins,
    ),
    "no maximum": Fault(
        "negative margins count, expected max(0, margin)",
        lambda v: {
            "loss": np.sum((v.x - v.right + 1) * (1 - v.one_hot)) / len(v.x),
            "dx": (1 - v.one_hot - (v.x.shape[1] - 1) * v.one_hot) / len(v.x),
        },
    ),
    "absolute": Fault(
        "the absolute values of the margins are added, expected max(0, margin)",
        lambda v: {"loss": np.abs((v.x - v.right + 1) * (1 - v.one_hot)).sum() / len(v.x)},
    ),
    "largest margin": Fault(
        "only the largest margin counts, expected the sum over the classes", _largest_margin
    ),
    **OF_BOTH,
    "count": Fault(
        "found the number of positive margins, expected their sum",
        lambda v: {"loss": v.counts.sum() / len(v.x)},
    ),
    "not only positive": Fault(
        "margins of 0 are counted, too, expected only positive ones",
        lambda v: {"dx": (v.counts - v.x.shape[1] * v.one_hot) / len(v.x)},
    ),
    "right class forgotten": Fault(
        "the right class has no gradient, but its score is in every margin: the fork's gradients add up",
        lambda v: {"dx": v.counts / len(v.x)},
    ),
    "right class once": Fault(
        "the right class gets -1, expected minus the number of positive margins: its score is in each of them",
        lambda v: {"dx": (v.counts - v.one_hot) / len(v.x)},
    ),
    "right class positive": Fault(
        "the sign at the right class is flipped: its score lowers every margin",
        lambda v: {"dx": (v.counts + v.counts.sum(axis=1, keepdims=True) * v.one_hot) / len(v.x)},
    ),
    "only the right class": Fault(
        "only the right class has a gradient, expected every class whose margin is positive",
        lambda v: {"dx": v.dx * v.one_hot},
    ),
    "margins themselves": Fault(
        "found the margins, expected 1 where a margin is positive",
        lambda v: {"dx": (v.margins - v.margins.sum(axis=1, keepdims=True) * v.one_hot) / len(v.x)},
    ),
    "every class": Fault(
        "every class counts, expected only those whose margin is positive",
        lambda v: {"dx": (1 - v.x.shape[1] * v.one_hot) / len(v.x)},
    ),
    "flipped": Fault("the sign is flipped", lambda v: {"dx": -v.dx}),
    "softmax": Fault(
        "found the softmax loss, expected the SVM loss",
        lambda v: {key: softmax(v.x, v.y)[key] for key in ("loss", "dx")},
    ),
}
