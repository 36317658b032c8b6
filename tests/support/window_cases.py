"""The rows of the table of layers (layer_cases.py) for layers with windows: convolutions and pooling."""

import numpy as np
import torch
import torch.nn.functional as F
from case import Case, plain

from npgrad import layers


def conv_layer(rng, channels, filters, kernel, bias=True, groups=1, **options):
    weight = rng.normal(size=(filters, channels // groups, *kernel))
    return layers.Conv2d(weight, rng.normal(size=filters) if bias else None, groups=groups, **options)


def bordered(x, options, value=0.0):
    """torch has no padding (top, bottom, left, right): the padded x, and the options that are left."""
    if np.size(options.get("padding", 0)) < 4:
        return x, options
    top, bottom, left, right = options["padding"]
    return F.pad(x, (left, right, top, bottom), value=value), {**options, "padding": 0}


def conv(id, shape, filters, kernel, bias=True, **options):
    def function(x, p):
        x, others = bordered(x, options)
        return F.conv2d(x, p["weight"], p.get("bias"), **others)

    return Case(
        f"conv {id}",
        lambda rng: conv_layer(rng, shape[1], filters, kernel, bias, **options),
        function,
        shape,
    )


# The pooling windows: id, input shape, kernel and the rest as both npgrad and torch name it.
WINDOWS = [
    ("2, stride as the kernel", (1, 2, 6, 6), 2, {}),
    ("2, last row and column unreached", (3, 2, 7, 5), 2, {"stride": 2}),
    ("2, ceil", (3, 2, 7, 5), 2, {"stride": 2, "ceil_mode": True}),
    ("3 stride 2, overlapping", (3, 3, 9, 7), 3, {"stride": 2}),
    ("3 stride 2, ceil changes nothing", (1, 3, 9, 7), 3, {"stride": 2, "ceil_mode": True}),
    ("3 stride 2, even size", (1, 2, 8, 10), 3, {"stride": 2}),
    ("3 stride 2, even size, ceil", (3, 2, 8, 10), 3, {"stride": 2, "ceil_mode": True}),
    ("3 stride 1", (1, 2, 6, 5), 3, {"stride": 1}),
    ("3 stride 1, padding 1", (3, 2, 5, 4), 3, {"stride": 1, "padding": 1}),
    ("3 stride 2, padding 1", (3, 2, 8, 7), 3, {"stride": 2, "padding": 1}),
    ("3 stride 2, padding 1, ceil", (3, 2, 8, 7), 3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    ("3 stride 3, padding 1, ceil less one", (1, 2, 6, 9), 3, {"stride": 3, "padding": 1, "ceil_mode": True}),
    ("rectangular", (1, 2, 9, 11), (2, 5), {"stride": (3, 2), "padding": (1, 2)}),
    ("rectangular, ceil", (3, 1, 10, 11), (4, 3), {"stride": (3, 2), "padding": (2, 0), "ceil_mode": True}),
    ("1 stride 2", (1, 2, 6, 7), 1, {"stride": 2}),
    ("2 stride 3, gaps", (3, 2, 9, 10), 2, {"stride": 3}),
    ("2 stride 3, gaps, ceil", (1, 2, 9, 10), 2, {"stride": 3, "ceil_mode": True}),
    ("1 stride 3, gaps, ceil less one", (1, 2, 6, 5), 1, {"stride": 3, "ceil_mode": True}),
    ("larger than the image, ceil", (1, 3, 2, 2), 3, {"stride": 2, "ceil_mode": True}),
    ("the whole image", (3, 3, 4, 5), (4, 5), {}),
    ("5 on 1 pixel, padding 2", (1, 2, 1, 1), 5, {"stride": 1, "padding": 2}),
    ("3 stride 2, padding at the end", (3, 2, 8, 7), 3, {"stride": 2, "padding": (0, 1, 0, 1)}),
    ("3 stride 1, padding at the start", (1, 3, 4, 5), 3, {"stride": 1, "padding": (1, 0, 1, 0)}),
    ("rectangular, four paddings", (3, 2, 7, 6), (5, 4), {"stride": (2, 1), "padding": (2, 1, 0, 2)}),
    ("2 on 1 pixel, padding at the end", (1, 2, 1, 1), 2, {"stride": 1, "padding": (0, 1, 0, 1)}),
    ("3 stride 2, even size, padding at the end, ceil", (1, 2, 6, 8), 3,
     {"stride": 2, "padding": (0, 1, 0, 1), "ceil_mode": True}),
]  # fmt: skip
DILATED = [  # max pooling only, as in torch
    ("3, dilation 2", (3, 2, 7, 8), 3, {"stride": 1, "dilation": 2}),
    ("2, dilation 3,1, stride 2, padding 1", (1, 2, 9, 6), 2,
     {"stride": 2, "padding": 1, "dilation": (3, 1)}),
    ("3 stride 2, dilation 2, padding 1, ceil", (3, 2, 8, 9), 3,
     {"stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}),
    ("3, dilation 2, padding over half the kernel", (3, 2, 6, 5), 3,
     {"stride": 1, "padding": (2, 1, 1, 2), "dilation": 2}),
    ("2, dilation 2,3, four paddings", (1, 3, 6, 7), 2,
     {"stride": (2, 1), "padding": (0, 1, 2, 1), "dilation": (2, 3)}),
]  # fmt: skip


def max_pool(id, shape, kernel, options):
    def function(x):
        x, others = bordered(x, options, value=-np.inf)
        return F.max_pool2d(x, kernel, **others)

    return plain(f"max pool {id}", layers.MaxPool2d(kernel, **options), function, shape)


def avg_pool(id, shape, kernel, options, count_include_pad=True):
    """Padding of four sides that is not counted: the mean of the padded image divided by that of ones and zeros."""
    options = {**options, "count_include_pad": count_include_pad}

    def function(x):
        padded, others = bordered(x, options)
        y = F.avg_pool2d(padded, kernel, **others)
        if padded is x or count_include_pad:
            return y
        return y / F.avg_pool2d(bordered(torch.ones_like(x), options)[0], kernel, **others)

    return plain(
        f"avg pool {id}" + ("" if count_include_pad else ", padding uncounted"),
        layers.AvgPool2d(kernel, **options),
        function,
        shape,
    )


CONVOLUTIONS = [
    conv("1x1", (3, 3, 5, 7), 4, (1, 1)),
    conv("1x1, 1 channel, 1 filter, 1 pixel", (1, 1, 1, 1), 1, (1, 1)),
    conv("1x1 stride 2", (1, 3, 6, 7), 4, (1, 1), stride=2),
    conv("1x1 padding 1, as conv10 in Caffe", (3, 4, 3, 3), 5, (1, 1), padding=1),
    conv("3x3", (3, 2, 7, 5), 3, (3, 3)),
    conv("3x3 without bias", (1, 3, 5, 5), 4, (3, 3), bias=False),
    conv("3x3 padding 1", (3, 3, 5, 4), 4, (3, 3), padding=1),
    conv("3x3 stride 2", (1, 3, 9, 9), 4, (3, 3), stride=2),
    conv("3x3 stride 2, last row and column unreached", (3, 2, 8, 10), 3, (3, 3), stride=2),
    conv("3x3 stride 2 padding 1", (3, 2, 8, 7), 3, (3, 3), stride=2, padding=1),
    conv("5x5 stride 3 padding 2", (1, 2, 11, 10), 3, (5, 5), stride=3, padding=2),
    conv("7x7 stride 2, as conv1 in 1.0", (1, 3, 15, 13), 2, (7, 7), stride=2),
    conv("2x2 stride 3, gaps", (3, 2, 9, 10), 3, (2, 2), stride=3),
    conv("1x3", (1, 2, 4, 7), 3, (1, 3)),
    conv("3x5 stride 2,1 padding 0,2", (3, 2, 8, 6), 3, (3, 5), stride=(2, 1), padding=(0, 2)),
    conv("4x1 stride 1,3 padding 3,0", (1, 2, 5, 8), 3, (4, 1), stride=(1, 3), padding=(3, 0)),
    conv("the whole image", (3, 2, 4, 5), 6, (4, 5)),
    conv("larger than the image, padding 2", (1, 2, 3, 2), 3, (5, 5), padding=2),
    conv("2x2 padding 3, windows on padding alone", (1, 2, 3, 4), 3, (2, 2), padding=3),
    conv("2 groups", (3, 4, 5, 6), 6, (3, 3), groups=2),
    conv("3 groups, stride 2, padding 1, without bias", (1, 6, 7, 6), 3, (3, 3), False,
         groups=3, stride=2, padding=1),
    conv("depthwise", (3, 4, 6, 5), 4, (3, 3), groups=4, padding=1),
    conv("depthwise, 2 filters a channel, stride 3,2", (1, 3, 8, 7), 6, (3, 2), groups=3, stride=(3, 2)),
    conv("depthwise, 3x2, stride 3,2", (3, 9, 8, 7), 9, (3, 2), groups=9, stride=(3, 2)),
    conv("12 channels, 3x2, stride 3,2, padding 1,0", (3, 12, 8, 7), 5, (3, 2), stride=(3, 2), padding=(1, 0)),
    conv("1x1 with 2 groups", (3, 4, 3, 5), 6, (1, 1), groups=2),
    conv("3x3, dilation 2", (3, 2, 7, 8), 3, (3, 3), dilation=2),
    conv("3x2, dilation 1,3, stride 2, padding 1", (1, 3, 7, 9), 2, (3, 2), dilation=(1, 3), stride=2, padding=1),
    conv("12 channels, 2x3, dilation 3,2, stride 2,3, padding 2", (3, 12, 7, 8), 4, (2, 3), dilation=(3, 2),
         stride=(2, 3), padding=2),
    conv("depthwise, dilation 2, padding 2", (3, 4, 6, 5), 4, (3, 3), groups=4, dilation=2, padding=2),
    conv("2 groups, dilation 2,1", (1, 4, 6, 5), 6, (3, 3), groups=2, dilation=(2, 1)),
    conv("1x1, dilation 3, padding at the end", (1, 3, 4, 5), 2, (1, 1), dilation=3, padding=(0, 1, 0, 2)),
    conv("3x3 stride 2, padding at the end", (3, 3, 8, 8), 4, (3, 3), stride=2, padding=(0, 1, 0, 1)),
    conv("2x2, padding at the start", (1, 9, 4, 3), 4, (2, 2), padding=(1, 0, 1, 0)),
    conv("3x4, four paddings, dilation 2,1", (3, 2, 6, 5), 3, (3, 4), padding=(2, 0, 1, 3), dilation=(2, 1)),
    conv("depthwise, four paddings, stride 2", (1, 5, 6, 7), 5, (3, 3), groups=5, stride=2, padding=(0, 1, 3, 2)),
]  # fmt: skip

MAX_POOLS = [max_pool(*window) for window in WINDOWS + DILATED]
AVG_POOLS = [avg_pool(*window) for window in WINDOWS] + [
    avg_pool(*window, count_include_pad=False) for window in WINDOWS if "padding" in window[3]
]
