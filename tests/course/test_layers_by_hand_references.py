"""The references of the layers by hand, in float64, against torch: values, and gradients by its autograd."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from npgrad.course.layers_by_hand import (
    _affine,
    _conv,
    _fire,
    _global_pool,
    _inception,
    _losses,
    _max_pool,
    _norm_checks,
    _optim,
    _residual,
    _running,
)
from npgrad.course.layers_by_hand._norm_checks import forward_of, gradients_of
from npgrad.course.layers_by_hand._norms import BATCH, GROUP, LAYER, SPATIAL, with_statistics

RTOL = 1e-12


def batch_norm(x, gamma, beta, bn_param):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=bn_param.get("eps", 1e-5))


def layer_norm(x, gamma, beta, ln_param):
    return F.layer_norm(x, x.shape[1:], gamma, beta, ln_param.get("eps", 1e-5))


def group_norm(x, gamma, beta, G, gn_param):
    return F.group_norm(x, G, gamma.flatten(), beta.flatten(), gn_param.get("eps", 1e-5))


def same(x, w, b):
    return F.conv2d(x, w, b, padding=w.shape[2] // 2)


def fire(x, ws, bs, w1, b1, w3, b3):
    s = same(x, ws, bs).relu()
    return torch.cat([same(s, w1, b1), same(s, w3, b3)], 1).relu()


LAYERS = {
    "affine": (_affine.affine_cases, _affine.affine, _affine.affine_gradients, lambda x, w, b: x.flatten(1) @ w + b),
    "relu": (_affine.relu_cases, _affine.relu, _affine.relu_gradients, torch.relu),
    "batchnorm": (_norm_checks.batch_cases, forward_of(BATCH), gradients_of(BATCH), batch_norm),
    "layernorm": (_norm_checks.layer_cases, forward_of(LAYER), gradients_of(LAYER), layer_norm),
    "spatial_batchnorm": (_norm_checks.spatial_cases, forward_of(SPATIAL), gradients_of(SPATIAL), batch_norm),
    "spatial_groupnorm": (_norm_checks.group_cases, forward_of(GROUP), gradients_of(GROUP), group_norm),
    "conv": (
        _conv.conv_cases, _conv.conv, _conv.conv_gradients,
        lambda x, w, b, p: F.conv2d(x, w, b, stride=p["stride"], padding=p["pad"]),
    ),
    "max_pool": (
        _max_pool.pool_cases, _max_pool.max_pool, _max_pool.max_pool_gradients,
        lambda x, p: F.max_pool2d(x, (p["pool_height"], p["pool_width"]), p["stride"]),
    ),
    "global_avg_pool": (
        _global_pool.global_cases, _global_pool.global_avg_pool, _global_pool.global_avg_pool_gradients,
        lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    ),
    "residual": (
        _residual.residual_cases, _residual.residual, _residual.residual_gradients,
        lambda x, w1, b1, w2, b2: (x + same(same(x, w1, b1).relu(), w2, b2)).relu(),
    ),
    "inception": (
        _inception.inception_cases, _inception.inception, _inception.inception_gradients,
        lambda x, w1, b1, w3, b3, w5, b5: torch.cat([same(x, w1, b1), same(x, w3, b3), same(x, w5, b5)], 1),
    ),
    "fire": (_fire.fire_cases, _fire.fire, _fire.fire_gradients, fire),
}  # fmt: skip


def tensors(arguments):
    return {
        name: torch.tensor(each, requires_grad=each.dtype.kind == "f")
        if isinstance(each, np.ndarray)
        else each
        for name, each in arguments.items()
    }


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name):
    cases, forward, gradients, theirs = LAYERS[name]
    rng = np.random.default_rng(3)
    for arguments in cases(rng):
        given = tensors(arguments)
        expected = theirs(*given.values())
        out = forward(**arguments)["out"]
        dout = rng.normal(size=out.shape)
        expected.backward(torch.tensor(dout))
        found = gradients(dout, **arguments)
        np.testing.assert_allclose(out, expected.detach(), rtol=RTOL, atol=1e-13)
        for key, each in given.items():
            if isinstance(each, torch.Tensor):
                np.testing.assert_allclose(found[f"d{key}"], each.grad, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize(
    ("cases", "ours", "theirs"),
    [
        (_losses.softmax_cases, _losses.softmax, F.cross_entropy),
        # torch divides by the number of classes, too
        (_losses.svm_cases, _losses.svm, lambda x, y: F.multi_margin_loss(x, y) * x.shape[1]),
    ],
)
def test_a_loss(cases, ours, theirs):
    for arguments in cases(np.random.default_rng(3)):
        x, y = torch.tensor(arguments["x"], requires_grad=True), torch.tensor(arguments["y"])
        loss = theirs(x, y)
        loss.backward()
        found = ours(**arguments)
        np.testing.assert_allclose(found["loss"], loss.item(), rtol=RTOL)
        np.testing.assert_allclose(found["dx"], x.grad, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("norm", "shape"), [(BATCH, (6, 4)), (SPATIAL, (3, 4, 2, 5))])
def test_running_statistics(norm, shape):
    """torch's momentum is one minus ours, and its running variance is divided by n - 1."""
    rng = np.random.default_rng(3)
    given = _norm_checks.norm_arguments(rng, shape, 4)
    n = given["x"].size // 4
    mean, var = rng.normal(size=4), rng.uniform(0.5, 2, 4)
    found = _running.trained(
        norm, **given, bn_param={"mode": "train", "momentum": 0.7, "running_mean": mean, "running_var": var}
    )
    theirs = torch.tensor(mean), torch.tensor(var)
    F.batch_norm(torch.tensor(given["x"]), *theirs, training=True, momentum=0.3)
    np.testing.assert_allclose(found["running_mean"], theirs[0], rtol=RTOL)
    unbiased = 0.7 * var + (found["running_var"] - 0.7 * var) * n / (n - 1)
    np.testing.assert_allclose(unbiased, theirs[1], rtol=RTOL)
    out = with_statistics(**given, mean=mean, var=var, eps=1e-3)["out"]
    x, gamma, beta = (torch.tensor(each) for each in given.values())
    expected = F.batch_norm(x, torch.tensor(mean), torch.tensor(var), gamma, beta, eps=1e-3)
    np.testing.assert_allclose(out, expected, rtol=RTOL, atol=1e-13)


@pytest.mark.exhaustive  # torch imports its compiler for a step
@pytest.mark.parametrize(
    ("name", "optimizer", "options"),
    [
        ("sgd_momentum", torch.optim.SGD, {"lr": 0.03, "momentum": 0.7}),
        ("rmsprop", torch.optim.RMSprop, {"lr": 0.03, "alpha": 0.8, "eps": 0.02}),
        ("adam", torch.optim.Adam, {"lr": 0.03, "betas": (0.8, 0.95), "eps": 0.02}),
    ],
)
def test_an_optimizer(name, optimizer, options):
    rng = np.random.default_rng(3)
    w = rng.normal(size=(3, 4))
    parameter = torch.nn.Parameter(torch.tensor(w))
    theirs = optimizer([parameter], **options)
    state = _optim.first_state(name, w)
    for _ in range(4):
        dw = rng.normal(size=w.shape)
        parameter.grad = torch.tensor(dw)
        theirs.step()
        found = _optim.STEPS[name](w, dw, **_optim.GIVEN[name], **state)
        w, state = found["next_w"], {key: found[key] for key in _optim.STATE[name]}
        np.testing.assert_allclose(w, parameter.detach(), rtol=RTOL, atol=1e-14)
