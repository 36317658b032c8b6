"""The arguments of the checks: small networks with random weights, and random images.

The networks have the layers and names of SqueezeNet 1.1, but few channels, so that a check is fast. No score is 0
everywhere. The images of a batch differ in contrast and content, and no image's `y` is its top class.

`draw` chooses among draws of them: 0 are those of `check`, which everybody can see; a submission is graded with others.
"""

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from npgrad.course.grading._answer import NoExample
from npgrad.layers import Conv2d, Dropout, Fire, GlobalAvgPool2d, MaxPool2d, ReLU, Sequential
from npgrad.layers.base import he_normal
from npgrad.model import Model
from npgrad.models import squeezenet1_1

# channels of conv1, of a fire's squeeze convolution, and of each of its two expand convolutions
WIDTHS = {"A": (12, 6, 8), "B": (8, 5, 7)}
CLASSES = {"A": 6, "B": 5}
SEEDS = {"A": 2, "B": 28}
VARIED = 0.1  # how much the weights of another draw differ, relative to each


@dataclass(frozen=True, eq=False)
class Watched(Model):
    """A Model that records its inputs."""

    seen: list = field(default_factory=list)

    def __call__(self, x):
        self.seen.append(np.array(x))
        return super().__call__(x)

    def forward(self, x, *arguments, **options):
        self.seen.append(np.array(x))
        return super().forward(x, *arguments, **options)


def watched(model):
    """The model as a Watched one that has no inputs recorded yet."""
    return Watched(**{each.name: getattr(model, each.name) for each in dataclasses.fields(Model)})


def generator(draw, *seed):
    """The random generator for a draw; draw 0 has the seed alone."""
    return np.random.default_rng([draw, *seed] if draw else seed[0])


@lru_cache(maxsize=16)
def network(name, dtype="float64", draw=0):
    """The network "A", "B" or "C"."""
    if name == "C":
        return _one_layer(draw).astype(dtype)
    return _drawn(name, draw).astype(dtype)


@lru_cache(maxsize=8)
def _drawn(name, draw):
    model = _squeezenet(name)
    if not draw:
        return _balanced(model)
    for attempt in range(50):
        rng = generator(draw, SEEDS[name], attempt)
        changed = {
            key: w * (1 + VARIED * rng.standard_normal(w.shape)) for key, w in model.parameters().items()
        }
        drawn = _balanced(model.with_parameters(changed))
        found = _evidence(drawn, images(4, 64, 64, draw=draw))
        if (found.sum(axis=1) >= 3).sum() >= 3:  # in some drawn networks hardly anything supports a class
            return drawn
    raise NoExample(f"draw {draw}: no network with positive evidence for a class")


def _squeezenet(name):
    rng, classes = np.random.default_rng(SEEDS[name]), CLASSES[name]
    first, squeeze, expand = WIDTHS[name]

    def conv(channels, filters, kernel, **options):
        bias = 0.1 * rng.standard_normal(filters)
        return Conv2d(he_normal((filters, channels, kernel, kernel), rng), bias, **options)

    layers = {"conv1": conv(3, first, 3, stride=2), "relu1": ReLU(), "pool1": _pool()}
    channels = first
    for i in range(2, 10):
        layers[f"fire{i}"] = Fire(
            conv(channels, squeeze, 1), conv(squeeze, expand, 1), conv(squeeze, expand, 3, padding=1)
        )
        channels = 2 * expand
        if i in (3, 5):
            layers[f"pool{i}"] = _pool()
    layers["drop9"] = Dropout(0.5)
    layers["conv10"] = conv(channels, classes, 1)
    layers["relu10"], layers["pool10"] = ReLU(), GlobalAvgPool2d()
    return Model(Sequential(layers), aliases=squeezenet1_1(num_classes=1).aliases).astype("float64")


def _one_layer(draw):
    """One convolution for four classes: convex, so that any ascent increases its scores.

    Its scores are as large as a real network's, so that the L2 regularization of class visualization does not dominate.
    """
    rng = generator(draw, 5)
    weight = he_normal((4, 3, 5, 5), rng)
    conv1 = Conv2d(300 * (weight - weight.mean(axis=(1, 2, 3), keepdims=True)), 30 * rng.standard_normal(4))
    return Model(Sequential({"conv1": conv1, "relu1": ReLU(), "pool10": GlobalAvgPool2d()}))


