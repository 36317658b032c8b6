"""Tests of the tests: every comparison must detect a gradient that is off by 0.1 %, at every layer."""

import re
from dataclasses import dataclass
from typing import Any

import checks
import numpy as np
import pytest
from layer_cases import CASES

GRADIENTS = [
    pytest.param(case, name, id=f"{case.id}: {name}")
    for case in CASES
    for name in [*checks.input_names(case), *(f"d{key}" for key in case.layer().arrays())]
]


@dataclass
class Spoilt:
    """A layer one of whose gradients goes through `spoil`."""

    case: Any
    layer: Any
    name: str
    spoil: Any

    def forward(self, x, **options):
        return self.layer.forward(x, **options)

    def backward(self, dy, cache):
        dx = self.layer.backward(dy, cache)
        names = checks.input_names(self.case)
        spoilt = [
            self.spoil(one) if name == self.name else one
            for name, one in zip(names, dx if self.case.many else [dx], strict=True)
        ]
        return self.case.pack(spoilt)

    def parameter_gradients(self, dy, cache):
        gradients = self.layer.parameter_gradients(dy, cache)
        return {
            key: self.spoil(gradient) if f"d{key}" == self.name else gradient
            for key, gradient in gradients.items()
        }

    def arrays(self, buffers=False):
        return self.layer.arrays(buffers)

    def map_arrays(self, function):
        return self.layer.map_arrays(function)


def everywhere(gradient):
    return gradient * 1.001


def in_one_entry(gradient):
    spoilt = np.array(gradient)
    place = np.random.default_rng(5).choice(np.argwhere(spoilt != 0))
    spoilt[tuple(place)] *= 1.001
    return spoilt


def nowhere(gradient):
    return gradient


@pytest.mark.sampled(len(GRADIENTS))  # each gradient is spoilt in one of the two ways
@pytest.mark.parametrize("spoil", [everywhere, in_one_entry])
@pytest.mark.parametrize(("case", "name"), GRADIENTS)
def test_a_gradient_off_by_a_thousandth_is_seen(case, name, spoil):
    layer, xs = Spoilt(case, case.layer(), name, spoil), case.inputs()
    with pytest.raises(AssertionError, match=f"^{re.escape(name)}: off by"):
        checks.check_against_torch(case, layer, xs)
    for check in checks.check_directions, checks.check_entries:
        with pytest.raises(AssertionError, match=f"^{re.escape(name)}[:,]"):
            check(case, layer, xs, only=name)


@pytest.mark.sampled(60)
@pytest.mark.parametrize(("case", "name"), GRADIENTS)
def test_the_same_gradient_unspoilt_passes(case, name):
    layer, xs = Spoilt(case, case.layer(), name, nowhere), case.inputs()
    checks.check_against_torch(case, layer, xs)
    checks.check_directions(case, layer, xs, only=name)
    checks.check_entries(case, layer, xs, only=name, at_most=3)
