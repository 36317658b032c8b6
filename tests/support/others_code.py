"""Twelve functions with hand-written gradients as others write them, and five faults in each, with their diagnoses.

A fault is a pair of (the array whose gradient is wrong, the kind of the diagnosis) and a backward that has it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Function:
    """forward(x, *parameters) -> (output, cache); backward(dy, cache); {(array, kind): backward with this fault}."""

    forward: Any
    backward: Any
    x: Any
    parameters: dict
    faults: dict = field(default_factory=dict)


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def changed(function, **changes):
    """The backward with some gradients changed by functions (gradient, dy, cache) -> gradient."""
    names = ["x", *function.parameters]

    def backward(dy, cache):
        gradients = function.backward(dy, cache)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        made = [
            changes[name](one, dy, cache) if name in changes else one
            for name, one in zip(names, gradients, strict=True)
        ]
        return tuple(made)

    return backward


def fault(function, name, kind, change):
    key = (name, kind)
    while key in function.faults:
        key = (*key, len(function.faults))
    function.faults[key] = changed(function, **{name: change})


def zeroed(gradient, *index):
    gradient = np.array(gradient)
    gradient[index] = 0
    return gradient


def affine():
    def forward(x, w, b):
        return x @ w + b, (x, w)

    def backward(dy, cache):
        x, w = cache
        return dy @ w.T, x.T @ dy, dy.sum(0)

    f = Function(forward, backward, draw(6, 4), {"w": draw(4, 4), "b": draw(4)})
    fault(f, "w", "factor", lambda g, dy, c: g / len(dy))
    fault(f, "b", "broadcast sum", lambda g, dy, c: dy)
    fault(f, "w", "transposed", lambda g, dy, c: dy.T @ c[0])
    fault(f, "x", "none of these", lambda g, dy, c: dy @ c[1])
    fault(f, "b", "part of dy", lambda g, dy, c: dy[:-1].sum(0))
    return f


def convolution():
    def forward(x, w, b):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        return np.einsum("nchwij,fcij->nfhw", windows, w) + b[:, None, None], (windows, w)

    def backward(dy, cache):
        windows, w = cache
        dw = np.einsum("nfhw,nchwij->fcij", dy, windows)
        dx = np.zeros((len(dy), w.shape[1], dy.shape[2] + 2, dy.shape[3] + 2))
        for i in range(3):
            for j in range(3):
                dx[:, :, i : i + dy.shape[2], j : j + dy.shape[3]] += np.einsum(
                    "nfhw,fc->nchw", dy, w[:, :, i, j]
                )
        return dx[:, :, 1:-1, 1:-1], dw, dy.sum((0, 2, 3))

    f = Function(forward, backward, draw(2, 3, 4, 5), {"w": draw(3, 3, 3, 3), "b": draw(3)})
    fault(f, "w", "flipped", lambda g, dy, c: g[:, :, ::-1, ::-1])
    fault(f, "b", "factor", lambda g, dy, c: dy.mean((2, 3)).sum(0))
    fault(f, "w", "part of dy", lambda g, dy, c: np.einsum("fhw,chwij->fcij", dy[0], c[0][0]))
    fault(f, "w", "transposed", lambda g, dy, c: g.swapaxes(0, 1))
    fault(f, "x", "some channels", lambda g, dy, c: zeroed(g, slice(None), 2))
    return f


def pooling():
    def forward(x):
        n, c, h, w = x.shape
        blocks = (
            x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
        )
        return blocks.max(-1), (blocks.argmax(-1), x.shape)

    def backward(dy, cache):
        places, shape = cache
        spread = dy[..., None] * (places[..., None] == np.arange(4))
        n, c, h, w = shape
        return spread.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(shape)

    def spread(dy, c):
        return dy[..., None] * (c[0][..., None] == np.arange(4))

    f = Function(forward, backward, draw(2, 3, 4, 4), {})
    fault(f, "x", "permuted", lambda g, dy, c: spread(dy, c).reshape(c[1]))
    fault(f, "x", "factor", lambda g, dy, c: g / 4)
    fault(f, "x", "some channels", lambda g, dy, c: zeroed(g, slice(None), [0, 2]))
    fault(f, "x", "upstream", lambda g, dy, c: backward(np.ones_like(dy), c))
    fault(f, "x", "permuted", lambda g, dy, c: g[:, [1, 2, 0]])
    return f


def batch_norm():
    def forward(x, gamma, beta):
        mean = x.mean(0)
        std = np.sqrt(((x - mean) ** 2).mean(0) + 1e-5)
        hat = (x - mean) / std
        return gamma * hat + beta, (hat, std, gamma)

    def backward(dy, cache):
        hat, std, gamma = cache
        dhat = dy * gamma
        dx = (dhat - dhat.mean(0) - hat * (dhat * hat).mean(0)) / std
        return dx, (dy * hat).sum(0), dy.sum(0)

    f = Function(forward, backward, draw(5, 3), {"gamma": draw(3, seed=1), "beta": draw(3, seed=2)})
    fault(f, "x", "fork branch", lambda g, dy, c: dy * c[2] / c[1])
    fault(f, "x", "samples", lambda g, dy, c: dy * c[2] / c[1] * (1 - 1 / len(dy) - c[0] ** 2 / len(dy)))
    fault(f, "gamma", "broadcast sum", lambda g, dy, c: dy * c[0])
    fault(f, "beta", "factor", lambda g, dy, c: dy.mean(0))
    fault(f, "gamma", "sign", lambda g, dy, c: -g)
    return f


def layer_norm():
    def forward(x, gamma, beta):
        mean = x.mean(1, keepdims=True)
        std = np.sqrt(x.var(1, keepdims=True) + 1e-5)
        hat = (x - mean) / std
        return gamma * hat + beta, (hat, std, gamma)

    def backward(dy, cache):
        hat, std, gamma = cache
        d = dy * gamma
        dx = (d - d.mean(1, keepdims=True) - hat * (d * hat).mean(1, keepdims=True)) / std
        return dx, (dy * hat).sum(0), dy.sum(0)

    f = Function(forward, backward, draw(3, 4), {"gamma": draw(4, seed=1), "beta": draw(4, seed=2)})
    fault(f, "x", "fork branch", lambda g, dy, c: (dy * c[2]) / c[1])
    fault(f, "gamma", "part of dy", lambda g, dy, c: (dy * c[0])[0])
    fault(f, "beta", "permuted", lambda g, dy, c: np.roll(g, 1))
    fault(f, "x", "none of these", lambda g, dy, c: g * c[1])
    fault(f, "beta", "factor", lambda g, dy, c: 2 * g)
    return f


def residual():
    def forward(x, w):
        t = np.tanh(x @ w)
        return x + t, (x, w, t)

    def backward(dy, cache):
        x, w, t = cache
        dz = dy * (1 - t * t)
        return dy + dz @ w.T, x.T @ dz

    f = Function(forward, backward, draw(3, 4), {"w": draw(4, 4)})
    fault(f, "x", "fork branch", lambda g, dy, c: g - dy)
    fault(f, "x", "fork branch", lambda g, dy, c: dy)
    fault(f, "w", "none of these", lambda g, dy, c: c[0].T @ dy)
    fault(f, "w", "transposed", lambda g, dy, c: g.T)
    fault(f, "w", "float32", lambda g, dy, c: g.astype(np.float32))
    return f


def attention():
    def forward(q, k, v):
        scores = q @ k.T / np.sqrt(k.shape[1])
        p = np.exp(scores - scores.max(1, keepdims=True))
        p = p / p.sum(1, keepdims=True)
        return p @ v, (q, k, v, p)

    def backward(dy, cache):
        q, k, v, p = cache
        dp = dy @ v.T
        ds = p * (dp - (dp * p).sum(1, keepdims=True)) / np.sqrt(k.shape[1])
        return ds @ k, ds.T @ q, p.T @ dy

    f = Function(forward, backward, draw(3, 4), {"k": draw(5, 4, seed=1), "v": draw(5, 4, seed=2)})
    fault(f, "x", "factor", lambda g, dy, c: 2 * g)
    fault(f, "k", "none of these", lambda g, dy, c: (c[3] * (dy @ c[2].T)).T @ c[0] / 2)
    fault(f, "v", "flipped", lambda g, dy, c: g[::-1])
    fault(f, "k", "some channels", lambda g, dy, c: zeroed(g, 4))
    fault(f, "v", "transposed", lambda g, dy, c: g.T)
    return f


def channel_scale():
    def forward(x, s, b):
        return x * s + b, (x, s)

    def backward(dy, cache):
        x, s = cache
        return dy * s, (dy * x).sum((0, 2, 3), keepdims=True), dy.sum((0, 2, 3), keepdims=True)

    f = Function(forward, backward, draw(3, 2, 3, 4), {"s": draw(1, 2, 1, 1), "b": draw(1, 2, 1, 1, seed=3)})
    fault(f, "s", "broadcast sum", lambda g, dy, c: (dy * c[0]).sum(0, keepdims=True))
    fault(f, "b", "shape", lambda g, dy, c: dy.sum((0, 2, 3)))
    fault(f, "s", "factor", lambda g, dy, c: (dy * c[0]).mean((0, 2, 3), keepdims=True))
    fault(f, "x", "upstream", lambda g, dy, c: np.broadcast_to(c[1], dy.shape))
    fault(f, "x", "some entries", lambda g, dy, c: zeroed(g, 1, 0, 2, 3))
    return f


def recurrent():
    def forward(x, wx, wh, b):
        h, kept = np.zeros((len(x), len(wh))), []
        for t in range(x.shape[1]):
            before, h = h, np.tanh(x[:, t] @ wx + h @ wh + b)
            kept.append((before, h))
        return h, (x, wx, wh, kept)

    def backward(dy, cache, steps=None):
        x, wx, wh, kept = cache
        dx, dwx, dwh, db = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh), np.zeros(len(wh))
        for t in reversed(range(x.shape[1])):
            before, h = kept[t]
            dz = dy * (1 - h * h)
            dx[:, t] = dz @ wx.T
            dwx, dwh, db = dwx + x[:, t].T @ dz, dwh + before.T @ dz, db + dz.sum(0)
            dy = dz @ wh.T
        return dx, dwx, dwh, db

    x = draw(2, 3, 4)
    f = Function(forward, backward, x, {"wx": draw(4, 3), "wh": draw(3, 3), "b": draw(3)})
    fault(f, "x", "some channels", lambda g, dy, c: zeroed(g, slice(None), [0, 1]))
    fault(f, "x", "flipped", lambda g, dy, c: g[:, ::-1])
    fault(f, "wh", "none of these", lambda g, dy, c: c[3][-1][0].T @ (dy * (1 - c[3][-1][1] ** 2)))
    fault(f, "b", "none of these", lambda g, dy, c: (dy * (1 - c[3][-1][1] ** 2)).sum(0))
    fault(f, "wx", "zero", lambda g, dy, c: 0 * g)
    return f


def gate():
    """A product of two branches, each used once in a line."""

    def forward(x, w):
        a = x @ w
        s = 1 / (1 + np.exp(-x))
        return a * s, (x, w, a, s)

    def backward(dy, cache):
        x, w, a, s = cache
        return (dy * s) @ w.T + dy * a * s * (1 - s), x.T @ (dy * s)

    f = Function(forward, backward, draw(3, 4), {"w": draw(4, 4)})
    fault(f, "x", "fork branch", lambda g, dy, c: (dy * c[3]) @ c[1].T)
    fault(f, "x", "fork branch", lambda g, dy, c: dy * c[2] * c[3] * (1 - c[3]))
    fault(f, "w", "regularization", lambda g, dy, c: g + 0.1 * c[1])
    fault(f, "x", "some channels", lambda g, dy, c: zeroed(g, 2))
    fault(f, "w", "permuted", lambda g, dy, c: g[:, [1, 0, 2, 3]])
    return f


def leaky():
    """Kinks and a mean over the height and width."""

    def forward(x, slope):
        return np.where(x > 0, x, slope * x).mean((2, 3)), (x, slope)

    def backward(dy, cache):
        x, slope = cache
        d = np.broadcast_to(dy[:, :, None, None] / (x.shape[2] * x.shape[3]), x.shape)
        return np.where(x > 0, d, slope * d), np.where(x > 0, 0, x * d).sum((0, 2, 3))[:, None, None]

    f = Function(forward, backward, draw(2, 3, 3, 4), {"slope": draw(3, 1, 1)})
    fault(f, "x", "factor", lambda g, dy, c: 12 * g)
    fault(
        f,
        "slope",
        "part of dy",
        lambda g, dy, c: np.where(c[0] > 0, 0, c[0] * dy[:, :, None, None] / 12)[1].sum(
            (1, 2), keepdims=True
        ),
    )
    fault(f, "slope", "factor", lambda g, dy, c: g / 2)
    fault(f, "x", "transposed", lambda g, dy, c: np.ascontiguousarray(g.transpose(0, 1, 3, 2)))
    fault(f, "x", "sign", lambda g, dy, c: -g)
    return f


def distances():
    """|a - b|^2 of all pairs."""

    def forward(a, b):
        return (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T, (a, b)

    def backward(dy, cache):
        a, b = cache
        return 2 * a * dy.sum(1)[:, None] - 2 * dy @ b, 2 * b * dy.sum(0)[:, None] - 2 * dy.T @ a

    f = Function(forward, backward, draw(4, 3), {"b": draw(5, 3)})
    fault(f, "x", "fork branch", lambda g, dy, c: -2 * dy @ c[1])
    fault(f, "x", "fork branch", lambda g, dy, c: 2 * c[0] * dy.sum(1)[:, None])
    fault(f, "b", "factor", lambda g, dy, c: g / 2)
    fault(f, "b", "some channels", lambda g, dy, c: np.concatenate([g[:3], -g[3:]]))
    fault(f, "x", "float32", lambda g, dy, c: backward(dy, (c[0].astype(np.float32).astype(float), c[1]))[0])
    return f


FUNCTIONS = [
    affine, convolution, pooling, batch_norm, layer_norm, residual, attention, channel_scale, recurrent, gate, leaky,
    distances,
]  # fmt: skip
