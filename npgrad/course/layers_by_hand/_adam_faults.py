"""The typical mistakes in Adam."""

import numpy as np

from npgrad.course.layers_by_hand._judge import Fault
from npgrad.course.layers_by_hand._optim_faults import step


def _moments(m=None, v_=None):
    """Other moments, and the step with them."""

    def wrong(v):
        first = v.m if m is None else m(v)
        second = v.v if v_ is None else v_(v)
        m_hat, v_hat = first / (1 - v.beta1**v.t), second / (1 - v.beta2**v.t)
        return {
            "m": first,
            "v": second,
            "next_w": v.w - v.learning_rate * m_hat / (np.sqrt(v_hat) + v.epsilon),
        }

    return wrong


def _corrected(first, second):
    """The step with other bias corrections, functions of (moment, beta, v)."""

    def direction(v):
        return first(v.m, v.beta1, v) / (np.sqrt(second(v.v, v.beta2, v)) + v.epsilon)

    return step(direction)


def _none(moment, beta, v):
    return moment


def _usual(moment, beta, v):
    return moment / (1 - beta**v.t)


def _at(t):
    return lambda moment, beta, v: moment / (1 - beta ** t(v))


ADAM = {
    "no correction": Fault(
        "the bias correction is missing: m / (1 - beta1^t), v / (1 - beta2^t)", _corrected(_none, _none)
    ),
    "only m": Fault("v is not corrected: v / (1 - beta2^t)", _corrected(_usual, _none)),
    "only v": Fault("m is not corrected: m / (1 - beta1^t)", _corrected(_none, _usual)),
    "old t": Fault(
        "t is the old one in the bias correction: increment it first",
        _corrected(*[_at(lambda v: v.old_t)] * 2),
    ),
    "old t for m": Fault(
        "t is the old one in the bias correction of m", _corrected(_at(lambda v: v.old_t), _usual)
    ),
    "old t for v": Fault(
        "t is the old one in the bias correction of v", _corrected(_usual, _at(lambda v: v.old_t))
    ),
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
    "correction multiplied": Fault(
        "multiplied by the bias correction, expected divided",
        _corrected(*[lambda moment, beta, v: moment * (1 - beta**v.t)] * 2),
    ),
    "plus": Fault(
        "the bias correction has a plus: expected 1 - beta^t",
        _corrected(*[lambda moment, beta, v: moment / (1 + beta**v.t)] * 2),
    ),
    "one beta": Fault(
        "both bias corrections have beta1, expected beta2 for v",
        _corrected(_usual, lambda moment, beta, v: moment / (1 - v.beta1**v.t)),
    ),
    "crossed betas": Fault(
        "the bias corrections have each other's beta",
        _corrected(
            lambda moment, beta, v: moment / (1 - v.beta2**v.t),
            lambda moment, beta, v: moment / (1 - v.beta1**v.t),
        ),
    ),
    "corrected stored": Fault(
        "the corrected value is stored, expected the running mean itself",
        lambda v: {"m": v.m_hat, "v": v.v_hat},
    ),
    "not stored": Fault("the new value is not stored in config", lambda v: {"m": v.old_m, "v": v.old_v}),
    "betas swapped": Fault(
        "beta1 and beta2 are swapped",
        _moments(
            lambda v: v.beta2 * v.old_m + (1 - v.beta2) * v.dw,
            lambda v: v.beta1 * v.old_v + (1 - v.beta1) * v.dw**2,
        ),
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
        _moments(
            lambda v: (1 - v.beta1) * v.old_m + v.beta1 * v.dw,
            lambda v: (1 - v.beta2) * v.old_v + v.beta2 * v.dw**2,
        ),
    ),
    "m not weighted": Fault(
        "dw is not multiplied by 1 - beta1", _moments(lambda v: v.beta1 * v.old_m + v.dw)
    ),
    "v not weighted": Fault(
        "dw^2 is not multiplied by 1 - beta2", _moments(None, lambda v: v.beta2 * v.old_v + v.dw**2)
    ),
    "not squared": Fault(
        "dw is not squared in v", _moments(None, lambda v: v.beta2 * v.old_v + (1 - v.beta2) * v.dw)
    ),
    "v of m": Fault(
        "v is made of m^2, expected of dw^2",
        _moments(None, lambda v: v.beta2 * v.old_v + (1 - v.beta2) * v.m**2),
    ),
    "eps inside": Fault(
        "epsilon is added inside of the root, expected sqrt(v) + epsilon",
        step(lambda v: v.m_hat / np.sqrt(v.v_hat + v.epsilon)),
    ),
    "no eps": Fault("epsilon is missing", step(lambda v: v.m_hat / np.sqrt(v.v_hat))),
    "no root": Fault("divided by v, expected by its root", step(lambda v: v.m_hat / (v.v_hat + v.epsilon))),
    "gradient for m": Fault(
        "the step has dw, expected the running mean m", step(lambda v: v.dw / (np.sqrt(v.v_hat) + v.epsilon))
    ),
    "momentum alone": Fault("not divided by the root of v", step(lambda v: v.m_hat)),
    "ascent": Fault(
        "steps along the gradient, expected against it",
        step(lambda v: -v.m_hat / (np.sqrt(v.v_hat) + v.epsilon)),
    ),
    "no rate": Fault(
        "the learning rate is missing", lambda v: {"next_w": v.w - v.m_hat / (np.sqrt(v.v_hat) + v.epsilon)}
    ),
    "w unchanged": Fault("w is returned unchanged", lambda v: {"next_w": v.w}),
}
