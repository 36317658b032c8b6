"""The checks of batch, layer, spatial batch and group normalization."""

from functools import partial

import numpy as np

from npgrad.course.grading._answer import Wrong
from npgrad.course.grading._chain import Step
from npgrad.course.layers_by_hand._calls import case, numbers_for, values
from npgrad.course.layers_by_hand._judge import Fault, forward_result, judge
from npgrad.course.layers_by_hand._norm_faults import backward_faults, forward_faults
from npgrad.course.layers_by_hand._norms import (
    BATCH,
    EPS,
    GROUP,
    LAYER,
    MOMENTUM,
    SPATIAL,
    gradients,
    norm_arguments,
    normalize,
    shaped,
    with_statistics,
)

STORED = ("running_mean", "running_var")


def forward_of(norm):
    """The reference of the forward function of a normalization in training mode, with the course's arguments."""

    def forward(x, gamma, beta, *parameters, **named):
        groups, eps = _options(parameters, named)
        return normalize(norm, x, gamma, beta, eps, groups)

    return forward


def gradients_of(norm):
    """The reference of the backward function."""

    def backward(dout, x, gamma, beta, *parameters, **named):
        groups, eps = _options(parameters, named)
        return gradients(norm, dout, x, gamma, beta, eps, groups)

    return backward


def _options(parameters, named):
    given = [*parameters, *named.values()]
    options = next(each for each in given if isinstance(each, dict))
    return next((each for each in given if isinstance(each, int)), 0), options.get("eps", EPS)


