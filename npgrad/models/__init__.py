"""Architectures: functions that return freshly initialized networks, with torchvision's layer names as aliases."""

from npgrad.models.alexnet import alexnet
from npgrad.models.mobilenet import mobilenet_v2
from npgrad.models.resnet import resnet18, resnet34, resnet50
from npgrad.models.squeezenet import squeezenet1_0, squeezenet1_1
from npgrad.models.vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "alexnet",
    "mobilenet_v2",
    "resnet18",
    "resnet34",
    "resnet50",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]
