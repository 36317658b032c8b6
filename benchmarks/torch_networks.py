"""AlexNet, VGG, ResNet and MobileNetV2 in torch, with torchvision's parameter names: what npgrad is compared with.

net = make("resnet18", num_classes=10)

The tests use them, too. Every ReLU is its own module, as Captum requires; torchvision shares one in a block.
"""

import torch
from torch import nn

from benchmarks.torch_squeezenet import TorchSqueezeNet

VGG_STAGES = {"vgg11": (1, 1, 2, 2, 2), "vgg13": (2,) * 5, "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
RESNETS = {  # blocks in each stage, whether they are bottlenecks, groups, channels of a group in the first stage
    "resnet18": ((2, 2, 2, 2), False, 1, 64),
    "resnet34": ((3, 4, 6, 3), False, 1, 64),
    "resnet50": ((3, 4, 6, 3), True, 1, 64),
    "resnext50_32x4d": ((3, 4, 6, 3), True, 32, 4),
    "wide_resnet50_2": ((3, 4, 6, 3), True, 1, 128),
}
MOBILENET_STEPS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                   (6, 320, 1, 1)]  # fmt: skip
NAMES = [
    "alexnet",
    *(f"{name}{bn}" for name in VGG_STAGES for bn in ("", "_bn")),
    *RESNETS,
    "mobilenet_v2",
]


def make(name, num_classes=1000):
    """The torch network `name`, in evaluation mode."""
    if name.startswith("squeezenet"):
        net = TorchSqueezeNet(name, num_classes)
    elif name.startswith("vgg"):
        net = Classic(vgg_features(name), 7, vgg_classifier(num_classes))
    elif name in RESNETS:
        net = ResNet(name, num_classes)
    else:
        net = alexnet(num_classes) if name == "alexnet" else MobileNetV2(num_classes)
    return net.eval()


class Classic(nn.Module):
    """Convolutions, then pooling to a fixed size, then fully connected layers."""

    def __init__(self, features, size, classifier):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(size)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def alexnet(num_classes):
    features = [
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    classifier = [
        nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU(),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, num_classes),
    ]  # fmt: skip
    return Classic(features, 6, classifier)


def vgg_features(name):
    version, _, bn = name.partition("_")
    layers, channels = [], 3
    for count, filters in zip(VGG_STAGES[version], (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(channels, filters, 3, padding=1)]
            layers += [nn.BatchNorm2d(filters)] if bn else []
            layers += [nn.ReLU()]
            channels = filters
        layers += [nn.MaxPool2d(2)]
    return layers


def vgg_classifier(num_classes):
    return [
        nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, num_classes),
    ]  # fmt: skip


class Block(nn.Module):
    """A residual block; `deep` is a bottleneck."""

    def __init__(self, channels, width, stride, deep, groups, per_group):
        super().__init__()
        out, inner = (4 * width if deep else width), width // 64 * per_group * groups
        sizes = [(channels, inner, 1, 1), (inner, inner, 3, stride), (inner, out, 1, 1)]
        sizes = sizes if deep else [(channels, width, 3, stride), (width, width, 3, 1)]
        self.count = len(sizes)
        for i, (a, b, kernel, step) in enumerate(sizes, start=1):
            options = {"stride": step, "padding": kernel // 2, "groups": groups if kernel == 3 else 1}
            setattr(self, f"conv{i}", nn.Conv2d(a, b, kernel, bias=False, **options))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
            setattr(self, f"relu{i}", nn.ReLU())
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.count:
                y = getattr(self, f"relu{i}")(y)
        y = y + (x if self.downsample is None else self.downsample(x))
        return getattr(self, f"relu{self.count}")(y)


class ResNet(nn.Module):
    def __init__(self, name, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        counts, deep, groups, per_group = RESNETS[name]
        channels = 64
        for stage, count in enumerate(counts):
            blocks = []
            for i in range(count):
                stride = 2 if stage and not i else 1
                blocks.append(Block(channels, 64 << stage, stride, deep, groups, per_group))
                channels = (64 << stage) * (4 if deep else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def conv_bn_relu6(channels, filters, kernel, stride=1, groups=1):
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(filters), nn.ReLU6())


class InvertedResidual(nn.Module):
    def __init__(self, channels, out, stride, expansion):
        super().__init__()
        wide = channels * expansion
        layers = [conv_bn_relu6(channels, wide, 1)] if expansion != 1 else []
        layers += [conv_bn_relu6(wide, wide, 3, stride, groups=wide)]
        layers += [nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        features, channels = [conv_bn_relu6(3, 32, 3, stride=2)], 32
        for expansion, out, count, stride in MOBILENET_STEPS:
            for i in range(count):
                features.append(InvertedResidual(channels, out, stride if i == 0 else 1, expansion))
                channels = out
        self.features = nn.Sequential(*features, conv_bn_relu6(channels, 1280, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))
