"""SGD with momentum, RMSProp and Adam: references and typical mistakes.

    sgd_momentum   velocity = momentum * velocity - learning_rate * dw          next_w = w + velocity
    rmsprop        cache = decay_rate * cache + (1 - decay_rate) * dw^2         next_w = w - learning_rate * dw / (sqrt(cache) + eps)
    adam           t = t + 1, m = beta1 * m + (1 - beta1) * dw, v = beta2 * v + (1 - beta2) * dw^2
                   next_w = w - learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

The state is kept in config, which is returned, and passed to the next step.
"""

import numpy as np

from npgrad.course.layers_by_hand._judge import Fault

DEFAULTS = {
    "sgd_momentum": {"learning_rate": 1e-2, "momentum": 0.9},
    "rmsprop": {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
    "adam": {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
}
GIVEN = {
    "sgd_momentum": {"learning_rate": 0.03, "momentum": 0.7},
    "rmsprop": {"learning_rate": 0.03, "decay_rate": 0.8, "epsilon": 0.02},
    "adam": {"learning_rate": 0.03, "beta1": 0.8, "beta2": 0.95, "epsilon": 0.02},
}
STATE = {"sgd_momentum": ("velocity",), "rmsprop": ("cache",), "adam": ("m", "v", "t")}


def sgd_momentum(w, dw, learning_rate, momentum, velocity):
    """One step."""
    new = momentum * velocity - learning_rate * dw
    return {"old": velocity, "velocity": new, "next_w": w + new}


def rmsprop(w, dw, learning_rate, decay_rate, epsilon, cache):
    """One step."""
    new = decay_rate * cache + (1 - decay_rate) * dw**2
    return {"old": cache, "cache": new, "next_w": w - learning_rate * dw / (np.sqrt(new) + epsilon)}


def adam(w, dw, learning_rate, beta1, beta2, epsilon, m, v, t):
    """One step."""
    first, second = beta1 * m + (1 - beta1) * dw, beta2 * v + (1 - beta2) * dw**2
    m_hat, v_hat = first / (1 - beta1 ** (t + 1)), second / (1 - beta2 ** (t + 1))
    return {
        "old_m": m,
        "old_v": v,
        "old_t": t,
        "m": first,
        "v": second,
        "t": float(t + 1),
        "m_hat": m_hat,
        "v_hat": v_hat,
        "next_w": w - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon),
    }


def first_state(name, w):
    """The state before the first step: zeros."""
    return {key: 0 if key == "t" else np.zeros_like(w) for key in STATE[name]}


def drawn_state(name, w, rng):
    """A state as after some steps."""
    return {key: 4 if key == "t" else rng.uniform(0.1, 1, w.shape) for key in STATE[name]}


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
        "the velocity is subtracted, expected added: it contains the minus", lambda v: {"next_w": v.w - v.velocity}
    ),
    "ascent": Fault("steps along the gradient, expected against it", _sgd(_mu, lambda v: v.learning_rate)),
    "opposite": Fault(
        "the velocity has the opposite sign: expected momentum * velocity - learning_rate * dw, added to w",
        _sgd(_mu, lambda v: v.learning_rate, lambda v, new: v.w - new),
    ),
    "no momentum": Fault("the old velocity is missing", _sgd(lambda v: 0, _minus_rate)),
    "old not decayed": Fault("the old velocity is not multiplied by momentum", _sgd(lambda v: 1, _minus_rate)),
    "momentum swapped": Fault(
        "the old velocity is multiplied by 1 - momentum, expected by momentum", _sgd(lambda v: 1 - v.momentum, _minus_rate)
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
    "default momentum": Fault("momentum is the default, expected the one in config", _sgd(lambda v: 0.9, _minus_rate)),
    "decayed w": Fault("w is multiplied by momentum, expected the velocity only", lambda v: {"next_w": v.momentum * v.w + v.velocity}),
}


def _rms(kept, new, square=lambda dw: dw**2):
    """cache = kept * old + new * dw^2, and the step with it."""

    def wrong(v):
        cache = kept(v.decay_rate) * v.old + new(v.decay_rate) * square(v.dw)
        return {"cache": cache, "next_w": v.w - v.learning_rate * v.dw / (np.sqrt(cache) + v.epsilon)}

    return wrong


def _step(direction):
    """next_w = w - learning_rate * direction."""
    return lambda v: {"next_w": v.w - v.learning_rate * direction(v)}


