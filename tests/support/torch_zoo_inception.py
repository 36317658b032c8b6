"""Inception v3 in torch, with torchvision's parameter names, without the auxiliary classifier.

net = make("inception_v3", num_classes=10)
"""

import torch
from torch import nn

NAMES = ["inception_v3"]
# name:filters:kernel, or name:filters:kernel/2 for stride 2 without padding; + is side by side, | is another branch
FIGURE5 = (
    "branch1x1:64:1x1 | branch5x5_1:48:1x1 branch5x5_2:64:5x5 | "
    "branch3x3dbl_1:64:1x1 branch3x3dbl_2:96:3x3 branch3x3dbl_3:96:3x3 | average branch_pool:{0}:1x1"
)
FIGURE6 = (
    "branch1x1:192:1x1 | branch7x7_1:{0}:1x1 branch7x7_2:{0}:1x7 branch7x7_3:192:7x1 | "
    "branch7x7dbl_1:{0}:1x1 branch7x7dbl_2:{0}:7x1 branch7x7dbl_3:{0}:1x7 branch7x7dbl_4:{0}:7x1 "
    "branch7x7dbl_5:192:1x7 | average branch_pool:192:1x1"
)
FIGURE7 = (
    "branch1x1:320:1x1 | branch3x3_1:384:1x1 branch3x3_2a:384:1x3+branch3x3_2b:384:3x1 | branch3x3dbl_1:448:1x1 "
    "branch3x3dbl_2:384:3x3 branch3x3dbl_3a:384:1x3+branch3x3dbl_3b:384:3x1 | average branch_pool:192:1x1"
)
MODULES = {
    "Mixed_5b": FIGURE5.format(32),
    "Mixed_5c": FIGURE5.format(64),
    "Mixed_5d": FIGURE5.format(64),
    "Mixed_6a": "branch3x3:384:3x3/2 | branch3x3dbl_1:64:1x1 branch3x3dbl_2:96:3x3 branch3x3dbl_3:96:3x3/2 | pool",
    "Mixed_6b": FIGURE6.format(128),
    "Mixed_6c": FIGURE6.format(160),
    "Mixed_6d": FIGURE6.format(160),
    "Mixed_6e": FIGURE6.format(192),
    "Mixed_7a": "branch3x3_1:192:1x1 branch3x3_2:320:3x3/2 | branch7x7x3_1:192:1x1 branch7x7x3_2:192:1x7 "
    "branch7x7x3_3:192:7x1 branch7x7x3_4:192:3x3/2 | pool",
    "Mixed_7b": FIGURE7,
    "Mixed_7c": FIGURE7,
}


def make(name, num_classes=1000):
    stem = {
        "Conv2d_1a_3x3": conv(3, 32, 3, stride=2),
        "Conv2d_2a_3x3": conv(32, 32, 3),
        "Conv2d_2b_3x3": conv(32, 64, 3, padding=1),
        "maxpool1": nn.MaxPool2d(3, stride=2),
        "Conv2d_3b_1x1": conv(64, 80, 1),
        "Conv2d_4a_3x3": conv(80, 192, 3),
        "maxpool2": nn.MaxPool2d(3, stride=2),
    }
    net, channels = named(stem), 192
    for module, text in MODULES.items():
        net.add_module(module, Branches(channels, text))
        channels = net[-1].out
    end = {"avgpool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "dropout": nn.Dropout()}
    for part, layer in {**end, "fc": nn.Linear(channels, num_classes)}.items():
        net.add_module(part, layer)
    return net.eval()


def conv(channels, filters, kernel, **options):
    layer = nn.Conv2d(channels, filters, kernel, bias=False, **options)
    return named({"conv": layer, "bn": nn.BatchNorm2d(filters, eps=0.001), "relu": nn.ReLU()})


def named(layers):
    net = nn.Sequential()
    for name, layer in layers.items():
        net.add_module(name, layer)
    return net


class Branches(nn.Module):
    def __init__(self, channels, text):
        super().__init__()
        self.branches, self.out = [branch.split() for branch in text.split("|")], 0
        for branch in self.branches:
            width = channels
            for place, step in enumerate(branch):
                if ":" in step:
                    width = sum(self.add(width, word) for word in step.split("+"))
                branch[place] = [word.partition(":")[0] for word in step.split("+")]
            self.out += width
        self.average, self.pool = nn.AvgPool2d(3, stride=1, padding=1), nn.MaxPool2d(3, stride=2)

    def add(self, channels, word):
        name, filters, kernel = word.split(":")
        kernel, _, stride = kernel.partition("/")
        sides = tuple(map(int, kernel.split("x")))
        padding = 0 if stride else tuple(side // 2 for side in sides)
        self.add_module(name, conv(channels, int(filters), sides, stride=int(stride or 1), padding=padding))
        return int(filters)

    def forward(self, x):
        ends = []
        for branch in self.branches:
            y = x
            for step in branch:
                y = torch.cat([getattr(self, name)(y) for name in step], 1)
            ends.append(y)
        return torch.cat(ends, 1)
