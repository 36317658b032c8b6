"""A network reduced to the outputs of given classes gives the same scores and gradients."""

import numpy as np
import pytest
from checks import assert_close

from npgrad import Model, layers
from npgrad.attribution._copies import gradient_of_scores
from npgrad.attribution._narrow import narrowed
from npgrad.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential


def conv(channels, filters, kernel=1, **options):
    made = Conv2d.init(channels, filters, kernel, rng=1, **options)
    return Conv2d(made.weight.astype(np.float64), np.linspace(0.5, 2, filters), **options)


BEGIN = {"conv1": conv(3, 4, 3), "relu1": ReLU()}
NETS = {
    "convolution": (
        {"conv10": conv(4, 9), "relu10": ReLU(), "pool": MaxPool2d(2), "mean": GlobalAvgPool2d()},
        True,
    ),
    "linear": (
        {"mean": GlobalAvgPool2d(), "fc": Linear(np.arange(36.0).reshape(9, 4), None), "relu": ReLU()},
        True,
    ),
    "softmax": ({"conv10": conv(4, 9), "mean": GlobalAvgPool2d(), "softmax": layers.Softmax()}, False),
    "groups": ({"conv10": conv(4, 8, groups=2), "mean": GlobalAvgPool2d()}, False),
    "pixels": ({"conv10": conv(4, 9), "flat": Flatten()}, False),
    "nested": ({"end": Sequential({"conv10": conv(4, 9), "mean": GlobalAvgPool2d()})}, False),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("targets", [[3, 3, 3], [7, 0, 3]])
def test_scores_and_gradients(name, targets):
    end, fewer = NETS[name]
    model, x = Model(Sequential({**BEGIN, **end})), np.random.default_rng(0).normal(size=(3, 3, 8, 8))
    small, places = narrowed(model, targets)
    assert small(x).shape[1] == (len(set(targets)) if fewer else model(x).shape[1])
    rows = np.arange(3)
    assert_close(small(x)[rows, places], model(x)[rows, targets], 1e-14)
    tape = model.forward(x)
    dy = np.zeros_like(tape.output)
    dy[rows, targets] = 1
    assert_close(gradient_of_scores(model, x, np.array(targets)), tape.backward(dy)["input"], 1e-13)


def test_a_network_without_weights_stays():
    model = Model(Sequential({"relu": ReLU(), "mean": GlobalAvgPool2d()}))
    small, places = narrowed(model, [2, 0])
    assert small is model and list(places) == [2, 0]
