"""Running statistics of batch normalization: the check of its forward functions, and typical mistakes."""

import numpy as np

from npgrad.course.grading._answer import Wrong
from npgrad.course.grading._chain import Step
from npgrad.course.layers_by_hand._calls import case, numbers_for, values
from npgrad.course.layers_by_hand._judge import Fault, forward_result, judge
from npgrad.course.layers_by_hand._norm_faults import forward_faults
from npgrad.course.layers_by_hand._norms import (
    EPS,
    MOMENTUM,
    norm_arguments,
    normalize,
    shaped,
    with_statistics,
)

STORED = ("running_mean", "running_var")


def trained(norm, x, gamma, beta, bn_param):
    """Training mode: out, and the running statistics, momentum * old + (1 - momentum) * those of the batch."""
    found = normalize(norm, x, gamma, beta, bn_param.get("eps", EPS))
    momentum, size = bn_param.get("momentum", MOMENTUM), gamma.size
    old_mean, old_var = (bn_param.get(key, np.zeros(size)) for key in STORED)
    mean, var = found["mean"].ravel(), found["var"].ravel()
    terms = {
        "running_mean": {"the old value": old_mean, "the batch's": mean},
        "running_var": {"the old value": old_var, "the batch's": var},
    }
    return {
        **found,
        "terms": {**found["terms"], **terms},
        "batch_mean": mean,
        "batch_var": var,
        "old_mean": old_mean,
        "old_var": old_var,
        "momentum": momentum,
        "running_mean": momentum * old_mean + (1 - momentum) * mean,
        "running_var": momentum * old_var + (1 - momentum) * var,
    }


def _running(kept, new):
    """A fault in the running statistics: kept * old + new * those of the batch, both functions of the momentum."""

    def wrong(v):
        a, b = kept(v.momentum), new(v.momentum)
        return {
            "running_mean": a * v.old_mean + b * v.batch_mean,
            "running_var": a * v.old_var + b * v.batch_var,
        }

    return wrong


def _of_variance(changed):
    """A fault in the running variance: another value of the batch's variance."""
    return lambda v: {"running_var": v.momentum * v.old_var + (1 - v.momentum) * changed(v)}


RUNNING = {
    "momentum swapped": Fault(
        "the momentum's meaning is swapped: expected momentum * running + (1 - momentum) * the batch's",
        _running(lambda m: 1 - m, lambda m: m),
    ),
    "not updated": Fault("not updated in training mode", _running(lambda m: 1, lambda m: 0)),
    "replaced": Fault(
        "replaced by the batch's: expected a running mean of both", _running(lambda m: 0, lambda m: 1)
    ),
    "added": Fault("the batch's is added, expected (1 - momentum) of it", _running(lambda m: m, lambda m: 1)),
    "no decay": Fault("the old value is not multiplied by momentum", _running(lambda m: 1, lambda m: 1 - m)),
    "old lost": Fault("the old value is missing in the running mean", _running(lambda m: 0, lambda m: 1 - m)),
    "default momentum": Fault(
        "the momentum is the default, expected the one in bn_param",
        _running(lambda m: MOMENTUM, lambda m: 1 - MOMENTUM),
    ),
    "deviation": Fault(
        "has the standard deviation, expected the variance", _of_variance(lambda v: np.sqrt(v.batch_var))
    ),
    "deviation with eps": Fault(
        "has the standard deviation, expected the variance",
        _of_variance(lambda v: np.sqrt(v.batch_var + v.eps)),
    ),
    "with eps": Fault(
        "eps is added to it, expected only in the root", _of_variance(lambda v: v.batch_var + v.eps)
    ),
    "unbiased": Fault(
        "is divided by n - 1 (ddof=1), expected by n",
        _of_variance(lambda v: v.batch_var / (1 - v.gamma.size / v.x.size)),
    ),
    "crossed": Fault(
        "mean and variance are stored under each other's name",
        lambda v: {"running_mean": v.running_var, "running_var": v.running_mean},
    ),
    "running in training": Fault(
        "the running statistics are used in training mode, expected those of the batch",
        lambda v: with_statistics(v.x, v.gamma, v.beta, v.old_mean, v.old_var, v.eps),
    ),
    "updated first": Fault(
        "the running statistics are used in training mode, expected those of the batch",
        lambda v: with_statistics(v.x, v.gamma, v.beta, v.running_mean, v.running_var, v.eps),
    ),
}


def _tested(mean=lambda v: v.old_mean, var=lambda v: v.old_var, eps=lambda v: v.eps):
    return lambda v: with_statistics(v.x, v.gamma, v.beta, mean(v), var(v), eps(v))


