"""Networks drawn at random, of all kinds of layers, with dead units, zeros and ties, and images for them."""

import numpy as np

from npgrad import Model, layers
from npgrad.layers import Conv2d, Graph, Linear, ReLU
from npgrad.layers.composite import walk_layers

CLASSES, SIDES = 4, (9, 8)


def drawn_net(seed, dtype=np.float64, score=None):
    """(Model, images (5, 3, 9, 8)), the same ones for the same seed.

    Of every even seed, weights and images are small whole numbers, so that units tie and all sums are exact; those of
    the others are normal, with BatchNorms. score: the largest logit, in magnitude, of all images, reached by larger
    weights and biases in all layers.
    """
    draw = _Draw(seed)
    model = Model(layers.Sequential(draw.parts())).astype(dtype)
    x = draw.images().astype(dtype)
    return (model if score is None else _scaled(model, x, score)), x


def weighted_layers(model):
    """The names of all layers with weights, in the order of the forward pass."""
    return [name for name, layer in walk_layers(model.network) if isinstance(layer, (Conv2d, Linear))]


def _scaled(model, x, score):
    names = weighted_layers(model)
    for name in [*names[:-1], *names[-1:] * 9]:  # not by more than 8 at a time, as what is behind may clip it
        largest = np.abs(_logits(model, x)).max()
        factor = score / largest if largest else 1
        model = _times(model, name, factor if name == names[-1] else np.clip(factor, 1, 8))
    return model


def _logits(model, x):
    """The network's output before its Softmax, if it has one."""
    tape = model.forward(x)
    return tape[list(model.network.layers)[-2]] if "softmax" in model.network.layers else tape.output


def _times(model, name, factor):
    own = {key: array for key, array in model.parameters().items() if key.rpartition(".")[0] == name}
    return model.with_parameters({key: array * array.dtype.type(factor) for key, array in own.items()})


class _Draw:
    def __init__(self, seed):
        self.rng = np.random.default_rng([seed, 20])
        self.whole = seed % 2 == 0

    def one(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def numbers(self, *shape):
        if self.whole:
            return self.rng.integers(-2, 3, shape).astype(np.float64)
        return self.rng.normal(size=shape) * np.sqrt(2 / max(np.prod(shape[1:]), 1))

    def bias(self, count):
        """None, or biases of both signs, one of which shuts its unit off for good."""
        bias = self.numbers(count)
        bias[0] = -100
        return self.one(None, bias, self.numbers(count))

    def conv(self, channels, filters, kernel=1, **options):
        weight = self.numbers(filters, channels // options.get("groups", 1), *np.broadcast_to(kernel, 2))
        bias = self.bias(filters)
        if self.one(True, False):  # a unit that is always 0, and two that tie
            weight[-1], weight[1] = 0, weight[0]
            bias = None if bias is None else np.where(np.arange(filters) == filters - 1, 0, bias)
        return Conv2d(weight, bias, **options)

    def linear(self, inputs, outputs):
        return Linear(
            self.numbers(outputs, inputs), self.bias(outputs) if outputs != CLASSES else self.numbers(outputs)
        )

    def norm(self, channels):
        """{} or a BatchNorm, whose square root would end exact sums."""
        if self.whole or self.one(True, False):
            return {}
        values = [*self.rng.normal(size=(3, channels)), self.rng.uniform(0.5, 2, channels)]
        return {"bn": layers.BatchNorm2d(*values)}

    def activation(self):
        return self.one(ReLU(), ReLU(), ReLU(), layers.ReLU6(), layers.Clip(-1, 3))

    def pool(self):
        return self.one(
            {},
            {"pool": layers.MaxPool2d(2)},
            {"pool": layers.MaxPool2d(3, 2, 1, ceil_mode=True)},
            {"pool": layers.AvgPool2d(2)},
            {"pool": layers.AvgPool2d(3, 2, 1)},
        )

    def block(self, channels):
        """(layer, its channels)"""
        kind = self.one("none", "fire", "residual", "graph", "conv")
        if kind == "none":
            return {}, channels
        if kind == "fire":
            squeeze = self.conv(channels, 2)
            return {"fire": layers.Fire(squeeze, self.conv(2, 2), self.conv(2, 3, 3, padding=1))}, 5
        if kind == "residual":
            branch = {
                "conv1": self.conv(channels, channels, 3, padding=1),
                **self.norm(channels),
                "relu1": ReLU(),
            }
            branch["conv2"] = self.conv(channels, channels)
            return {"residual": layers.Residual(branch, {}, self.one(ReLU(), None))}, channels
        if kind == "graph":
            nodes = {
                "a": (self.conv(channels, channels), "input"),
                "relu": (ReLU(), "a"),
                "b": (self.conv(channels, channels), "input"),
                "sum": (layers.Add(), ("relu", "b", "input")),
                "all": (layers.Concat(), ("sum", "a")),
            }
            return {"graph": Graph(nodes)}, 2 * channels
        return {"conv2": self.conv(channels, 5, 3, padding=1, groups=1)}, 5

    def parts(self):
        filters = self.one(3, 6)
        first = {"stride": self.one(1, 2), "padding": self.one(0, 1), "groups": self.one(1, 3)}
        parts = {"conv1": self.conv(3, filters, self.one(3, (2, 3)), **first), **self.norm(filters)}
        parts |= {"relu1": self.activation(), **self.pool()}
        block, channels = self.block(filters)
        parts |= block | {"relu2": ReLU()}
        head = self.one("convolution", "one layer", "two layers")
        if head == "convolution":
            last = Conv2d(self.numbers(CLASSES, channels, 1, 1), self.numbers(CLASSES))
            parts |= {"last": last, **self.one({"relu3": ReLU()}, {}), "mean": layers.GlobalAvgPool2d()}
        else:
            parts |= {
                "drop": layers.Dropout(0.5),
                "shrink": layers.AdaptiveAvgPool2d((2, 1)),
                "flat": layers.Flatten(),
            }
            inputs = 2 * channels
            if head == "two layers":
                parts |= {"fc": self.linear(inputs, 6), "relu3": ReLU()}
                inputs = 6
            parts["last"] = self.linear(inputs, CLASSES)
        return parts | self.one({}, {}, {"softmax": layers.Softmax()})

    def images(self):
        """One of both signs, its positive part, the opposite of that, a black one, and one with flat areas."""
        x = self.rng.normal(size=(5, 3, *SIDES))
        x[1:3] = np.maximum(x[1], 0) * np.array([1, -1]).reshape(2, 1, 1, 1)
        x[3] = 0
        x[4, :, 2:6] = 0.5
        return np.round(2 * x) if self.whole else x
