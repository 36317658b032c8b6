"""An inception-like fork: reference and typical mistakes.

The output is [conv1(x), conv3(x), conv5(x)] along the channels; dx is the sum of what comes back through the three.
"""

import numpy as np

from npgrad.course.layers_by_hand._blocks import back, channels_of, common, parameters, relu, same
from npgrad.course.layers_by_hand._judge import Fault


def inception(x, w1, b1, w3, b3, w5, b5):
    """Three branches, one after another along the channels."""
    y1, y3, y5 = same(x, w1, b1), same(x, w3, b3), same(x, w5, b5)
    return {"y1": y1, "y3": y3, "y5": y5, "out": np.concatenate([y1, y3, y5], axis=1)}


def inception_gradients(dout, x, w1, b1, w3, b3, w5, b5):
    """Each branch gets its channels of dout; x gets the sum of what comes back."""
    d1, d3, d5 = channels_of(dout, w1, w3, w5)
    (dx1, dw1, db1), (dx3, dw3, db3), (dx5, dw5, db5) = (
        back(d, x, w, b) for d, w, b in ((d1, w1, b1), (d3, w3, b3), (d5, w5, b5))
    )
    parts = {"the 1 x 1 branch's part": dx1, "the 3 x 3 branch's part": dx3, "the 5 x 5 branch's part": dx5}
    return {"terms": {"dx": parts}, "dx1": dx1, "dx3": dx3, "dx5": dx5, "dx": dx1 + dx3 + dx5,
            "dw1": dw1, "db1": db1, "dw3": dw3, "db3": db3, "dw5": dw5, "db5": db5}  # fmt: skip


def inception_cases(rng):
    """As many filters in two branches, so that they can be confused; then another number in each."""
    for n, c, height, width, filters in ((3, 4, 5, 6, (2, 2, 2)), (2, 2, 6, 5, (3, 1, 2))):
        sizes = list(zip("135", filters, (1, 3, 5), strict=True))
        yield {"x": rng.normal(size=(n, c, height, width)), **parameters(rng, sizes, c)}


def _joined(*order, axis=1):
    def wrong(v):
        parts = [getattr(v, name) for name in order]
        return (
            {"out": np.concatenate(parts, axis=axis)}
            if axis == 1 or len({p.shape for p in parts}) == 1
            else {}
        )

    return wrong


INCEPTION_FORWARD = {
    "order 3 1 5": Fault("the branches are in the order 3 x 3, 1 x 1, 5 x 5", _joined("y3", "y1", "y5")),
    "order 1 5 3": Fault("the branches are in the order 1 x 1, 5 x 5, 3 x 3", _joined("y1", "y5", "y3")),
    "order 5 3 1": Fault("the branches are in reverse order", _joined("y5", "y3", "y1")),
    "order 3 5 1": Fault("the branches are in the order 3 x 3, 5 x 5, 1 x 1", _joined("y3", "y5", "y1")),
    "order 5 1 3": Fault("the branches are in the order 5 x 5, 1 x 1, 3 x 3", _joined("y5", "y1", "y3")),
    "along the batch": Fault(
        "concatenated along the batch (axis 0), expected along the channels",
        _joined("y1", "y3", "y5", axis=0),
    ),
    "along the height": Fault(
        "concatenated along the height (axis 2), expected along the channels",
        _joined("y1", "y3", "y5", axis=2),
    ),
    "along the width": Fault(
        "concatenated along the width (axis 3), expected along the channels",
        _joined("y1", "y3", "y5", axis=3),
    ),
    "no 5": Fault("the 5 x 5 branch is missing", _joined("y1", "y3")),
    "no 3": Fault("the 3 x 3 branch is missing", _joined("y1", "y5")),
    "no 1": Fault("the 1 x 1 branch is missing", _joined("y3", "y5")),
    "sum": Fault(
        "the branches are added, expected concatenated",
        lambda v: {"out": v.y1 + v.y3 + v.y5} if len(v.w1) == len(v.w3) == len(v.w5) else {},
    ),
    "relu": Fault("negative outputs are 0: there is no ReLU in this block", lambda v: {"out": relu(v.out)}),
    "no biases": Fault(
        "the biases are missing",
        lambda v: {"out": v.out - np.concatenate([v.b1, v.b3, v.b5])[:, None, None]},
    ),
    "first branch thrice": Fault("every branch is the 1 x 1 one", _joined("y1", "y1", "y1")),
    "with x": Fault("x itself is a branch, too", lambda v: {"out": np.concatenate([v.x, v.out], axis=1)}),
    "interleaved": Fault(
        "the channels of the branches alternate, expected one branch after another",
        lambda v: {
            "out": v.out[
                :, np.argsort(np.concatenate([np.arange(len(w)) for w in (v.w1, v.w3, v.w5)]), kind="stable")
            ]
        },
    ),
}
INCEPTION_NAMES = ("dx", "dw1", "db1", "dw3", "db3", "dw5", "db5")
BRANCHES = {"1": "1 x 1", "3": "3 x 3", "5": "5 x 5"}


def _split_otherwise(order):
    """The branches get each other's channels of dout."""

    def wrong(v):
        parts = dict(zip("135", channels_of(v.dout, v.w1, v.w3, v.w5), strict=True))
        if len({part.shape for part in parts.values()}) > 1:
            return {}
        found, dx = {}, 0
        for key, other in zip("135", order, strict=True):
            part, found[f"dw{key}"], found[f"db{key}"] = back(
                parts[other], v.x, getattr(v, f"w{key}"), getattr(v, f"b{key}")
            )
            dx = dx + part
        return {"dx": dx, **found}

    return wrong


INCEPTION_BACKWARD = {
    **{
        f"only {key}": Fault(
            f"only the {words} branch's part is there: x is used by all three, and such a fork adds its gradients",
            lambda v, key=key: {"dx": getattr(v, f"dx{key}")},
        )
        for key, words in BRANCHES.items()
    },
    **{
        f"no {key}": Fault(
            f"the {words} branch's part is missing: x is used by all three, and such a fork adds its gradients",
            lambda v, key=key: {"dx": v.dx - getattr(v, f"dx{key}")},
        )
        for key, words in BRANCHES.items()
    },
    "mean at the fork": Fault(
        "found the mean of the branches' parts, expected their sum", lambda v: {"dx": v.dx / 3}
    ),
    "split 315": Fault(
        "the 1 x 1 and the 3 x 3 branch get each other's channels of dout", _split_otherwise("315")
    ),
    "split 153": Fault(
        "the 3 x 3 and the 5 x 5 branch get each other's channels of dout", _split_otherwise("153")
    ),
    "split 531": Fault(
        "the channels of dout are given to the branches in reverse order", _split_otherwise("531")
    ),
    "split 351": Fault(
        "the channels of dout are given to the branches in another order", _split_otherwise("351")
    ),
    "split 513": Fault(
        "the channels of dout are given to the branches in another order", _split_otherwise("513")
    ),
    "same channels": Fault(
        "every branch gets the first channels of dout, expected its own", _split_otherwise("111")
    ),
    "relu": Fault(
        "dout is masked where out is negative: there is no ReLU in this block",
        lambda v: inception_gradients(v.dout * (v.out > 0), v.x, v.w1, v.b1, v.w3, v.b3, v.w5, v.b5),
    ),
    **common(inception_gradients, INCEPTION_NAMES),
}
