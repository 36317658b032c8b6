"""SGD with momentum, RMSProp and Adam: the references.

The state is kept in config, which is returned, and passed to the next step. With the learning rate r:

    sgd_momentum   velocity = momentum * velocity - r * dw                  next_w = w + velocity
    rmsprop        cache = decay_rate * cache + (1 - decay_rate) * dw^2     next_w = w - r * dw / (sqrt(cache) + eps)
    adam           t = t + 1, m = beta1 * m + (1 - beta1) * dw, v = beta2 * v + (1 - beta2) * dw^2
                   next_w = w - r * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
"""

import numpy as np

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
    terms = {
        "velocity": {"the old velocity": velocity, "the gradient": dw},
        "next_w": {"w": w, "the velocity": new},
    }
    return {"old": velocity, "velocity": new, "next_w": w + new, "terms": terms}


def rmsprop(w, dw, learning_rate, decay_rate, epsilon, cache):
    """One step."""
    new = decay_rate * cache + (1 - decay_rate) * dw**2
    step = dw / (np.sqrt(new) + epsilon)
    terms = {"cache": {"the old cache": cache, "the square": dw**2}, "next_w": {"w": w, "the step": step}}
    return {"old": cache, "cache": new, "next_w": w - learning_rate * step, "terms": terms}


def adam(w, dw, learning_rate, beta1, beta2, epsilon, m, v, t):
    """One step."""
    first, second = beta1 * m + (1 - beta1) * dw, beta2 * v + (1 - beta2) * dw**2
    m_hat, v_hat = first / (1 - beta1 ** (t + 1)), second / (1 - beta2 ** (t + 1))
    step = m_hat / (np.sqrt(v_hat) + epsilon)
    terms = {
        "m": {"the old m": m, "the gradient": dw},
        "v": {"the old v": v, "the square": dw**2},
        "next_w": {"w": w, "the step": step},
    }
    return {
        "terms": terms,
        "old_m": m,
        "old_v": v,
        "old_t": t,
        "m": first,
        "v": second,
        "t": float(t + 1),
        "m_hat": m_hat,
        "v_hat": v_hat,
        "next_w": w - learning_rate * step,
    }


def first_state(name, w):
    """The state before the first step: zeros."""
    return {key: 0 if key == "t" else np.zeros_like(w) for key in STATE[name]}


def drawn_state(name, w, rng):
    """A state as after some steps."""
    return {key: 4 if key == "t" else rng.uniform(0.1, 1, w.shape) for key in STATE[name]}


STEPS = {"sgd_momentum": sgd_momentum, "rmsprop": rmsprop, "adam": adam}
