"""Gradient checking of anyone's code: 60 planted faults are found, named and explained, and 40 right ones pass."""

import numpy as np
import others_code
import pytest
import right_code
import torch

import npgrad

FAULTS = [
    pytest.param(make, key, id=f"{make.__name__}: {' '.join(map(str, key))}")
    for make in others_code.FUNCTIONS
    for key in make().faults
]
SHAPES = ("broadcast sum", "shape")  # torch sums over such axes itself, or refuses the shape


def found_and_right(function, key):
    """The arrays' gradients with the fault and without it, for the same upstream gradient."""
    arguments = [function.x, *function.parameters.values()]
    output, cache = function.forward(*arguments)
    dy, names = others_code.draw(*output.shape, seed=9), ["x", *function.parameters]
    both = []
    for backward in (function.faults[key], function.backward):
        gradients = backward(dy, cache)
        both.append(
            dict(zip(names, gradients if isinstance(gradients, tuple) else (gradients,), strict=True))
        )
    return both


def check_of(function, backward):
    return npgrad.gradcheck(function.forward, function.x, backward=backward, parameters=function.parameters)


def in_torch(function, backward):
    """The same as a custom autograd function of torch."""

    class Autograd(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            output, ctx.cache = function.forward(*(tensor.numpy() for tensor in tensors))
            return torch.from_numpy(np.array(output))

        @staticmethod
        def backward(ctx, dy):
            gradients = backward(dy.numpy(), ctx.cache)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            return tuple(torch.from_numpy(np.array(gradient)) for gradient in gradients)

    return npgrad.gradcheck(Autograd, function.x, parameters=function.parameters, to=torch.from_numpy)


def test_there_are_sixty_faults_and_forty_right_ones():
    assert len(FAULTS) == 60 and len(others_code.FUNCTIONS) == 12
    assert len(right_code.CASES) + 2 * len(others_code.FUNCTIONS) == 40


@pytest.mark.sampled(8)
@pytest.mark.parametrize(("make", "key"), FAULTS)
def test_a_fault_is_found_and_explained(make, key):
    function = make()
    check = check_of(function, function.faults[key])
    assert [row.name for row in check.wrong] == [key[0]]
    assert check.verdict == "WRONG" and check.worst.name == key[0]
    gradients, right = found_and_right(function, key)
    if gradients[key[0]].shape == right[key[0]].shape:
        index = check.worst.index
        assert abs(gradients[key[0]][index] - right[key[0]][index]) > 1e-9
    diagnosis = check.worst.diagnoses[0]
    assert diagnosis.kind == key[1], check.diagnosis
    assert diagnosis.fit <= 1e-6 or diagnosis.kind == "none of these"
    assert check.diagnosis in str(check)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("make", "key"), FAULTS[::2])
def test_a_fault_is_found_in_a_custom_autograd_function(make, key):
    function = make()
    gradients, right = found_and_right(function, key)
    if gradients[key[0]].shape != right[key[0]].shape:
        pytest.skip("torch sums over broadcast axes itself and refuses other shapes")
    check = in_torch(function, function.faults[key])
    assert [row.name for row in check.wrong] == [key[0]]
    # torch's operations are not followed, so that a branch is not named
    assert check.worst.diagnoses[0].kind in (key[1], "none of these" if key[1] == "fork branch" else key[1])


@pytest.mark.parametrize("make", others_code.FUNCTIONS)
def test_right_functions(make):
    function = make()
    assert check_of(function, function.backward), make.__name__
    assert in_torch(function, function.backward), make.__name__


@pytest.mark.sampled(8)
@pytest.mark.parametrize("case", right_code.CASES)
def test_right_code_is_never_wrong_even_at_kinks(case):
    check = case()
    assert check.verdict != "WRONG", check
    assert check or case in right_code.AT_KINKS, check