RMSPROP = {
    "decay swapped": Fault(
        "the decay rate's meaning is swapped: expected decay_rate * cache + (1 - decay_rate) * dw^2",
        _rms(lambda d: 1 - d, lambda d: d),
    ),
    "AdaGrad": Fault("the squares are summed, as AdaGrad does: expected a decaying mean", _rms(lambda d: 1, lambda d: 1)),
    "old not decayed": Fault("the old cache is not multiplied by decay_rate", _rms(lambda d: 1, lambda d: 1 - d)),
    "new not weighted": Fault("dw^2 is not multiplied by 1 - decay_rate", _rms(lambda d: d, lambda d: 1)),
    "old lost": Fault("the old cache is missing", _rms(lambda d: 0, lambda d: 1 - d)),
    "only the last": Fault("the cache is only the last dw^2", _rms(lambda d: 0, lambda d: 1)),
    "not squared": Fault("dw is not squared in the cache", _rms(lambda d: d, lambda d: 1 - d, lambda dw: dw)),
    "absolute": Fault("the absolute value of dw is in the cache, expected its square", _rms(lambda d: d, lambda d: 1 - d, np.abs)),
    "root stored": Fault("has the root, expected the mean of squares itself", lambda v: {"cache": np.sqrt(v.cache)}),
    "not stored": Fault("the new cache is not stored in config", lambda v: {"cache": v.old}),
    "old cache": Fault(
        "the step uses the old cache: update it first", _step(lambda v: v.dw / (np.sqrt(v.old) + v.epsilon))
    ),
    "eps inside": Fault(
        "epsilon is added inside of the root, expected sqrt(cache) + epsilon", _step(lambda v: v.dw / np.sqrt(v.cache + v.epsilon))
    ),
    "no eps": Fault("epsilon is missing", _step(lambda v: v.dw / np.sqrt(v.cache))),
    "default eps": Fault("epsilon is the default, expected the one in config", _step(lambda v: v.dw / (np.sqrt(v.cache) + 1e-8))),
    "no root": Fault("divided by the cache, expected by its root", _step(lambda v: v.dw / (v.cache + v.epsilon))),
    "multiplied": Fault("multiplied by the root, expected divided", _step(lambda v: v.dw * (np.sqrt(v.cache) + v.epsilon))),
    "ascent": Fault("steps along the gradient, expected against it", _step(lambda v: -v.dw / (np.sqrt(v.cache) + v.epsilon))),
    "plain": Fault("plain SGD: not divided by the root of the cache", _step(lambda v: v.dw)),
    "no gradient": Fault("dw is missing in the step", _step(lambda v: 1 / (np.sqrt(v.cache) + v.epsilon))),
    "squared gradient": Fault("dw^2 is in the step, expected dw", _step(lambda v: v.dw**2 / (np.sqrt(v.cache) + v.epsilon))),
    "no rate": Fault(
        "the learning rate is missing", lambda v: {"next_w": v.w - v.dw / (np.sqrt(v.cache) + v.epsilon)}
    ),
    "default rate": Fault(
        "the learning rate is the default, expected the one in config",
        lambda v: {"next_w": v.w - 0.01 * v.dw / (np.sqrt(v.cache) + v.epsilon)},
    ),
    "default decay": Fault("decay_rate is the default, expected the one in config", _rms(lambda d: 0.99, lambda d: 0.01)),
    "w unchanged": Fault("w is returned unchanged", lambda v: {"next_w": v.w}),
}


def _moments(m=None, v_=None):
    """Other moments, and the step with them."""

    def wrong(v):
        first = v.m if m is None else m(v)
        second = v.v if v_ is None else v_(v)
        m_hat, v_hat = first / (1 - v.beta1**v.t), second / (1 - v.beta2**v.t)
        return {"m": first, "v": second, "next_w": v.w - v.learning_rate * m_hat / (np.sqrt(v_hat) + v.epsilon)}

    return wrong


def _corrected(first, second):
    """The step with other bias corrections, functions of (moment, beta, v)."""

    def direction(v):
        return first(v.m, v.beta1, v) / (np.sqrt(second(v.v, v.beta2, v)) + v.epsilon)

    return _step(direction)


def _none(moment, beta, v):
    return moment


def _usual(moment, beta, v):
    return moment / (1 - beta**v.t)


def _at(t):
    return lambda moment, beta, v: moment / (1 - beta ** t(v))