IN_TEST = {
    "batch statistics": Fault(
        "the batch's statistics are used in test mode, expected the running ones",
        lambda v: {"out": v.trained["out"]},
    ),
    "updated": Fault(
        "changed in test mode, expected as it was", lambda v: {key: v.trained[key] for key in STORED}
    ),
    "updated out": Fault(
        "the batch has been added to the running statistics in test mode",
        lambda v: with_statistics(v.x, v.gamma, v.beta, *(v.trained[key] for key in STORED), v.eps),
    ),
    "batch mean": Fault(
        "the batch's mean is used in test mode", _tested(mean=lambda v: v.trained["batch_mean"])
    ),
    "batch variance": Fault(
        "the batch's variance is used in test mode", _tested(var=lambda v: v.trained["batch_var"])
    ),
    "no normalization": Fault(
        "not normalized in test mode: expected with the running statistics",
        lambda v: {"out": shaped(v.gamma, v.x) * v.x + shaped(v.beta, v.x)},
    ),
    "as it is": Fault("x is returned as it is in test mode", lambda v: {"out": v.x}),
    "no parameters": Fault(
        "gamma and beta are missing in test mode",
        lambda v: with_statistics(v.x, 1 + 0 * v.gamma, 0 * v.beta, v.old_mean, v.old_var, v.eps),
    ),
    "no gamma": Fault(
        "gamma is missing in test mode",
        lambda v: with_statistics(v.x, 1 + 0 * v.gamma, v.beta, v.old_mean, v.old_var, v.eps),
    ),
    "no beta": Fault("beta is missing in test mode", lambda v: {"out": v.out - shaped(v.beta, v.x)}),
    "no eps": Fault("eps is missing in test mode: expected sqrt(var + eps)", _tested(eps=lambda v: 0)),
    "default eps": Fault(
        "eps is the default in test mode, expected the one in bn_param", _tested(eps=lambda v: EPS)
    ),
    "eps outside": Fault(
        "eps is added outside of the root in test mode: expected sqrt(var + eps)",
        _tested(var=lambda v: (np.sqrt(v.old_var) + v.eps) ** 2, eps=lambda v: 0),
    ),
    "no root": Fault(
        "divided by the running variance in test mode, expected by its root",
        _tested(var=lambda v: (v.old_var + v.eps) ** 2, eps=lambda v: 0),
    ),
    "mean forgotten": Fault(
        "the running mean is not subtracted in test mode", _tested(mean=lambda v: 0 * v.old_mean)
    ),
}


def check_with_running(norm, others, shape):
    """(the check of batchnorm_forward or spatial_batchnorm_forward, its faults)."""
    faults = {**RUNNING, **forward_faults(norm, others)}

    def check(answer):
        rng, size = numbers_for(answer), shape[1]
        stored = {"running_mean": rng.normal(0.5, 1, size), "running_var": rng.uniform(0.5, 2, size)}
        train = {"mode": "train", "eps": 0.03, "momentum": 0.7, **stored}
        _check_training(answer, norm, faults, norm_arguments(rng, shape, size), train)
        arguments = [norm_arguments(rng, shape, size) for _ in range(2)]
        _check_training(answer, norm, faults, arguments[0], {"mode": "train"}, arguments[1])
        for n in (shape[0], 1):
            test = {"mode": "test", "eps": 0.03, "momentum": 0.7, **stored}
            _check_test(answer, norm, norm_arguments(rng, (n, *shape[1:]), size), test)

    return check, {**faults, **{f"{name} in test mode": fault for name, fault in IN_TEST.items()}}


def _check_training(answer, norm, faults, *given):
    """given: a batch's arguments, the dict, and perhaps the arguments of the next batch, which has the same dict."""
    first, bn_param, *more = given
    dicts, batches = dict(bn_param), [first, *more]
    steps = [Step(answer.name, [*each.values(), bn_param], (1,)) for each in batches]
    where = [case({**each, "bn_param": bn_param}) for each in batches]
    if more:
        where[1] += ", second batch with the same bn_param"
    for reply, each, words in zip(answer.chain(steps, where[0]), batches, where, strict=True):
        right = trained(norm, **each, bn_param=dicts)
        dicts = {**dicts, **{key: right[key] for key in STORED}}
        found = {"out": forward_result(reply["value"]), **_stored(reply)}
        judge(found, values(each, right), faults, words, ordered=False)


def _check_test(answer, norm, each, bn_param):
    where = case({**each, "bn_param": bn_param})
    (reply,) = answer.chain([Step(answer.name, [*each.values(), bn_param], (1,))], where)
    out = forward_result(reply["value"], needed=False)  # nothing goes back in test mode
    old = {"old_mean": bn_param["running_mean"], "old_var": bn_param["running_var"], "eps": bn_param["eps"]}
    right = values(each, {**old, "trained": trained(norm, **each, bn_param=bn_param)})
    right = values(vars(right), _tested()(right) | {key: bn_param[key] for key in STORED})
    judge({"out": out, **_stored(reply)}, right, IN_TEST, where, ordered=False)


def _stored(reply):
    after = reply["dicts"].get("3", {})
    for key in STORED:
        if key not in after:
            raise Wrong(f"{key} is not stored in bn_param: bn_param['{key}'] = ...")
    return {key: after[key] for key in STORED}
