"""Hessian-vector products, against torch's in float64."""

import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from checks import assert_close
from messages import FINITE_NUMBERS
from torch import nn
from torch.autograd.functional import hvp as torch_hvp

from npgrad import InputError, Model, UnknownName, layers
from npgrad.attribution import hvp
from npgrad.layers import Conv2d, Linear, Sequential

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}
SMOOTH = {  # a layer that is not piecewise linear, and torch's
    "ELU": (layers.ELU(0.7), nn.ELU(0.7)),
    "GELU": (layers.GELU(), nn.GELU()),
    "GELU tanh": (layers.GELU("tanh"), nn.GELU("tanh")),
    "HardSwish": (layers.HardSwish(), nn.Hardswish()),
    "Mish": (layers.Mish(), nn.Mish()),
    "SELU": (layers.SELU(), nn.SELU()),
    "SiLU": (layers.SiLU(), nn.SiLU()),
    "Sigmoid": (layers.Sigmoid(), nn.Sigmoid()),
    "Softplus": (layers.Softplus(2.0), nn.Softplus(2.0)),
    "Tanh": (layers.Tanh(), nn.Tanh()),
    "GroupNorm": (layers.GroupNorm(2, np.full(4, 1.5), np.full(4, 0.1)), nn.GroupNorm(2, 4)),
    "LocalResponseNorm": (layers.LocalResponseNorm(3, 0.5, 0.75, 2.0), nn.LocalResponseNorm(3, 0.5, 0.75, 2.0)),
    "Softmax": (layers.Softmax(), nn.Softmax(1)),
}  # fmt: skip


def smooth(name):
    """(model, torch's of it, x): a convolution, the layer, a pool, and a sum for each class."""
    rng = np.random.default_rng(4)
    own, theirs = SMOOTH[name]
    weight, bias = rng.normal(scale=0.4, size=(4, 3, 3, 3)), rng.normal(size=4)
    matrix = rng.normal(size=(5, 4))
    model = Model(
        Sequential(
            {
                "conv": Conv2d(weight, bias, padding=1),
                "smooth": own,
                "pool": layers.GlobalAvgPool2d(),
                "fc": Linear(matrix, np.zeros(5)),
            }
        )
    )
    if name == "GroupNorm":
        theirs.double()
        nn.init.constant_(theirs.weight, 1.5)
        nn.init.constant_(theirs.bias, 0.1)

    def net(x):
        y = theirs(nn.functional.conv2d(x, torch.tensor(weight), torch.tensor(bias), padding=1))
        return y.mean(dim=(2, 3)) @ torch.tensor(matrix).T

    return model, net, rng.normal(size=(3, 3, 6, 5))


def of_targets(logits):
    return logits[torch.arange(len(logits)), torch.tensor(TARGETS)]


SCORES = {  # the target, and the same of torch's logits
    "score": (TARGETS, of_targets),
    "probability": ("prob(1)", lambda y: y.softmax(1)[:, 1]),
    "both": ("logprob(3) - 0.5*2", lambda y: y.log_softmax(1)[:, 3] - 0.5 * y[:, 2]),
}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_networks(name, score, rng):
    (model, net, x), (target, value) = smooth(name), SCORES[score]
    v = rng.normal(size=x.shape)
    for vector in (None, v):
        along = torch.tensor(x if vector is None else vector)
        expected = torch_hvp(lambda x: value(net(x)).sum(), torch.tensor(x), along)[1].numpy()
        assert np.abs(expected).max() > 1e-6
        assert_close(hvp(model, x, target, vector), expected, 1e-10)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", PAIRS)
def test_piecewise_linear_networks(name, score, rng):
    """Of a score the Hessian is exactly 0; of a probability it is not."""
    pair, (target, value) = PAIRS[name], SCORES[score]
    v = rng.normal(size=pair.x.shape)
    found = hvp(pair.model, pair.x, target, v)
    if score == "score":
        assert found.shape == pair.x.shape and not found.any()
        return
    expected = torch_hvp(lambda x: value(pair.net(x)).sum(), pair.tensor(), torch.tensor(v), strict=True)[1]
    assert_close(found, expected.numpy(), 1e-9)


@pytest.mark.parametrize("layer", ["fire2", "pool1", "fire4.squeeze_relu"])
def test_at_a_layer(layer, rng):
    pair = PAIRS["fires"]
    kept = []
    hook = pair.layer(layer).register_forward_hook(lambda module, args, y: kept.append(y))
    p = pair.net(pair.tensor().requires_grad_()).softmax(1)[:, 1]
    hook.remove()
    y = kept[0]
    dy = torch.autograd.grad(p.sum(), y, create_graph=True)[0]
    for vector in (None, rng.normal(size=y.shape), rng.normal(size=y.shape[1:])):
        along = y.detach() if vector is None else torch.tensor(vector).expand(y.shape)
        expected = torch.autograd.grad(dy, y, along, retain_graph=True)[0].numpy()
        assert_close(hvp(pair.model, pair.x, "prob(1)", vector, layer), expected, 1e-9)


def test_the_hessian_is_symmetric_linear_and_of_any_scale(rng):
    model, _, x = smooth("GELU")
    u, v = rng.normal(size=(2, *x.shape))
    Hu, Hv = hvp(model, x, 1, u), hvp(model, x, 1, v)
    np.testing.assert_allclose((v * Hu).sum(), (u * Hv).sum(), rtol=1e-10)
    assert_close(hvp(model, x, 1, 1e200 * v), 1e200 * Hv, 1e-12)
    assert_close(hvp(model, x, 1, 1e-200 * v), 1e-200 * Hv, 1e-12)
    assert not hvp(model, x, 1, 0 * v).any()
    assert_close(hvp(model, x[1:2], 1, v[1:2])[0], Hv[1], 1e-12)
    single = hvp(model.astype(np.float32), x.astype(np.float32), 1, v)
    assert single.dtype == np.float32
    assert_close(single, Hv, 1e-5)


def test_refused_vectors():
    model, _, x = smooth("Tanh")
    for vector, words in (
        (np.zeros(7), r"vector: expected an array that broadcasts to \(3, 3, 6, 5\), found \(7,\)"),
        (np.full(x.shape, np.inf), f"vector: {FINITE_NUMBERS}"),
        ("x", f"vector: {FINITE_NUMBERS}, found <U1"),
    ):
        for layer in (None, "input"):
            with pytest.raises(InputError, match=words):
                hvp(model, x, 1, vector, layer)
    with pytest.raises(InputError, match=r"vector: expected an array that broadcasts to \(3, 4, 6, 5\)"):
        hvp(model, x, 1, x, "conv")
    with pytest.raises(UnknownName, match="nearest: conv"):
        hvp(model, x, 1, layer="conv2")
