"""FullGrad: the paper's formula once more, slowly, with torch's autograd; and its parts make up the score."""

import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, pairs, squeezenets
from torch.nn import functional

import npgrad
from npgrad.attribution.full_grad import full_grad, full_gradients
from npgrad.layers import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, ReLU, Sequential

PAIRS = {pair.name: pair for pair in pairs()}
FIRES = PAIRS["fires"]


@pytest.mark.parametrize("scaling", ["channel", "layer"])
def test_full_grad_is_the_papers_formula(scaling):
    for pair in FIRES, PAIRS["average pools"]:
        x = pair.tensor().requires_grad_()
        convolutions = {name: m for name, m in pair.net.named_modules() if isinstance(m, torch.nn.Conv2d)}
        kept = {}
        hooks = [
            module.register_forward_hook(lambda module, args, y, name=name, kept=kept: kept.update({name: y}))
            for name, module in convolutions.items()
        ]
        scores = pair.net(x)[torch.arange(3), torch.tensor(TARGETS)]
        for hook in hooks:
            hook.remove()
        dx, *gradients = torch.autograd.grad(scores.sum(), [x, *kept.values()])
        parts = [x * dx]
        parts += [
            convolutions[name].bias[:, None, None] * dy for name, dy in zip(kept, gradients, strict=True)
        ]
        expected = np.zeros((3, *x.shape[2:]))
        for part in parts:
            for n, channels in enumerate(part.detach().abs()):
                for one in channels:
                    by = one if scaling == "channel" else channels
                    if by.max() > by.min():
                        one = (one - by.min()) / (by.max() - by.min())
                        one = functional.interpolate(one[None, None], x.shape[2:], mode="bilinear")
                        expected[n] += one[0, 0].numpy()
        checks.assert_close(full_grad(pair.model, pair.x, TARGETS, scaling), expected, 2e-6, pair.name)


@pytest.mark.parametrize("pair", [*PAIRS.values(), *squeezenets(33)], ids=lambda pair: pair.name)
def test_full_gradients_sum_to_the_score(pair):
    parts = full_gradients(pair.model, pair.x, TARGETS)
    found = sum(part.reshape(3, -1).sum(axis=1) for part in parts.values())
    checks.assert_close(found, pair.model(pair.x)[np.arange(3), TARGETS], 1e-11)
    assert len(parts) == 1 + sum(name.endswith("bias") for name in pair.model.parameters())


def with_batch_norm(rng):
    """Convolution without bias, BatchNorm with everything in it, ReLU, mean, and a fully connected layer."""
    norm = BatchNorm2d(
        rng.normal(size=4), rng.normal(size=4), rng.normal(size=4), rng.uniform(0.5, 2, size=4)
    )
    layers = {
        "conv1": Conv2d(rng.normal(size=(4, 3, 3, 3))),
        "norm1": norm,
        "relu1": ReLU(),
        "mean": GlobalAvgPool2d(),
        "fc2": Linear(rng.normal(size=(5, 4)), rng.normal(size=5)),
    }
    return npgrad.Model(Sequential(layers))


def test_full_gradients_count_what_batch_norm_adds(rng):
    model, x = with_batch_norm(rng), rng.normal(size=(3, 3, 6, 7))
    parts = full_gradients(model, x, TARGETS)
    assert list(parts) == ["input", "norm1", "fc2"]
    found = sum(part.reshape(3, -1).sum(axis=1) for part in parts.values())
    checks.assert_close(found, model(x)[np.arange(3), TARGETS], 1e-12)
    assert full_grad(model, x, TARGETS).shape == (3, 6, 7)
