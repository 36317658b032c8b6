"""Right layers of matrices, losses and optimizers as other students write them.

LAYERS is {family: [(forward, backward)]}, FUNCTIONS {function: [function]}; each has another way to compute, and
another kind of cache.
"""
# ruff: noqa: C408, E731, NPY002, RET504 (as students write)

from collections import namedtuple
from types import SimpleNamespace

import numpy as np

AffineCache = namedtuple("AffineCache", "x w b")


def affine_einsum(x, w, b):
    return np.einsum("ni,im->nm", x.reshape(len(x), w.shape[0]), w) + b[np.newaxis], AffineCache(x, w, b)


def affine_einsum_back(dout, cache):
    rows = cache.x.reshape(len(dout), -1)
    dx = np.einsum("nm,im->ni", dout, cache.w).reshape(cache.x.shape)
    return dx, np.einsum("ni,nm->im", rows, dout), np.einsum("nm->m", dout)


def affine_closure(x, w, b):
    flat = np.reshape(x, (x.shape[0], np.prod(x.shape[1:])))

    def back(dout):
        return np.dot(dout, w.T).reshape(*x.shape), np.dot(flat.T, dout), np.dot(np.ones(len(x)), dout)

    return np.add(np.matmul(flat, w), b), back


def affine_ones(x, w, b):
    """The bias as a row of w more."""
    X = np.hstack([x.reshape(len(x), -1), np.ones((len(x), 1))])
    W = np.vstack([w, b])
    return X @ W, [X, W, x.shape, "not needed"]


def affine_ones_back(dout, cache):
    X, W, shape, _ = cache
    dW = X.T @ dout
    return [(dout @ W.T)[:, :-1].reshape(shape), dW[:-1], dW[-1]]


def affine_by_output(x, w, b):
    """A loop over the outputs, each of them an array operation."""
    rows = x.reshape(len(x), -1)
    out = np.stack([rows @ w[:, m] + b[m] for m in range(w.shape[1])], axis=-1)
    return out, {"x": x, "w": w}


def affine_by_output_back(dout, cache):
    x, w = cache["x"], cache["w"]
    dx = np.zeros((len(x), len(w)))
    for m in range(w.shape[1]):
        dx += np.outer(dout[:, m], w[:, m])
    dw = np.tensordot(x.reshape(len(x), -1), dout, axes=(0, 0))
    return np.asfortranarray(dx.reshape(x.shape)), dw, np.add.reduce(dout)


def relu_where(x):
    return np.where(x > 0, x, 0), {"mask": x > 0}


def relu_where_back(dout, cache):
    return np.where(cache["mask"], dout, 0)


def relu_of_output(x):
    out = x * (x > 0)
    return out, [out]


def relu_of_output_back(dout, cache):
    dx = dout.copy()
    dx[cache[0] <= 0] = 0
    return dx


def relu_clip(x):
    y = np.clip(x, 0, None)
    return y, lambda dout: dout * np.sign(y)


def relu_half(x):
    return (x + np.abs(x)) / 2, SimpleNamespace(sign=np.sign(x))


def relu_half_back(dout, cache):
    return dout * (cache.sign + np.abs(cache.sign)) / 2


def softmax_one_hot(x, y):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    p = e / np.sum(e, axis=-1, keepdims=True)
    target = np.zeros_like(x)
    target[range(len(y)), y] = 1
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(target > 0, x - x.max(1, keepdims=True) - np.log(e.sum(1, keepdims=True)), 0)
    return float(-(target * logs).sum() / len(x)), (p - target) / len(x)


def softmax_log_sum_exp(x, y):
    top = x.max(1)
    lse = top + np.log(np.exp(x - top[:, None]).sum(1))
    rows = np.arange(x.shape[0])
    dx = np.exp(x - lse[:, None])
    dx[rows, y] -= 1.0
    return np.mean(lse - x[rows, y]), dx / x.shape[0]


def softmax_take(x, y):
    z = x - x.max(axis=1).reshape(-1, 1)
    logp = z - np.log(np.exp(z).sum(axis=1)).reshape(-1, 1)
    loss = -np.take_along_axis(logp, y[:, None], axis=1).mean()
    return [loss, (np.exp(logp) - np.eye(x.shape[1])[y]) / y.size]


