"""The typical mistakes in a normalization, forward and backward, whatever axes it is over."""

import numpy as np

from npgrad.course.layers_by_hand._judge import Fault
from npgrad.course.layers_by_hand._norms import EPS, GROUP, shaped


def _again(norm, v, **changed):
    """out with other values in place of mean, var, eps or the centered x."""
    mean, var = changed.get("mean", v.mean), changed.get("var", v.var)
    parts = norm.split(v.x, getattr(v, "G", 0))
    centered = changed.get("centered", parts - mean)
    spread = changed.get("spread", np.sqrt(var + changed.get("eps", v.eps)))
    xhat = (centered / spread).reshape(v.x.shape)
    return {"out": shaped(v.gamma, v.x) * xhat + shaped(v.beta, v.x)}


def _count(norm, v):
    parts = norm.split(v.x, getattr(v, "G", 0))
    return parts.size / v.mean.size


def _other(norm, axes):
    """Statistics over other axes."""

    def wrong(v):
        parts = norm.split(v.x, getattr(v, "G", 0))
        if max(axes) >= parts.ndim:
            return {}
        mean, var = parts.mean(axis=axes, keepdims=True), parts.var(axis=axes, keepdims=True)
        return _again(norm, v, mean=mean, var=var)

    return wrong


def forward_faults(norm, others):
    """The faults of a forward function. others: {name: (axes, in words)} of other axes for the statistics."""
    g = shaped
    table = {
        "no gamma": Fault("gamma is missing", lambda v: {"out": v.xhat + g(v.beta, v.x)}),
        "no beta": Fault("beta is missing", lambda v: {"out": g(v.gamma, v.x) * v.xhat}),
        "neither": Fault(
            "gamma and beta are missing: expected gamma * xhat + beta, found xhat", lambda v: {"out": v.xhat}
        ),
        "swapped": Fault(
            "gamma and beta are swapped: gamma is the factor, beta is added",
            lambda v: {"out": g(v.beta, v.x) * v.xhat + g(v.gamma, v.x)},
        ),
        "minus beta": Fault(
            "beta is subtracted", lambda v: {"out": g(v.gamma, v.x) * v.xhat - g(v.beta, v.x)}
        ),
        "beta inside": Fault(
            "beta is added before gamma multiplies: expected gamma * xhat + beta",
            lambda v: {"out": g(v.gamma, v.x) * (v.xhat + g(v.beta, v.x))},
        ),
        "gamma divides": Fault(
            "divided by gamma, expected multiplied",
            lambda v: {"out": v.xhat / g(v.gamma, v.x) + g(v.beta, v.x)},
        ),
        "eps outside": Fault(
            "eps is added outside of the root: expected sqrt(var + eps)",
            lambda v: _again(norm, v, spread=np.sqrt(v.var) + v.eps),
        ),
        "no eps": Fault("eps is missing: expected sqrt(var + eps)", lambda v: _again(norm, v, eps=0)),
        "default eps": Fault(
            "eps is the default, expected the one in the parameters", lambda v: _again(norm, v, eps=EPS)
        ),
        "eps squared": Fault(
            "eps is squared: expected sqrt(var + eps)", lambda v: _again(norm, v, eps=v.eps**2)
        ),
        "eps subtracted": Fault(
            "eps is subtracted: expected sqrt(var + eps)", lambda v: _again(norm, v, eps=-v.eps)
        ),
        "no root": Fault(
            "divided by the variance, expected by its root", lambda v: _again(norm, v, spread=v.var + v.eps)
        ),
        "only centered": Fault("not divided by the standard deviation", lambda v: _again(norm, v, spread=1)),
        "times spread": Fault(
            "multiplied by the standard deviation, expected divided",
            lambda v: _again(norm, v, spread=1 / np.sqrt(v.var + v.eps)),
        ),
        "not centered": Fault(
            "the mean is not subtracted from x",
            lambda v: _again(norm, v, centered=norm.split(v.x, getattr(v, "G", 0))),
        ),
        "mean added": Fault(
            "the mean is added, expected subtracted",
            lambda v: _again(norm, v, centered=v.centered + 2 * v.mean),
        ),
        "second moment": Fault(
            "the variance is the mean of x^2: the squared mean is not subtracted",
            lambda v: _again(norm, v, var=v.var + v.mean**2),
        ),
        "ddof": Fault(
            "the variance is divided by n - 1 (ddof=1), expected by n",
            lambda v: _again(norm, v, var=v.var * _count(norm, v) / (_count(norm, v) - 1)),
        ),
        "sum of squares": Fault(
            "the variance is the sum of squares, expected their mean",
            lambda v: _again(norm, v, var=v.var * _count(norm, v)),
        ),
        "absolute deviation": Fault(
            "divided by the mean absolute deviation, expected by the standard deviation",
            lambda v: _again(norm, v, spread=np.abs(v.centered).mean(axis=norm.axes, keepdims=True) + v.eps),
        ),
    }
    for name, (axes, words) in others.items():
        text = f"mean and variance are over {words}, expected over {norm.over}"
        table[name] = Fault(text, _other(norm, axes))
    return table


