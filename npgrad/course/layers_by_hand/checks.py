"""CHECKS, {function: its check}, and FAULTS, {function: {name: the typical mistake}}."""

from npgrad.course.layers_by_hand import (
    _affine,
    _conv,
    _conv_faults,
    _dropout,
    _fire,
    _global_pool,
    _inception,
    _losses,
    _max_pool,
    _norm_checks,
    _optim_checks,
    _residual,
    _running,
)
from npgrad.course.layers_by_hand._calls import (
    check_backward,
    check_forward,
    check_loss,
    check_speed,
    numbers_for,
)
from npgrad.course.layers_by_hand._norms import BATCH, GROUP, LAYER, SPATIAL

CHECKS, FAULTS = {}, {}


def _forward(name, cases, reference, faults, large=(), mixes=False):
    def check(answer):
        check_forward(answer, cases, reference, faults, mixes)
        for arguments in large:
            check_speed(answer, arguments(numbers_for(answer)), reference)

    CHECKS[name], FAULTS[name] = check, faults


def _backward(name, names, cases, forward, reference, faults, large=(), mixes=False):
    def check(answer):
        check_backward(answer, names, cases, forward, reference, faults, mixes)
        for arguments in large:
            check_speed(answer, arguments(numbers_for(answer)), reference, forward)

    CHECKS[name], FAULTS[name] = check, faults


def _then(name, more):
    """Another check after that of a function."""
    first = CHECKS[name]

    def check(answer):
        first(answer)
        more(answer)

    CHECKS[name] = check


def _loss(name, cases, reference, faults, large):
    def check(answer):
        check_loss(answer, cases, reference, faults)
        check_speed(answer, large(numbers_for(answer)), reference)

    CHECKS[name], FAULTS[name] = check, faults


def _with_running(name, norm, others, shape, large):
    check_values, faults = _running.check_with_running(norm, others, shape)

    def check(answer):
        check_values(answer)
        for arguments in large:
            check_speed(answer, arguments(numbers_for(answer)), _norm_checks.forward_of(norm))

    CHECKS[name], FAULTS[name] = check, faults


_forward(
    "affine_forward", _affine.affine_cases, _affine.affine, _affine.AFFINE_FORWARD, [_affine.large_affine]
)
_backward(
    "affine_backward",
    ("dx", "dw", "db"),
    _affine.affine_cases,
    _affine.affine,
    _affine.affine_gradients,
    _affine.AFFINE_BACKWARD,
    [_affine.large_affine],
)
_forward("relu_forward", _affine.relu_cases, _affine.relu, _affine.RELU_FORWARD, [_affine.large_relu])
_backward(
    "relu_backward",
    ("dx",),
    _affine.relu_cases,
    _affine.relu,
    _affine.relu_gradients,
    _affine.RELU_BACKWARD,
    [_affine.large_relu],
)
_loss("softmax_loss", _losses.softmax_cases, _losses.softmax, _losses.SOFTMAX, _losses.large_loss)
_loss("svm_loss", _losses.svm_cases, _losses.svm, _losses.SVM, _losses.large_loss)

GRADIENTS = ("dx", "dgamma", "dbeta")
_with_running("batchnorm_forward", BATCH, _norm_checks.BATCH_OTHERS, (6, 4), _norm_checks.large("batch"))
for name in ("batchnorm_backward", "batchnorm_backward_alt"):
    _backward(
        name,
        GRADIENTS,
        _norm_checks.batch_cases,
        _norm_checks.forward_of(BATCH),
        _norm_checks.gradients_of(BATCH),
        _norm_checks.BATCH_BACKWARD,
        _norm_checks.large("batch"),
        mixes=True,
    )
