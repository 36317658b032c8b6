"""The same layer computed otherwise: each alternative is a layer itself, so that it predicts outputs and gradients.

`layers_otherwise` makes (kind, text, layer) for what frameworks and conversions do differently, the usual first.
"""

import dataclasses
import itertools
from functools import singledispatch

import numpy as np

from npgrad import layers as ls
from npgrad._compare.stand_ins import Fixed, InARow, Reordered, Training, Weighted
from npgrad._compare.weights import weights_otherwise
from npgrad._compare.windows import pads_otherwise, windows_otherwise
from npgrad.layers.elementwise import Elementwise
from npgrad.layers.standardizing import Standardizing

EPSILONS = (1e-3, 1e-5, 1e-6, 1e-4, 1e-2, 1e-7, 1e-8, 1e-12, 2e-5, 0.0)
DEFAULTS = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}


@singledispatch
def layers_otherwise(layer, x, recorded):
    """Yield (kind, text, layer) for a layer, its input, and what was recorded of its output."""
    yield from ()


@layers_otherwise.register
def _conv(layer: ls.Conv2d, x, recorded):
    yield from pads_otherwise(layer, x)
    yield from windows_otherwise(layer)
    if layer.bias is not None:
        yield "bias", "the bias is not added", dataclasses.replace(layer, bias=None)
    for kind, text, weight in weights_otherwise(np.asarray(layer.weight)):
        yield kind, text, dataclasses.replace(layer, weight=weight)
    if layer.bias is not None:
        yield "channel order", "the bias is reversed", dataclasses.replace(layer, bias=layer.bias[::-1])


@layers_otherwise.register
def _linear(layer: ls.Linear, x, recorded):
    if layer.bias is not None:
        yield "bias", "the bias is not added", dataclasses.replace(layer, bias=None)
    weight = np.asarray(layer.weight)
    for text, moved in (
        ("the weight is read as (in, out) without transposing it", weight.T.reshape(weight.shape)),
        ("the weight (in, out) is read as (out, in)", weight.reshape(weight.shape[::-1]).T),
    ):
        yield "weight layout", text, dataclasses.replace(layer, weight=moved)
    for side in range(2, int(weight.shape[1] ** 0.5) + 1):
        if weight.shape[1] % side**2 == 0:
            images = weight.reshape(len(weight), -1, side, side)
            moved = images.transpose(0, 2, 3, 1).reshape(weight.shape)
            text = f"the input is flattened in the order (H, W, C), for {side}x{side} px"
            yield "channel order", text, dataclasses.replace(layer, weight=moved)
            back = weight.reshape(len(weight), side, side, -1).transpose(0, 3, 1, 2).reshape(weight.shape)
            text = f"the weight expects an input flattened in the order (H, W, C), for {side}x{side} px"
            yield "channel order", text, dataclasses.replace(layer, weight=back)
    for text, moved in (("inputs", weight[:, ::-1]), ("outputs", weight[::-1])):
        yield "channel order", f"the weight's {text} are reversed", dataclasses.replace(layer, weight=moved)


@layers_otherwise.register
def _batch_norm(layer: ls.BatchNorm2d, x, recorded):
    yield (
        "training mode",
        "BatchNorm is in training mode: the samples of the batch depend on each other",
        Training(layer),
    )
    yield from _epsilons(layer)
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: getattr(layer, name) for name in names}
    for name, array in arrays.items():
        default = np.full_like(array, DEFAULTS[name])
        yield (
            "parameters",
            f"{name} is not loaded: {DEFAULTS[name]:g}",
            dataclasses.replace(layer, **{name: default}),
        )
    for one, other in itertools.combinations(names, 2):
        swapped = {one: arrays[other], other: arrays[one]}
        if (swapped.get("running_var", layer.running_var) >= 0).all():
            yield "parameters", f"{one} and {other} are exchanged", dataclasses.replace(layer, **swapped)
    squared = dataclasses.replace(layer, running_var=layer.running_var**2)
    yield "parameters", "the running variance is taken for the standard deviation", squared
    rooted = dataclasses.replace(layer, running_var=np.sqrt(layer.running_var))
    yield "parameters", "the running standard deviation is taken for the variance", rooted
    fresh = {name: np.full_like(array, DEFAULTS[name]) for name, array in arrays.items()}
    yield "parameters", "its weights and statistics are not loaded", dataclasses.replace(layer, **fresh)
    if (eps := solved_epsilon(layer, x, recorded)) is not None:
        yield "epsilon", f"eps is {eps:.4g}, npgrad's {layer.eps:g}", dataclasses.replace(layer, eps=eps)


