"""Right layers of images, as other students write them: {family: [(forward, backward)]}."""
# ruff: noqa: C408, E731, RET504 (as students write)

from types import SimpleNamespace

import numpy as np
from layers_in_other_styles import of_closure
from layers_in_other_styles_3 import batchnorm_compact, batchnorm_compact_back, running


def sizes(x, w, p):
    return [1 + (n + 2 * p["pad"] - k) // p["stride"] for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]


def conv_loops(x, w, b, conv_param):
    """Seven loops."""
    s, p = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    OH, OW = sizes(x, w, conv_param)
    out = np.empty((N, F, OH, OW))
    for n, f, i, j in np.ndindex(N, F, OH, OW):
        total = float(b[f])
        for c, k, m in np.ndindex(C, HH, WW):
            r, q = i * s + k - p, j * s + m - p
            if 0 <= r < H and 0 <= q < W:
                total += w[f, c, k, m] * x[n, c, r, q]
        out[n, f, i, j] = total
    return out, [x, w, s, p]


def conv_loops_back(dout, cache):
    x, w, s, p = cache
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n, f, i, j in np.ndindex(dout.shape):
        for k, m in np.ndindex(w.shape[2:]):
            r, q = i * s + k - p, j * s + m - p
            if 0 <= r < x.shape[2] and 0 <= q < x.shape[3]:
                dx[n, :, r, q] += w[f, :, k, m] * dout[n, f, i, j]
                dw[f, :, k, m] += x[n, :, r, q] * dout[n, f, i, j]
    return dx, dw, dout.sum(axis=3).sum(axis=2).sum(axis=0)


def conv_im2col(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    OH, OW = sizes(x, w, conv_param)
    padded = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)], "constant")
    _, C, HH, WW = w.shape
    k = np.repeat(np.arange(C), HH * WW)[:, None]
    i = np.tile(np.repeat(np.arange(HH), WW), C)[:, None] + s * np.repeat(np.arange(OH), OW)
    j = np.tile(np.arange(WW), HH * C)[:, None] + s * np.tile(np.arange(OW), OH)
    cols = padded[:, k, i, j]
    out = w.reshape(len(w), -1) @ cols + b[:, None]
    return out.reshape(len(x), len(w), OH, OW), {
        "cols": cols,
        "kij": (k, i, j),
        "w": w,
        "shape": padded.shape,
        "p": p,
    }


def conv_im2col_back(dout, cache):
    w, p = cache["w"], cache["p"]
    d = dout.reshape(*dout.shape[:2], -1)
    dw = np.einsum("nfp,nkp->fk", d, cache["cols"]).reshape(w.shape)
    dpad = np.zeros(cache["shape"])
    np.add.at(dpad, (slice(None), *cache["kij"]), w.reshape(len(w), -1).T @ d)
    H, W = dpad.shape[2:]
    return dpad[:, :, p : H - p, p : W - p], dw, d.sum(axis=(0, 2))


def conv_windows(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    win = np.lib.stride_tricks.sliding_window_view(xp, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    out = np.einsum("nchwkl,fckl->nfhw", win, w) + b.reshape(1, -1, 1, 1)
    return out, SimpleNamespace(win=win, w=w, shape=x.shape, s=s, p=p)


def conv_windows_back(dout, c):
    N, C, H, W = c.shape
    dxp = np.zeros((N, C, H + 2 * c.p, W + 2 * c.p))
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            part = np.tensordot(dout[:, :, i, j], c.w, axes=1)
            dxp[:, :, i * c.s : i * c.s + c.w.shape[2], j * c.s : j * c.s + c.w.shape[3]] += part
    dw = np.einsum("nchwkl,nfhw->fckl", c.win, dout)
    return dxp[:, :, c.p : c.p + H, c.p : c.p + W], dw, np.einsum("nfhw->f", dout)


def pool_windows(x, pool_param):
    s = pool_param["stride"]
    size = (pool_param["pool_height"], pool_param["pool_width"])
    win = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))[:, :, ::s, ::s]
    out = win.max(axis=(-1, -2))
    return out, {"where": win.reshape(*out.shape, -1).argmax(-1), "shape": x.shape, "size": size, "s": s}


def pool_windows_back(dout, cache):
    dx = np.zeros(cache["shape"])
    n, c, i, j = np.indices(dout.shape)
    a, b = np.divmod(cache["where"], cache["size"][1])
    np.add.at(dx, (n, c, i * cache["s"] + a, j * cache["s"] + b), dout)
    return dx


def pool_loops(x, pool_param):
    """Loops everywhere, the largest value by comparing."""
    HP, WP, S = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    out = np.full((N, C, int((H - HP) / S + 1), int((W - WP) / S + 1)), -np.inf)
    best = np.zeros((*out.shape, 2), int)
    for n, c, i, j in np.ndindex(out.shape):
        for r in range(i * S, i * S + HP):
            for q in range(j * S, j * S + WP):
                if x[n, c, r, q] > out[n, c, i, j]:
                    out[n, c, i, j] = x[n, c, r, q]
                    best[n, c, i, j] = r, q
    return out, [best, x.shape]


def pool_loops_back(dout, cache):
    best, shape = cache
    dx = np.zeros(shape)
    for place in np.ndindex(dout.shape):
        dx[(*place[:2], *best[place])] += dout[place]
    return dx


def pool_shared(x, pool_param):
    """Equal largest values share the gradient."""
    h, w, s = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    OH, OW = 1 + (x.shape[2] - h) // s, 1 + (x.shape[3] - w) // s
    cut = lambda i, j: (slice(None), slice(None), slice(i * s, i * s + h), slice(j * s, j * s + w))
    out = np.array([[x[cut(i, j)].max((2, 3)) for j in range(OW)] for i in range(OH)]).transpose(2, 3, 0, 1)

    def back(dout):
        dx = np.zeros_like(x)
        for i, j in np.ndindex(OH, OW):
            hit = x[cut(i, j)] == out[:, :, i, j, None, None]
            dx[cut(i, j)] += hit / hit.sum((2, 3), keepdims=True) * dout[:, :, i, j, None, None]
        return dx

    return out, back


