"""Networks and images drawn at random that are often at kinks, and errors planted in a layer's backward."""

import dataclasses

import numpy as np

from npgrad.layers import (
    AdaptiveAvgPool2d,
    Add,
    BatchNorm2d,
    Clip,
    Conv2d,
    Flatten,
    Graph,
    MaxPool2d,
    ReLU,
    ReLU6,
)

IMAGES = ("black", "flat", "flat channels", "half black", "tied", "one pixel", "random")


def image(kind, rng, shape):
    x = np.zeros(shape)
    side = shape[-1]
    if kind == "flat":
        x += rng.normal()
    elif kind == "flat channels":
        x += rng.normal(size=(1, shape[1], 1, 1))
    elif kind == "half black":
        x[..., : side // 2] = rng.normal(size=x[..., : side // 2].shape)
    elif kind == "tied":
        x = rng.integers(-1, 2, shape).astype(float)
    elif kind == "one pixel":
        x[..., rng.integers(side), rng.integers(side)] = rng.normal()
    elif kind == "random":
        x = rng.normal(size=shape)
    return x


def network(rng, channels):
    """A graph of one to three blocks: a convolution, perhaps BatchNorm, something with kinks, perhaps a max pool."""
    nodes, last = {}, "input"
    biased = rng.random() < 0.5

    def add(layer, source):
        nodes[f"n{len(nodes) + 1}"] = (layer, source)
        return list(nodes)[-1]

    for _ in range(rng.integers(1, 4)):
        out, kernel = int(rng.integers(2, 5)), int(rng.choice([1, 3]))
        layer = Conv2d.init(channels, out, kernel, padding=kernel // 2, rng=rng)
        last = add(dataclasses.replace(layer, bias=rng.normal(size=out)) if biased else layer, last)
        channels = out
        if rng.random() < 0.4:
            last = add(BatchNorm2d.init(channels), last)
        kind = rng.choice(["relu", "relu6", "clip", "both signs", "fork"])
        if kind in ("relu", "relu6", "clip"):
            last = add({"relu": ReLU(), "relu6": ReLU6(), "clip": Clip(-0.5, 1.0)}[kind], last)
        elif kind == "fork":
            side = add(Conv2d.init(channels, channels, 1, rng=rng), add(ReLU(), last))
            last = add(ReLU(), add(Add(), (side, last)))
        else:
            last = both_signs(add, last, channels)
        if rng.random() < 0.5:
            size = int(rng.choice([2, 3]))
            pool = MaxPool2d(
                size, int(rng.choice([1, 2])), int(rng.integers(0, size // 2 + 1)), ceil_mode=True
            )
            last = add(pool, last)
    add(Flatten(), add(AdaptiveAvgPool2d(2), last) if rng.random() < 0.5 else last)
    return Graph(nodes)


def both_signs(add, last, channels):
    """relu(x) - relu(-x) = x: two kinks of which the output shows nothing."""
    minus = Conv2d(-np.eye(channels)[:, :, None, None], None)
    positive, negative = add(ReLU(), last), add(ReLU(), add(minus, last))
    return add(Add(), (positive, add(minus, negative)))


def planted(net, rng):
    """The network with a layer whose dx, or parameter gradients, are wrong: all by 0.1 %, or the largest by 1 %."""
    name = str(rng.choice(list(net.nodes)))
    layer, source = net.nodes[name]
    in_parameters = bool(layer.arrays()) and rng.random() < 0.5
    one = rng.random() < 0.5

    def spoil(array):
        array = np.array(array)
        if one:
            array.flat[np.abs(array).argmax()] *= 1.01
            return array
        return array * 1.001

    class Wrong(type(layer)):
        def backward(self, dy, cache):
            dx = super().backward(dy, cache)
            if in_parameters:
                return dx
            return tuple(map(spoil, dx)) if isinstance(dx, tuple) else spoil(dx)

        def parameter_gradients(self, dy, cache):
            gradients = super().parameter_gradients(dy, cache)
            return {k: spoil(v) for k, v in gradients.items()} if in_parameters else gradients

    fields = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
    return Graph({**net.nodes, name: (Wrong(**fields), source)})
