"""The typical mistakes in SGD with momentum and RMSProp."""

import numpy as np

from npgrad.course.layers_by_hand._judge import Fault


def _sgd(kept, step, after=lambda v, new: v.w + new):
    """velocity = kept * old + step * dw, both functions of v; then next_w."""

    def wrong(v):
        new = kept(v) * v.old + step(v) * v.dw
        return {"velocity": new, "next_w": after(v, new)}

    return wrong


def _mu(v):
    return v.momentum


def _minus_rate(v):
    return -v.learning_rate


SGD = {
    "minus velocity": Fault(
        "the velocity is subtracted, expected added: it contains the minus",
        lambda v: {"next_w": v.w - v.velocity},
    ),
    "ascent": Fault("steps along the gradient, expected against it", _sgd(_mu, lambda v: v.learning_rate)),
    "opposite": Fault(
        "the velocity has the opposite sign: expected momentum * velocity - learning_rate * dw, added to w",
        _sgd(_mu, lambda v: v.learning_rate, lambda v, new: v.w - new),
    ),
    "no momentum": Fault("the old velocity is missing", _sgd(lambda v: 0, _minus_rate)),
    "old not decayed": Fault(
        "the old velocity is not multiplied by momentum", _sgd(lambda v: 1, _minus_rate)
    ),
    "momentum swapped": Fault(
        "the old velocity is multiplied by 1 - momentum, expected by momentum",
        _sgd(lambda v: 1 - v.momentum, _minus_rate),
    ),
    "dampened": Fault(
        "the gradient is multiplied by 1 - momentum, expected by the learning rate only",
        _sgd(_mu, lambda v: -(1 - v.momentum) * v.learning_rate),
    ),
    "PyTorch's": Fault(
        "the velocity is stored without the learning rate, as PyTorch does: expected with it",
        _sgd(_mu, lambda v: 1, lambda v, new: v.w - v.learning_rate * new),
    ),
    "PyTorch's with minus": Fault(
        "the velocity is stored without the learning rate, as PyTorch does: expected with it",
        _sgd(_mu, lambda v: -1, lambda v, new: v.w + v.learning_rate * new),
    ),
    "average": Fault(
        "found a running average of gradients, expected momentum * velocity - learning_rate * dw",
        _sgd(_mu, lambda v: 1 - v.momentum, lambda v, new: v.w - v.learning_rate * new),
    ),
    "no rate": Fault("the learning rate is missing", _sgd(_mu, lambda v: -1)),
    "rate on all": Fault(
        "the old velocity is multiplied by the learning rate, too",
        _sgd(lambda v: v.momentum * v.learning_rate, _minus_rate),
    ),
    "old velocity": Fault(
        "the step uses the old velocity: update it first", lambda v: {"next_w": v.w + v.old}
    ),
    "plain": Fault(
        "plain SGD: the step does not use the velocity", lambda v: {"next_w": v.w - v.learning_rate * v.dw}
    ),
    "Nesterov": Fault(
        "Nesterov's momentum, expected the plain one: next_w = w + velocity",
        lambda v: {"next_w": v.w + v.momentum * v.velocity - v.learning_rate * v.dw},
    ),
    "Nesterov by velocities": Fault(
        "Nesterov's momentum, expected the plain one: next_w = w + velocity",
        lambda v: {"next_w": v.w - v.momentum * v.old + (1 + v.momentum) * v.velocity},
    ),
    "not stored": Fault("the new velocity is not stored in config", lambda v: {"velocity": v.old}),
    "w stored": Fault("has next_w, expected the velocity", lambda v: {"velocity": v.next_w}),
    "w unchanged": Fault("w is returned unchanged", lambda v: {"next_w": v.w}),
    "only velocity": Fault("found the velocity, expected w plus it", lambda v: {"next_w": v.velocity}),
    "rate twice": Fault(
        "multiplied by the learning rate twice", lambda v: {"next_w": v.w + v.learning_rate * v.velocity}
    ),
    "default rate": Fault(
        "the learning rate is the default, expected the one in config", _sgd(_mu, lambda v: -0.01)
    ),
    "default momentum": Fault(
        "momentum is the default, expected the one in config", _sgd(lambda v: 0.9, _minus_rate)
    ),
    "decayed w": Fault(
        "w is multiplied by momentum, expected the velocity only",
        lambda v: {"next_w": v.momentum * v.w + v.velocity},
    ),
}


