"""GELU and LayerNorm where a file spells them out by simpler operators, as exporters do before opsets 20 and 17.

A step that no layer computes by itself, such as Erf, is a `Step` in the place of a layer. The product or quotient that
completes the formula becomes the layer, and takes the formula's input, so that the network does not need the steps. A
step that it still needs is refused.
"""

import dataclasses
import math

import numpy as np

from npgrad.errors import WeightsError
from npgrad.layers import GELU, Affine, LayerNorm


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a formula: its name, what it is refused with by itself, the axes of a mean, the factor of a GELU."""

    name: str
    refusal: WeightsError
    axes: tuple[int, ...] = ()
    factor: float = 1.0


def step(name, expected):
    """A builder of a step that is made of one value."""

    def build(node):
        return Step(name, node.refuse(f"expected {expected}")), node.value(), node.shape()

    return build


def power(node):
    """A square, in the variance of a LayerNorm."""
    exponent = node.constant(1)
    refusal = node.refuse("expected the square in a LayerNorm, found another power")
    if exponent.size != 1 or exponent.ndim > 1 + len(node.shape()) or exponent.item() != 2:
        raise refusal
    return Step("square", refusal), node.value(), node.shape()


def deviation(node):
    """The Step of a difference of a value and its mean, or None."""
    mean, (source, *_) = _made(node, node.value(1))
    if not _is(mean, "mean") or not node.reading.same_value(source, node.value()):
        return None
    refusal = node.refuse("expected the difference of a value and its mean in a LayerNorm only")
    return dataclasses.replace(mean, name="deviation", refusal=refusal)


def square(node):
    """The Step of a deviation times itself, or None."""
    layer, _ = _made(node, node.value(0))
    if not _is(layer, "deviation") or not node.reading.same_value(node.value(0), node.value(1)):
        return None
    return Step("square", node.refuse("expected a square in a LayerNorm only"))


def layer_norm(node):
    """(x - mean) / sqrt(mean((x - mean)^2) + eps): (LayerNorm, x), or None."""
    top, (x, *_) = _made(node, node.value(0))
    values, found = [node.value(1)], []
    for _ in range(5):
        layer, sources = _made(node, values[-1])
        found.append(layer)
        values.append(sources[0])
    root, variance, mean, squared, below = found
    if not (_is(root, "root") and _is(mean, "mean") and _is(squared, "square") and _is(below, "deviation")):
        return None
    if not (
        _is(top, "deviation") and node.reading.same_value(x, values[-1]) and _scalars(variance)[:1] == (1,)
    ):
        return None
    rank, block = 1 + len(node.shape()), node.shape(0)[top.axes[0] - 1 :]
    channels = top.axes == (1,) and rank > 2
    block = block[:1] if channels else block
    trailing = top.axes == tuple(range(top.axes[0], rank))
    if mean.axes != top.axes or below.axes != top.axes or not (channels or trailing) or len(block) > 3:
        return None
    if not all(isinstance(size, int) for size in block):
        return None
    return LayerNorm(np.ones(block, np.float32), None, variance.shift, channels), x


def gelu(node):
    """x * (1 + erf(x / sqrt(2))), and a factor of it: (layer or Step, x), or None."""
    for one, other in ((0, 1), (1, 0)):
        for outer, value in _scaled(node, node.value(one)):
            added, (erf, *_) = _made(node, value)
            if _scalars(added) != (1, 1) or not _is(_made(node, erf)[0], "erf"):
                continue
            for inner, x in _scaled(node, _made(node, erf)[1][0]):
                for factor, again in _scaled(node, node.value(other)):
                    if node.reading.same_value(x, again) and math.isclose(
                        inner * math.sqrt(2), 1, rel_tol=1e-6
                    ):
                        return _times(node, 2 * outer * factor), x
    return None


def scaled_gelu(node, constant):
    """A GELU with the factor 2 times a constant: (layer or Step, x), or None."""
    layer, (x, *_) = _made(node, node.value(0 if node.is_constant(1) else 1))
    if not _is(layer, "gelu") or np.ndim(constant):
        return None
    return _times(node, layer.factor * constant), x


def _times(node, factor):
    if factor == 1:
        return GELU()
    return Step(
        "gelu",
        node.refuse(f"expected a GELU, x / 2 * (1 + erf(x / sqrt(2))), found {factor:g} of it"),
        (),
        factor,
    )


def _made(node, value):
    """(the layer or step that computes a value, the values that it takes); (None, (None,)) for the input."""
    return node.reading.made(value)


def _scaled(node, value):
    """(1, value), and (factor, what it is the factor of) if a constant multiplies there."""
    yield 1.0, value
    layer, (source, *_) = _made(node, value)
    factor, shift = _scalars(layer) or (1, 1)
    if shift == 0:
        yield factor, source


def _scalars(layer):
    """(scale, shift) of an Affine with numbers, or ()."""
    known = isinstance(layer, Affine) and not np.ndim(layer.scale) and not np.ndim(layer.shift)
    return (layer.scale, layer.shift) if known else ()


def _is(layer, name):
    return isinstance(layer, Step) and layer.name == name
