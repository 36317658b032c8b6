"""The Fire module of SqueezeNet: reference and typical mistakes.

With s = relu(squeeze(x)), the output is [relu(conv1(s)), relu(conv3(s))] along the channels; ds is the sum over both.
"""

import numpy as np

from npgrad.course.layers_by_hand._blocks import back, channels_of, common, parameters, relu, same
from npgrad.course.layers_by_hand._judge import Fault


def fire(x, ws, bs, w1, b1, w3, b3):
    """out = [relu(conv1(s)), relu(conv3(s))]."""
    a = same(x, ws, bs)
    s = relu(a)
    a1, a3 = same(s, w1, b1), same(s, w3, b3)
    before = np.concatenate([a1, a3], axis=1)
    return {"a": a, "s": s, "a1": a1, "a3": a3, "before": before, "out": relu(before)}


def fire_gradients(dout, x, ws, bs, w1, b1, w3, b3):
    """Each branch gets its channels of dout; s gets the sum of what comes back."""
    v = fire(x, ws, bs, w1, b1, w3, b3)
    d1, d3 = channels_of(dout * (v["before"] > 0), w1, w3)
    (ds1, dw1, db1), (ds3, dw3, db3) = back(d1, v["s"], w1, b1), back(d3, v["s"], w3, b3)
    ds = ds1 + ds3
    dx, dws, dbs = back(ds * (v["a"] > 0), x, ws, bs)
    return {"ds1": ds1, "ds3": ds3, "ds": ds, "dx": dx, "dws": dws, "dbs": dbs,
            "dw1": dw1, "db1": db1, "dw3": dw3, "db3": db3}  # fmt: skip


def fire_cases(rng):
    """As many filters in both branches, so that they can be confused; then another number in each."""
    for n, c, height, width, squeeze, filters in ((3, 4, 5, 6, 5, (2, 2)), (2, 3, 5, 4, 2, (3, 1))):
        first = parameters(rng, [("s", squeeze, 1)], c)
        sizes = list(zip("13", filters, (1, 3), strict=True))
        yield {"x": rng.normal(size=(n, c, height, width)), **first, **parameters(rng, sizes, squeeze)}


def _with(v, s=None, bias=1.0):
    s = v.s if s is None else s
    return {"out": relu(np.concatenate([same(s, v.w1, bias * v.b1), same(s, v.w3, bias * v.b3)], axis=1))}


def _joined(first, second, axis=1):
    if axis == 1 or first.shape == second.shape:
        return {"out": relu(np.concatenate([first, second], axis=axis))}
    return {}


FIRE_FORWARD = {
    "no squeeze relu": Fault("the ReLU after the squeeze convolution is missing", lambda v: _with(v, v.a)),
    "no last relu": Fault("the ReLU after the branches is missing", lambda v: {"out": v.before}),
    "no relu": Fault(
        "both ReLUs are missing",
        lambda v: {"out": np.concatenate([same(v.a, v.w1, v.b1), same(v.a, v.w3, v.b3)], axis=1)},
    ),
    "relu on 1": Fault(
        "the ReLU after the 3 x 3 branch is missing",
        lambda v: {"out": np.concatenate([relu(v.a1), v.a3], axis=1)},
    ),
    "relu on 3": Fault(
        "the ReLU after the 1 x 1 branch is missing",
        lambda v: {"out": np.concatenate([v.a1, relu(v.a3)], axis=1)},
    ),
    "order": Fault("the branches are in the order 3 x 3, 1 x 1", lambda v: _joined(v.a3, v.a1)),
    "along the batch": Fault(
        "concatenated along the batch (axis 0), expected along the channels", lambda v: _joined(v.a1, v.a3, 0)
    ),
    "along the height": Fault(
        "concatenated along the height (axis 2), expected along the channels",
        lambda v: _joined(v.a1, v.a3, 2),
    ),
    "along the width": Fault(
        "concatenated along the width (axis 3), expected along the channels", lambda v: _joined(v.a1, v.a3, 3)
    ),
    "sum": Fault(
        "the branches are added, expected concatenated",
        lambda v: {"out": relu(v.a1) + relu(v.a3)} if v.a1.shape == v.a3.shape else {},
    ),
    "no 1": Fault("the 1 x 1 branch is missing", lambda v: {"out": relu(v.a3)}),
    "no 3": Fault("the 3 x 3 branch is missing", lambda v: {"out": relu(v.a1)}),
    "1 twice": Fault("both branches are the 1 x 1 one", lambda v: _joined(v.a1, v.a1)),
    "no bs": Fault("bs is missing", lambda v: _with(v, relu(same(v.x, v.ws, 0 * v.bs)))),
    "no biases of the branches": Fault("b1 and b3 are missing", lambda v: _with(v, bias=0)),
    "no biases": Fault("all biases are missing", lambda v: _with(v, relu(same(v.x, v.ws, 0 * v.bs)), 0)),
    "with s": Fault("s itself is a branch, too", lambda v: {"out": np.concatenate([v.s, v.out], axis=1)}),
    "interleaved": Fault(
        "the channels of the branches alternate, expected one branch after another",
        lambda v: {
            "out": v.out[
                :, np.argsort(np.concatenate([np.arange(len(w)) for w in (v.w1, v.w3)]), kind="stable")
            ]
        },
    ),
}