_forward(
    "layernorm_forward",
    _norm_checks.layer_cases,
    _norm_checks.forward_of(LAYER),
    _norm_checks.LAYER_FORWARD,
    _norm_checks.large("layer"),
)
_backward(
    "layernorm_backward",
    GRADIENTS,
    _norm_checks.layer_cases,
    _norm_checks.forward_of(LAYER),
    _norm_checks.gradients_of(LAYER),
    _norm_checks.LAYER_BACKWARD,
    _norm_checks.large("layer"),
)
_with_running(
    "spatial_batchnorm_forward",
    SPATIAL,
    _norm_checks.SPATIAL_OTHERS,
    (3, 4, 6, 5),
    _norm_checks.large("spatial"),
)
_backward(
    "spatial_batchnorm_backward",
    GRADIENTS,
    _norm_checks.spatial_cases,
    _norm_checks.forward_of(SPATIAL),
    _norm_checks.gradients_of(SPATIAL),
    _norm_checks.SPATIAL_BACKWARD,
    _norm_checks.large("spatial"),
    mixes=True,
)
_forward(
    "spatial_groupnorm_forward",
    _norm_checks.group_cases,
    _norm_checks.forward_of(GROUP),
    _norm_checks.GROUP_FORWARD,
)
_backward(
    "spatial_groupnorm_backward",
    GRADIENTS,
    _norm_checks.group_cases,
    _norm_checks.forward_of(GROUP),
    _norm_checks.gradients_of(GROUP),
    _norm_checks.GROUP_BACKWARD,
)

CHECKS["dropout_forward"], FAULTS["dropout_forward"] = _dropout.check_forward, _dropout.FORWARD
CHECKS["dropout_backward"], FAULTS["dropout_backward"] = _dropout.check_backward, _dropout.BACKWARD
_forward("conv_forward_naive", _conv.conv_cases, _conv.conv, _conv_faults.CONV_FORWARD)
_backward(
    "conv_backward_naive",
    ("dx", "dw", "db"),
    _conv.conv_cases,
    _conv.conv,
    _conv.conv_gradients,
    _conv_faults.CONV_BACKWARD,
)
_forward("max_pool_forward_naive", _max_pool.pool_cases, _max_pool.max_pool, _max_pool.MAX_POOL_FORWARD)
_backward(
    "max_pool_backward_naive",
    ("dx",),
    _max_pool.pool_cases,
    _max_pool.max_pool,
    _max_pool.max_pool_gradients,
    _max_pool.MAX_POOL_BACKWARD,
)
_then("max_pool_backward_naive", _max_pool.note_ties)
_forward(
    "global_avg_pool_forward",
    _global_pool.global_cases,
    _global_pool.global_avg_pool,
    _global_pool.GLOBAL_FORWARD,
)
_backward(
    "global_avg_pool_backward",
    ("dx",),
    _global_pool.global_cases,
    _global_pool.global_avg_pool,
    _global_pool.global_avg_pool_gradients,
    _global_pool.GLOBAL_BACKWARD,
)
_forward("residual_forward", _residual.residual_cases, _residual.residual, _residual.RESIDUAL_FORWARD)
_backward(
    "residual_backward",
    _residual.RESIDUAL_NAMES,
    _residual.residual_cases,
    _residual.residual,
    _residual.residual_gradients,
    _residual.RESIDUAL_BACKWARD,
)
_forward("inception_forward", _inception.inception_cases, _inception.inception, _inception.INCEPTION_FORWARD)
_backward(
    "inception_backward",
    _inception.INCEPTION_NAMES,
    _inception.inception_cases,
    _inception.inception,
    _inception.inception_gradients,
    _inception.INCEPTION_BACKWARD,
)
_forward("fire_forward", _fire.fire_cases, _fire.fire, _fire.FIRE_FORWARD)
_backward(
    "fire_backward", _fire.NAMES, _fire.fire_cases, _fire.fire, _fire.fire_gradients, _fire.FIRE_BACKWARD
)
for name in ("sgd_momentum", "rmsprop", "adam"):
    CHECKS[name], FAULTS[name] = _optim_checks.optimizer_check(name), _optim_checks.TABLES[name]
