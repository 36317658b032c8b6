"""A residual block: reference and typical mistakes.

With h = relu(conv1(x)) and z = x + conv2(h), the output is relu(z); dx = dz + what comes back through conv2, conv1.
"""

import numpy as np

from npgrad.course.layers_by_hand._blocks import back, common, parameters, relu, same
from npgrad.course.layers_by_hand._judge import Fault


def residual(x, w1, b1, w2, b2):
    """out = relu(x + conv2(relu(conv1(x))))."""
    a = same(x, w1, b1)
    h = relu(a)
    branch = same(h, w2, b2)
    return {"a": a, "h": h, "branch": branch, "z": x + branch, "out": relu(x + branch)}


def residual_gradients(dout, x, w1, b1, w2, b2):
    """dz goes both ways: to x directly, and back through the branch."""
    v = residual(x, w1, b1, w2, b2)
    dz = dout * (v["z"] > 0)
    dh, dw2, db2 = back(dz, v["h"], w2, b2)
    da = dh * (v["a"] > 0)
    through, dw1, db1 = back(da, x, w1, b1)
    terms = {"dx": {"the skip connection's part": dz, "the branch's part": through}}
    return {"terms": terms, "dz": dz, "dh": dh, "da": da, "through": through, "dx": dz + through,
            "dw1": dw1, "db1": db1, "dw2": dw2, "db2": db2}  # fmt: skip


def residual_cases(rng):
    """Two sizes."""
    for n, c, height, width, middle in ((3, 4, 5, 6, 2), (2, 2, 3, 4, 4)):
        first, second = parameters(rng, [("1", middle, 3)], c), parameters(rng, [("2", c, 3)], middle)
        yield {"x": rng.normal(size=(n, c, height, width)), **first, **second}


def _out(function):
    return lambda v: {"out": function(v)}


RESIDUAL_FORWARD = {
    "no skip": Fault("x is not added: the skip connection is missing", _out(lambda v: relu(v.branch))),
    "no skip, no relu": Fault("x is not added, and the last ReLU is missing", _out(lambda v: v.branch)),
    "no last relu": Fault("the ReLU after the sum is missing", _out(lambda v: v.z)),
    "relu before the sum": Fault(
        "the last ReLU comes before the sum, expected after it", _out(lambda v: v.x + relu(v.branch))
    ),
    "relu before and after": Fault(
        "there is a ReLU after conv2, too, expected only after the sum",
        _out(lambda v: relu(v.x + relu(v.branch))),
    ),
    "no inner relu": Fault(
        "the ReLU between the convolutions is missing", _out(lambda v: relu(v.x + same(v.a, v.w2, v.b2)))
    ),
    "relu of x": Fault("x passes a ReLU before it is added", _out(lambda v: relu(relu(v.x) + v.branch))),
    "skip subtracted": Fault("x is subtracted, expected added", _out(lambda v: relu(v.branch - v.x))),
    "skip multiplied": Fault("x is multiplied, expected added", _out(lambda v: relu(v.branch * v.x))),
    "skip twice": Fault("x is added twice", _out(lambda v: relu(v.z + v.x))),
    "mean": Fault("found the mean of x and the branch, expected their sum", _out(lambda v: relu(v.z / 2))),
    "no b1": Fault(
        "b1 is missing", _out(lambda v: relu(v.x + same(relu(same(v.x, v.w1, 0 * v.b1)), v.w2, v.b2)))
    ),
    "no b2": Fault("b2 is missing", _out(lambda v: relu(v.x + same(v.h, v.w2, 0 * v.b2)))),
    "no biases": Fault(
        "b1 and b2 are missing",
        _out(lambda v: relu(v.x + same(relu(same(v.x, v.w1, 0 * v.b1)), v.w2, 0 * v.b2))),
    ),
    "only the branch's first": Fault(
        "the flipped kernel is used: the layer correlates",
        _out(
            lambda v: relu(
                v.x + same(relu(same(v.x, v.w1[:, :, ::-1, ::-1], v.b1)), v.w2[:, :, ::-1, ::-1], v.b2)
            )
        ),
    ),
    "only x": Fault("the branch is not added", _out(lambda v: relu(v.x))),
}


def _residual(v, dz=None, inner=None, skip=None, h=None, w2=None):
    """The gradients with other values in the chain: dz, the mask of the inner ReLU, what comes by the skip, h."""
    dz = v.dz if dz is None else dz
    dh, dw2, db2 = back(dz, v.h if h is None else h, v.w2 if w2 is None else w2, v.b2)
    through, dw1, db1 = back(dh * ((v.a > 0) if inner is None else inner), v.x, v.w1, v.b1)
    skip = dz if skip is None else skip
    return {"dx": skip + through, "dw1": dw1, "db1": db1, "dw2": dw2, "db2": db2}


RESIDUAL_NAMES = ("dx", "dw1", "db1", "dw2", "db2")
RESIDUAL_BACKWARD = {
    "no skip": Fault(
        "the skip connection's part is missing: x is used twice, and such a fork adds its gradients",
        lambda v: {"dx": v.through},
    ),
    "only skip": Fault(
        "the branch's part is missing: x is used twice, and such a fork adds its gradients",
        lambda v: {"dx": v.dz},
    ),
    "only skip, no mask": Fault(
        "the branch's part is missing, and the last ReLU's mask", lambda v: {"dx": v.dout}
    ),
    "mean at the fork": Fault("found the mean of both parts, expected their sum", lambda v: {"dx": v.dx / 2}),
    "parts subtracted": Fault("one part is subtracted, expected added", lambda v: {"dx": v.dz - v.through}),
    "parts multiplied": Fault("the parts are multiplied, expected added", lambda v: {"dx": v.dz * v.through}),
    "no last mask": Fault(
        "the last ReLU is missing: dout passes only where x + conv2(h) was positive",
        lambda v: _residual(v, dz=v.dout),
    ),
    "skip not masked": Fault(
        "the skip connection's part has passed no ReLU: the last one is after the sum, so that it is in both parts",
        lambda v: _residual(v, skip=v.dout),
    ),
    "branch not masked": Fault(
        "the branch's part has passed no last ReLU: it is after the sum, so that it is in both parts",
        lambda v: _residual(v, dz=v.dout, skip=v.dz),
    ),
    "no inner mask": Fault(
        "the ReLU between the convolutions is missing", lambda v: _residual(v, inner=np.ones_like(v.a))
    ),
    "mask of the branch": Fault(
        "the last ReLU's mask is that of conv2(h), expected that of x + conv2(h)",
        lambda v: _residual(v, dz=v.dout * (v.branch > 0)),
    ),
    "mask of x": Fault(
        "the last ReLU's mask is that of x, expected that of x + conv2(h)",
        lambda v: _residual(v, dz=v.dout * (v.x > 0)),
    ),
    "skip masked by x": Fault(
        "the skip connection's part is masked by x > 0: there is no ReLU in it",
        lambda v: _residual(v, skip=v.dz * (v.x > 0)),
    ),
    "mask of dh": Fault(
        "the inner ReLU's mask is that of its gradient, expected that of its input",
        lambda v: _residual(v, inner=v.dh > 0),
    ),
    "a cached": Fault(
        "conv2's input is taken before the ReLU: does the cache have conv1's output in place of h?",
        lambda v: _residual(v, h=v.a),
    ),
    "kernel flipped": Fault(
        "conv2's kernel is flipped once too often", lambda v: _residual(v, w2=v.w2[:, :, ::-1, ::-1])
    ),
    **common(residual_gradients, RESIDUAL_NAMES),
}
