"""The cases and the mistakes of batch, layer, spatial batch and group normalization."""

from functools import partial

from npgrad.course.layers_by_hand._judge import Fault
from npgrad.course.layers_by_hand._norm_faults import backward_faults, forward_faults
from npgrad.course.layers_by_hand._norms import (
    BATCH,
    EPS,
    GROUP,
    LAYER,
    SPATIAL,
    gradients,
    norm_arguments,
    normalize,
)


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
    for shape, groups, options in (
        ((3, 6, 4, 5), 2, {"eps": 0.03}),
        ((2, 4, 3, 4), 4, {}),
        ((2, 4, 3, 2), 1, {}),
    ):
        arguments = norm_arguments(rng, shape, (1, shape[1], 1, 1))
        yield {**arguments, "G": groups, "gn_param": options}


def large(kind):
    """Arguments for which a loop over samples, or over features, takes long."""

    def arguments(rng, shape):
        options = {"ln_param": {}} if kind == "layer" else {"bn_param": {"mode": "train"}}
        return {**norm_arguments(rng, shape, shape[1]), **options}

    shapes = [(15000, 4, 1, 2), (3, 15000, 1, 2)] if kind == "spatial" else [(40000, 4), (4, 40000)]
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
