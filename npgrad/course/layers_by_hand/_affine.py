"""The affine layer and the ReLU: references and typical mistakes.

With X, the values of each sample of x in a row (N, D), and sums over what both factors share:

    out = X w + b,      dx = dout w^T in the shape of x,  dw = X^T dout,  db = sum of dout over the samples
    out = max(0, x),    dx = dout where x > 0, else 0
"""

import numpy as np

from npgrad.course.layers_by_hand._judge import Fault


def affine(x, w, b):
    """out = X w + b."""
    X = x.reshape(len(x), -1)
    product = np.einsum("nd,dm->nm", X, w)
    return {"X": X, "out": product + b, "terms": {"out": {"the product of x and w": product, "b": b}}}


def affine_gradients(dout, x, w, b):
    """Each gradient is a sum of products over what the other two share: dx over M, dw over N, db over N."""
    X = x.reshape(len(x), -1)
    return {
        "dX": np.einsum("nm,dm->nd", dout, w),
        "dx": np.einsum("nm,dm->nd", dout, w).reshape(x.shape),
        "dw": np.einsum("nd,nm->dm", X, dout),
        "db": np.einsum("nm->m", dout),
    }


def affine_cases(rng):
    """Several axes, then one; more samples than outputs, then fewer."""
    for n, shape, m in ((4, (3, 5), 6), (2, (7,), 3)):
        d = int(np.prod(shape))
        yield {
            "x": rng.normal(0.2, 1, (n, *shape)),
            "w": rng.normal(size=(d, m)),
            "b": rng.normal(1, 0.5, m),
        }


