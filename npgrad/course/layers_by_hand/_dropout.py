"""Dropout: what its outputs show of the mask, and typical mistakes.

    training   out = x * mask / p, where each value of mask is 1 with the probability p, else 0     dx = dout * mask / p
    test       out = x                                                                              dx = dout

No two right answers have the same mask, so that the forward pass is judged by what all right masks have in common.
"""

from types import SimpleNamespace

import numpy as np

from npgrad.course.grading._answer import Wrong, in_case
from npgrad.course.grading._chain import Kept, Step
from npgrad.course.layers_by_hand._calls import case, numbers_for
from npgrad.course.layers_by_hand._judge import RTOL, Fault, close, forward_result, judge, results_of

SHAPE, DEVIATIONS = (300, 400), 6  # of the number of kept values, in standard deviations


def measured(x, out, p):
    """What out / x shows: where it is 0, how often, and by what the other values are multiplied."""
    ratio = out / x
    kept = ratio != 0
    factors = ratio[kept]
    factor = float(np.median(factors)) if kept.any() else 0.0
    slack = DEVIATIONS * np.sqrt(p * (1 - p) / x.size)
    return SimpleNamespace(
        p=p,
        kept=kept,
        share=kept.mean(),
        factor=factor,
        even=bool(np.allclose(factors, factor, rtol=RTOL)),
        rows=bool((kept == kept[:1]).all()),
        columns=bool((kept == kept[:, :1]).all()),
        is_share=lambda value: abs(kept.mean() - value) < slack,
        is_factor=lambda value: abs(factor - value) < 1e-6 * abs(value),
    )


class Rule(Fault):
    """A mistake that is recognized by what `measured` returns: `wrong` is true for it."""


FORWARD = {
    "nothing kept": Rule("found 0 everywhere", lambda m: m.share == 0),
    "nothing dropped": Rule(
        "x is returned as it is in training mode", lambda m: m.share == 1 and m.even and m.is_factor(1)
    ),
    "only scaled": Rule("no value is dropped in training mode", lambda m: m.share == 1 and m.even),
    "not compared": Rule(
        "multiplied by random numbers, expected by 0 or 1 / p: compare them with p first",
        lambda m: m.share > 0.99 and not m.even,
    ),
    "noise": Rule(
        "kept values are multiplied by random numbers, expected all by 1 / p", lambda m: not m.even
    ),
    "same mask": Rule(
        "every sample has the same mask: draw one number for each value of x",
        lambda m: m.rows and not m.columns,
    ),
    "whole samples": Rule(
        "whole samples are dropped: draw one number for each value of x", lambda m: m.columns and not m.rows
    ),
    "p drops": Rule(
        "p is taken as the probability to drop, expected to keep",
        lambda m: m.is_share(1 - m.p) and m.is_factor(1 / (1 - m.p)),
    ),
    "keeps 1 - p": Rule(
        "values are kept with the probability 1 - p, expected p",
        lambda m: m.is_share(1 - m.p) and not m.is_share(m.p),
    ),
    "half": Rule(
        "half of the values are kept, expected a share of p",
        lambda m: m.is_share(0.5) and not m.is_share(m.p),
    ),
    "not divided": Rule(
        "not divided by p: inverted dropout scales in training, so that test mode has nothing to do",
        lambda m: m.is_share(m.p) and m.is_factor(1),
    ),
    "multiplied": Rule("multiplied by p, expected divided", lambda m: m.is_share(m.p) and m.is_factor(m.p)),
    "divided twice": Rule("divided by p twice", lambda m: m.is_share(m.p) and m.is_factor(1 / m.p**2)),
    "1 - p": Rule(
        "divided by 1 - p, expected by p", lambda m: m.is_share(m.p) and m.is_factor(1 / (1 - m.p))
    ),
    "times 1 - p": Rule(
        "multiplied by 1 - p, expected divided by p", lambda m: m.is_share(m.p) and m.is_factor(1 - m.p)
    ),
}
IN_TEST = {
    "scaled": Fault(
        "multiplied by p in test mode: inverted dropout has scaled in training already",
        lambda v: {"out": v.x * v.p},
    ),
    "divided": Fault("divided by p in test mode, expected x as it is", lambda v: {"out": v.x / v.p}),
    "times 1 - p": Fault(
        "multiplied by 1 - p in test mode, expected x as it is", lambda v: {"out": v.x * (1 - v.p)}
    ),
    "zero": Fault("found 0 in test mode, expected x", lambda v: {"out": 0 * v.x}),
}
MASKED = "values are dropped in test mode, expected x as it is"


def check_forward(answer):
    """dropout_forward(x, dropout_param)."""
    rng = numbers_for(answer)
    for p, options in ((0.7, {}), (0.4, {"seed": 123})):
        x, dropout_param = _drawn(rng), {"mode": "train", "p": p, **options}
        where = case({"x": x, "dropout_param": dropout_param})
        replies = answer.chain([Step(answer.name, [x, dropout_param], (1,))] * 2, where)
        outs = [_real(forward_result(each["value"]), x, where) for each in replies]
        text = _mistake(x, outs[0], p)
        if text is None and options and not np.array_equal(*outs):
            text = "the same seed gives another mask: seed NumPy's generator with dropout_param['seed']"
        if text is None and not options and np.array_equal(*outs):
            text = "every call has the same mask, expected a new one where there is no seed"
        if text is not None:
            raise Wrong(text + in_case(where))
        test = {**dropout_param, "mode": "test"}
        (reply,) = answer.chain([Step(answer.name, [x, test], (1,))], where)
        where = case({"x": x, "dropout_param": test})
        out = _real(forward_result(reply["value"], needed=False), x, where)
        if out.any() and (out == 0).any():
            raise Wrong(MASKED + in_case(where))
        judge({"out": out}, SimpleNamespace(x=x, out=x, p=p), IN_TEST, where)


