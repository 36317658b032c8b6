"""Small random networks, each twice: as an npgrad.Model and as the equal torch module, both in float64.

for pair in pairs():
    pair.model(pair.x), pair.net(pair.tensor())     # the same logits
    pair.model.forward(pair.x)["fire2"]             # a layer's output,
    pair.layer("fire2")                             # and the torch module it comes from

The torch module is put together first and npgrad's layers are made from its modules, so the two cannot drift
apart; `squeezenets()` gives the two real architectures in the same form, with few classes and pixels.
Captum asks for some care, and gets it: every ReLU is a module of its own, and flattening is no module.
"""

from functools import cache
from typing import NamedTuple

import captum.attr as C
import numpy as np
import pytest
import torch
from torch import nn
from torch_nets import TorchFire, random_biases, torch_names, torch_twin

from npgrad import Model, layers
from npgrad.models import squeezenet1_0, squeezenet1_1

TARGETS = [2, 0, 3]  # of the three images of a batch


class TorchNet(nn.Module):
    """Modules one after the other, by name; flattens before a Linear and at the end."""

    def __init__(self, modules):
        super().__init__()
        self.names = list(modules)
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        for name in self.names:
            module = getattr(self, name)
            x = module(torch.flatten(x, 1) if isinstance(module, nn.Linear) else x)
        return torch.flatten(x, 1)


class Pair(NamedTuple):
    """One network twice, and a batch of three images for it."""

    name: str
    model: Model
    net: nn.Module
    x: np.ndarray

    def layer(self, name):
        """The torch module of npgrad's layer `name`, `fire2` or `fire2.squeeze_relu`."""
        torchs = torch_names(self.model).get(name, name.replace("_relu", "_activation"))
        return self.net.get_submodule(torchs)

    def tensor(self):
        """x for torch."""
        return torch.tensor(self.x)


def pairs():
    """Six networks: [Pair, ...], the same ones every time."""
    return [_pair(seed, name, plan(), shape) for seed, (name, plan, shape) in enumerate(PLANS)]


def quick(names):
    """Names of networks for parametrize, of which only the small ones are for `make test`."""
    large = pytest.mark.exhaustive
    return [pytest.param(name, marks=large) if name.startswith("squeezenet") else name for name in names]


def squeezenets(side=39):
    """SqueezeNet 1.0 and 1.1 for 5 classes with random weights and biases: [Pair, Pair]."""
    return [_squeezenet(maker, side) for maker in (squeezenet1_0, squeezenet1_1)]


@cache  # two dozen files ask for them while the tests are collected
def _squeezenet(maker, side):
    model = random_biases(maker(num_classes=5, rng=1))
    open_relu = model.parameters()["conv10.bias"] + np.float32(6)  # else the last ReLU shuts off some scores
    model = model.with_parameters({"conv10.bias": open_relu}).astype(np.float64)
    x = np.random.default_rng(8).normal(size=(3, 3, side, side))
    return Pair(maker.__name__, model, torch_twin(model), x)


def _convolutions():
    return {
        "conv1": nn.Conv2d(3, 6, 3, padding=1),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(6, 8, 3, stride=2),
        "relu2": nn.ReLU(),
        "conv3": nn.Conv2d(8, 5, 1),
        "pool3": nn.AdaptiveAvgPool2d(1),
    }


def _max_pools():
    """Pools that do not overlap and never follow a ReLU directly: here Captum's DeepLIFT is right."""
    return {
        "conv1": nn.Conv2d(3, 6, 5, stride=2, padding=2),
        "pool1": nn.MaxPool2d(2),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(6, 8, 3),
        "pool2": nn.MaxPool2d(2, stride=2, ceil_mode=True),
        "relu2": nn.ReLU(),
        "fc3": nn.Linear(8 * 2 * 2, 5),
    }


def _overlapping_pools():
    return {
        "conv1": nn.Conv2d(3, 6, (3, 4), stride=(1, 2), padding=(0, 1)),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(3, stride=2, ceil_mode=True),
        "conv2": nn.Conv2d(6, 8, 3, padding=1, groups=2),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        "conv3": nn.Conv2d(8, 5, 1),
        "pool3": nn.AdaptiveAvgPool2d(1),
    }


def _average_pools():
    return {
        "conv1": nn.Conv2d(3, 6, 3, stride=2),
        "relu1": nn.ReLU(),
        "pool1": nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
        "conv2": nn.Conv2d(6, 7, 2),
        "relu2": nn.ReLU(),
        "pool2": nn.AvgPool2d(2),
        "fc3": nn.Linear(7 * 2 * 2, 12),
        "relu3": nn.ReLU(),
        "fc4": nn.Linear(12, 5),
    }