def large_affine(rng):
    """Arguments for which a loop over samples takes long."""
    return {"x": rng.normal(size=(20000, 4)), "w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}


def _mixed(v):
    """The rows when samples are not the first axis of the reshape."""
    return v.x.reshape(-1, len(v.x)).T


def _backwards(v):
    """The rows when the axes of a sample are reversed before it is flattened."""
    return v.x.transpose(0, *range(v.x.ndim - 1, 0, -1)).reshape(v.X.shape)


AFFINE_FORWARD = {
    "no bias": Fault("the bias b is missing", lambda v: {"out": v.X @ v.w}),
    "minus bias": Fault("the bias is subtracted, expected added", lambda v: {"out": v.X @ v.w - v.b}),
    "bias times": Fault(
        "the product is multiplied by b, expected b added", lambda v: {"out": v.X @ v.w * v.b}
    ),
    "bias twice": Fault("the bias is added twice", lambda v: {"out": v.out + v.b}),
    "bias each input": Fault(
        "the bias is added once for each input, expected once for each output: add it after the sum",
        lambda v: {"out": v.X @ v.w + v.X.shape[1] * v.b},
    ),
    "mean bias": Fault(
        "the same number is added to every output, expected b[m] for output m",
        lambda v: {"out": v.X @ v.w + v.b.mean()},
    ),
    "reshape mixes samples": Fault(
        "the reshape mixes the samples: expected one row per sample, (N, D)",
        lambda v: {"out": _mixed(v) @ v.w + v.b},
    ),
    "other order": Fault(
        "the values of a sample are flattened in another order than that of reshape(N, -1)",
        lambda v: {"out": _backwards(v) @ v.w + v.b},
    ),
    "relu": Fault(
        "negative outputs are 0: a ReLU belongs to another layer", lambda v: {"out": np.maximum(v.out, 0)}
    ),
    "sigmoid": Fault(
        "an activation is applied to the outputs, expected the sum alone",
        lambda v: {"out": 1 / (1 + np.exp(-v.out))},
    ),
    "tanh": Fault(
        "an activation (tanh) is applied to the outputs, expected the sum alone",
        lambda v: {"out": np.tanh(v.out)},
    ),
    "mean inputs": Fault(
        "found the mean over the inputs, expected their sum",
        lambda v: {"out": v.X @ v.w / v.X.shape[1] + v.b},
    ),
    "first sample": Fault(
        "every sample gets the first sample's outputs", lambda v: {"out": np.tile(v.out[:1], (len(v.x), 1))}
    ),
    "absolute weights": Fault("the weights' signs are lost", lambda v: {"out": v.X @ np.abs(v.w) + v.b}),
    "flipped weights": Fault(
        "the rows of w are taken in reverse order", lambda v: {"out": v.X @ v.w[::-1] + v.b}
    ),
}
AFFINE_BACKWARD = {
    "flat dx": Fault(
        "not reshaped: expected the shape of x, found one row for each sample", lambda v: {"dx": v.dX}
    ),
    "reshape mixes dx": Fault(
        "reshaped in another order than x was flattened in the forward pass",
        lambda v: {"dx": v.dX.T.reshape(v.x.shape)},
    ),
    "transposed dw": Fault(
        "is transposed: its shape must be that of w, one row for each input", lambda v: {"dw": v.dw.T}
    ),
    "mixed dw": Fault(
        "x is reshaped to (D, N), which mixes samples and inputs: expected the transpose of (N, D)",
        lambda v: {"dw": v.x.reshape(-1, len(v.x)) @ v.dout},
    ),
    "no sum in db": Fault(
        "the sum over the batch is missing: b is used by every sample, and such a fork adds its gradients",
        lambda v: {"db": v.dout},
    ),
    "db keeps its axis": Fault(
        "expected shape (M,), found (1, M): the sum keeps the axis of the batch", lambda v: {"db": v.db[None]}
    ),
    "db over outputs": Fault(
        "is summed over the outputs (axis 1), expected over the batch (axis 0)",
        lambda v: {"db": v.dout.sum(axis=1)},
    ),
    "db over all": Fault(
        "is summed over all of dout, expected over the batch (axis 0) only", lambda v: {"db": v.dout.sum()}
    ),
    "mean": Fault(
        "found the mean over the batch, expected the sum: the loss has already divided by N",
        lambda v: {"dx": v.dx / len(v.x), "dw": v.dw / len(v.x), "db": v.db / len(v.x)},
    ),
    "times N": Fault(
        "multiplied by the number of samples",
        lambda v: {k: getattr(v, k) * len(v.x) for k in ("dx", "dw", "db")},
    ),
    "ones": Fault(
        "dout is not used: expected the chain rule, the local gradient times dout",
        lambda v: {
            "dx": np.broadcast_to(v.w.sum(axis=1), v.X.shape).reshape(v.x.shape),
            "dw": v.X.T @ np.ones_like(v.dout),
            "db": np.full_like(v.b, len(v.x)),
        },
    ),
    "out cached": Fault(
        "out is used where x belongs: does the cache have out in place of x?",
        lambda v: {"dw": v.out.T @ v.dout},
    ),
    "decay": Fault(
        "has the gradient of a regularization too, expected that of the layer alone",
        lambda v: {"dw": v.dw + v.w, "db": v.db + v.b},
    ),
    "descent": Fault(
        "the sign is flipped: expected the gradient, not the step of a descent",
        lambda v: {"dx": -v.dx, "dw": -v.dw, "db": -v.db},
    ),
    "relu": Fault(
        "dout is masked where out is negative: there is no ReLU in this layer",
        lambda v: _masked(v, v.dout * (v.out > 0)),
    ),
    "first sample": Fault(
        "only the first sample counts, expected the sum over the batch",
        lambda v: {"dw": np.outer(v.X[0], v.dout[0]), "db": v.dout[0]},
    ),
    "last sample": Fault(
        "only the last sample counts: the samples' gradients are assigned (=), expected added (+=)",
        lambda v: {"dw": np.outer(v.X[-1], v.dout[-1]), "db": v.dout[-1]},
    ),
    "bias gradient times b": Fault(
        "is multiplied by b; out depends on b with slope 1", lambda v: {"db": v.db * v.b}
    ),
    "flipped dx": Fault(
        "the rows of w are taken in reverse order",
        lambda v: {"dx": (v.dout @ v.w[::-1].T).reshape(v.x.shape)},
    ),
}


def _masked(v, dout):
    return {key: each for key, each in affine_gradients(dout, v.x, v.w, v.b).items() if key != "dX"}


def relu(x):
    """out = max(0, x)."""
    return {"out": np.where(x > 0, x, 0.0)}


def relu_gradients(dout, x):
    """dout passes where x was positive."""
    return {"dx": np.where(x > 0, dout, 0.0)}


def relu_cases(rng):
    """Any number of axes; values of both signs, none of them 0."""
    for shape in ((4, 5), (2, 3, 4, 3)):
        yield {"x": rng.normal(0.1, 3, shape)}


def large_relu(rng):
    """Arguments for which a loop takes long."""
    return {"x": rng.normal(size=(1000, 200))}


RELU_FORWARD = {
    "minimum": Fault(
        "found the minimum of 0 and x, expected the maximum", lambda v: {"out": np.minimum(v.x, 0)}
    ),
    "absolute": Fault("negative values change their sign, expected 0", lambda v: {"out": np.abs(v.x)}),
    "of minus x": Fault("found max(0, -x), expected max(0, x)", lambda v: {"out": np.maximum(-v.x, 0)}),
    "nothing": Fault("x is returned as it is, expected 0 where it is negative", lambda v: {"out": v.x}),
    "mask": Fault(
        "found 1 where x is positive, expected x there: the mask is for the backward pass",
        lambda v: {"out": (v.x > 0) * 1.0},
    ),
    "squared": Fault("multiplied by x once too often: found x^2", lambda v: {"out": v.x * v.out}),
    "leaky": Fault(
        "a leaky ReLU: expected 0 where x is negative", lambda v: {"out": np.where(v.x > 0, v.x, 0.01 * v.x)}
    ),
    "leaky 0.1": Fault(
        "a leaky ReLU (0.1): expected 0 where x is negative",
        lambda v: {"out": np.where(v.x > 0, v.x, 0.1 * v.x)},
    ),
    "threshold 1": Fault("the threshold is 1, expected 0", lambda v: {"out": np.where(v.x > 1, v.x, 0.0)}),
    "at least 1": Fault("found max(1, x), expected max(0, x)", lambda v: {"out": np.maximum(v.x, 1)}),
    "clipped to 1": Fault("large values are cut off at 1", lambda v: {"out": np.clip(v.x, 0, 1)}),
    "clipped to 6": Fault("large values are cut off at 6: a ReLU6", lambda v: {"out": np.clip(v.x, 0, 6)}),
    "sigmoid": Fault("a sigmoid, expected a ReLU", lambda v: {"out": 1 / (1 + np.exp(-v.x))}),
    "softplus": Fault(
        "a softplus, log(1 + exp(x)), expected a ReLU", lambda v: {"out": np.log1p(np.exp(v.x))}
    ),
    "elu": Fault(
        "an ELU, expected 0 where x is negative", lambda v: {"out": np.where(v.x > 0, v.x, np.expm1(v.x))}
    ),
    "tanh": Fault("a tanh, expected a ReLU", lambda v: {"out": np.tanh(v.x)}),
}
RELU_BACKWARD = {
    "no mask": Fault("dout is returned as it is, expected 0 where x was negative", lambda v: {"dx": v.dout}),
    "deconv": Fault(
        "negative values of dout are set to 0, expected 0 where x was negative, whatever dout is",
        lambda v: {"dx": np.maximum(v.dout, 0)},
    ),
    "guided": Fault(
        "dout is set to 0 where it is negative, too (guided backprop), expected only where x was",
        lambda v: {"dx": np.maximum(v.dx, 0)},
    ),
    "other side": Fault(
        "dout passes where x was negative, expected where it was positive", lambda v: {"dx": v.dout - v.dx}
    ),
    "only mask": Fault(
        "found 1 where x was positive: expected the chain rule, dout there", lambda v: {"dx": (v.x > 0) * 1.0}
    ),
    "times out": Fault(
        "dout is multiplied by out, expected by the slope, which is 1 where x was positive",
        lambda v: {"dx": v.dout * v.out},
    ),
    "times x": Fault(
        "dout is multiplied by x, expected by the slope, which is 0 or 1", lambda v: {"dx": v.dout * v.x}
    ),
    "out of dout": Fault(
        "found x where dout is positive: x and dout are confused", lambda v: {"dx": v.x * (v.dout > 0)}
    ),
    "relu of x": Fault(
        "found the forward pass again, max(0, x), expected dout where x was positive", lambda v: {"dx": v.out}
    ),
    "leaky": Fault(
        "a leaky ReLU: expected 0 where x was negative",
        lambda v: {"dx": np.where(v.x > 0, v.dout, 0.01 * v.dout)},
    ),
    "signs": Fault(
        "dout changes its sign where x was negative, expected 0", lambda v: {"dx": np.sign(v.x) * v.dout}
    ),
    "absolute": Fault("the sign of dout is lost", lambda v: {"dx": np.abs(v.dx)}),
    "threshold 1": Fault("the threshold is 1, expected 0", lambda v: {"dx": np.where(v.x > 1, v.dout, 0.0)}),
    "mean": Fault(
        "divided by the number of samples, expected no division", lambda v: {"dx": v.dx / len(v.x)}
    ),
    "first sample": Fault(
        "every sample has the first sample's mask, expected its own", lambda v: {"dx": v.dout * (v.x[:1] > 0)}
    ),
    "sigmoid": Fault(
        "the slope is that of a sigmoid of x",
        lambda v: {"dx": v.dout / (1 + np.exp(-v.x)) / (1 + np.exp(v.x))},
    ),
}