def _rms(kept, new, square=lambda dw: dw**2):
    """cache = kept * old + new * dw^2, and the step with it."""

    def wrong(v):
        cache = kept(v.decay_rate) * v.old + new(v.decay_rate) * square(v.dw)
        return {"cache": cache, "next_w": v.w - v.learning_rate * v.dw / (np.sqrt(cache) + v.epsilon)}

    return wrong


def step(direction):
    """next_w = w - learning_rate * direction."""
    return lambda v: {"next_w": v.w - v.learning_rate * direction(v)}


RMSPROP = {
    "decay swapped": Fault(
        "the decay rate's meaning is swapped: expected decay_rate * cache + (1 - decay_rate) * dw^2",
        _rms(lambda d: 1 - d, lambda d: d),
    ),
    "AdaGrad": Fault(
        "the squares are summed, as AdaGrad does: expected a decaying mean", _rms(lambda d: 1, lambda d: 1)
    ),
    "old not decayed": Fault(
        "the old cache is not multiplied by decay_rate", _rms(lambda d: 1, lambda d: 1 - d)
    ),
    "new not weighted": Fault("dw^2 is not multiplied by 1 - decay_rate", _rms(lambda d: d, lambda d: 1)),
    "old lost": Fault("the old cache is missing", _rms(lambda d: 0, lambda d: 1 - d)),
    "only the last": Fault("the cache is only the last dw^2", _rms(lambda d: 0, lambda d: 1)),
    "not squared": Fault("dw is not squared in the cache", _rms(lambda d: d, lambda d: 1 - d, lambda dw: dw)),
    "absolute": Fault(
        "the absolute value of dw is in the cache, expected its square",
        _rms(lambda d: d, lambda d: 1 - d, np.abs),
    ),
    "root stored": Fault(
        "has the root, expected the mean of squares itself", lambda v: {"cache": np.sqrt(v.cache)}
    ),
    "not stored": Fault("the new cache is not stored in config", lambda v: {"cache": v.old}),
    "old cache": Fault(
        "the step uses the old cache: update it first", step(lambda v: v.dw / (np.sqrt(v.old) + v.epsilon))
    ),
    "eps inside": Fault(
        "epsilon is added inside of the root, expected sqrt(cache) + epsilon",
        step(lambda v: v.dw / np.sqrt(v.cache + v.epsilon)),
    ),
    "no eps": Fault("epsilon is missing", step(lambda v: v.dw / np.sqrt(v.cache))),
    "default eps": Fault(
        "epsilon is the default, expected the one in config",
        step(lambda v: v.dw / (np.sqrt(v.cache) + 1e-8)),
    ),
    "no root": Fault(
        "divided by the cache, expected by its root", step(lambda v: v.dw / (v.cache + v.epsilon))
    ),
    "multiplied": Fault(
        "multiplied by the root, expected divided", step(lambda v: v.dw * (np.sqrt(v.cache) + v.epsilon))
    ),
    "ascent": Fault(
        "steps along the gradient, expected against it",
        step(lambda v: -v.dw / (np.sqrt(v.cache) + v.epsilon)),
    ),
    "plain": Fault("plain SGD: not divided by the root of the cache", step(lambda v: v.dw)),
    "no gradient": Fault("dw is missing in the step", step(lambda v: 1 / (np.sqrt(v.cache) + v.epsilon))),
    "squared gradient": Fault(
        "dw^2 is in the step, expected dw", step(lambda v: v.dw**2 / (np.sqrt(v.cache) + v.epsilon))
    ),
    "no rate": Fault(
        "the learning rate is missing", lambda v: {"next_w": v.w - v.dw / (np.sqrt(v.cache) + v.epsilon)}
    ),
    "default rate": Fault(
        "the learning rate is the default, expected the one in config",
        lambda v: {"next_w": v.w - 0.01 * v.dw / (np.sqrt(v.cache) + v.epsilon)},
    ),
    "default decay": Fault(
        "decay_rate is the default, expected the one in config", _rms(lambda d: 0.99, lambda d: 0.01)
    ),
    "w unchanged": Fault("w is returned unchanged", lambda v: {"next_w": v.w}),
}
