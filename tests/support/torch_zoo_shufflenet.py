"""ShuffleNetV2 in torch, with torchvision's parameter names.

net = make("shufflenet_v2_x0_5", num_classes=10)
"""

import torch
from torch import nn

WIDTHS = {
    "shufflenet_v2_x0_5": (48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (244, 488, 976, 2048),
}
NAMES = list(WIDTHS)


def make(name, num_classes=1000):
    return ShuffleNet(*WIDTHS[name], num_classes).eval()


class ShuffleNet(nn.Module):
    def __init__(self, c2, c3, c4, c5, num_classes):
        super().__init__()
        self.conv1 = nn.Sequential(*dense(3, 24, 3, 2))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = stage(24, c2, 4)
        self.stage3 = stage(c2, c3, 8)
        self.stage4 = stage(c3, c4, 4)
        self.conv5 = nn.Sequential(*dense(c4, c5, 1))
        self.fc = nn.Linear(c5, num_classes)

    def forward(self, x):
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return self.fc(self.conv5(x).mean(dim=(2, 3)))


def stage(channels, out, count):
    return nn.Sequential(Unit(channels, out, 2), *(Unit(out, out, 1) for _ in range(count - 1)))


class Unit(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        half, taken = out // 2, channels if stride == 2 else out // 2
        self.branch1 = nn.Sequential(
            *(depthwise(channels, 2) + dense(channels, half, 1) if stride == 2 else [])
        )
        self.branch2 = nn.Sequential(*dense(taken, half, 1), *depthwise(half, stride), *dense(half, half, 1))
        self.split = stride == 1

    def forward(self, x):
        left, right = x.chunk(2, dim=1) if self.split else (x, x)
        both = torch.stack([self.branch1(left), self.branch2(right)], dim=2)  # (N, C, 2, H, W)
        return both.flatten(1, 2)


def dense(channels, filters, kernel, stride=1):
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(filters), nn.ReLU()]


def depthwise(channels, stride):
    conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels)]