ADAM = {
    "no correction": Fault("the bias correction is missing: m / (1 - beta1^t), v / (1 - beta2^t)", _corrected(_none, _none)),
    "only m": Fault("v is not corrected: v / (1 - beta2^t)", _corrected(_usual, _none)),
    "only v": Fault("m is not corrected: m / (1 - beta1^t)", _corrected(_none, _usual)),
    "old t": Fault("t is the old one in the bias correction: increment it first", _corrected(*[_at(lambda v: v.old_t)] * 2)),
    "t not stored": Fault(
        "not incremented and stored in config: the next step must count on", lambda v: {"t": float(v.old_t)}
    ),
    "t twice": Fault(
        "is incremented twice",
        lambda v: {"t": v.t + 1, **_corrected(*[_at(lambda v: v.t + 1)] * 2)(v)},
    ),
    "no power": Fault(
        "t is missing in the bias correction: 1 - beta^t, found 1 - beta", _corrected(*[_at(lambda v: 1)] * 2)
    ),
    "times t": Fault(
        "beta is multiplied by t in the bias correction, expected to the power of t",
        _corrected(*[lambda moment, beta, v: moment / (1 - beta * v.t)] * 2),
    ),
    "correction multiplied": Fault(
        "multiplied by the bias correction, expected divided", _corrected(*[lambda moment, beta, v: moment * (1 - beta**v.t)] * 2)
    ),
    "plus": Fault("the bias correction has a plus: expected 1 - beta^t", _corrected(*[lambda moment, beta, v: moment / (1 + beta**v.t)] * 2)),
    "one beta": Fault(
        "both bias corrections have beta1, expected beta2 for v",
        _corrected(_usual, lambda moment, beta, v: moment / (1 - v.beta1**v.t)),
    ),
    "crossed betas": Fault(
        "the bias corrections have each other's beta",
        _corrected(lambda moment, beta, v: moment / (1 - v.beta2**v.t), lambda moment, beta, v: moment / (1 - v.beta1**v.t)),
    ),
    "corrected stored": Fault(
        "the corrected value is stored, expected the running mean itself", lambda v: {"m": v.m_hat, "v": v.v_hat}
    ),
    "not stored": Fault("the new value is not stored in config", lambda v: {"m": v.old_m, "v": v.old_v}),
    "betas swapped": Fault(
        "beta1 and beta2 are swapped",
        _moments(lambda v: v.beta2 * v.old_m + (1 - v.beta2) * v.dw, lambda v: v.beta1 * v.old_v + (1 - v.beta1) * v.dw**2),
    ),
    "beta1's meaning": Fault(
        "beta1's meaning is swapped: expected beta1 * m + (1 - beta1) * dw",
        _moments(lambda v: (1 - v.beta1) * v.old_m + v.beta1 * v.dw),
    ),
    "beta2's meaning": Fault(
        "beta2's meaning is swapped: expected beta2 * v + (1 - beta2) * dw^2",
        _moments(None, lambda v: (1 - v.beta2) * v.old_v + v.beta2 * v.dw**2),
    ),
    "both meanings": Fault(
        "the betas' meaning is swapped: expected beta * old + (1 - beta) * new",
        _moments(lambda v: (1 - v.beta1) * v.old_m + v.beta1 * v.dw, lambda v: (1 - v.beta2) * v.old_v + v.beta2 * v.dw**2),
    ),
    "m not weighted": Fault("dw is not multiplied by 1 - beta1", _moments(lambda v: v.beta1 * v.old_m + v.dw)),
    "v not weighted": Fault("dw^2 is not multiplied by 1 - beta2", _moments(None, lambda v: v.beta2 * v.old_v + v.dw**2)),
    "not squared": Fault("dw is not squared in v", _moments(None, lambda v: v.beta2 * v.old_v + (1 - v.beta2) * v.dw)),
    "v of m": Fault("v is made of m^2, expected of dw^2", _moments(None, lambda v: v.beta2 * v.old_v + (1 - v.beta2) * v.m**2)),
    "eps inside": Fault(
        "epsilon is added inside of the root, expected sqrt(v) + epsilon", _step(lambda v: v.m_hat / np.sqrt(v.v_hat + v.epsilon))
    ),
    "no eps": Fault("epsilon is missing", _step(lambda v: v.m_hat / np.sqrt(v.v_hat))),
    "no root": Fault("divided by v, expected by its root", _step(lambda v: v.m_hat / (v.v_hat + v.epsilon))),
    "gradient for m": Fault("the step has dw, expected the running mean m", _step(lambda v: v.dw / (np.sqrt(v.v_hat) + v.epsilon))),
    "momentum alone": Fault("not divided by the root of v", _step(lambda v: v.m_hat)),
    "ascent": Fault("steps along the gradient, expected against it", _step(lambda v: -v.m_hat / (np.sqrt(v.v_hat) + v.epsilon))),
    "no rate": Fault(
        "the learning rate is missing", lambda v: {"next_w": v.w - v.m_hat / (np.sqrt(v.v_hat) + v.epsilon)}
    ),
    "w unchanged": Fault("w is returned unchanged", lambda v: {"next_w": v.w}),
}
STEPS = {"sgd_momentum": sgd_momentum, "rmsprop": rmsprop, "adam": adam}
TABLES = {"sgd_momentum": SGD, "rmsprop": RMSPROP, "adam": ADAM}