def solved_epsilon(layer, x, recorded):
    """The eps with which the recorded output is that of the same statistics; None if there is none."""
    if np.shape(x) != recorded.shape:
        return None
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    shape = (-1, *(1,) * (x.ndim - 2))
    centered = (x - layer.running_mean.reshape(shape)) * layer.weight.reshape(shape)
    power = (centered * centered).sum(axis=axes)
    slope = ((recorded - layer.bias.reshape(shape)) * centered).sum(axis=axes)
    channel = int(np.argmax(np.where(slope > 0, power / (layer.running_var + 1e-30), 0)))
    if slope[channel] <= 0 or power[channel] <= 0:
        return None
    eps = float((power[channel] / slope[channel]) ** 2 - layer.running_var[channel])
    return eps if 0 <= eps < 1e3 else None


def _epsilons(layer):
    for eps in EPSILONS:
        if eps != layer.eps:
            yield "epsilon", f"eps is {eps:g}, npgrad's {layer.eps:g}", dataclasses.replace(layer, eps=eps)


@layers_otherwise.register
def _standardizing(layer: Standardizing, x, recorded):
    yield from _epsilons(layer)
    if hasattr(layer, "groups"):
        for groups in (1, 2, 4, 8, 16, 32, x.shape[1]):
            if x.shape[1] % groups == 0 and groups != layer.groups:
                yield (
                    "groups",
                    f"{groups} groups, npgrad's {layer.groups}",
                    dataclasses.replace(layer, groups=groups),
                )
    for name in layer.arrays():
        yield (
            "parameters",
            f"{name} is not used",
            dataclasses.replace(layer, **{name: None})
            if name == "bias"
            else (dataclasses.replace(layer, weight=np.ones_like(layer.weight))),
        )


@layers_otherwise.register
def _response_norm(layer: ls.LocalResponseNorm, x, recorded):
    for text, alpha in (
        ("alpha is not divided by size, as in TensorFlow", layer.alpha * layer.size),
        ("alpha is divided by size twice", layer.alpha / layer.size),
    ):
        yield "parameters", text, dataclasses.replace(layer, alpha=alpha)
    for k in (1.0, 2.0):
        if k != layer.k:
            yield "parameters", f"k is {k:g}, npgrad's {layer.k:g}", dataclasses.replace(layer, k=k)


@layers_otherwise.register
def _pool(layer: ls.MaxPool2d, x, recorded):
    yield from windows_otherwise(layer)
    yield from pads_otherwise(layer, x)
    for text, average in average_pools(layer):
        yield "pooling", text, average


@layers_otherwise.register
def _average(layer: ls.AvgPool2d, x, recorded):
    other = not layer.count_include_pad
    text = f"the zeros of the padding {'count' if other else 'do not count'} in the mean"
    yield "padding", text, dataclasses.replace(layer, count_include_pad=other)
    yield from windows_otherwise(layer)
    yield from pads_otherwise(layer, x)
    options = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "ceil_mode")}
    yield "pooling", "the maximum in place of the mean", ls.MaxPool2d(**options)


def average_pools(layer):
    """The average pools of a max pool's window."""
    options = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "ceil_mode")}
    if layer.dilation == (1, 1):
        for count in (True, False):
            yield "the mean in place of the maximum", ls.AvgPool2d(**options, count_include_pad=count)


@layers_otherwise.register(ls.GlobalAvgPool2d)
@layers_otherwise.register(ls.AdaptiveAvgPool2d)
def _global(layer, x, recorded):
    if x.ndim == 4:
        flat = () if isinstance(layer, ls.AdaptiveAvgPool2d) else (ls.Flatten(),)
        yield "pooling", "the maximum in place of the mean", InARow(ls.MaxPool2d(x.shape[2:]), *flat)
        text = "the sum in place of the mean"
        yield "pooling", text, InARow(layer, ls.Affine(float(np.prod(x.shape[2:]))))


