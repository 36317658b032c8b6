"""Global average pooling: reference and typical mistakes.

The output at [n, c] is the mean of x[n, c]; dx[n, c, i, j] = dout[n, c] / (H W).
"""

import numpy as np

from npgrad.course.layers_by_hand._judge import Fault


def global_avg_pool(x):
    """{out (N, C)}."""
    return {"out": x.sum(axis=(2, 3)) / (x.shape[2] * x.shape[3])}


def global_avg_pool_gradients(dout, x):
    """{dx}."""
    N, C, H, W = x.shape
    return {
        "spread": np.broadcast_to(dout[:, :, None, None], x.shape),
        "dx": np.ones_like(x) * dout.reshape(N, C, 1, 1) / (H * W),
    }


def global_cases(rng):
    """Two sizes."""
    for shape in ((4, 3, 6, 5), (2, 5, 4, 3)):
        yield {"x": rng.normal(0.5, 2, shape)}


GLOBAL_FORWARD = {
    "sum": Fault(
        "found the sum, expected the mean over height and width", lambda v: {"out": v.x.sum(axis=(2, 3))}
    ),
    "maximum": Fault("found the largest value, expected the mean", lambda v: {"out": v.x.max(axis=(2, 3))}),
    "kept axes": Fault(
        "expected shape (N, C), found (N, C, 1, 1): the mean keeps the axes",
        lambda v: {"out": v.out[:, :, None, None]},
    ),
    "over height": Fault(
        "the mean is over the height only, expected over the width, too", lambda v: {"out": v.x.mean(axis=2)}
    ),
    "over width": Fault(
        "the mean is over the width only, expected over the height, too", lambda v: {"out": v.x.mean(axis=3)}
    ),
    "over channels": Fault("the mean is over the channels, too", lambda v: {"out": v.x.mean(axis=(1, 2, 3))}),
    "of channels": Fault(
        "the mean is over the channels (axis 1), expected over height and width",
        lambda v: {"out": v.x.mean(axis=1)},
    ),
    "over batch": Fault("the mean is over the batch, too", lambda v: {"out": v.x.mean(axis=(0, 2, 3))}),
    "divided by H": Fault(
        "divided by the height only, expected by height times width",
        lambda v: {"out": v.x.sum(axis=(2, 3)) / v.x.shape[2]},
    ),
    "divided by W": Fault(
        "divided by the width only, expected by height times width",
        lambda v: {"out": v.x.sum(axis=(2, 3)) / v.x.shape[3]},
    ),
    "divided by C": Fault("divided by the number of channels, too", lambda v: {"out": v.out / v.x.shape[1]}),
    "divided by H + W": Fault(
        "divided by height plus width, expected by their product",
        lambda v: {"out": v.x.sum(axis=(2, 3)) / sum(v.x.shape[2:])},
    ),
    "median": Fault("found the median, expected the mean", lambda v: {"out": np.median(v.x, axis=(2, 3))}),
    "corner": Fault(
        "found the first value of each channel, expected the mean", lambda v: {"out": v.x[:, :, 0, 0]}
    ),
    "absolute": Fault(
        "the signs are lost: found the mean of absolute values",
        lambda v: {"out": np.abs(v.x).mean(axis=(2, 3))},
    ),
    "transposed": Fault("is transposed: expected (N, C)", lambda v: {"out": v.out.T}),
    "norm": Fault(
        "found the root of the mean square, expected the mean",
        lambda v: {"out": np.sqrt((v.x**2).mean(axis=(2, 3)))},
    ),
}
GLOBAL_BACKWARD = {
    "not divided": Fault("not divided by height times width", lambda v: {"dx": v.spread}),
    "divided by H": Fault(
        "divided by the height only, expected by height times width",
        lambda v: {"dx": v.spread / v.x.shape[2]},
    ),
    "divided by W": Fault(
        "divided by the width only, expected by height times width", lambda v: {"dx": v.spread / v.x.shape[3]}
    ),
    "divided twice": Fault(
        "divided by height times width twice", lambda v: {"dx": v.dx / (v.x.shape[2] * v.x.shape[3])}
    ),
    "divided by C": Fault("divided by the number of channels, too", lambda v: {"dx": v.dx / v.x.shape[1]}),
    "divided by N": Fault("divided by the number of samples, too", lambda v: {"dx": v.dx / len(v.x)}),
    "divided by size": Fault(
        "divided by the size of x, expected by height times width", lambda v: {"dx": v.spread / v.x.size}
    ),
    "divided by H + W": Fault(
        "divided by height plus width, expected by their product",
        lambda v: {"dx": v.spread / sum(v.x.shape[2:])},
    ),
    "multiplied": Fault(
        "multiplied by height times width, expected divided",
        lambda v: {"dx": v.spread * (v.x.shape[2] * v.x.shape[3])},
    ),
    "no axes": Fault(
        "expected the shape of x, found that of dout",
        lambda v: {"dx": v.dout / (v.x.shape[2] * v.x.shape[3])},
    ),
    "kept axes": Fault(
        "expected the shape of x: repeat dout over height and width",
        lambda v: {"dx": v.dout[:, :, None, None] / (v.x.shape[2] * v.x.shape[3])},
    ),
    "corner": Fault(
        "only the first place of each channel gets dout, expected every place a share",
        lambda v: {"dx": v.spread * (np.arange(v.x[0, 0].size).reshape(v.x.shape[2:]) == 0)},
    ),
    "largest": Fault(
        "only the largest value gets dout: that is max pooling",
        lambda v: {"dx": v.spread * (v.x == v.x.max(axis=(2, 3), keepdims=True))},
    ),
    "times x": Fault(
        "multiplied by x; the mean is linear, with slope 1 / (H W)", lambda v: {"dx": v.dx * v.x}
    ),
    "ones": Fault("dout is not used", lambda v: {"dx": np.ones_like(v.x) / (v.x.shape[2] * v.x.shape[3])}),
    "over batch": Fault(
        "every sample gets the sum of all samples' dout",
        lambda v: {"dx": np.broadcast_to(v.dx.sum(axis=0), v.x.shape)},
    ),
    "sign": Fault("the sign is flipped", lambda v: {"dx": -v.dx}),
}
