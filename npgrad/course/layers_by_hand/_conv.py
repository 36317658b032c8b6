"""The convolution: the reference.

    out[n, f, i, j] = b[f] + sum over c, k, l of  w[f, c, k, l] * xp[n, c, i * stride + k, j * stride + l]

xp is x with `pad` zeros on each side. The reference adds one kernel position (k, l) after another, for all outputs at
once; in the backward pass each of them sends dout the same way back: dw[:, :, k, l] is a sum over all outputs, and dxp
adds where windows overlap.
"""

import numpy as np


def padded(x, pad, **options):
    """x with `pad` zeros on each side."""
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), **options)


def positions(shape, w, stride):
    """Each kernel position (k, l), with the slices of xp that it meets, one value for each output."""
    OH, OW = ((n - k) // stride + 1 for n, k in zip(shape[2:], w.shape[2:], strict=True))
    for k, m in np.ndindex(w.shape[2:]):
        rows, columns = (
            slice(first, first + stride * (n - 1) + 1, stride) for first, n in ((k, OH), (m, OW))
        )
        yield k, m, (slice(None), slice(None), rows, columns)


def correlate(xp, w, b, stride):
    """out, for x that is padded."""
    terms = (np.einsum("nchw,fc->nfhw", xp[at], w[:, :, k, m]) for k, m, at in positions(xp.shape, w, stride))
    return sum(terms) + b[:, None, None]


def conv(x, w, b, conv_param):
    """{out, xp}."""
    xp = padded(x, conv_param["pad"])
    product = correlate(xp, w, 0 * b, conv_param["stride"])
    bias = b[:, None, None]
    return {"xp": xp, "out": product + bias, "terms": {"out": {"the sum of products": product, "b": bias}}}


def conv_gradients(dout, x, w, b, conv_param, assign=False):
    """{dx, dw, db}. assign: overlapping windows overwrite each other, a mistake."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    xp = padded(x, pad)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for k, m, at in positions(xp.shape, w, stride):
        dw[:, :, k, m] = np.einsum("nfhw,nchw->fc", dout, xp[at])
        terms = np.einsum("nfhw,fc->nchw", dout, w[:, :, k, m])
        dxp[at] = terms if assign else dxp[at] + terms
    return {
        "dxp": dxp,
        "dx": dxp[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]],
        "dw": dw,
        "db": dout.sum(axis=(0, 2, 3)),
    }


def conv_cases(rng):
    """Padding and stride; neither; stride alone. All sizes differ, and windows fit."""
    for x, w, stride, pad in (
        ((3, 4, 9, 7), (6, 4, 3, 5), 2, 1),
        ((3, 2, 5, 4), (3, 2, 2, 3), 1, 0),
        ((2, 2, 6, 8), (3, 2, 2, 2), 2, 0),
        ((2, 2, 4, 5), (2, 2, 3, 3), 1, 2),
    ):
        yield {
            "x": rng.normal(0.2, 1, x),
            "w": rng.normal(size=w),
            "b": rng.normal(1, 0.5, w[0]),
            "conv_param": {"stride": stride, "pad": pad},
        }
