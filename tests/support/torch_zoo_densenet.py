"""DenseNet in torch, with torchvision's parameter names.

net = make("densenet121", num_classes=10)
"""

from collections import OrderedDict

import torch
from torch import nn

STAGES = {  # new channels of a layer, channels at the beginning, layers of the blocks
    "densenet121": (32, 64, (6, 12, 24, 16)),
    "densenet161": (48, 96, (6, 12, 36, 24)),
    "densenet169": (32, 64, (6, 12, 32, 32)),
    "densenet201": (32, 64, (6, 12, 48, 32)),
}
NAMES = list(STAGES)


def make(name, num_classes=1000):
    growth, channels, blocks = STAGES[name]
    parts = {
        "conv0": nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
        "norm0": nn.BatchNorm2d(channels),
        "relu0": nn.ReLU(),
        "pool0": nn.MaxPool2d(3, stride=2, padding=1),
    }
    for i, count in enumerate(blocks, start=1):
        parts[f"denseblock{i}"] = Block(channels, growth, count)
        channels += growth * count
        if i < 4:
            parts[f"transition{i}"] = named(
                norm=nn.BatchNorm2d(channels), relu=nn.ReLU(),
                conv=nn.Conv2d(channels, channels // 2, 1, bias=False), pool=nn.AvgPool2d(2),
            )  # fmt: skip
            channels //= 2
    parts["norm5"] = nn.BatchNorm2d(channels)
    rest = {"relu": nn.ReLU(), "avgpool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}
    return named(features=named(**parts), **rest, classifier=nn.Linear(channels, num_classes)).eval()


def named(**parts):
    return nn.Sequential(OrderedDict(parts))


class Block(nn.Module):
    """Every layer sees all maps that there are so far."""

    def __init__(self, channels, growth, count):
        super().__init__()
        for i in range(count):
            seen, wide = channels + i * growth, 4 * growth
            layer = named(
                norm1=nn.BatchNorm2d(seen), relu1=nn.ReLU(), conv1=nn.Conv2d(seen, wide, 1, bias=False),
                norm2=nn.BatchNorm2d(wide), relu2=nn.ReLU(),
                conv2=nn.Conv2d(wide, growth, 3, padding=1, bias=False),
            )  # fmt: skip
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x):
        maps = [x]
        for layer in self.children():
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, 1)
