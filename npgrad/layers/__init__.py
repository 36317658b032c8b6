"""The layers, one per file, with forward next to backward. `base.py` defines what a layer is."""

from npgrad.layers.activations import (
    ELU,
    GELU,
    SELU,
    HardSigmoid,
    HardSwish,
    LeakyReLU,
    Mish,
    PReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from npgrad.layers.adaptive_avg_pool import AdaptiveAvgPool2d
from npgrad.layers.add import Add
from npgrad.layers.affine import Affine
from npgrad.layers.avg_pool import AvgPool2d, GlobalAvgPool2d
from npgrad.layers.base import Layer
from npgrad.layers.batch_norm import BatchNorm2d
from npgrad.layers.clip import Clip, ReLU6
from npgrad.layers.composite import Composite
from npgrad.layers.concat import Concat
from npgrad.layers.conv import Conv2d
from npgrad.layers.dropout import Dropout
from npgrad.layers.fire import Fire
from npgrad.layers.flatten import Flatten
from npgrad.layers.global_max_pool import GlobalMaxPool2d
from npgrad.layers.graph import Graph
from npgrad.layers.group_norm import GroupNorm
from npgrad.layers.layer_norm import LayerNorm
from npgrad.layers.linear import Linear
from npgrad.layers.local_response_norm import LocalResponseNorm
from npgrad.layers.max_pool import MaxPool2d
from npgrad.layers.multiply import Multiply
from npgrad.layers.pad import Pad
from npgrad.layers.rearrange import ChannelShuffle, Permute, Reshape, Slice, Squeeze
from npgrad.layers.relu import ReLU
from npgrad.layers.residual import Residual
from npgrad.layers.sequential import Sequential
from npgrad.layers.softmax import LogSoftmax, Softmax
from npgrad.layers.subtract import Subtract
from npgrad.layers.upsample import Upsample

__all__ = [
    "AdaptiveAvgPool2d",
    "Add",
    "Affine",
    "AvgPool2d",
    "BatchNorm2d",
    "ChannelShuffle",
    "Clip",
    "Composite",
    "Concat",
    "Conv2d",
    "Dropout",
    "ELU",
    "Fire",
    "Flatten",
    "GELU",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "Graph",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MaxPool2d",
    "Mish",
    "Multiply",
    "Pad",
    "Permute",
    "PReLU",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "SELU",
    "Sequential",
    "Sigmoid",
    "SiLU",
    "Slice",
    "Softmax",
    "Softplus",
    "Squeeze",
    "Subtract",
    "Tanh",
    "Upsample",
]
