"""CHECKS, {function: its check}."""

from functools import partial

from npgrad.course.layers_by_hand import _affine
from npgrad.course.layers_by_hand._calls import check_backward, check_forward, check_speed, numbers_for


def _forward(cases, reference, faults, large=None, mixes=False):
    def check(answer):
        check_forward(answer, cases, reference, faults, mixes)
        if large is not None:
            check_speed(answer, large(numbers_for(answer)), reference)

    return check


def _backward(names, cases, forward, reference, faults, large=None, mixes=False):
    def check(answer):
        check_backward(answer, names, cases, forward, reference, faults, mixes)
        if large is not None:
            check_speed(answer, large(numbers_for(answer)), reference, forward)

    return check


_ = partial
CHECKS = {
    "affine_forward": _forward(_affine.affine_cases, _affine.affine, _affine.AFFINE_FORWARD, _affine.large_affine),
    "affine_backward": _backward(
        ("dx", "dw", "db"), _affine.affine_cases, _affine.affine, _affine.affine_gradients, _affine.AFFINE_BACKWARD,
        _affine.large_affine,
    ),
    "relu_forward": _forward(_affine.relu_cases, _affine.relu, _affine.RELU_FORWARD, _affine.large_relu),
    "relu_backward": _backward(
        ("dx",), _affine.relu_cases, _affine.relu, _affine.relu_gradients, _affine.RELU_BACKWARD, _affine.large_relu
    ),
}
