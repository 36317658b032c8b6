"""GoogLeNet in torch, with torchvision's parameter names, without auxiliary classifiers.

net = make("googlenet", num_classes=10)
"""

from collections import OrderedDict

import torch
from torch import nn

NAMES = ["googlenet"]
# 1x1 | reduction, 3x3 | reduction, 5x5 | after the pool
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64), "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip


def make(name, num_classes=1000):
    parts = {
        "conv1": conv(3, 64, 7, stride=2, padding=3), "maxpool1": pool(3, 2),
        "conv2": conv(64, 64, 1), "conv3": conv(64, 192, 3, padding=1), "maxpool2": pool(3, 2),
    }  # fmt: skip
    channels = 192
    for module, filters in MODULES.items():
        if module == "4a":
            parts["maxpool3"] = pool(3, 2)
        if module == "5a":
            parts["maxpool4"] = pool(2, 2)
        parts[f"inception{module}"] = Inception(channels, *filters)
        channels = filters[0] + filters[2] + filters[4] + filters[5]
    end = {"avgpool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "dropout": nn.Dropout(0.2)}
    return nn.Sequential(OrderedDict(parts | end | {"fc": nn.Linear(channels, num_classes)})).eval()


def conv(channels, filters, kernel, **options):
    return nn.Sequential(OrderedDict(
        conv=nn.Conv2d(channels, filters, kernel, bias=False, **options),
        bn=nn.BatchNorm2d(filters, eps=0.001), relu=nn.ReLU(),
    ))  # fmt: skip


def pool(kernel, stride, padding=0):
    return nn.MaxPool2d(kernel, stride, padding, ceil_mode=True)


class Inception(nn.Module):
    def __init__(self, channels, a, b, c, d, e, f):
        super().__init__()
        self.branch1 = conv(channels, a, 1)
        self.branch2 = nn.Sequential(conv(channels, b, 1), conv(b, c, 3, padding=1))
        self.branch3 = nn.Sequential(conv(channels, d, 1), conv(d, e, 3, padding=1))
        self.branch4 = nn.Sequential(pool(3, 1, 1), conv(channels, f, 1))

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.children()], 1)
