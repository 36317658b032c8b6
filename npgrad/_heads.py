"""What the last layers of a network say about its outputs: their kind and number, and the network without a Softmax."""

from __future__ import annotations

import numpy as np

from npgrad.layers import (
    AdaptiveAvgPool2d,
    Affine,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from npgrad.layers.elementwise import Elementwise

FINAL = {  # a final layer, by the name of its class: (kind of its outputs, kind of its inputs)
    "Softmax": ("probabilities", "logits"),
    "LogSoftmax": ("log-probabilities", "logits"),
    "Sigmoid": ("probabilities", "scores"),
}
IDENTITY = Dropout(0.0)  # takes the place of a final layer, so that every name remains valid
# one output channel for each of the input
PER_CHANNEL = (Affine, AvgPool2d, BatchNorm2d, Clip, Dropout, Elementwise, MaxPool2d, ReLU)
GLOBAL = (AdaptiveAvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d)


def final_activation(network: Layer) -> tuple[str, str] | None:
    """Return name and type of the Softmax, LogSoftmax or Sigmoid that makes the outputs, or None.

    Parameters
    ----------
    network : Layer

    Returns
    -------
    (str, str) or None
        The layer's name, and the name of its class.
    """
    for name, layer in _from_the_end(network):
        if type(layer).__name__ in FINAL:
            return name, type(layer).__name__
        if not isinstance(layer, (Flatten, Dropout)):
            break
    return None


def kind_of(network: Layer) -> str:
    """Return the kind of a network's outputs, as far as its layers say it.

    Parameters
    ----------
    network : Layer

    Returns
    -------
    str
        One of `KINDS`, but not "value" and not "features".
    """
    if found := final_activation(network):
        return FINAL[found[1]][0]
    layers = (
        layer for _, layer in _from_the_end(network) if not isinstance(layer, (Flatten, Dropout, *GLOBAL))
    )
    last = next(layers, None)
    if type(last).__name__ == "Softmax" and getattr(last, "axis", 1) == 1:
        return "probabilities"  # the mean of the probabilities at every pixel
    return "scores" if output_count(network) == 1 else "logits"


def output_count(network: Layer) -> int | None:
    """Return the number of outputs of an image, if the last layers say it.

    Parameters
    ----------
    network : Layer

    Returns
    -------
    int or None
    """
    count, flattened = None, False
    for _, layer in _from_the_end(network):
        if isinstance(layer, (Linear, Conv2d)):
            count = count or len(layer.weight)
        elif isinstance(layer, Affine) and np.ndim(layer.scale):
            count = count or len(layer.scale)
        elif isinstance(layer, Flatten):
            flattened = True  # with more than one pixel, there are several outputs of each channel
        elif isinstance(layer, GLOBAL):
            flattened = flattened and getattr(layer, "output_size", (1, 1)) != (1, 1)
        elif not isinstance(layer, PER_CHANNEL) and type(layer).__name__ not in FINAL:
            break
        if count and (not flattened or isinstance(layer, Linear)):
            return count
    return None


def _from_the_end(network, name=""):
    """(name, layer) of the layers that make the outputs, the last first, as long as each has one input."""
    if isinstance(network, Sequential):
        chain = reversed(network.layers)
    elif isinstance(network, Graph):
        chain, source = [], next(reversed(network.nodes))
        while isinstance(source, str) and source != "input":
            chain.append(source)
            source = network.nodes[source][1]
    else:
        yield name, network
        return
    for part in chain:
        yield from _from_the_end(network.parts()[part], f"{name}.{part}" if name else part)


def with_layer(network, name, layer):
    """The network with another layer under a name."""
    parts = network.parts()
    own = name if name in parts else next(part for part in parts if name.startswith(f"{part}."))
    inner = layer if own == name else with_layer(parts[own], name.removeprefix(f"{own}."), layer)
    return network.with_parts({**parts, own: inner})