def _again(v, ds=None, dout=None, inner=None, s=None, swap=False):
    """The gradients with other values in the chain."""
    dout = v.dout * (v.before > 0) if dout is None else dout
    parts = channels_of(dout, v.w1, v.w3)
    if swap:
        if parts[0].shape != parts[1].shape:
            return {}
        parts = parts[::-1]
    s = v.s if s is None else s
    (ds1, dw1, db1), (ds3, dw3, db3) = back(parts[0], s, v.w1, v.b1), back(parts[1], s, v.w3, v.b3)
    ds = ds1 + ds3 if ds is None else ds
    dx, dws, dbs = back(ds * ((v.a > 0) if inner is None else inner), v.x, v.ws, v.bs)
    return {"dx": dx, "dws": dws, "dbs": dbs, "dw1": dw1, "db1": db1, "dw3": dw3, "db3": db3}


NAMES = ("dx", "dws", "dbs", "dw1", "db1", "dw3", "db3")
FORK = "s is used by both, and such a fork adds its gradients"
FIRE_BACKWARD = {
    "only 1": Fault(f"the 3 x 3 branch's part is missing: {FORK}", lambda v: _again(v, v.ds1)),
    "only 3": Fault(f"the 1 x 1 branch's part is missing: {FORK}", lambda v: _again(v, v.ds3)),
    "mean at the fork": Fault(
        "found the mean of the branches' parts, expected their sum", lambda v: _again(v, v.ds / 2)
    ),
    "subtracted": Fault(
        "one branch's part is subtracted, expected added", lambda v: _again(v, v.ds1 - v.ds3)
    ),
    "no last mask": Fault(
        "the ReLU after the branches is missing: dout passes only where out was positive",
        lambda v: _again(v, dout=v.dout),
    ),
    "no squeeze mask": Fault(
        "the ReLU after the squeeze convolution is missing", lambda v: _again(v, inner=np.ones_like(v.a))
    ),
    "no mask": Fault("both ReLUs are missing", lambda v: _again(v, dout=v.dout, inner=np.ones_like(v.a))),
    "mask of ds": Fault(
        "the squeeze ReLU's mask is that of its gradient, expected that of its input",
        lambda v: _again(v, inner=v.ds > 0),
    ),
    "a cached": Fault(
        "the branches' input is taken before the ReLU: does the cache have what squeeze returned in place of s?",
        lambda v: _again(v, s=v.a),
    ),
    "branches swapped": Fault(
        "the branches get each other's channels of dout", lambda v: _again(v, swap=True)
    ),
    "deconv": Fault(
        "dout is set to 0 where it is negative, expected where out was 0",
        lambda v: _again(v, dout=relu(v.dout)),
    ),
    "guided": Fault(
        "dout is set to 0 where it is negative, too", lambda v: _again(v, dout=relu(v.dout) * (v.before > 0))
    ),
    **common(fire_gradients, NAMES),
}