def _dx(norm, v, d=None, mean=1.0, var=1.0, spread=None, xhat=None):
    """dx with other factors of its terms, or other values in them."""
    groups = getattr(v, "G", 0)
    d = v.d if d is None else d
    xhat = norm.split(v.xhat, groups) if xhat is None else xhat
    terms = d - mean * d.mean(axis=norm.axes, keepdims=True)
    terms = terms - var * xhat * np.mean(d * xhat, axis=norm.axes, keepdims=True)
    spread = np.sqrt(v.var + v.eps) if spread is None else spread
    return {"dx": (terms / spread).reshape(v.x.shape)}


def _other_dx(norm, axes):
    def wrong(v):
        groups = getattr(v, "G", 0)
        if max(axes) >= v.d.ndim:
            return {}
        xhat = norm.split(v.xhat, groups)
        terms = (
            v.d - v.d.mean(axis=axes, keepdims=True) - xhat * np.mean(v.d * xhat, axis=axes, keepdims=True)
        )
        return {"dx": (terms / np.sqrt(v.var + v.eps)).reshape(v.x.shape)}

    return wrong


def _sums(norm, v, factor, key, **options):
    return {key: np.sum(v.dout * factor, axis=norm.per, **options).reshape(v.gamma.shape)}


def backward_faults(norm, others):
    """The faults of a backward function. others: as in `forward_faults`, without the words."""
    n = _count
    table = {
        "constants": Fault(
            "mean and variance are taken as constants, but both depend on x: two terms are missing",
            lambda v: _dx(norm, v, mean=0, var=0),
        ),
        "no mean": Fault("the path through the mean is missing", lambda v: _dx(norm, v, mean=0)),
        "no variance": Fault("the path through the variance is missing", lambda v: _dx(norm, v, var=0)),
        "mean not divided": Fault(
            "the path through the mean is not divided by the number of values: mean = sum / n",
            lambda v: _dx(norm, v, mean=n(norm, v)),
        ),
        "variance not divided": Fault(
            "the path through the variance is not divided by the number of values: var = sum / n",
            lambda v: _dx(norm, v, var=n(norm, v)),
        ),
        "neither divided": Fault(
            "the paths through mean and variance are not divided by the number of values",
            lambda v: _dx(norm, v, mean=n(norm, v), var=n(norm, v)),
        ),
        "times n": Fault(
            "not divided by the number of values that are normalized together",
            lambda v: {"dx": v.dx * n(norm, v)},
        ),
        "mean flipped": Fault(
            "the path through the mean has the wrong sign", lambda v: _dx(norm, v, mean=-1)
        ),
        "variance flipped": Fault(
            "the path through the variance has the wrong sign", lambda v: _dx(norm, v, var=-1)
        ),
        "variance half": Fault(
            "the path through the variance has half of its value: the derivative of a square has a factor 2",
            lambda v: _dx(norm, v, var=0.5),
        ),
        "variance twice": Fault(
            "the path through the variance counts twice: the derivative of a root has a factor 1/2",
            lambda v: _dx(norm, v, var=2),
        ),
        "no gamma": Fault(
            "gamma is missing in it", lambda v: _dx(norm, v, d=norm.split(v.dout, getattr(v, "G", 0)))
        ),
        "gamma twice": Fault(
            "multiplied by gamma twice",
            lambda v: _dx(norm, v, d=v.d * norm.split(shaped(v.gamma, v.x) + 0 * v.x, getattr(v, "G", 0))),
        ),
        "no root": Fault(
            "divided by the variance, expected by its root", lambda v: _dx(norm, v, spread=v.var + v.eps)
        ),
        "not divided": Fault("not divided by the standard deviation", lambda v: _dx(norm, v, spread=1)),
        "no eps": Fault(
            "eps is missing: sqrt(var + eps), as in the forward pass",
            lambda v: _dx(norm, v, spread=np.sqrt(v.var)),
        ),
        "eps outside": Fault(
            "eps is added outside of the root, expected as in the forward pass: sqrt(var + eps)",
            lambda v: _dx(norm, v, spread=np.sqrt(v.var) + v.eps),
        ),
        "out for xhat": Fault(
            "out is used where xhat belongs: the normalized x before gamma and beta",
            lambda v: {
                **_dx(norm, v, xhat=norm.split(v.out, getattr(v, "G", 0))),
                **_sums(norm, v, v.out, "dgamma"),
            },
        ),
        "x for xhat": Fault(
            "x is used where xhat, the normalized x, belongs",
            lambda v: {
                **_dx(norm, v, xhat=norm.split(v.x, getattr(v, "G", 0))),
                **_sums(norm, v, v.x, "dgamma"),
            },
        ),
        "centered for xhat": Fault(
            "x - mean is used where xhat belongs: the division by the standard deviation is missing",
            lambda v: {
                **_dx(norm, v, xhat=v.centered),
                **_sums(norm, v, v.centered.reshape(v.x.shape), "dgamma"),
            },
        ),
        "dgamma without xhat": Fault("xhat is missing: found the sum of dout", lambda v: {"dgamma": v.dbeta}),
        "dgamma with gamma": Fault(
            "multiplied by gamma; out is linear in it, with slope xhat",
            lambda v: {"dgamma": v.dgamma * v.gamma},
        ),
        "dbeta with gamma": Fault(
            "multiplied by gamma; beta is added with slope 1", lambda v: {"dbeta": v.dbeta * v.gamma}
        ),
        "not summed": Fault(
            "the sum is missing: gamma and beta are used by every sample, and such a fork adds its gradients",
            lambda v: {"dgamma": v.dout * v.xhat, "dbeta": v.dout},
        ),
        "mean of dgamma": Fault(
            "found a mean, expected the sum",
            lambda v: {
                "dgamma": v.dgamma * v.gamma.size / v.x.size,
                "dbeta": v.dbeta * v.gamma.size / v.x.size,
            },
        ),
        "per N": Fault(
            "divided by the number of samples: the loss has already done that",
            lambda v: {key: getattr(v, key) / len(v.x) for key in ("dx", "dgamma", "dbeta")},
        ),
    }
    table.update(_shape_faults(norm))
    for name, (axes, words) in others.items():
        text = f"its means are over {words}, expected over {norm.over}, as in the forward pass"
        table[name] = Fault(text, _other_dx(norm, axes))
    return table


