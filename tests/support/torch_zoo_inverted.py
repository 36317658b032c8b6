"""MobileNetV3, MNASNet, EfficientNet and EfficientNetV2 in torch, with torchvision's parameter names.

net = make("efficientnet_b0", num_classes=10)
"""

from torch import nn

# kernel, expanded channels, channels, channels of squeeze-and-excitation or 0, h-swish, stride
V3 = {
    "mobilenet_v3_small": (
        [(3, 16, 16, 8, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 24, 1, 2),
         (5, 240, 40, 64, 1, 1), (5, 240, 40, 64, 1, 1), (5, 120, 48, 32, 1, 1), (5, 144, 48, 40, 1, 1),
         (5, 288, 96, 72, 1, 2), (5, 576, 96, 144, 1, 1), (5, 576, 96, 144, 1, 1)], 576, 1024,
    ),
    "mobilenet_v3_large": (
        [(3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 24, 0, 2),
         (5, 120, 40, 32, 0, 1), (5, 120, 40, 32, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1),
         (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 480, 112, 120, 1, 1), (3, 672, 112, 168, 1, 1),
         (5, 672, 160, 168, 1, 2), (5, 960, 160, 240, 1, 1), (5, 960, 160, 240, 1, 1)], 960, 1280,
    ),
}  # fmt: skip
MNASNET = {  # channels of conv1 and of the seven stages
    "mnasnet0_5": (16, 8, 16, 24, 40, 48, 96, 160),
    "mnasnet0_75": (24, 16, 24, 32, 64, 72, 144, 240),
    "mnasnet1_0": (32, 16, 24, 40, 80, 96, 192, 320),
    "mnasnet1_3": (40, 24, 32, 56, 104, 128, 248, 416),
    "mnasnet0_5_v1": (32, 16, 16, 24, 40, 48, 96, 160),
    "mnasnet0_75_v1": (32, 16, 24, 32, 64, 72, 144, 240),
    "mnasnet1_3_v1": (32, 16, 32, 56, 104, 128, 248, 416),
}
MNASNET_STAGES = [(3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1)]
# channels of the first convolution, of the stages, and of the last convolution; numbers of blocks; dropout
EFFICIENTNET = {
    "b0": (32, (16, 24, 40, 80, 112, 192, 320), 1280, (1, 2, 2, 3, 3, 4, 1), 0.2),
    "b1": (32, (16, 24, 40, 80, 112, 192, 320), 1280, (2, 3, 3, 4, 4, 5, 2), 0.2),
    "b2": (32, (16, 24, 48, 88, 120, 208, 352), 1408, (2, 3, 3, 4, 4, 5, 2), 0.3),
    "b3": (40, (24, 32, 48, 96, 136, 232, 384), 1536, (2, 3, 3, 5, 5, 6, 2), 0.3),
    "b4": (48, (24, 32, 56, 112, 160, 272, 448), 1792, (2, 4, 4, 6, 6, 8, 2), 0.4),
    "b5": (48, (24, 40, 64, 128, 176, 304, 512), 2048, (3, 5, 5, 7, 7, 9, 3), 0.4),
    "b6": (56, (32, 40, 72, 144, 200, 344, 576), 2304, (3, 6, 6, 8, 8, 11, 3), 0.5),
    "b7": (64, (32, 48, 80, 160, 224, 384, 640), 2560, (4, 7, 7, 10, 10, 13, 4), 0.5),
    "v2_s": (24, (24, 48, 64, 128, 160, 256), 1280, (2, 4, 4, 6, 9, 15), 0.2),
    "v2_m": (24, (24, 48, 80, 160, 176, 304, 512), 1280, (3, 5, 5, 7, 14, 18, 5), 0.3),
    "v2_l": (32, (32, 64, 96, 192, 224, 384, 640), 1280, (4, 7, 7, 10, 19, 25, 7), 0.4),
}
KERNELS, EXPANSIONS, STRIDES = (3, 3, 5, 3, 5, 5, 3), (1, 6, 6, 6, 6, 6, 6), (1, 2, 2, 2, 1, 2, 1)
V2_EXPANSIONS, V2_STRIDES = (1, 4, 4, 4, 6, 6, 6), (1, 2, 2, 2, 1, 2, 1)
NAMES = [*V3, *MNASNET, *(f"efficientnet_{version}" for version in EFFICIENTNET)]


def make(name, num_classes=1000):
    """The torch network `name`, in evaluation mode."""
    family = {"mob": MobileNetV3, "mna": MNASNet, "eff": EfficientNet}[name[:3]]
    net = family(name, num_classes)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = net.norm
    return net.eval()


def conv_bn(channels, filters, kernel, stride=1, groups=1):
    conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(filters)]


