"""ConvNeXt in torch, with torchvision's parameter names and order of axes.

net = make("convnext_tiny", num_classes=10)
"""

import torch
from torch import nn

WIDTHS = {"convnext_tiny": 96, "convnext_small": 96, "convnext_base": 128, "convnext_large": 192}
NAMES = list(WIDTHS)


def make(name, num_classes=1000):
    channels, features = WIDTHS[name], []
    for i, count in enumerate((3, 3, 9 if name == "convnext_tiny" else 27, 3)):
        if i == 0:
            features.append(nn.Sequential(nn.Conv2d(3, channels, 4, stride=4), ChannelNorm(channels)))
        else:
            down = nn.Conv2d(channels, 2 * channels, 2, stride=2)
            features.append(nn.Sequential(ChannelNorm(channels), down))
            channels *= 2
        features.append(nn.Sequential(*(Block(channels) for _ in range(count))))
    net = nn.Sequential()
    net.features, net.avgpool = nn.Sequential(*features), nn.AdaptiveAvgPool2d(1)
    net.classifier = nn.Sequential(ChannelNorm(channels), nn.Flatten(), nn.Linear(channels, num_classes))
    return net.eval()


class Move(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(self.axes)


class ChannelNorm(nn.LayerNorm):
    """The normalization of each pixel of (N, C, H, W)."""

    def __init__(self, channels):
        super().__init__(channels, eps=1e-6)

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels), Move(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=1e-6), nn.Linear(channels, 4 * channels), nn.GELU(),
            nn.Linear(4 * channels, channels), Move(0, 3, 1, 2),
        )  # fmt: skip
        self.layer_scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x + self.layer_scale * self.block(x)
