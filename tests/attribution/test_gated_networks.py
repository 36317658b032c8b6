"""DeepLIFT, LRP and FullGrad through the blocks of newer networks: gates, shuffled channels, LayerNorm."""

import numpy as np
import pytest
import torch
from captum.attr import DeepLift
from checks import assert_close
from torch import nn

from npgrad import Model, layers
from npgrad.attribution.deep_lift import deep_lift
from npgrad.attribution.full_grad import full_gradients
from npgrad.attribution.lrp import lrp
from npgrad.attribution.lrp_rules import Epsilon
from npgrad.layers import Graph, Sequential

HEAD = {"mean": layers.GlobalAvgPool2d(), "fc": layers.Linear(np.random.default_rng(9).normal(size=(5, 6)))}


def conv(rng, filters, channels, kernel, **options):
    return layers.Conv2d(rng.normal(size=(filters, channels, kernel, kernel)), None, **options)


def squeeze_and_excite(rng):
    """Hu, Shen, Sun 2018: a gate for each channel, from the means of all."""
    nodes = {
        "conv": (conv(rng, 6, 3, 3, padding=1), "input"),
        "act": (layers.SiLU(), "conv"),
        "squeeze": (layers.AdaptiveAvgPool2d(1), "act"),
        "reduce": (layers.Conv2d(rng.normal(size=(2, 6, 1, 1)), rng.normal(size=2)), "squeeze"),
        "relu": (layers.ReLU(), "reduce"),
        "expand": (layers.Conv2d(rng.normal(size=(6, 2, 1, 1)), rng.normal(size=6)), "relu"),
        "gate": (layers.Sigmoid(), "expand"),
        "scaled": (layers.Multiply(), ("act", "gate")),
    }
    return Sequential({"block": Graph(nodes), **HEAD})


def shuffled(rng):
    """Ma et al. 2018: half of the channels pass by, the others go through a branch, and all are shuffled."""
    nodes = {
        "stem": (conv(rng, 6, 3, 3, stride=2, padding=(0, 1, 0, 1)), "input"),
        "kept": (layers.Slice(1, 0, 3), "stem"),
        "other": (layers.Slice(1, 3), "stem"),
        "depthwise": (conv(rng, 3, 1, 3, padding=2, groups=3, dilation=2), "other"),
        "act": (layers.HardSwish(), "depthwise"),
        "all": (layers.Concat(), ("kept", "act")),
        "shuffle": (layers.ChannelShuffle(2), "all"),
    }
    return Sequential({"block": Graph(nodes), **HEAD})


def with_layer_norm(rng):
    """Liu et al. 2022: LayerNorm of channels, GELU, a scale for each channel, and a residual branch."""
    nodes = {
        "stem": (conv(rng, 6, 3, 2, stride=2), "input"),
        "norm": (layers.LayerNorm(rng.normal(size=6), None, 1e-6, channels=True), "stem"),
        "branch": (conv(rng, 6, 6, 1), "norm"),
        "gelu": (layers.GELU(), "branch"),
        "groups": (layers.GroupNorm(2, rng.normal(size=6)), "gelu"),
        "scale": (layers.Affine(rng.normal(size=6)), "groups"),
        "sum": (layers.Add(), ("norm", "scale")),
        "response": (layers.LocalResponseNorm(3, 0.5), "sum"),
        "larger": (layers.Upsample(1.5, mode="bilinear"), "response"),
    }
    return Sequential({"block": Graph(nodes), **HEAD})


NETWORKS = pytest.mark.parametrize("make", [squeeze_and_excite, shuffled, with_layer_norm])


@NETWORKS
def test_deep_lift_is_complete(make, rng):
    model, x = Model(make(rng)), rng.normal(size=(3, 3, 8, 6))
    for baseline in (0.0, rng.normal(size=x.shape)):
        attributions, delta = deep_lift(model, x, [0, 4, 2], baseline, return_delta=True)
        assert (np.abs(delta) <= 1e-9 * np.abs(attributions).sum(axis=(1, 2, 3))).all()


@NETWORKS
def test_lrp_conserves_the_score(make, rng):
    """No bias lies along the relevance's paths: those of the gate's branch get none."""
    model, x = Model(make(rng)), rng.normal(size=(3, 3, 8, 6))
    relevance, delta = lrp(model, x, [0, 4, 2], rules=Epsilon(0), return_delta=True)
    assert (np.abs(delta) <= 1e-7 * np.abs(relevance).sum(axis=(1, 2, 3))).all()


def test_deep_lift_equals_captum_at_activations(rng):
    """Captum has the rescale rule for these; networks in a row, where it needs no product."""
    torch.manual_seed(0)
    kinds = {
        "leaky": (nn.LeakyReLU(0.2), layers.LeakyReLU(0.2)),
        "elu": (nn.ELU(), layers.ELU()),
        "sigmoid": (nn.Sigmoid(), layers.Sigmoid()),
        "tanh": (nn.Tanh(), layers.Tanh()),
        "softplus": (nn.Softplus(), layers.Softplus()),
    }
    x, baseline = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(2, 3, 6, 5))
    for theirs, ours in kinds.values():
        net = nn.Sequential(nn.Conv2d(3, 4, 3), theirs, nn.Flatten(), nn.Linear(48, 5)).double().eval()
        arrays = [array.detach().numpy() for array in net.parameters()]
        model = Model(Sequential({"conv": layers.Conv2d(*arrays[:2]), "act": ours, "flat": layers.Flatten(),
                                  "fc": layers.Linear(*arrays[2:])}))  # fmt: skip
        with pytest.warns(UserWarning):  # Captum says that it sets hooks
            expected = DeepLift(net).attribute(
                torch.tensor(x), torch.tensor(baseline), target=torch.tensor([3, 1])
            )
        assert_close(deep_lift(model, x, [3, 1], baseline), expected.detach(), 1e-10, str(ours))


def test_full_gradients_count_the_biases_of_constants_and_of_layer_norm(rng):
    """Each bias times its gradient, by hand: a shift for each channel, and a bias for each column or each value."""
    bias, shift = rng.normal(size=3), rng.normal(size=3)
    square = {"affine": layers.Affine(2.0, shift), "norm": layers.LayerNorm(np.ones(3), bias),
              "flat": layers.Flatten(), "fc": layers.Linear(rng.normal(size=(4, 27)))}  # fmt: skip
    model, x = Model(Sequential(square)), rng.normal(size=(2, 3, 3, 3))
    parts = full_gradients(model, x, [1, 2])
    tape = model.forward(x)
    dy = np.zeros((2, 4))
    dy[[0, 1], [1, 2]] = 1
    gradients = tape.backward(dy, at=["affine", "norm"])
    assert list(parts) == ["input", "affine", "norm"]
    np.testing.assert_allclose(parts["affine"], shift[:, None, None] * gradients["affine"])
    np.testing.assert_allclose(parts["norm"], bias * gradients["norm"])  # along the columns, not the channels
    one = Model(Sequential({**square, "affine": layers.Affine(3.0, 0.5), "norm": layers.Affine(1.5)}))
    parts = full_gradients(one, x, [1, 2])
    assert list(parts) == ["input", "affine"]
    found = sum(part.reshape(2, -1).sum(axis=1) for part in parts.values())
    np.testing.assert_allclose(found, one(x)[[0, 1], [1, 2]])
