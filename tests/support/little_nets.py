"""A little network whose images are made in no time, its twin in torch, and images for both."""

import numpy as np
import torch

from npgrad import Model, layers

STD, MEAN = (np.array(v)[:, None, None] for v in ((0.229, 0.224, 0.225), (0.485, 0.456, 0.406)))


def little_net(bias=(0, 0, 0, 0, 0), scale=0.2, relu=True):
    """Five classes: a convolution, a ReLU, the mean over the image."""
    weight = scale * np.random.default_rng(0).standard_normal((5, 3, 3, 3))
    end = {"relu": layers.ReLU()} if relu else {}
    conv = layers.Conv2d(weight, np.array(bias, np.float64))
    return Model(layers.Sequential({"conv": conv, **end, "mean": layers.GlobalAvgPool2d()}))


def in_torch(net):
    weight, bias = (torch.tensor(np.array(array)) for array in net.parameters().values())
    return lambda x: torch.relu(torch.nn.functional.conv2d(x, weight, bias)).mean(dim=(2, 3))


def image(side):
    """An image of noise, its values whole bytes."""
    pixels = np.random.default_rng(3).integers(0, 256, (1, 3, side, side)) / 255
    return (pixels - MEAN) / STD


def photo(real_model, shared, name="Egyptian_cat", dtype=np.float64):
    """The middle of a photo, in which no two pixels tie, as float64 to compare with torch."""
    x = real_model.preprocess(shared / "images" / f"{name}.jpg")[:, :, 72:152, 72:152].astype(dtype)
    return x + 1e-3 * np.random.default_rng(0).standard_normal(x.shape).astype(dtype)
