"""One table of layers to test: each with its input's shape and the same function in torch (case.py)."""

import numpy as np
import torch
import torch.nn.functional as F
from activation_cases import ACTIVATIONS
from arithmetic_cases import ARITHMETIC
from case import Case, over, plain, tied_inputs
from norm_cases import NORMS, REARRANGED, UPSAMPLED
from window_cases import AVG_POOLS, CONVOLUTIONS, MAX_POOLS, conv_layer

from npgrad import layers

__all__ = ["AVG_POOLS", "CONVOLUTIONS", "MAX_POOLS", "conv_layer", "over", "tied_inputs"]  # passed on


def linear(id, shape, filters, bias=True):
    return Case(
        f"linear {id}",
        lambda rng: layers.Linear(
            rng.normal(size=(filters, shape[1])), rng.normal(size=filters) if bias else None
        ),
        lambda x, p: F.linear(x, p["weight"], p.get("bias")),
        shape,
    )


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
    batch_norm("evaluation of vectors", (3, 5)),
    batch_norm("evaluation of one vector", (1, 4)),
    batch_norm("training on vectors", (3, 5), training=True),
    plain("add two", layers.Add(), sum, [(3, 2, 4, 5)] * 2),
    plain("add three", layers.Add(), sum, [(1, 3, 2, 3)] * 3),
    plain("concat two", layers.Concat(), lambda x: torch.cat(x, 1), [(3, 2, 4, 5), (3, 3, 4, 5)]),
    plain("concat three vectors", layers.Concat(), lambda x: torch.cat(x, 1), [(1, 2), (1, 1), (1, 4)]),
    plain("concat widths", layers.Concat(3), lambda x: torch.cat(x, 3), [(3, 2, 4, 5), (3, 2, 4, 1)]),
    plain(
        "concat of five axes", layers.Concat(2), lambda x: torch.cat(x, 2), [(1, 2, 1, 2, 3), (1, 2, 2, 2, 3)]
    ),
    plain("softmax", layers.Softmax(), lambda x: torch.softmax(x, 1), (3, 6)),
    plain("softmax of pixels", layers.Softmax(), lambda x: torch.softmax(x, 1), (1, 5, 3, 4)),
    plain("softmax along the last axis", layers.Softmax(3), lambda x: torch.softmax(x, 3), (3, 2, 3, 4)),
    plain(
        "softmax over whole images",
        layers.Softmax((1, 2, 3)),
        lambda x: torch.softmax(x.flatten(1), 1).reshape(x.shape),
        (3, 2, 3, 4),
    ),
    *ACTIVATIONS,
    *ARITHMETIC,
    *NORMS,
    *UPSAMPLED,
    *REARRANGED,
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
