"""SqueezeNet in torch with an npgrad model's weights, as torchvision writes it."""

import torch
from torch import nn

from npgrad.layers import Conv2d, Dropout, Fire, GlobalAvgPool2d, MaxPool2d, ReLU


class TorchFire(nn.Module):
    def __init__(self, fire):
        super().__init__()
        self.squeeze, self.squeeze_activation = convolution(fire.squeeze), nn.ReLU()
        self.expand1x1, self.expand1x1_activation = convolution(fire.expand1x1), nn.ReLU()
        self.expand3x3, self.expand3x3_activation = convolution(fire.expand3x3), nn.ReLU()

    def forward(self, x):
        s = self.squeeze_activation(self.squeeze(x))
        sides = (
            self.expand1x1_activation(self.expand1x1(s)),
            self.expand3x3_activation(self.expand3x3(s)),
        )
        return torch.cat(sides, 1)


def convolution(layer):
    """A torch convolution with the same weights."""
    weight = torch.tensor(layer.weight.copy())
    made = nn.Conv2d(*weight.shape[1::-1], weight.shape[2:], layer.stride, layer.padding)
    made.weight.data, made.bias.data = weight, torch.tensor(layer.bias.copy())
    return made


def torch_squeezenet(model):
    """The torch module that computes what `model` does, layers under npgrad's names; in eval mode."""
    modules = nn.Sequential()
    for name, layer in model.network.layers.items():
        modules.add_module(name, _module(layer))
    return modules.append(nn.Flatten()).eval()


def _module(layer):
    if isinstance(layer, Fire):
        return TorchFire(layer)
    if isinstance(layer, Conv2d):
        return convolution(layer)
    if isinstance(layer, MaxPool2d):
        return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
    return {ReLU: nn.ReLU, Dropout: nn.Dropout, GlobalAvgPool2d: lambda: nn.AdaptiveAvgPool2d(1)}[
        type(layer)
    ]()