def trained(norm, x, gamma, beta, bn_param):
    """Training mode: out, and the running statistics, momentum * old + (1 - momentum) * those of the batch."""
    found = normalize(norm, x, gamma, beta, bn_param.get("eps", EPS))
    momentum, size = bn_param.get("momentum", MOMENTUM), gamma.size
    old_mean, old_var = (bn_param.get(key, np.zeros(size)) for key in STORED)
    mean, var = found["mean"].ravel(), found["var"].ravel()
    return {
        **found,
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
        return {"running_mean": a * v.old_mean + b * v.batch_mean, "running_var": a * v.old_var + b * v.batch_var}

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
    "replaced": Fault("replaced by the batch's: expected a running mean of both", _running(lambda m: 0, lambda m: 1)),
    "added": Fault("the batch's is added, expected (1 - momentum) of it", _running(lambda m: m, lambda m: 1)),
    "no decay": Fault("the old value is not multiplied by momentum", _running(lambda m: 1, lambda m: 1 - m)),
    "old lost": Fault("the old value is missing in the running mean", _running(lambda m: 0, lambda m: 1 - m)),
    "default momentum": Fault(
        "the momentum is the default, expected the one in bn_param", _running(lambda m: MOMENTUM, lambda m: 1 - MOMENTUM)
    ),
    "deviation": Fault("has the standard deviation, expected the variance", _of_variance(lambda v: np.sqrt(v.batch_var))),
    "deviation with eps": Fault(
        "has the standard deviation, expected the variance", _of_variance(lambda v: np.sqrt(v.batch_var + v.eps))
    ),
    "with eps": Fault("eps is added to it, expected only in the root", _of_variance(lambda v: v.batch_var + v.eps)),
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
    "batch mean": Fault("the batch's mean is used in test mode", _tested(mean=lambda v: v.trained["batch_mean"])),
    "batch variance": Fault("the batch's variance is used in test mode", _tested(var=lambda v: v.trained["batch_var"])),
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
    "default eps": Fault("eps is the default in test mode, expected the one in bn_param", _tested(eps=lambda v: EPS)),
    "eps outside": Fault(
        "eps is added outside of the root in test mode: expected sqrt(var + eps)",
        _tested(var=lambda v: (np.sqrt(v.old_var) + v.eps) ** 2, eps=lambda v: 0),
    ),
    "no root": Fault(
        "divided by the running variance in test mode, expected by its root",
        _tested(var=lambda v: (v.old_var + v.eps) ** 2, eps=lambda v: 0),
    ),
    "mean forgotten": Fault("the running mean is not subtracted in test mode", _tested(mean=lambda v: 0 * v.old_mean)),
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


BATCH_OTHERS = {
    "per sample": ((1,), "the features of each sample (axis 1)"),
    "over all": ((0, 1), "all values together"),
}
LAYER_OTHERS = {"per feature": ((0,), "the batch (axis 0)"), "over all": ((0, 1), "all values together")}
SPATIAL_OTHERS = {
    "per image": ((2, 3), "each channel of each image by itself"),
    "per sample": ((1, 2, 3), "the channels of each image"),
    "over batch": ((0,), "the batch only"),
    "over all": ((0, 1, 2, 3), "all values together"),
}
GROUP_OTHERS = {
    "all channels": ((1, 2, 3, 4), "all channels of a sample: layer normalization"),
    "each channel": ((3, 4), "each channel by itself: instance normalization"),
    "over batch": ((0, 2, 3, 4), "the batch, too"),
    "only channels": ((2,), "the channels of a group, without the height and the width"),
    "interleaved": ((1, 3, 4), "channels of different groups"),
}


def batch_cases(rng):
    """Arguments of batchnorm_forward in training mode."""
    for shape, options in (((6, 4), {"eps": 0.03}), ((3, 5), {})):
        yield {**norm_arguments(rng, shape, shape[1]), "bn_param": {"mode": "train", **options}}


def layer_cases(rng):
    """Arguments of layernorm_forward."""
    for shape, options in (((4, 6), {"eps": 0.03}), ((5, 3), {})):
        yield {**norm_arguments(rng, shape, shape[1]), "ln_param": options}


def spatial_cases(rng):
    """Arguments of spatial_batchnorm_forward in training mode."""
    for shape, options in (((3, 4, 6, 5), {"eps": 0.03}), ((2, 3, 4, 3), {})):
        yield {**norm_arguments(rng, shape, shape[1]), "bn_param": {"mode": "train", **options}}


def group_cases(rng):
    """Arguments of spatial_groupnorm_forward."""
    for shape, groups, options in (((3, 6, 4, 5), 2, {"eps": 0.03}), ((2, 4, 3, 4), 4, {}), ((2, 4, 3, 2), 1, {})):
        arguments = norm_arguments(rng, shape, (1, shape[1], 1, 1))
        yield {**arguments, "G": groups, "gn_param": options}


def large(kind):
    """Arguments for which a loop over samples, or over features, takes long."""

    def arguments(rng, shape):
        options = {"ln_param": {}} if kind == "layer" else {"bn_param": {"mode": "train"}}
        return {**norm_arguments(rng, shape, shape[1]), **options}

    shapes = [(20000, 4, 1, 3), (3, 20000, 1, 3)] if kind == "spatial" else [(60000, 4), (4, 60000)]
    return [partial(arguments, shape=shape) for shape in shapes]


def _size_for_number(v):
    return normalize(GROUP, v.x, v.gamma, v.beta, v.eps, v.x.shape[1] // v.G)


GROUP_FORWARD = {
    **forward_faults(GROUP, GROUP_OTHERS),
    "size for number": Fault(
        "G is taken as the number of channels in a group, expected as the number of groups",
        lambda v: {"out": _size_for_number(v)["out"]},
    ),
}
GROUP_BACKWARD = {
    **backward_faults(GROUP, GROUP_OTHERS),
    "size for number": Fault(
        "G is taken as the number of channels in a group, expected as the number of groups",
        lambda v: {
            key: gradients(GROUP, v.dout, v.x, v.gamma, v.beta, v.eps, v.x.shape[1] // v.G)[key]
            for key in ("dx", "dgamma")
        },
    ),
}
LAYER_FORWARD, LAYER_BACKWARD = forward_faults(LAYER, LAYER_OTHERS), backward_faults(LAYER, LAYER_OTHERS)
BATCH_BACKWARD = backward_faults(BATCH, BATCH_OTHERS)
SPATIAL_BACKWARD = backward_faults(SPATIAL, SPATIAL_OTHERS)
