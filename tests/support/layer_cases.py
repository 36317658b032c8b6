"""One table of layers to test: each with its input's shape and the same function in torch.

case.layer()    the npgrad layer, in float64, with random weights and biases
case.inputs()   its random inputs, a tuple of arrays (one, but for Add and Concat)
case.torch      f(x, p) -> y in torch; p is {parameter or buffer name: tensor}
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from npgrad import layers


@dataclass(frozen=True)
class Case:
    id: str
    make: Callable  # generator -> layer
    torch: Callable
    shapes: tuple | list  # one shape, or the list of them for a layer that takes a tuple of arrays
    options: dict = field(default_factory=dict)  # what forward gets besides x

    def layer(self):
        return self.make(np.random.default_rng(1))

    def inputs(self, seed=2):
        rng = np.random.default_rng(seed)
        return tuple(rng.normal(size=shape) for shape in (self.shapes if self.many else [self.shapes]))

    @property
    def many(self):
        return isinstance(self.shapes, list)

    @property
    def batch(self):
        return self.shapes[0][0] if self.many else self.shapes[0]

    def pack(self, xs):
        """The inputs as the layer takes them."""
        return tuple(xs) if self.many else xs[0]


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


def linear(id, shape, filters, bias=True):
    return Case(
        f"linear {id}",
        lambda rng: layers.Linear(
            rng.normal(size=(filters, shape[1])), rng.normal(size=filters) if bias else None
        ),
        lambda x, p: F.linear(x, p["weight"], p.get("bias")),
        shape,
    )


def plain(id, layer, function, shapes, **options):
    """A layer without parameters."""
    return Case(id, lambda rng: layer, lambda x, p: function(x), shapes, options)


def batch_norm_layer(rng, channels):
    weight, bias, mean = rng.normal(size=(3, channels))
    return layers.BatchNorm2d(weight, bias, mean, rng.uniform(0.5, 2, channels), eps=1e-3, momentum=0.3)


def torch_batch_norm(x, p, prefix="", training=False):
    values = [p[prefix + name] for name in ("running_mean", "running_var", "weight", "bias")]
    return F.batch_norm(x, *values, training, momentum=0.3, eps=1e-3)


def batch_norm(id, shape, **options):
    return Case(
        f"batch norm {id}",
        lambda rng: batch_norm_layer(rng, shape[1]),
        lambda x, p: torch_batch_norm(x, p, **options),
        shape,
        options,
    )


def torch_dropout(p, seed):
    def function(x):
        keep = np.random.default_rng(seed).random(x.shape) >= p
        return x * torch.tensor(keep) / (1 - p)

    return function


def fire_layer(rng, channels, squeeze, expand1x1, expand3x3):
    return layers.Fire(
        conv_layer(rng, channels, squeeze, (1, 1)),
        conv_layer(rng, squeeze, expand1x1, (1, 1)),
        conv_layer(rng, squeeze, expand3x3, (3, 3), padding=1),
    )


def torch_fire(x, p, prefix=""):
    def conv(name, x, **options):
        return F.relu(F.conv2d(x, p[f"{prefix}{name}.weight"], p[f"{prefix}{name}.bias"], **options))

    s = conv("squeeze", x)
    return torch.cat([conv("expand1x1", s), conv("expand3x3", s, padding=1)], dim=1)


def nested_layer(rng):
    block = {"bn": batch_norm_layer(rng, 4), "relu": layers.ReLU(), "pool": layers.MaxPool2d(3, 2)}
    return layers.Sequential(
        {
            "conv": conv_layer(rng, 2, 4, (3, 3), stride=2),
            "block": layers.Sequential(
                {"inner": layers.Sequential(block), "fire": fire_layer(rng, 4, 2, 3, 2)}
            ),
            "mean": layers.GlobalAvgPool2d(),
            "fc": layers.Linear(rng.normal(size=(6, 5)), rng.normal(size=6)),
            "softmax": layers.Softmax(),
        }
    )


def torch_nested(x, p):
    x = F.conv2d(x, p["conv.weight"], p["conv.bias"], stride=2)
    x = F.max_pool2d(F.relu(torch_batch_norm(x, p, "block.inner.bn.")), 3, 2)
    x = torch_fire(x, p, "block.fire.").mean(dim=(2, 3))
    return F.softmax(F.linear(x, p["fc.weight"], p["fc.bias"]), dim=1)


RELU = layers.ReLU()


def residual_layer(rng, channels, filters, stride=1, after=RELU):
    branch = {
        "conv1": conv_layer(rng, channels, filters, (3, 3), False, stride=stride, padding=1),
        "bn1": batch_norm_layer(rng, filters),
        "relu1": layers.ReLU(),
        "conv2": conv_layer(rng, filters, filters, (1, 1)),
    }
    same = stride == 1 and channels == filters
    shortcut = {} if same else {"shortcut": conv_layer(rng, channels, filters, (1, 1), stride=stride)}
    return layers.Residual(branch, shortcut, after)


def torch_residual(x, p, stride=1, after=F.relu):
    f = F.conv2d(x, p["conv1.weight"], None, stride, 1)
    f = F.conv2d(F.relu(torch_batch_norm(f, p, "bn1.")), p["conv2.weight"], p["conv2.bias"])
    s = F.conv2d(x, p["shortcut.weight"], p["shortcut.bias"], stride) if "shortcut.weight" in p else x
    return after(f + s)


def graph_layer(rng):
    """A value used three times, a node that comes back to the input, and two that lead nowhere."""
    return layers.Graph(
        {
            "a": (conv_layer(rng, 3, 4, (3, 3), padding=1), "input"),
            "b": (layers.ReLU(), "a"),
            "nowhere": (layers.MaxPool2d(2), "b"),
            "c": (conv_layer(rng, 4, 4, (1, 1)), "b"),
            "sum": (layers.Add(), ("c", "a", "b")),
            "side by side": (layers.Concat(), ("sum", "input", "b")),
            "nowhere.either": (layers.Softmax(), "c"),
            "mean": (layers.AvgPool2d(2), "side by side"),
        }
    )


def torch_graph(x, p):
    a = F.conv2d(x, p["a.weight"], p["a.bias"], padding=1)
    b = F.relu(a)
    c = F.conv2d(b, p["c.weight"], p["c.bias"])
    return F.avg_pool2d(torch.cat([c + a + b, x, b], 1), 2)


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

RELUS = [
    plain("relu", layers.ReLU(), torch.relu, (3, 2, 5, 7)),
    plain("relu of vectors", layers.ReLU(), torch.relu, (1, 9)),
]

ADAPTIVE = [  # id, input shape, output size
    ("to one", (3, 4, 5, 7), 1),
    ("as it is", (1, 2, 4, 3), (4, 3)),
    ("even", (3, 2, 6, 8), (3, 2)),
    ("uneven", (3, 2, 7, 5), (3, 4)),
    ("larger than the image", (1, 3, 2, 3), (5, 7)),
]


def relu6_layer(rng):
    """A convolution by large weights: some of what the ReLU6 sees is below 0, some between, some above 6."""
    weight = 6 * rng.normal(size=(4, 2, 1, 1))
    return layers.Sequential({"conv": layers.Conv2d(weight), "relu6": layers.ReLU6()})


CASES = [
    *CONVOLUTIONS,
    *MAX_POOLS,
    *AVG_POOLS,
    *RELUS,
    plain("global avg pool", layers.GlobalAvgPool2d(), lambda x: x.mean(dim=(2, 3)), (3, 4, 5, 3)),
    plain("global avg pool of 1 pixel", layers.GlobalAvgPool2d(), lambda x: x.mean(dim=(2, 3)), (1, 4, 1, 1)),
    *(
        plain(
            f"adaptive avg pool {id}",
            layers.AdaptiveAvgPool2d(size),
            lambda x, size=size: F.adaptive_avg_pool2d(x, size),
            shape,
        )
        for id, shape, size in ADAPTIVE
    ),
    *(
        plain(
            f"clip to {low}, {high}",
            layers.Clip(low, high),
            lambda x, low=low, high=high: torch.clamp(x, low, high),
            (3, 2, 5, 7),
        )
        for low, high in [(-0.5, 0.7), (0, None), (None, 0.2)]
    ),
    Case("clip without bounds", lambda rng: layers.Clip(), lambda x, p: x * 1, (1, 2, 3, 3)),
    Case(
        "relu6 of large numbers",
        relu6_layer,
        lambda x, p: F.relu6(F.conv2d(x, p["conv.weight"])),
        (3, 2, 4, 5),
    ),
    linear("batch of 3", (3, 5), 4),
    linear("one row", (1, 7), 3),
    linear("without bias", (3, 4), 6, bias=False),
    plain("flatten", layers.Flatten(), lambda x: x.flatten(1), (3, 2, 4, 5)),
    plain("flatten one image", layers.Flatten(), lambda x: x.flatten(1), (1, 3, 2, 3)),
    plain("dropout off", layers.Dropout(0.3), lambda x: x * 1, (3, 2, 4, 5)),
    plain("dropout on", layers.Dropout(0.3), torch_dropout(0.3, 7), (3, 2, 4, 5), training=True, rng=7),
    plain("dropout on vectors", layers.Dropout(0.8), torch_dropout(0.8, 5), (1, 40), training=True, rng=5),
    plain("dropout of nothing", layers.Dropout(0), torch_dropout(0, 3), (3, 8), training=True, rng=3),
    batch_norm("evaluation", (3, 4, 5, 3)),
    batch_norm("evaluation, one image", (1, 3, 2, 5)),
    batch_norm("training", (3, 4, 5, 3), training=True),
    batch_norm("training, one image", (1, 3, 4, 5), training=True),
    plain("add two", layers.Add(), sum, [(3, 2, 4, 5)] * 2),
    plain("add three", layers.Add(), sum, [(1, 3, 2, 3)] * 3),
    plain("concat two", layers.Concat(), lambda x: torch.cat(x, 1), [(3, 2, 4, 5), (3, 3, 4, 5)]),
    plain("concat three vectors", layers.Concat(), lambda x: torch.cat(x, 1), [(1, 2), (1, 1), (1, 4)]),
    plain("softmax", layers.Softmax(), lambda x: torch.softmax(x, 1), (3, 6)),
    plain("softmax of pixels", layers.Softmax(), lambda x: torch.softmax(x, 1), (1, 5, 3, 4)),
    Case("fire", lambda rng: fire_layer(rng, 5, 3, 4, 2), torch_fire, (3, 5, 5, 7)),
    Case("fire, one image", lambda rng: fire_layer(rng, 3, 2, 2, 3), torch_fire, (1, 3, 4, 1)),
    Case("residual", lambda rng: residual_layer(rng, 4, 4), torch_residual, (3, 4, 5, 6)),
    Case(
        "residual without a layer after it",
        lambda rng: residual_layer(rng, 3, 3, after=None),
        lambda x, p: torch_residual(x, p, after=lambda y: y),
        (1, 3, 4, 4),
    ),
    Case(
        "residual with a shortcut, stride 2",
        lambda rng: residual_layer(rng, 3, 5, 2),
        lambda x, p: torch_residual(x, p, 2),
        (3, 3, 7, 6),
    ),
    Case("graph", graph_layer, torch_graph, (3, 3, 6, 4)),
    Case("nested sequential", nested_layer, torch_nested, (3, 2, 11, 13)),
]


def over(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def tied_inputs(case):
    """Whole numbers from -2 to 2: most windows tie, and one number in five is exactly 0."""
    rng = np.random.default_rng(5)
    return tuple(rng.integers(-2, 3, x.shape).astype(float) for x in case.inputs())
