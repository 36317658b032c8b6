"""A residual block, an inception-like fork and a Fire module: references and typical mistakes.

Where a value is used twice, its gradient is the sum of what comes back from both uses: the rule of all three.

    residual    h = relu(conv1(x)),  z = x + conv2(h),  out = relu(z)           dx = dz + what comes back through conv2, conv1
    inception   out = [conv1(x), conv3(x), conv5(x)]                            dx = the sum over the three branches
    fire        s = relu(squeeze(x)),  out = [relu(conv1(s)), relu(conv3(s))]   ds = the sum over the two branches
"""

import numpy as np

from npgrad.course.layers_by_hand._conv import conv, conv_gradients
from npgrad.course.layers_by_hand._judge import Fault


def same(x, w, b):
    """A convolution whose output is as large as its input."""
    return conv(x, w, b, _same(w))["out"]


def back(dout, x, w, b):
    """(dx, dw, db) of `same`."""
    found = conv_gradients(dout, x, w, b, _same(w))
    return found["dx"], found["dw"], found["db"]


def _same(w):
    return {"stride": 1, "pad": (w.shape[2] - 1) // 2}


def relu(x):
    """max(0, x)."""
    return np.maximum(x, 0)


def _parameters(rng, sizes, channels):
    """{w and b} for each (name, filters, kernel size) on an input of so many channels."""
    found = {}
    for name, filters, kernel in sizes:
        found[f"w{name}"] = rng.normal(size=(filters, channels, kernel, kernel)) / kernel
        found[f"b{name}"] = rng.normal(0, 0.5, filters)
    return found


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
    return {"dz": dz, "dh": dh, "da": da, "through": through, "dx": dz + through,
            "dw1": dw1, "db1": db1, "dw2": dw2, "db2": db2}  # fmt: skip


def residual_cases(rng):
    """Two sizes."""
    for n, c, height, width, middle in ((3, 4, 5, 6, 2), (2, 2, 3, 4, 4)):
        first, second = _parameters(rng, [("1", middle, 3)], c), _parameters(rng, [("2", c, 3)], middle)
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
        "there is a ReLU after conv2, too, expected only after the sum", _out(lambda v: relu(v.x + relu(v.branch)))
    ),
    "no inner relu": Fault("the ReLU between the convolutions is missing", _out(lambda v: relu(v.x + same(v.a, v.w2, v.b2)))),
    "relu of x": Fault("x passes a ReLU before it is added", _out(lambda v: relu(relu(v.x) + v.branch))),
    "skip subtracted": Fault("x is subtracted, expected added", _out(lambda v: relu(v.branch - v.x))),
    "skip multiplied": Fault("x is multiplied, expected added", _out(lambda v: relu(v.branch * v.x))),
    "skip twice": Fault("x is added twice", _out(lambda v: relu(v.z + v.x))),
    "mean": Fault("found the mean of x and the branch, expected their sum", _out(lambda v: relu(v.z / 2))),
    "no b1": Fault("b1 is missing", _out(lambda v: relu(v.x + same(relu(same(v.x, v.w1, 0 * v.b1)), v.w2, v.b2)))),
    "no b2": Fault("b2 is missing", _out(lambda v: relu(v.x + same(v.h, v.w2, 0 * v.b2)))),
    "no biases": Fault(
        "b1 and b2 are missing", _out(lambda v: relu(v.x + same(relu(same(v.x, v.w1, 0 * v.b1)), v.w2, 0 * v.b2)))
    ),
    "only the branch's first": Fault(
        "the flipped kernel is used: the layer correlates",
        _out(lambda v: relu(v.x + same(relu(same(v.x, v.w1[:, :, ::-1, ::-1], v.b1)), v.w2[:, :, ::-1, ::-1], v.b2))),
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


def _divided(names):
    return lambda v: {name: getattr(v, name) / len(v.x) for name in names}


def _only_sample(function, names, sample):
    """The parameters' gradients where only one sample's dout counts."""

    def wrong(v):
        dout = np.zeros_like(v.dout)
        dout[sample] = v.dout[sample]
        found = function(dout, v.x, *(getattr(v, name[1:]) for name in names if name != "dx"))
        return {name: found[name] for name in names if name != "dx"}

    return wrong


def _common(function, names):
    """The faults of every block."""
    biases = [name for name in names if name.startswith("db")]
    weights = [name for name in names if name.startswith("dw")]
    return {
        "mean": Fault("found the mean over the batch, expected the sum: the loss has already divided by N", _divided(names)),
        "first sample": Fault("only the first sample counts, expected the sum over the batch", _only_sample(function, names, 0)),
        "last sample": Fault(
            "only the last sample counts: parts are assigned (=), expected added (+=)", _only_sample(function, names, -1)
        ),
        "sign": Fault("the sign is flipped", lambda v: {name: -getattr(v, name) for name in names}),
        "flipped kernels": Fault(
            "is flipped in height and width", lambda v: {name: getattr(v, name)[:, :, ::-1, ::-1] for name in weights}
        ),
        "transposed": Fault(
            "its first two axes are swapped", lambda v: {name: getattr(v, name).swapaxes(0, 1) for name in weights}
        ),
        "scalar": Fault("summed over the filters, too", lambda v: {name: getattr(v, name).sum() for name in biases}),
        "ones": Fault(
            "dout is not used: expected the chain rule",
            lambda v: function(np.ones_like(v.dout), v.x, *(getattr(v, name[1:]) for name in names if name != "dx")),
        ),
    }


RESIDUAL_NAMES = ("dx", "dw1", "db1", "dw2", "db2")
RESIDUAL_BACKWARD = {
    "no skip": Fault(
        "the skip connection's part is missing: x is used twice, and such a fork adds its gradients",
        lambda v: {"dx": v.through},
    ),
    "only skip": Fault(
        "the branch's part is missing: x is used twice, and such a fork adds its gradients", lambda v: {"dx": v.dz}
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
        "the last ReLU's mask is that of x, expected that of x + conv2(h)", lambda v: _residual(v, dz=v.dout * (v.x > 0))
    ),
    "skip masked by x": Fault(
        "the skip connection's part is masked by x > 0: there is no ReLU in it", lambda v: _residual(v, skip=v.dz * (v.x > 0))
    ),
    "mask of dh": Fault(
        "the inner ReLU's mask is that of its gradient, expected that of its input",
        lambda v: _residual(v, inner=v.dh > 0),
    ),
    "a cached": Fault("conv2's input is taken before the ReLU: does the cache have conv1's output in place of h?", lambda v: _residual(v, h=v.a)),
    "kernel flipped": Fault("conv2's kernel is flipped once too often", lambda v: _residual(v, w2=v.w2[:, :, ::-1, ::-1])),
    **_common(residual_gradients, RESIDUAL_NAMES),
}


def inception(x, w1, b1, w3, b3, w5, b5):
    """Three branches, one after another along the channels."""
    y1, y3, y5 = same(x, w1, b1), same(x, w3, b3), same(x, w5, b5)
    return {"y1": y1, "y3": y3, "y5": y5, "out": np.concatenate([y1, y3, y5], axis=1)}


def _parts(dout, *weights):
    return np.split(dout, np.cumsum([len(w) for w in weights])[:-1], axis=1)


def inception_gradients(dout, x, w1, b1, w3, b3, w5, b5):
    """Each branch gets its channels of dout; x gets the sum of what comes back."""
    d1, d3, d5 = _parts(dout, w1, w3, w5)
    (dx1, dw1, db1), (dx3, dw3, db3), (dx5, dw5, db5) = (
        back(d, x, w, b) for d, w, b in ((d1, w1, b1), (d3, w3, b3), (d5, w5, b5))
    )
    return {"dx1": dx1, "dx3": dx3, "dx5": dx5, "dx": dx1 + dx3 + dx5,
            "dw1": dw1, "db1": db1, "dw3": dw3, "db3": db3, "dw5": dw5, "db5": db5}  # fmt: skip


def inception_cases(rng):
    """As many filters in two branches, so that they can be confused; then another number in each."""
    for n, c, height, width, filters in ((3, 4, 5, 6, (2, 2, 2)), (2, 2, 6, 5, (3, 1, 2))):
        sizes = list(zip("135", filters, (1, 3, 5), strict=True))
        yield {"x": rng.normal(size=(n, c, height, width)), **_parameters(rng, sizes, c)}


def _joined(*order, axis=1):
    def wrong(v):
        parts = [getattr(v, name) for name in order]
        return {"out": np.concatenate(parts, axis=axis)} if axis == 1 or len({p.shape for p in parts}) == 1 else {}

    return wrong


INCEPTION_FORWARD = {
    "order 3 1 5": Fault("the branches are in the order 3 x 3, 1 x 1, 5 x 5", _joined("y3", "y1", "y5")),
    "order 1 5 3": Fault("the branches are in the order 1 x 1, 5 x 5, 3 x 3", _joined("y1", "y5", "y3")),
    "order 5 3 1": Fault("the branches are in reverse order", _joined("y5", "y3", "y1")),
    "order 3 5 1": Fault("the branches are in the order 3 x 3, 5 x 5, 1 x 1", _joined("y3", "y5", "y1")),
    "order 5 1 3": Fault("the branches are in the order 5 x 5, 1 x 1, 3 x 3", _joined("y5", "y1", "y3")),
    "along the batch": Fault("concatenated along the batch (axis 0), expected along the channels", _joined("y1", "y3", "y5", axis=0)),
    "along the height": Fault("concatenated along the height (axis 2), expected along the channels", _joined("y1", "y3", "y5", axis=2)),
    "along the width": Fault("concatenated along the width (axis 3), expected along the channels", _joined("y1", "y3", "y5", axis=3)),
    "no 5": Fault("the 5 x 5 branch is missing", _joined("y1", "y3")),
    "no 3": Fault("the 3 x 3 branch is missing", _joined("y1", "y5")),
    "no 1": Fault("the 1 x 1 branch is missing", _joined("y3", "y5")),
    "sum": Fault(
        "the branches are added, expected concatenated", lambda v: {"out": v.y1 + v.y3 + v.y5} if len(v.w1) == len(v.w3) == len(v.w5) else {}
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
        lambda v: {"out": v.out[:, np.argsort(np.concatenate([np.arange(len(w)) for w in (v.w1, v.w3, v.w5)]), kind="stable")]},
    ),
}
INCEPTION_NAMES = ("dx", "dw1", "db1", "dw3", "db3", "dw5", "db5")
BRANCHES = {"1": "1 x 1", "3": "3 x 3", "5": "5 x 5"}


def _split_otherwise(order):
    """The branches get each other's channels of dout."""

    def wrong(v):
        parts = dict(zip("135", _parts(v.dout, v.w1, v.w3, v.w5), strict=True))
        if len({part.shape for part in parts.values()}) > 1:
            return {}
        found, dx = {}, 0
        for key, other in zip("135", order, strict=True):
            part, found[f"dw{key}"], found[f"db{key}"] = back(parts[other], v.x, getattr(v, f"w{key}"), getattr(v, f"b{key}"))
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
    "mean at the fork": Fault("found the mean of the branches' parts, expected their sum", lambda v: {"dx": v.dx / 3}),
    "split 315": Fault("the 1 x 1 and the 3 x 3 branch get each other's channels of dout", _split_otherwise("315")),
    "split 153": Fault("the 3 x 3 and the 5 x 5 branch get each other's channels of dout", _split_otherwise("153")),
    "split 531": Fault("the channels of dout are given to the branches in reverse order", _split_otherwise("531")),
    "split 351": Fault("the channels of dout are given to the branches in another order", _split_otherwise("351")),
    "split 513": Fault("the channels of dout are given to the branches in another order", _split_otherwise("513")),
    "same channels": Fault("every branch gets the first channels of dout, expected its own", _split_otherwise("111")),
    "relu": Fault(
        "dout is masked where out is negative: there is no ReLU in this block",
        lambda v: inception_gradients(v.dout * (v.out > 0), v.x, v.w1, v.b1, v.w3, v.b3, v.w5, v.b5),
    ),
    **_common(inception_gradients, INCEPTION_NAMES),
}
