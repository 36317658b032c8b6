"""RegNet X and Y in torch, with torchvision's parameter names: the stages as published, not from their formula.

net = make("regnet_y_400mf", num_classes=10)
"""

from torch import nn

STAGES = {  # channels of a group; blocks and channels of each stage
    "regnet_x_400mf": (16, (1, 2, 7, 12), (32, 64, 160, 400)),
    "regnet_x_800mf": (16, (1, 3, 7, 5), (64, 128, 288, 672)),
    "regnet_x_1_6gf": (24, (2, 4, 10, 2), (72, 168, 408, 912)),
    "regnet_x_3_2gf": (48, (2, 6, 15, 2), (96, 192, 432, 1008)),
    "regnet_x_8gf": (120, (2, 5, 15, 1), (80, 240, 720, 1920)),
    "regnet_x_16gf": (128, (2, 6, 13, 1), (256, 512, 896, 2048)),
    "regnet_x_32gf": (168, (2, 7, 13, 1), (336, 672, 1344, 2520)),
    "regnet_y_400mf": (8, (1, 3, 6, 6), (48, 104, 208, 440)),
    "regnet_y_800mf": (16, (1, 3, 8, 2), (64, 144, 320, 784)),
    "regnet_y_1_6gf": (24, (2, 6, 17, 2), (48, 120, 336, 888)),
    "regnet_y_3_2gf": (24, (2, 5, 13, 1), (72, 216, 576, 1512)),
    "regnet_y_8gf": (56, (2, 4, 10, 1), (224, 448, 896, 2016)),
    "regnet_y_16gf": (112, (2, 4, 11, 1), (224, 448, 1232, 3024)),
    "regnet_y_32gf": (232, (2, 5, 12, 1), (232, 696, 1392, 3712)),
    "regnet_y_128gf": (264, (2, 7, 17, 1), (528, 1056, 2904, 7392)),
}
NAMES = list(STAGES)


def make(name, num_classes=1000):
    group, counts, widths = STAGES[name]
    stages, channels = {}, 32
    for stage, (count, width) in enumerate(zip(counts, widths, strict=True), start=1):
        blocks = {}
        for i in range(count):
            squeezed = channels // 4 if "_y_" in name else 0
            blocks[f"block{stage}-{i}"] = Block(channels, width, 1 if i else 2, min(group, width), squeezed)
            channels = width
        stages[f"block{stage}"] = named(blocks)
    stem = nn.Sequential(*conv(3, 32, 3, 2), nn.ReLU())
    end = {"avgpool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.Linear(channels, num_classes)}
    return named({"stem": stem, "trunk_output": named(stages), **end}).eval()


class Block(nn.Module):
    def __init__(self, channels, width, stride, group, squeezed):
        super().__init__()
        self.proj = nn.Sequential(*conv(channels, width, 1, stride)) if stride == 2 else nn.Identity()
        a = nn.Sequential(*conv(channels, width, 1), nn.ReLU())
        b = nn.Sequential(*conv(width, width, 3, stride, width // group), nn.ReLU())
        se = {"se": SqueezeExcite(width, squeezed)} if squeezed else {}
        self.f = named({"a": a, "b": b, **se, "c": nn.Sequential(*conv(width, width, 1))})
        self.activation = nn.ReLU()

    def forward(self, x):
        return self.activation(self.proj(x) + self.f(x))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean(dim=(2, 3), keepdim=True)).relu()).sigmoid()


def conv(channels, filters, kernel, stride=1, groups=1):
    layer = nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(filters)]


def named(layers):
    net = nn.Sequential()
    for name, layer in layers.items():
        net.add_module(name, layer)
    return net
