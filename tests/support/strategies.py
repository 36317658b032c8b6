"""What Hypothesis draws: every kind of layer with any geometry, images for it, losses' inputs, and weights files.

The draws are the same at every run (profile "npgrad"), so that a test that passes here passes everywhere.
"""

from dataclasses import fields

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from layer_strategies import OTHERS
from strategies_common import array, images, seeds, sides, sizes

from npgrad import layers
from npgrad.layers.elementwise import Elementwise

settings.register_profile("npgrad", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("npgrad")


@st.composite
def windowed(draw, dilated=True):
    """(kernel, stride, padding, dilation) that leave at least one window on an image of (height, width), and these."""
    kernel, stride = draw(st.tuples(sides, sides)), draw(st.tuples(sides, sides))
    dilation = draw(st.sampled_from([(1, 1), (1, 2), (3, 1), (2, 2)])) if dilated else (1, 1)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    if draw(st.booleans()):
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel for _ in range(2))
    around = (
        (padding[0] + padding[1], padding[2] + padding[3]) if len(padding) == 4 else (2 * p for p in padding)
    )
    size = tuple(draw(st.integers(max(3, k - p), 9)) for k, p in zip(spans, around, strict=True))
    return kernel, stride, padding, dilation, size


@st.composite
def conv(draw, groups=None, size=None):
    kernel, stride, padding, dilation, drawn = draw(windowed())
    groups = draw(st.integers(1, 3)) if groups is None else groups
    c, f = groups * draw(sides), groups * draw(sides)
    seed, bias = draw(seeds), draw(st.booleans())
    weight, bias = array(seed, f, c // groups, *kernel), array(seed + 1, f) if bias else None
    layer = layers.Conv2d(weight, bias, stride, padding, groups, dilation)
    return layer, (c, *drawn)


@st.composite
def depthwise(draw):
    kernel, stride, padding, dilation, size = draw(windowed())
    c = draw(st.integers(2, 5))
    weight = array(draw(seeds), c, 1, *kernel)
    return layers.Conv2d(weight, None, stride, padding, c, dilation), (c, *size)


@st.composite
def pool(draw, kind):
    dilated = kind is layers.MaxPool2d
    kernel, stride, padding, dilation, size = draw(windowed(dilated))
    options = {"dilation": dilation} if dilated else {}
    return kind(kernel, stride, padding, draw(st.booleans()), **options), (draw(sides), *size)


@st.composite
def linear(draw):
    c, f, seed = draw(sizes), draw(sizes), draw(seeds)
    return layers.Linear(array(seed, f, c), array(seed + 1, f) if draw(st.booleans()) else None), (c,)


@st.composite
def batch_norm(draw, channels=None):
    c = channels or draw(sides)
    rng = np.random.default_rng(draw(seeds))
    shape = draw(st.sampled_from([(c,), (c, draw(sizes), draw(sizes))]))
    return layers.BatchNorm2d(*rng.normal(size=(3, c)), rng.uniform(0.5, 2, c)), shape


@st.composite
def plain(draw, layer, vectors=True):
    """A layer without weights, on images or vectors."""
    shape = draw(st.tuples(sides, sizes, sizes))
    return layer, shape[:1] if vectors and draw(st.booleans()) else shape


@st.composite
def clip(draw):
    low, high = sorted(draw(st.tuples(*[st.floats(-0.5, 0.5)] * 2)))
    bounds = draw(st.sampled_from([(low, high), (None, high), (low, None), (None, None)]))
    return draw(plain(layers.Clip(*bounds)))


def activation_of(kind):
    """An activation with its default options or others."""
    number = st.floats(0.05, 2).map(lambda v: round(v, 2))
    others = {"approximate": st.just("tanh")}
    names = [field.name for field in fields(kind)]
    made = st.fixed_dictionaries({}, optional={name: others.get(name, number) for name in names})
    return made.flatmap(lambda options: plain(kind(**options)))


@st.composite
def prelu(draw):
    shape = draw(st.tuples(sides, sizes, sizes))
    layer = layers.PReLU(array(draw(seeds), draw(st.sampled_from([1, shape[0]]))))
    return layer, shape[:1] if draw(st.booleans()) else shape


@st.composite
def affine(draw):
    shape, seed = draw(images()), draw(seeds)
    values = [array(seed + i, shape[0]) if draw(st.booleans()) else draw(st.floats(-2, 2)) for i in (0, 1)]
    return layers.Affine(*values), shape


@st.composite
def classes(draw, kind):
    """A softmax along an axis of vectors or images."""
    shape = draw(st.sampled_from([1, 3]).flatmap(lambda ndim: st.tuples(*[sizes] * ndim)))
    axes = [*range(1, len(shape) + 1), *range(-len(shape), 0)]
    return kind(draw(st.sampled_from(axes))), shape


@st.composite
def multiply(draw):
    whole = draw(images())
    shapes = [tuple(1 if draw(st.booleans()) else side for side in whole), whole]
    return layers.Multiply(), draw(st.permutations(shapes))


@st.composite
def pad(draw):
    shape = draw(images())
    mode = draw(st.sampled_from(["constant", "edge", "reflect"]))
    most = [min(side - 1, 3) if mode == "reflect" else 3 for side in shape[1:] for _ in range(2)]
    return layers.Pad(tuple(draw(st.integers(0, n)) for n in most), mode), shape


@st.composite
def adaptive(draw):
    return draw(plain(layers.AdaptiveAvgPool2d(draw(st.tuples(sizes, sizes))), vectors=False))


@st.composite
def fire(draw):
    c, s, a, b, seed = draw(sides), draw(sides), draw(sides), draw(sides), draw(seeds)
    layer = layers.Fire(
        layers.Conv2d(array(seed, s, c, 1, 1), array(seed + 1, s)),
        layers.Conv2d(array(seed + 2, a, s, 1, 1), array(seed + 3, a)),
        layers.Conv2d(array(seed + 4, b, s, 3, 3), array(seed + 5, b), padding=1),
    )
    return layer, (c, draw(sizes), draw(sizes))


@st.composite
def residual(draw):
    c, f, stride, seed = draw(sides), draw(sides), draw(sides), draw(seeds)
    norm, _ = draw(batch_norm(f))
    branch = {
        "conv1": layers.Conv2d(array(seed, f, c, 3, 3), None, stride, 1),
        "bn1": norm,
        "relu1": layers.ReLU(),
        "conv2": layers.Conv2d(array(seed + 1, f, f, 1, 1), array(seed + 2, f)),
    }
    shortcut = {}
    if stride > 1 or c != f:
        shortcut["shortcut"] = layers.Conv2d(array(seed + 3, f, c, 1, 1), None, stride)
    return layers.Residual(branch, shortcut, draw(st.sampled_from([layers.ReLU(), None]))), (
        c,
        draw(sizes),
        draw(sizes),
    )


@st.composite
def graph(draw):
    """Some convolutions and ReLUs, each behind any node, then the sum and the concatenation of some of them."""
    c, rng = draw(sides), np.random.default_rng(draw(seeds))
    nodes, names = {}, ["input"]
    for i in range(draw(st.integers(1, 4))):
        layer = layers.ReLU() if draw(st.booleans()) else layers.Conv2d(rng.normal(size=(c, c, 1, 1)))
        nodes[f"n{i}"] = (layer, draw(st.sampled_from(names)))
        names.append(f"n{i}")
    several = st.lists(st.sampled_from(names), min_size=1, max_size=4).map(tuple)
    nodes["sum"] = (layers.Add(), draw(several))
    nodes["all"] = (layers.Concat(), (*draw(several), "sum"))
    return layers.Graph(nodes), (c, draw(sizes), draw(sizes))


@st.composite
def sequential(draw):
    layer, shape = draw(conv())
    parts = {"conv": layer, "relu": layers.ReLU(), "mean": layers.GlobalAvgPool2d()}
    parts["fc"] = layers.Linear(array(draw(seeds), 3, len(layer.weight)))
    return layers.Sequential(parts), shape


@st.composite
def several(draw, layer, channels_alike):
    """A layer that takes a tuple: shapes that agree, in their channels too or not."""
    c, h, w = draw(sides), draw(sizes), draw(sizes)
    count = draw(st.integers(1, 4))
    return layer, [(c if channels_alike else draw(sides), h, w) for _ in range(count)]


# For each kind of layer what draws (the layer, the shape of an image for it, or the list of shapes of several).
LAYERS = {
    "AdaptiveAvgPool2d": adaptive(),
    "Add": several(layers.Add(), True),
    "AvgPool2d": pool(layers.AvgPool2d),
    "BatchNorm2d": batch_norm(),
    "Clip": clip(),
    "Concat": several(layers.Concat(), False),
    "Conv2d": conv() | depthwise(),
    "Dropout": plain(layers.Dropout(0.5)),
    "Fire": fire(),
    "Flatten": plain(layers.Flatten(), vectors=False),
    "GlobalAvgPool2d": plain(layers.GlobalAvgPool2d(), vectors=False),
    "Graph": graph(),
    "Linear": linear(),
    "MaxPool2d": pool(layers.MaxPool2d),
    "ReLU": plain(layers.ReLU()),
    "ReLU6": plain(layers.ReLU6()),
    "Residual": residual(),
    "Sequential": sequential(),
    "Softmax": classes(layers.Softmax) | plain(layers.Softmax((2, 1)), vectors=False),
    **{
        kind.__name__: activation_of(kind)
        for kind in Elementwise.__subclasses__()
        if kind is not layers.PReLU
    },
    "PReLU": prelu(),
    **OTHERS,
    "Affine": affine(),
    "GlobalMaxPool2d": st.booleans().flatmap(lambda kept: plain(layers.GlobalMaxPool2d(kept), vectors=False)),
    "LogSoftmax": classes(layers.LogSoftmax),
    "Multiply": multiply(),
    "Pad": pad(),
    "Subtract": images().map(lambda shape: (layers.Subtract(), [shape] * 2)),
}