def _balanced(model):
    """The model with conv10 scaled so that no class always wins, and relu10 is active in some places, but not all."""
    y = model.forward(images(8, 64, 64), upto="conv10")["conv10"]
    weight, bias = (model.parameters()[f"conv10.{key}"] for key in ("weight", "bias"))
    mean, spread = y.mean(axis=(0, 2, 3)), 2 * y.std(axis=(0, 2, 3))
    changed = {
        "conv10.weight": weight / spread[:, None, None, None],
        "conv10.bias": (bias - mean) / spread + 0.5,
    }
    return model.with_parameters(changed)


def _pool():
    return MaxPool2d(3, stride=2, ceil_mode=True)


def images(n, height, width, seed=0, dtype="float64", draw=0):
    """n images (n, 3, height, width) of random blocks and noise, each with another contrast."""
    rng = generator(draw, seed)
    blocks = rng.standard_normal((n, 3, height // 8 + 1, width // 8 + 1)).repeat(8, axis=2).repeat(8, axis=3)
    blocks = blocks[:, :, :height, :width]
    noise = rng.standard_normal((n, 3, height, width))
    contrast = np.linspace(1.2, 0.6, n).reshape(-1, 1, 1, 1)
    return (contrast * (blocks + 0.3 * noise)).astype(dtype)


def others(model, X):
    """For each image a class that is not its top class, y (N,): one for the even images, another for the odd ones.

    So one class occurs twice in a batch of three, and mixing images differs from mixing classes.
    """
    top, y = model(X).argmax(axis=1), np.zeros(len(X), int)
    for part in (slice(0, None, 2), slice(1, None, 2)):
        taken = {*top[part], *y[: 1 if part.start else 0]}
        y[part] = next(k for k in range(model.num_classes) if k not in taken)
    return y


def cases(sizes=((72, 56), (56, 72), (64, 64), (48, 64)), draw=0):
    """({X, y, model}, the case in words) for four calls: two networks, a batch and one image, two dtypes."""
    kinds = [("A", 3, "float64"), ("B", 3, "float32"), ("B", 1, "float64"), ("A", 1, "float32")]
    for (name, n, dtype), size in zip(kinds, sizes, strict=True):
        model, X, y = _case(name, n, dtype, size, draw)
        where = f"{n} image{'s' if n > 1 else ''} of {size[0]} x {size[1]} px, {dtype}, random network {name}"
        yield {"X": X, "y": y, "model": model}, where


@lru_cache(maxsize=16)
def _case(name, n, dtype, size, draw):
    """The network, images and classes of a case; in any draw, no image's Grad-CAM is 0 everywhere."""
    model = network(name, dtype, draw)
    for attempt in range(50):
        X = images(n, *size, seed=n + 100 * attempt, dtype=dtype, draw=draw)
        if not draw:
            return model, X, others(model, X)
        good = _evidence(model, X)
        good[model(X).argmax(axis=1), np.arange(n)] = False
        even, odd = (
            np.flatnonzero(good[:, part].all(axis=1)) for part in (slice(0, None, 2), slice(1, None, 2))
        )
        for first, second in ((k, m) for k in even for m in odd if k != m):
            y = np.full(n, first)
            y[1::2] = second
            return model, X, y
    raise NoExample(f"draw {draw}: no images with positive evidence for a class")


def _evidence(model, X):
    """Whether Grad-CAM at fire9 is clearly positive somewhere, for each class and image (K, N)."""
    tape, found = model.forward(X), []
    A = tape["fire9"]
    for k in range(model.num_classes):
        dy = np.zeros_like(tape.output)
        dy[:, k] = 1
        dA = tape.backward(dy, at=("fire9",))["fire9"]
        maps = (dA.mean(axis=(2, 3), keepdims=True) * A).sum(axis=1)
        found.append(maps.max(axis=(1, 2)) > 0.1 * np.abs(maps).max(axis=(1, 2)))
    return np.array(found)