def spatial_direct(x, gamma, beta, bn_param):
    """Without a reshape to rows."""
    eps, c = bn_param.get("eps", 1e-5), (1, -1, 1, 1)
    if bn_param["mode"] == "train":
        mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        running(bn_param, "running_mean", mean)
        running(bn_param, "running_var", var)
    else:
        mean, var = bn_param["running_mean"], bn_param["running_var"]
    std = np.sqrt(var + eps).reshape(c)
    xhat = (x - mean.reshape(c)) / std
    return gamma.reshape(c) * xhat + beta.reshape(c), [xhat, std, gamma.reshape(c)]


def spatial_direct_back(dout, cache):
    xhat, std, gamma = cache
    axes = (0, 2, 3)
    d = dout * gamma
    dx = (d - d.mean(axis=axes, keepdims=True) - xhat * (d * xhat).mean(axis=axes, keepdims=True)) / std
    return dx, np.einsum("nchw,nchw->c", dout, xhat), np.einsum("nchw->c", dout)


def spatial_moved(x, gamma, beta, bn_param):
    moved = np.moveaxis(x, 1, -1)
    out, cache = batchnorm_compact(moved.reshape(-1, x.shape[1]), gamma, beta, bn_param)
    return np.moveaxis(out.reshape(moved.shape), -1, 1), cache


def spatial_moved_back(dout, cache):
    moved = np.moveaxis(dout, 1, -1)
    dx, dgamma, dbeta = batchnorm_compact_back(moved.reshape(-1, dout.shape[1]), cache)
    return np.moveaxis(dx.reshape(moved.shape), -1, 1), dgamma, dbeta


def group_rows(x, gamma, beta, G, gn_param):
    """Each group of a sample as a row."""
    rows = x.reshape(len(x) * G, -1)
    mu, var = rows.mean(axis=1, keepdims=True), rows.var(axis=1, keepdims=True)
    inv = 1 / np.sqrt(var + gn_param.get("eps", 1e-5))
    hat = (rows - mu) * inv
    return gamma * hat.reshape(x.shape) + beta, dict(hat=hat, inv=inv, gamma=gamma)


def group_rows_back(dout, cache):
    hat, inv = cache["hat"], cache["inv"]
    d = (dout * cache["gamma"]).reshape(hat.shape)
    dx = inv * (d - d.mean(axis=1, keepdims=True) - hat * (d * hat).mean(axis=1, keepdims=True))
    each = dict(axis=(0, 2, 3), keepdims=True)
    return dx.reshape(dout.shape), (dout * hat.reshape(dout.shape)).sum(**each), dout.sum(**each)


def group_loop(x, gamma, beta, G, gn_param):
    """A loop over samples and groups."""
    hat, stds, size = np.empty_like(x), np.empty((len(x), G)), x.shape[1] // G
    for n in range(len(x)):
        for g in range(G):
            part = x[n, g * size : (g + 1) * size]
            stds[n, g] = np.sqrt(part.var() + gn_param.get("eps", 1e-5))
            hat[n, g * size : (g + 1) * size] = (part - part.mean()) / stds[n, g]
    return gamma * hat + beta, (hat, stds, gamma)


def group_loop_back(dout, cache):
    hat, stds, gamma = cache
    dx, size = np.empty_like(dout), dout.shape[1] // stds.shape[1]
    for n, g in np.ndindex(stds.shape):
        part = slice(g * size, (g + 1) * size)
        d, h = (gamma * dout)[n, part], hat[n, part]
        dx[n, part] = (d - d.mean() - h * (d * h).mean()) / stds[n, g]
    dgamma = np.sum(dout * hat, axis=(0, 2, 3)).reshape(gamma.shape)
    return dx, dgamma, np.sum(dout, axis=(0, 2, 3))[None, :, None, None]


def global_rows(x):
    return x.reshape(*x.shape[:2], -1).mean(-1), [x.shape]


def global_rows_back(dout, cache):
    ((N, C, H, W),) = cache
    return np.repeat(dout / (H * W), H * W, axis=1).reshape(N, C, H, W)


def global_einsum(x):
    area = x.shape[2] * x.shape[3]
    return np.einsum("nchw->nc", x) / area, lambda d: np.einsum("nc,hw->nchw", d, np.ones(x.shape[2:]) / area)


def global_loop(x):
    out = np.array([[channel.mean() for channel in image] for image in x])
    return out, {"x": x}


def global_loop_back(dout, cache):
    dx = np.zeros_like(cache["x"])
    for n, c in np.ndindex(dout.shape):
        dx[n, c] = dout[n, c] / dx[n, c].size
    return dx


LAYERS = {
    "conv_naive": [
        (conv_loops, conv_loops_back),
        (conv_im2col, conv_im2col_back),
        (conv_windows, conv_windows_back),
    ],
    "max_pool_naive": [
        (pool_windows, pool_windows_back),
        (pool_loops, pool_loops_back),
        (pool_shared, of_closure),
    ],
    "spatial_batchnorm": [(spatial_direct, spatial_direct_back), (spatial_moved, spatial_moved_back)],
    "spatial_groupnorm": [(group_rows, group_rows_back), (group_loop, group_loop_back)],
    "global_avg_pool": [
        (global_rows, global_rows_back),
        (global_einsum, of_closure),
        (global_loop, global_loop_back),
    ],
}