def _fires():
    """A small SqueezeNet: pools directly after ReLUs, and a ReLU before the last average."""
    return {
        "conv1": nn.Conv2d(3, 8, 3, stride=2),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(3, stride=2, ceil_mode=True),
        "fire2": TorchFire(8, 4, 5, 6),
        "fire3": TorchFire(11, 4, 6, 6),
        "pool3": nn.MaxPool2d(3, stride=2, ceil_mode=True),
        "fire4": TorchFire(12, 5, 7, 7),
        "conv5": nn.Conv2d(14, 5, 1),
        "relu5": nn.ReLU(),
        "pool5": nn.AdaptiveAvgPool2d(1),
    }


def _linears():
    return {
        "fc1": nn.Linear(3 * 6 * 7, 20),
        "relu1": nn.ReLU(),
        "fc2": nn.Linear(20, 12),
        "relu2": nn.ReLU(),
        "fc3": nn.Linear(12, 5),
    }


PLANS = [
    ("convolutions", _convolutions, (3, 11, 13)),
    ("max pools", _max_pools, (3, 21, 19)),
    ("overlapping pools", _overlapping_pools, (3, 16, 21)),
    ("average pools", _average_pools, (3, 21, 21)),
    ("fires", _fires, (3, 33, 29)),
    ("linears", _linears, (3, 6, 7)),
]


def _pair(seed, name, modules, shape):
    rng = np.random.default_rng(100 + seed)
    net = TorchNet(modules).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.tensor(_random(rng, tuple(parameter.shape))))
        if name == "fires":
            net.conv5.bias += 2.0  # else the last ReLU would shut off some of the scores
    parts = {}
    for own, module in modules.items():
        if isinstance(module, nn.Linear):
            parts.setdefault("flatten", layers.Flatten())
        parts[own] = to_npgrad(module)
    x = rng.normal(size=(3, *shape))
    return Pair(name, Model(layers.Sequential(parts)), net, x)


def _random(rng, shape):
    """Weights of He's size, biases that are not 0."""
    if len(shape) == 1:
        return rng.normal(scale=0.3, size=shape)
    return rng.normal(scale=np.sqrt(2 / np.prod(shape[1:])), size=shape)


def to_npgrad(module):
    """npgrad's layer of a torch module, with its weights."""
    if isinstance(module, TorchFire):
        return layers.Fire(*map(to_npgrad, (module.squeeze, module.expand1x1, module.expand3x3)))
    if isinstance(module, nn.Conv2d):
        return layers.Conv2d(*_arrays(module), module.stride, module.padding, module.groups)
    if isinstance(module, nn.Linear):
        return layers.Linear(*_arrays(module))
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        kind = layers.MaxPool2d if isinstance(module, nn.MaxPool2d) else layers.AvgPool2d
        return kind(module.kernel_size, module.stride, module.padding, module.ceil_mode)
    return {nn.ReLU: layers.ReLU(), nn.AdaptiveAvgPool2d: layers.GlobalAvgPool2d()}[type(module)]


def _arrays(module):
    return module.weight.detach().numpy(), module.bias.detach().numpy()


def noise_drawn(seed, x, n_samples):
    """What smoothgrad(rng=seed) adds to x before scaling: (n_samples, N, C, H, W), the same to every image."""
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.standard_normal(x.shape[1:]) for _ in range(n_samples)])
    return np.repeat(drawn[:, None], len(x), axis=1)


def inject(monkeypatch, noisy):
    """Make Captum's NoiseTunnel use these samples (n_samples, N, ...) instead of drawing."""
    in_captums_order = torch.tensor(noisy.swapaxes(0, 1).reshape(-1, *noisy.shape[2:]))
    monkeypatch.setattr(
        C.NoiseTunnel, "_add_noise_to_input", staticmethod(lambda x, std, n: in_captums_order.clone())
    )


def captums_gradient_shap(pair, samples, monkeypatch):
    """Captum's method, given the samples [(noisy x, baseline, coefficient), ...] instead of its own."""
    noisy, start, a = map(np.stack, zip(*samples, strict=True))
    n = len(samples)
    monkeypatch.setattr(
        C.NoiseTunnel, "_add_noise_to_input", staticmethod(lambda x, std, n: torch.tensor(noisy))
    )
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: a.reshape(size))
    monkeypatch.setattr(np.random, "choice", lambda count, size: np.arange(n).reshape(size))
    found = C.GradientShap(pair.net).attribute(
        pair.tensor(), torch.tensor(start), n_samples=n // 3, target=TARGETS
    )
    monkeypatch.undo()
    return found.detach().numpy()


def captum_mask(mask):
    return torch.tensor(mask)[None, None]


def given(coalitions):
    """A Captum perturb_func that hands out these coalitions one by one."""

    def generator(original, **kwargs):
        for one in coalitions:
            yield torch.tensor(one[None].astype(np.int64))

    return generator