@layers_otherwise.register
def _upsample(layer: ls.Upsample, x, recorded):
    for mode, align in (("bilinear", False), ("bilinear", True), ("nearest", False)):
        if (mode, align) != (layer.mode, layer.align_corners):
            kind = "align corners" if mode == layer.mode else "interpolation"
            text = f"mode {mode}" + (f", align_corners={align}" if mode == "bilinear" else "")
            yield kind, text, dataclasses.replace(layer, mode=mode, align_corners=align)


@layers_otherwise.register
def _dropout(layer: ls.Dropout, x, recorded):
    if np.shape(x) == recorded.shape:
        kept = recorded != 0
        share = np.count_nonzero(kept & (x != 0)) / max(np.count_nonzero(x), 1)
        if 0 < share < 1:
            keep = float(np.median(x[kept & (x != 0)] / recorded[kept & (x != 0)]))
            text = f"dropout is on: {1 - share:.0%} of the values are 0, the others divided by {keep:.3g}"
            yield "dropout", text, Fixed(kept / keep)


@layers_otherwise.register(ls.ReLU)
@layers_otherwise.register(ls.Clip)
@layers_otherwise.register(Elementwise)
def _activation(layer, x, recorded):
    others = [
        ls.ReLU(),
        ls.ReLU6(),
        *(ls.LeakyReLU(slope) for slope in (0.01, 0.1, 0.2, 0.3)),
        ls.ELU(),
        ls.SELU(),
    ]
    others += [
        ls.SiLU(),
        ls.GELU(),
        ls.GELU("tanh"),
        ls.HardSwish(),
        ls.HardSigmoid(),
        ls.HardSigmoid(0.2, 0.5),
    ]
    others += [ls.Mish(), ls.Sigmoid(), ls.Tanh(), ls.Softplus()]
    if np.shape(x) == recorded.shape and (negative := x < 0).any():
        slope = float((recorded * x)[negative].sum() / (x * x)[negative].sum())
        others.append(ls.LeakyReLU(slope))
    for other in others:
        if repr(other) != repr(layer):
            yield "activation", f"{other!r} in place of {layer!r}", other


@layers_otherwise.register
def _softmax(layer: ls.Softmax, x, recorded):
    other = ls.Softmax(layer.axis) if isinstance(layer, ls.LogSoftmax) else ls.LogSoftmax(layer.axis)
    yield "activation", f"{type(other).__name__} in place of {type(layer).__name__}", other
    for axis in range(1, np.ndim(x)):
        if axis != layer.axis:
            yield "axis", f"along axis {axis}, npgrad's along {layer.axis}", type(layer)(axis)


@layers_otherwise.register
def _shuffle(layer: ls.ChannelShuffle, x, recorded):
    yield "channel order", "the groups are exchanged", ls.ChannelShuffle(x.shape[1] // layer.groups)


@layers_otherwise.register
def _add(layer: ls.Add, x, recorded):
    for i in range(len(x)):
        weights = [float(one == i) for one in range(len(x))]
        yield (
            "fork branch",
            f"the output is input {i} of {len(x)} alone: a branch is missing",
            Weighted(weights),
        )
    for i in range(len(x)):
        weights = [-1.0 if one == i else 1.0 for one in range(len(x))]
        yield "fork branch", f"input {i} of {len(x)} is subtracted, not added", Weighted(weights)
    mean = [1 / len(x)] * len(x)
    yield "fork branch", "the mean of the inputs, not their sum", Weighted(mean)
    if len(x) == 2:
        yield "fork branch", "the product of the inputs, not their sum", ls.Multiply()
        if np.shape(x[0]) == recorded.shape:
            a, b = (float(one) for one in _shares(x, recorded))
            yield "fork branch", f"the inputs are weighted {a:.4g} and {b:.4g} in the sum", Weighted([a, b])


def _shares(x, recorded):
    return np.linalg.lstsq(np.stack([np.ravel(one) for one in x], axis=1), recorded.ravel(), rcond=None)[0]


@layers_otherwise.register
def _concat(layer: ls.Concat, x, recorded):
    for order in itertools.permutations(range(len(x))) if len(x) < 6 else ():
        if list(order) != sorted(order):
            yield "channel order", f"the inputs are joined in the order {order}", Reordered(layer, order)