class HardSigmoid(nn.Module):
    """F.hardsigmoid rounds 1/6 to float32 in its gradient."""

    def forward(self, x):
        return nn.functional.relu6(x + 3) / 6


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, squeezed, activation, gate):
        super().__init__()
        self.fc1, self.activation = nn.Conv2d(channels, squeezed, 1), activation()
        self.fc2, self.scale_activation = nn.Conv2d(squeezed, channels, 1), gate()

    def forward(self, x):
        y = self.activation(self.fc1(x.mean(dim=(2, 3), keepdim=True)))
        return x * self.scale_activation(self.fc2(y))


class Block(nn.Module):
    """An inverted residual; of one convolution, or of two if `fused`."""

    def __init__(self, channels, wide, out, kernel, stride, activation, se=None, fused=False):
        super().__init__()
        layers = []
        if fused:
            layers += [nn.Sequential(*conv_bn(channels, wide, kernel, stride), activation())]
        elif wide != channels:
            layers += [nn.Sequential(*conv_bn(channels, wide, 1), activation())]
        if not fused:
            layers += [nn.Sequential(*conv_bn(wide, wide, kernel, stride, groups=wide), activation())]
            layers += [se] if se else []
        if not fused or wide != channels:
            layers += [nn.Sequential(*conv_bn(wide, out, 1))]
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x):
        return x + self.block(x) if self.residual else self.block(x)


class Features(nn.Module):
    """features, the mean of each channel, classifier."""

    norm = (1e-5, 0.1)  # eps and momentum

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))


class MobileNetV3(Features):
    norm = (1e-3, 0.01)

    def __init__(self, name, num_classes):
        super().__init__()
        rows, last, units = V3[name]
        features, channels = [nn.Sequential(*conv_bn(3, 16, 3, 2), nn.Hardswish())], 16
        for kernel, wide, out, squeezed, hard, stride in rows:
            se = SqueezeExcitation(wide, squeezed, nn.ReLU, HardSigmoid) if squeezed else None
            activation = nn.Hardswish if hard else nn.ReLU
            features.append(Block(channels, wide, out, kernel, stride, activation, se))
            channels = out
        features.append(nn.Sequential(*conv_bn(channels, last, 1), nn.Hardswish()))
        self.features = nn.Sequential(*features)
        head = [nn.Linear(last, units), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(units, num_classes)]
        self.classifier = nn.Sequential(*head)


class EfficientNet(Features):
    def __init__(self, name, num_classes):
        super().__init__()
        version = name.removeprefix("efficientnet_")
        channels, widths, last, counts, dropout = EFFICIENTNET[version]
        second = version.startswith("v2")
        self.norm = (1e-3, 0.1) if second else (1e-3, 0.01) if version in ("b5", "b6", "b7") else (1e-5, 0.1)
        features = [nn.Sequential(*conv_bn(3, channels, 3, 2), nn.SiLU())]
        for stage, (out, count) in enumerate(zip(widths, counts, strict=True)):
            blocks = []
            for number in range(count):
                stride = 1 if number else (V2_STRIDES if second else STRIDES)[stage]
                wide = channels * (V2_EXPANSIONS if second else EXPANSIONS)[stage]
                fused, kernel = second and stage < 3, 3 if second else KERNELS[stage]
                se = None if fused else SqueezeExcitation(wide, channels // 4, nn.SiLU, nn.Sigmoid)
                blocks.append(Block(channels, wide, out, kernel, stride, nn.SiLU, se, fused))
                channels = out
            features.append(nn.Sequential(*blocks))
        features.append(nn.Sequential(*conv_bn(channels, last, 1), nn.SiLU()))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))


class InvertedResidual(nn.Module):
    def __init__(self, channels, out, kernel, stride, expansion):
        super().__init__()
        wide = expansion * channels
        depthwise = conv_bn(wide, wide, kernel, stride, groups=wide)
        self.layers = nn.Sequential(
            *conv_bn(channels, wide, 1), nn.ReLU(), *depthwise, nn.ReLU(), *conv_bn(wide, out, 1)
        )
        self.residual = stride == 1 and channels == out

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class MNASNet(nn.Module):
    norm = (1e-5, 3e-4)

    def __init__(self, name, num_classes):
        super().__init__()
        first, channels, *widths = MNASNET[name]
        layers = [*conv_bn(3, first, 3, 2), nn.ReLU(), *conv_bn(first, first, 3, groups=first), nn.ReLU()]
        layers += conv_bn(first, channels, 1)
        for out, (kernel, stride, expansion, count) in zip(widths, MNASNET_STAGES, strict=True):
            blocks = []
            for number in range(count):
                blocks.append(InvertedResidual(channels, out, kernel, 1 if number else stride, expansion))
                channels = out
            layers.append(nn.Sequential(*blocks))
        self.layers = nn.Sequential(*layers, *conv_bn(channels, 1280, 1), nn.ReLU())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))

    def forward(self, x):
        return self.classifier(self.layers(x).mean(dim=(2, 3)))
