"""The score after a change of a few pixels, recomputing only the activations whose receptive field has changed.

In a layer with windows (kernel k, stride s, padding p), output j depends on the pixels j*s - p to j*s - p + k - 1. A
change of the pixels low to high - 1 therefore reaches the outputs from ceil((low + p - k + 1) / s) to
floor((high - 1 + p) / s) and no others; their other inputs are those of the clean pass. Before the first layer without
windows, such as global average pooling, the changed rectangle is put into the clean activation.
"""

import numpy as np

from npgrad._targets import scores
from npgrad.attribution._narrow import narrowed
from npgrad.layers import Sequential


class Rescoring:
    """The score of one image for one class: `clean`, or, called with a changed image, the score of that.

    x is (1, C, H, W), or of any shape (1, ...) for a network whose input is not an image.
    """

    def __init__(self, model, x, target):
        self._model, [self._target] = narrowed(model, [target])
        layers = _flat(self._model.network)
        self._x, self._stages = x, []
        while layers and x.ndim == 4 and (field := layers[0].receptive_field()):
            layer, *layers = layers
            y = layer(x)
            self._stages.append((layer, field, x, y.shape[2:]))
            x = y
        self._whole, self._rest = x, layers
        self.clean = self._score(x)

    def __call__(self, changed):
        differs = changed != self._x
        if not differs.any():
            return self.clean
        if not self._stages:
            return self._score(changed)
        place = [_span(differs.any(axis=(0, 1, 3))), _span(differs.any(axis=(0, 1, 2)))]
        pixels = _cut(changed, place)
        for layer, field, x, out in self._stages:
            sides = zip(place, x.shape[2:], out, *field, strict=True)
            reached, needed = zip(*(_reach(*side) for side in sides), strict=True)
            if any(first >= end for first, end in reached):
                return self.clean
            y = layer(_put(x, needed, place, pixels))
            offsets = [begin // stride for (begin, _), stride in zip(needed, field[1], strict=True)]
            pixels = _cut(y, [(a - o, b - o) for (a, b), o in zip(reached, offsets, strict=True)])
            place = reached
        return self._score(_put(self._whole, [(0, size) for size in self._whole.shape[2:]], place, pixels))

    def _score(self, x):
        for layer in self._rest:
            x = layer(x)
        return scores(self._model, x, self._target)[0]


def _span(marked):
    """(first, last + 1) of the indices where a vector is True."""
    found = np.flatnonzero(marked)
    return int(found[0]), int(found[-1]) + 1


def _reach(place, size, out, kernel, stride, padding):
    """Along one side: the outputs that a change of the pixels `place` reaches, and the pixels that those depend on."""
    low, high = place
    first = max(-((kernel - 1 - padding - low) // stride), 0)
    end = min((high - 1 + padding) // stride + 1, out)
    begin = max(first * stride - padding, 0) // stride * stride  # so that the windows keep their positions
    return (first, end), (begin, min((end - 1) * stride - padding + kernel, size))


def _cut(x, place):
    (top, bottom), (left, right) = place
    return x[:, :, top:bottom, left:right]


def _put(x, region, place, pixels):
    """The part `region` of x, with `pixels` at `place`."""
    if tuple(region) == tuple(place):
        return pixels
    part = np.copy(_cut(x, region))  # keeps the memory layout
    both = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(region, place, strict=True)]
    inside = [(a - c, b - c) for (a, b), (c, _) in zip(both, region, strict=True)]
    _cut(part, inside)[:] = _cut(pixels, [(a - c, b - c) for (a, b), (c, _) in zip(both, place, strict=True)])
    return part


def _flat(network):
    """The layers of a network in sequence, nested Sequentials flattened."""
    if not isinstance(network, Sequential):
        return [network]
    return [layer for part in network.layers.values() for layer in _flat(part)]
