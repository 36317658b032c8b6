"""Right normalizations of matrices, and optimizers, as other students write them.

LAYERS is {family: [(forward, backward)]}, FUNCTIONS {function: [function]}.
"""
# ruff: noqa: C408, E731, RET504 (as students write)

from types import SimpleNamespace

import numpy as np
from layers_in_other_styles import of_closure


def running(bn_param, key, new):
    momentum = bn_param.get("momentum", 0.9)
    old = bn_param[key] if key in bn_param else np.zeros_like(new)
    bn_param[key] = momentum * old + (1 - momentum) * new


def batchnorm_compact(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    if bn_param["mode"] == "test":
        scale = gamma / np.sqrt(bn_param["running_var"] + eps)
        return x * scale + (beta - bn_param["running_mean"] * scale), {}
    running(bn_param, "running_mean", np.average(x, axis=0))
    running(bn_param, "running_var", np.var(x, axis=0))
    inv = 1 / np.sqrt(np.var(x, axis=0) + eps)
    xhat = (x - np.average(x, axis=0)) * inv
    return xhat * gamma + beta, {"xhat": xhat, "inv": inv, "g": gamma}


def batchnorm_compact_back(dout, cache):
    xhat, inv, g = (cache[k] for k in ("xhat", "inv", "g"))
    dgamma, dbeta = np.einsum("nd,nd->d", dout, xhat), dout.sum(0)
    return g * inv * (dout - dbeta / len(dout) - xhat * dgamma / len(dout)), dgamma, dbeta


def batchnorm_graph(x, gamma, beta, bn_param):
    """Step by step, each step's values in the cache."""
    mode, eps, m = bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    D = x.shape[1]
    rm, rv = bn_param.get("running_mean", np.zeros(D)), bn_param.get("running_var", np.zeros(D))
    if mode != "train":
        return gamma * ((x - rm) * (rv + eps) ** -0.5) + beta, None
    mu = 1.0 / len(x) * np.sum(x, axis=0)
    xmu = x - mu
    sq = xmu**2
    var = 1.0 / len(x) * np.sum(sq, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    bn_param.update(running_mean=m * rm + (1 - m) * mu, running_var=m * rv + (1 - m) * var)
    return gamma * xhat + beta, (xhat, gamma, xmu, ivar, sqrtvar, var, eps)


def batchnorm_graph_back(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1.0 / sqrtvar**2 * divar
    dvar = 0.5 / np.sqrt(var + eps) * dsqrtvar
    dsq = np.ones((N, D)) * dvar / N
    dx1 = dxmu1 + 2 * xmu * dsq
    return dx1 - np.mean(dx1, axis=0), np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


def batchnorm_transposed(x, gamma, beta, bn_param):
    """On the transpose, and with E[x^2] - E[x]^2 as the variance."""
    eps, xt = bn_param.get("eps", 1e-5), x.T
    if bn_param["mode"] == "train":
        mean = xt.mean(1)
        var = (xt * xt).mean(1) - mean * mean
        running(bn_param, "running_mean", mean)
        running(bn_param, "running_var", var)
    else:
        mean, var = bn_param["running_mean"], bn_param["running_var"]
    hat = (xt - mean[:, None]) / np.sqrt(var + eps)[:, None]
    return (gamma[:, None] * hat + beta[:, None]).T, SimpleNamespace(
        hat=hat.T, std=np.sqrt(var + eps), gamma=gamma
    )


def batchnorm_transposed_back(dout, cache):
    center = lambda a: a - a.mean(axis=0)
    d = dout * cache.gamma
    dx = (center(d) - cache.hat * (d * cache.hat).mean(axis=0)) / cache.std
    return dx, (dout * cache.hat).sum(axis=0), dout.sum(axis=0)


def layernorm_transposed(x, gamma, beta, ln_param):
    """As batch normalization of the transpose."""
    xt = x.T
    mu, var = xt.mean(axis=0), xt.var(axis=0)
    inv = (var + ln_param.get("eps", 1e-5)) ** -0.5
    hat = (xt - mu) * inv
    return (gamma[:, None] * hat + beta[:, None]).T, [hat, inv, gamma]


def layernorm_transposed_back(dout, cache):
    hat, inv, gamma = cache
    d = (dout * gamma).T
    dx = inv * (d - d.mean(axis=0) - hat * (d * hat).mean(axis=0))
    return dx.T, (dout.T * hat).sum(axis=1), dout.sum(axis=0)


def layernorm_graph(x, gamma, beta, ln_param):
    eps, D = ln_param.get("eps", 1e-5), x.shape[1]
    mu = x.sum(axis=1, keepdims=True) / D
    xc = x - mu
    std = np.sqrt(np.sum(xc * xc, axis=1, keepdims=True) / D + eps)
    return gamma * (xc / std) + beta, dict(xc=xc, std=std, gamma=gamma)


def layernorm_graph_back(dout, cache):
    xc, std, gamma = cache["xc"], cache["std"], cache["gamma"]
    D = dout.shape[1]
    dhat = dout * gamma
    dstd = -(dhat * xc).sum(axis=1, keepdims=True) / std**2
    dxc = dhat / std + dstd * xc / (D * std)
    return dxc - dxc.sum(axis=1, keepdims=True) / D, np.sum(dout * xc / std, axis=0), np.sum(dout, axis=0)


def layernorm_closure(x, gamma, beta, ln_param):
    hat = x - x.mean(-1)[:, None]
    inv = 1 / np.sqrt((hat**2).mean(-1) + ln_param.get("eps", 1e-5))[:, None]
    hat = hat * inv

    def back(dout):
        d = gamma * dout
        a, b = np.einsum("nd->n", d)[:, None], np.einsum("nd,nd->n", d, hat)[:, None]
        return inv * (d - (a + hat * b) / x.shape[1]), np.einsum("nd,nd->d", dout, hat), dout.sum(0)

    return np.multiply(gamma, hat) + beta, back


def momentum_in_place(w, dw, config=None):
    config = config or {}
    v = config.setdefault("velocity", np.zeros_like(w))
    v *= config.setdefault("momentum", 0.9)
    v -= config.setdefault("learning_rate", 1e-2) * dw
    return w + v, config


def momentum_new_config(w, dw, config=None):
    config = {"learning_rate": 1e-2, "momentum": 0.9, "velocity": 0 * w, **(config or {})}
    config["velocity"] = np.subtract(config["momentum"] * config["velocity"], config["learning_rate"] * dw)
    return config["velocity"] + w, config


def momentum_opposite(w, dw, config=None):
    """The opposite velocity is computed, and stored with its sign."""
    config = {} if config is None else config
    rate, mu = config.get("learning_rate", 0.01), config.get("momentum", 0.9)
    u = mu * -config.get("velocity", 0.0 * dw) + rate * dw
    config["velocity"] = -u
    return w - u, config


def rmsprop_in_place(w, dw, config=None):
    config = config or {}
    d, e = config.setdefault("decay_rate", 0.99), config.setdefault("epsilon", 1e-8)
    c = config.setdefault("cache", np.zeros_like(w))
    c += (1 - d) * (np.square(dw) - c)
    return w - config.setdefault("learning_rate", 1e-2) * np.divide(dw, np.sqrt(c) + e), config


def rmsprop_new_config(w, dw, config=None):
    config = {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8, "cache": 0, **(config or {})}
    d = config["decay_rate"]
    config.update(cache=d * config["cache"] + (1 - d) * dw * dw)
    return [w - config["learning_rate"] * dw / (config["cache"] ** 0.5 + config["epsilon"]), config]


def adam_efficient(w, dw, config=None):
    """With the bias correction in the learning rate; epsilon is corrected, too."""
    config = {
        "learning_rate": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "m": 0,
        "v": 0,
        "t": 0,
        **(config or {}),
    }
    b1, b2 = config["beta1"], config["beta2"]
    config["t"] += 1
    config["m"] = b1 * config["m"] + (1 - b1) * dw
    config["v"] = b2 * config["v"] + (1 - b2) * dw**2
    root = np.sqrt(1 - b2 ** config["t"])
    rate = config["learning_rate"] * root / (1 - b1 ** config["t"])
    return w - rate * config["m"] / (np.sqrt(config["v"]) + config["epsilon"] * root), config


def adam_in_place(w, dw, config=None):
    config = config or {}
    for key, value in (
        ("learning_rate", 1e-3),
        ("beta1", 0.9),
        ("beta2", 0.999),
        ("epsilon", 1e-8),
        ("t", 0),
    ):
        config.setdefault(key, value)
    m, v = config.setdefault("m", np.zeros_like(w)), config.setdefault("v", np.zeros_like(w))
    config["t"] = t = config["t"] + 1
    m += (1 - config["beta1"]) * (dw - m)
    v += (1 - config["beta2"]) * (dw * dw - v)
    step = m / (1 - np.power(config["beta1"], t))
    step /= np.sqrt(v / (1 - np.power(config["beta2"], t))) + config["epsilon"]
    return w - config["learning_rate"] * step, config


LAYERS = {
    "batchnorm": [
        (batchnorm_compact, batchnorm_compact_back),
        (batchnorm_graph, batchnorm_graph_back),
        (batchnorm_transposed, batchnorm_transposed_back),
    ],
    "layernorm": [
        (layernorm_transposed, layernorm_transposed_back),
        (layernorm_graph, layernorm_graph_back),
        (layernorm_closure, of_closure),
    ],
}
FUNCTIONS = {
    "sgd_momentum": [momentum_in_place, momentum_new_config, momentum_opposite],
    "rmsprop": [rmsprop_in_place, rmsprop_new_config],
    "adam": [adam_efficient, adam_in_place],
}
