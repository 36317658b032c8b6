"""Changes of torch networks: another function, weight or gradient in place of a module's; and a small network."""

import numpy as np
import torch
from torch import nn


class Instead(nn.Module):
    """Any function in place of a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


class Backward(torch.autograd.Function):
    """A module's output, with another gradient of its input: f(dy, x)."""

    @staticmethod
    def forward(ctx, x, function, gradient):
        ctx.save_for_backward(x)
        ctx.gradient = gradient
        return function(x)

    @staticmethod
    def backward(ctx, dy):
        return ctx.gradient(dy, *ctx.saved_tensors), None, None


def with_backward(module, gradient):
    detached = {key: value.detach() for key, value in module.state_dict().items()}
    return Instead(
        lambda x: Backward.apply(x, lambda x: torch.func.functional_call(module, detached, (x,)), gradient)
    )


def weight(module, change):
    with torch.no_grad():
        module.weight.copy_(change(module.weight).reshape(module.weight.shape).clone())


def changed(module, **options):
    for name, value in options.items():
        setattr(module, name, value)


class Graph(nn.Module):
    """What the two networks have not: bilinear resizing, average pooling with padding, groups, concatenation."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.act1 = nn.LeakyReLU(0.1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.act2 = nn.ReLU()
        self.mean = nn.AvgPool2d(3, 2, padding=1)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.join = Instead(lambda a, b: torch.cat([a, b], 1))
        self.conv2 = nn.Conv2d(16, 12, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.act3 = nn.ReLU()
        self.pool = nn.MaxPool2d(4)
        self.flat = nn.Flatten()
        self.fc = nn.Linear(12 * 16, 5)

    def forward(self, x):
        a = self.act1(self.conv1(x))
        b = self.act2(self.depthwise(a))
        b = self.up(self.mean(b))
        y = self.act3(self.drop(self.conv2(self.join(a, b))))
        return self.fc(self.flat(self.pool(y)))


def images(network):
    side = {"squeezenet": 33, "resnet18": 48, "graph": 32}[network]
    return torch.tensor(np.random.default_rng(3).normal(size=(2, 3, side, side)), dtype=torch.float32)
