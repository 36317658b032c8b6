"""SqueezeNet in torch: torchvision's two networks with torchvision's names, what npgrad is compared with.

net = torch_twin(model)                 the torch network with a model's weights, in float64
torch_state(model)                      its state dict, as in torchvision's .pth files

The tests use it, too. It does not import npgrad, whose import time would count for the torch program.
"""

import numpy as np
import torch
from torch import nn

# of each version: conv1's filters and kernel, then the layers; a triple is a fire, "pool" a max pool
PLANS = {
    "squeezenet1_0": (96, 7, ["pool", (16, 64, 64), (16, 64, 64), (32, 128, 128), "pool", (32, 128, 128),
                              (48, 192, 192), (48, 192, 192), (64, 256, 256), "pool", (64, 256, 256)]),
    "squeezenet1_1": (64, 3, ["pool", (16, 64, 64), (16, 64, 64), "pool", (32, 128, 128), (32, 128, 128),
                              "pool", (48, 192, 192), (48, 192, 192), (64, 256, 256), (64, 256, 256)]),
}  # fmt: skip


class TorchFire(nn.Module):
    def __init__(self, channels, squeeze, expand1x1, expand3x3):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze, expand1x1, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeeze, expand3x3, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x):
        s = self.squeeze_activation(self.squeeze(x))
        a = self.expand1x1_activation(self.expand1x1(s))
        b = self.expand3x3_activation(self.expand3x3(s))
        return torch.cat([a, b], dim=1)


class TorchSqueezeNet(nn.Module):
    """`conv10_padding` is 1 in the original Caffe network, 0 in torchvision's.

    torchvision's ReLUs work in place, which Captum's guided backprop does not allow; the difference in time
    is not measurable.
    """

    def __init__(self, name, num_classes=1000, conv10_padding=0):
        super().__init__()
        channels, kernel, plan = PLANS[name]
        features = [nn.Conv2d(3, channels, kernel, stride=2), nn.ReLU()]
        for part in plan:
            if part == "pool":
                features.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            else:
                features.append(TorchFire(channels, *part))
                channels = part[1] + part[2]
        self.features = nn.Sequential(*features)
        conv10 = nn.Conv2d(channels, num_classes, 1, padding=conv10_padding)
        self.classifier = nn.Sequential(nn.Dropout(0.5), conv10, nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


def torch_names(model):
    """{the model's layer name: torchvision's}"""
    return {own: alias for alias, own in model.aliases.items()}


def torch_state(model):
    """The model's parameters and buffers as a state dict with torchvision's names."""
    names = torch_names(model)
    state = {}
    for name, array in model.network.arrays(buffers=True).items():
        layer, _, parameter = name.rpartition(".")
        state[f"{names.get(layer, layer)}.{parameter}"] = torch.tensor(np.ascontiguousarray(array))
    return state


def torch_twin(model, dtype=torch.float64):
    """The torch network with the weights of an npgrad SqueezeNet, dropout off."""
    net = TorchSqueezeNet(model.architecture["name"], **model.architecture["options"])
    net.load_state_dict(torch_state(model))
    return net.to(dtype).eval()