def _drawn(rng):
    """x without small values."""
    return rng.choice([-1.0, 1.0], SHAPE) * rng.uniform(0.5, 2, SHAPE)


def _real(out, x, where):
    if not isinstance(out, np.ndarray) or out.shape != x.shape:
        found = f"an array of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise Wrong(f"out: expected an array of shape {x.shape}, found {found}{in_case(where)}")
    if out.dtype != x.dtype:
        raise Wrong(f"the result is {out.dtype}, expected {x.dtype} as x is{in_case(where)}")
    return out


def _mistake(x, out, p):
    """The words for a wrong output in training mode; None for a right one."""
    m = measured(x, out, p)
    for rule in FORWARD.values():
        if rule.wrong(m):
            return rule.text
    if not m.is_share(p):
        return f"{m.share:.3f} of the values are kept, expected about p = {p}"
    if not m.is_factor(1 / p):
        return f"kept values are multiplied by {m.factor:.4g}, expected by 1 / p = {1 / p:.4g}"
    return None


BACKWARD = {
    "no mask": Fault("the mask is missing: dropped values must have no gradient", lambda v: {"dx": v.dout}),
    "only scaled": Fault("the mask is missing, dout is only divided by p", lambda v: {"dx": v.dout / v.p}),
    "not divided": Fault("not divided by p, as the forward pass does", lambda v: {"dx": v.dout * v.mask}),
    "multiplied": Fault("multiplied by p, expected divided", lambda v: {"dx": v.dout * v.mask * v.p}),
    "divided twice": Fault(
        "divided by p twice: is it in the mask already?", lambda v: {"dx": v.dout * v.mask / v.p**2}
    ),
    "1 - p": Fault("divided by 1 - p, expected by p", lambda v: {"dx": v.dout * v.mask / (1 - v.p)}),
    "times 1 - p": Fault(
        "multiplied by 1 - p, expected divided by p", lambda v: {"dx": v.dout * v.mask * (1 - v.p)}
    ),
    "other side": Fault(
        "dout passes where values were dropped, expected where they were kept",
        lambda v: {"dx": v.dout * (1 - v.mask) / v.p},
    ),
    "other side, not divided": Fault(
        "dout passes where values were dropped, expected where they were kept",
        lambda v: {"dx": v.dout * (1 - v.mask)},
    ),
    "only mask": Fault("dout is missing: found the mask", lambda v: {"dx": v.mask / v.p}),
    "only zeros and ones": Fault("dout is missing: found the mask", lambda v: {"dx": v.mask}),
    "times x": Fault(
        "multiplied by x, expected by the mask alone", lambda v: {"dx": v.dout * v.x * v.mask / v.p}
    ),
    "times x, not divided": Fault("multiplied by x, expected by the mask", lambda v: {"dx": v.dout * v.x}),
    "out": Fault(
        "found the forward pass's out, expected dout times the mask", lambda v: {"dx": v.x * v.mask / v.p}
    ),
    "sign": Fault("the sign is flipped", lambda v: {"dx": -v.dx}),
}
BACK_IN_TEST = {
    "masked": Fault("not dout in test mode: there is no mask then", lambda v: {"dx": 0 * v.dout}),
    "scaled": Fault("multiplied by p in test mode, expected dout as it is", lambda v: {"dx": v.dout * v.p}),
    "divided": Fault("divided by p in test mode, expected dout as it is", lambda v: {"dx": v.dout / v.p}),
}


def check_backward(answer):
    """dropout_backward(dout, cache), after dropout_forward."""
    rng = numbers_for(answer)
    for p, mode in ((0.7, "train"), (0.4, "train"), (0.7, "test")):
        x, dout = _drawn(rng), _drawn(rng)
        dropout_param = {"mode": mode, "p": p}
        where = case({"x": x, "dropout_param": dropout_param})
        steps = [Step("dropout_forward", [x, dropout_param], (1,)), Step(answer.name, [dout, Kept(0, 1)])]
        replies = answer.chain(steps, where)
        out = forward_result(replies[0]["value"], "dropout_forward", needed=False)
        out = _real(out, x, where)
        found = results_of(replies[-1]["value"], ("dx",))
        mask = (out != 0) * 1.0 if mode == "train" else np.ones_like(x)
        dx = dout * mask / p if mode == "train" else dout
        right = SimpleNamespace(x=x, dout=dout, p=p, mask=mask, dx=dx)
        if mode == "train" and mask.all():
            raise Wrong(f"needs dropout_forward, which drops nothing{in_case(where)}")
        if mode == "train":
            _check_mask(found["dx"], right, where)
        judge(found, right, BACKWARD if mode == "train" else BACK_IN_TEST, where)


def _check_mask(dx, right, where):
    """Wrong if the values of dx are those of another mask."""
    if not isinstance(dx, np.ndarray) or dx.shape != right.x.shape or dx.dtype.kind != "f":
        return
    mask = dx != 0
    drawn_anew = not np.array_equal(mask, right.mask) and close(dx, right.dout * mask / right.p, RTOL)
    if drawn_anew and 0.01 < mask.mean() < 0.99 and not close(mask * 1.0, 1 - right.mask, RTOL):
        raise Wrong(
            f"another mask than in the forward pass: is a new one drawn? expected that in the cache{in_case(where)}"
        )