def softmax_by_class(x, y):
    """A loop over the few classes."""
    z = np.zeros(len(x))
    top = np.max(x, axis=1)
    for c in range(x.shape[1]):
        z += np.exp(x[:, c] - top)
    dx = np.zeros_like(x)
    for c in range(x.shape[1]):
        dx[:, c] = (np.exp(x[:, c] - top) / z - (y == c)) / len(x)
    right = (x * (np.arange(x.shape[1]) == y[:, None])).sum(1)
    return np.array(np.mean(np.log(z) + top - right)), dx


def svm_mask(x, y):
    rows = np.arange(len(x))
    margins = np.maximum(x - x[rows, y].reshape(-1, 1) + 1, 0)
    margins[rows, y] = 0
    dx = np.where(margins > 0, 1.0, 0.0)
    dx[rows, y] = -dx.sum(axis=1)
    return np.sum(margins) / len(x), dx / len(x)


def svm_minus_one(x, y):
    """The right class's margin of 1 is subtracted afterwards."""
    hit = np.eye(x.shape[1], dtype=bool)[y]
    margins = np.clip(1 + x - x[hit][:, None], 0, np.inf)
    loss = margins.sum() / len(y) - 1.0
    counted = ((margins > 0) & ~hit).astype(x.dtype)
    return loss, (counted - hit * counted.sum(1, keepdims=True)) / len(y)


def svm_einsum(x, y):
    one_hot = (np.arange(x.shape[1])[None] == y[:, None]).astype(float)
    right = np.einsum("nc,nc->n", x, one_hot)
    positive = (x - right[:, None] + 1 > 0) * (1 - one_hot)
    loss = np.einsum("nc,nc->", positive, x - right[:, None] + 1) / len(x)
    return np.float64(loss), (positive - np.einsum("nc,nk->nk", positive, one_hot)) / len(x)


def svm_by_class(x, y):
    n = len(x)
    right, loss, dx = x[np.arange(n), y], 0.0, np.zeros(x.shape)
    for c in range(x.shape[1]):
        m = np.maximum(0, x[:, c] - right + 1) * (y != c)
        loss += m.sum()
        dx[:, c] += m > 0
        np.subtract.at(dx, (np.arange(n), y), (m > 0).astype(float))
    return loss / n, dx / n


def dropout_generator(x, dropout_param):
    rng = np.random.default_rng(dropout_param.get("seed"))
    if dropout_param["mode"] == "test":
        return x.copy(), lambda dout: dout
    keep = rng.random(x.shape) < dropout_param["p"]
    return np.where(keep, x / dropout_param["p"], 0), lambda dout: np.where(
        keep, dout / dropout_param["p"], 0
    )


def dropout_binomial(x, dropout_param):
    p, seed = dropout_param["p"], dropout_param.get("seed")
    if seed is not None:
        np.random.seed(seed)
    mask = np.ones(x.shape)
    if dropout_param["mode"] == "train":
        mask = np.random.binomial(1, p, size=x.shape) / p
    return x * mask, {"mask": mask}


def dropout_binomial_back(dout, cache):
    return dout * cache["mask"]


def dropout_indices(x, dropout_param):
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    out, dropped = x.copy(), None
    if dropout_param["mode"] == "train":
        dropped = np.random.uniform(size=x.shape) >= dropout_param["p"]
        out /= dropout_param["p"]
        out[dropped] = 0.0
    return out, [dropped, dropout_param["p"]]


def dropout_indices_back(dout, cache):
    dropped, p = cache
    dx = np.array(dout)
    if dropped is not None:
        dx[dropped] = 0
        dx *= 1 / p
    return dx


def of_closure(dout, cache):
    return cache(dout)


LAYERS = {
    "affine": [
        (affine_einsum, affine_einsum_back),
        (affine_closure, of_closure),
        (affine_ones, affine_ones_back),
        (affine_by_output, affine_by_output_back),
    ],
    "relu": [
        (relu_where, relu_where_back),
        (relu_of_output, relu_of_output_back),
        (relu_clip, of_closure),
        (relu_half, relu_half_back),
    ],
    "dropout": [
        (dropout_generator, of_closure),
        (dropout_binomial, dropout_binomial_back),
        (dropout_indices, dropout_indices_back),
    ],
}
FUNCTIONS = {
    "softmax_loss": [softmax_one_hot, softmax_log_sum_exp, softmax_take, softmax_by_class],
    "svm_loss": [svm_mask, svm_minus_one, svm_einsum, svm_by_class],
}
