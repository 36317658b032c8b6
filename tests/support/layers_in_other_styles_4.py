"""Right blocks of layers as other students write them: {family: [(forward, backward)]}."""

from types import SimpleNamespace

import numpy as np
from layers_in_other_styles import of_closure
from layers_in_other_styles_2 import conv_im2col, conv_im2col_back, conv_windows, conv_windows_back


def same(x, w, b):
    return conv_windows(x, w, b, {"stride": 1, "pad": w.shape[2] // 2})


def residual_tape(x, w1, b1, w2, b2):
    """One closure after another."""
    a, c1 = same(x, w1, b1)
    y, c2 = same(np.maximum(a, 0), w2, b2)

    def back(dout):
        d = np.where(x + y > 0, dout, 0)
        dh, dw2, db2 = conv_windows_back(d, c2)
        dx, dw1, db1 = conv_windows_back(np.where(a > 0, dh, 0), c1)
        d += dx
        return d, dw1, db1, dw2, db2

    return np.clip(y + x, 0, None), back


def residual_im2col(x, w1, b1, w2, b2):
    p = {"stride": 1, "pad": 1}
    a, c1 = conv_im2col(x, w1, b1, p)
    h = a * (a > 0)
    y, c2 = conv_im2col(h, w2, b2, p)
    y += x
    out = y * (y > 0)
    return out, [c1, h, c2, out]


def residual_im2col_back(dout, cache):
    c1, h, c2, out = cache
    d = dout * (out > 0)
    dh, *second = conv_im2col_back(d, c2)
    dx, *first = conv_im2col_back(dh * (h > 0), c1)
    return (dx + d, *first, *second)


def inception_list(x, *parameters):
    pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
    outs, caches = zip(*(same(x, w, b) for w, b in pairs), strict=True)
    return np.hstack(outs), {"caches": caches, "cuts": np.cumsum([len(w) for w, _ in pairs])[:-1]}


def inception_list_back(dout, cache):
    dx, grads = 0, []
    for d, c in zip(np.split(dout, cache["cuts"], axis=1), cache["caches"], strict=True):
        part, dw, db = conv_windows_back(d, c)
        dx, grads = dx + part, [*grads, dw, db]
    return (dx, *grads)


def inception_loops(x, w1, b1, w3, b3, w5, b5):
    parts = [
        conv_im2col(x, w, b, {"stride": 1, "pad": p}) for w, b, p in ((w1, b1, 0), (w3, b3, 1), (w5, b5, 2))
    ]
    out = np.zeros((len(x), len(w1) + len(w3) + len(w5), *x.shape[2:]))
    begin = 0
    for y, _ in parts:
        out[:, begin : begin + y.shape[1]] = y
        begin += y.shape[1]
    return out, [(c, y.shape[1]) for y, c in parts]


def inception_loops_back(dout, cache):
    begin, dxs, grads = 0, [], []
    for c, n in cache:
        dx, dw, db = conv_im2col_back(dout[:, begin : begin + n], c)
        dxs.append(dx)
        grads += [dw, db]
        begin += n
    return [sum(dxs), *grads]


def fire_relu_last(x, ws, bs, w1, b1, w3, b3):
    """One ReLU after the concatenation."""
    a, c0 = same(x, ws, bs)
    s = np.maximum(a, 0)
    (y1, c1), (y3, c3) = same(s, w1, b1), same(s, w3, b3)
    out = np.maximum(np.concatenate((y1, y3), 1), 0)
    return out, SimpleNamespace(c0=c0, c1=c1, c3=c3, s=s, out=out, cut=len(w1))


def fire_relu_last_back(dout, c):
    d = dout * (c.out > 0)
    ds1, dw1, db1 = conv_windows_back(d[:, : c.cut], c.c1)
    ds, dw3, db3 = conv_windows_back(d[:, c.cut :], c.c3)
    ds += ds1
    dx, dws, dbs = conv_windows_back(ds * (c.s > 0), c.c0)
    return dx, dws, dbs, dw1, db1, dw3, db3


def fire_padded(x, ws, bs, w1, b1, w3, b3):
    """Both branches as one 3 x 3 convolution, the 1 x 1 kernels in the middle of zeros."""
    a, c0 = conv_im2col(x, ws, bs, {"stride": 1, "pad": 0})
    both = np.concatenate([np.pad(w1, ((0, 0), (0, 0), (1, 1), (1, 1))), w3])
    y, c = conv_im2col(np.maximum(a, 0), both, np.concatenate([b1, b3]), {"stride": 1, "pad": 1})

    def back(dout):
        ds, dw, db = conv_im2col_back(dout * (y > 0), c)
        n = len(w1)
        return (*conv_im2col_back(ds * (a > 0), c0), dw[:n, :, 1:2, 1:2], db[:n], dw[n:], db[n:])

    return np.maximum(y, 0), back


LAYERS = {
    "residual": [(residual_tape, of_closure), (residual_im2col, residual_im2col_back)],
    "inception": [(inception_list, inception_list_back), (inception_loops, inception_loops_back)],
    "fire": [(fire_relu_last, fire_relu_last_back), (fire_padded, of_closure)],
}