def _shape_faults(norm):
    """The faults in what the gradients of gamma and beta are summed over, and in their shape."""
    if len(norm.per) == 1:
        axis = Fault(
            "summed over axis 1, expected over the batch (axis 0)",
            lambda v: {"dgamma": np.sum(v.dout * v.xhat, axis=1), "dbeta": v.dout.sum(axis=1)},
        )
        kept = Fault(
            "keeps the axis of the batch, expected the shape of gamma and beta",
            lambda v: {"dgamma": v.dgamma[None], "dbeta": v.dbeta[None]},
        )
        return {"wrong axis": axis, "kept axis": kept}
    batch = Fault(
        "summed over the batch only, expected over the height and the width, too",
        lambda v: {"dgamma": np.sum(v.dout * v.xhat, axis=0), "dbeta": v.dout.sum(axis=0)},
    )
    if norm is GROUP:
        axes = Fault(
            "without the axes of size 1: expected the shape of gamma and beta",
            lambda v: {"dgamma": v.dgamma.ravel(), "dbeta": v.dbeta.ravel()},
        )
    else:
        axes = Fault(
            "has axes of size 1, expected the shape of gamma and beta",
            lambda v: {"dgamma": shaped(v.dgamma, v.x), "dbeta": shaped(v.dbeta, v.x)},
        )
    return {"only batch": batch, "axes": axes}
