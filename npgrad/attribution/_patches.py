"""The score after a change of a few pixels, recomputing only the activations whose receptive field has changed.

In a layer with windows (kernel k, stride s, padding p), output j depends on the pixels j*s - p to j*s - p + k - 1. A
change of the pixels low to high - 1 therefore reaches the outputs from ceil((low + p - k + 1) / s) to
floor((high - 1 + p) / s) and no others; their other inputs are those of the clean pass. Where several such outputs are
added or concatenated, the rectangle around all of them has changed. Before a layer without windows, such as global
average pooling, the changed rectangle is put into the clean activation. What a change does not reach keeps its values.
"""

import math

import numpy as np

from npgrad._targets import scores
from npgrad.attribution._narrow import narrowed
from npgrad.layers import Add, Concat, Graph, Sequential, Subtract
from npgrad.layers.base import PIXEL

INPUT = "input"
PART = 0.85  # of a map; with more, all of it is computed, which takes fewer copies
PIXELWISE = (Add, Concat, Subtract)


class Rescoring:
    """The score of one image for one class: `clean`, or, called with a changed image, the score of that.

    x is (1, C, H, W), or of any shape (1, ...) for a network whose input is not an image.
    """

    def __init__(self, model, x, target):
        self._model, [self._target] = narrowed(model, [target])
        self._y = {INPUT: x}  # the clean outputs
        self._nodes = _in_order(self._model.network, INPUT)
        self._fields = {}  # of the layers that can be computed for a part of the image
        for name, layer, source in self._nodes:
            inputs = [self._y[one] for one in _several(source)]
            self._y[name] = _run(layer, source, inputs)
            if field := _field(layer, inputs):
                self._fields[name] = field
        self.clean = self._score(self._y[self._nodes[-1][0]])

    def __call__(self, changed):
        differs = changed != self._y[INPUT]
        if not differs.any():
            return self.clean
        if changed.ndim == 4:
            place = [_span(differs.any(axis=(0, 1, 3))), _span(differs.any(axis=(0, 1, 2)))]
            found = {
                INPUT: (place, _cut(changed, place))
            }  # {layer: (what has changed, or None for all, its pixels)}
        else:
            found = {INPUT: (None, changed)}
        for name, layer, source in self._nodes:
            changes = [found[one] for one in _several(source) if one in found]
            if not changes:
                continue
            if name in self._fields and all(place is not None for place, _ in changes):
                reached, needed = self._reached(name, source, [place for place, _ in changes])
                if any(first >= end for first, end in reached):
                    continue  # the change is between the windows
                if _area(needed) < PART * math.prod(self._y[_several(source)[0]].shape[2:]):
                    found[name] = reached, self._part(name, layer, source, reached, needed, found)
                    continue
            found[name] = None, _run(layer, source, [self._all_of(one, found) for one in _several(source)])
        last = self._nodes[-1][0]
        return self._score(self._all_of(last, found)) if last in found else self.clean

    def _reached(self, name, source, places):
        """The outputs of a layer with windows that changes reach, and the pixels of its inputs that those depend on."""
        place = [
            (min(low for low, _ in side), max(high for _, high in side)) for side in zip(*places, strict=True)
        ]
        sizes = self._y[_several(source)[0]].shape[2:], self._y[name].shape[2:]
        sides = zip(place, *sizes, *self._fields[name], strict=True)
        return zip(*(_reach(*side) for side in sides), strict=True)

    def _part(self, name, layer, source, reached, needed, found):
        """The values of the outputs `reached`."""
        y = _run(layer, source, [self._region_of(one, needed, found) for one in _several(source)])
        strides = self._fields[name][1]
        offsets = [begin // stride for (begin, _), stride in zip(needed, strides, strict=True)]
        return _cut(y, [(a - o, b - o) for (a, b), o in zip(reached, offsets, strict=True)])

    def _region_of(self, name, region, found):
        return _put(self._y[name], region, *found[name]) if name in found else _cut(self._y[name], region)

    def _all_of(self, name, found):
        clean = self._y[name]
        if name not in found:
            return clean
        place, y = found[name]
        return y if place is None else _put(clean, [(0, size) for size in clean.shape[2:]], place, y)

    def _score(self, y):
        return scores(self._model, y, self._target)[0]


def _span(marked):
    """(first, last + 1) of the indices where a vector is True."""
    found = np.flatnonzero(marked)
    return int(found[0]), int(found[-1]) + 1


def _area(place):
    return math.prod(end - begin for begin, end in place)


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


def _run(layer, source, inputs):
    return layer(tuple(inputs) if isinstance(source, tuple) else inputs[0])


def _field(layer, inputs):
    """The receptive field of a layer with windows on images of one size, or None."""
    if any(x.ndim != 4 or x.shape[2:] != inputs[0].shape[2:] for x in inputs):
        return None
    if isinstance(layer, PIXELWISE):
        return PIXEL if getattr(layer, "axis", 1) == 1 else None
    return layer.receptive_field() if len(inputs) == 1 else None


def _in_order(network, source, prefix=""):
    """[(name, layer, source or tuple of sources)]: sequences and graphs, nested ones too, as one graph."""
    if not isinstance(network, (Sequential, Graph)):
        return [("network", network, source)]
    nodes, ends = [], {INPUT: source}
    for name, part in network.parts().items():
        given = source
        if isinstance(network, Graph):
            given = network.nodes[name][1]
            given = tuple(ends[one] for one in given) if isinstance(given, tuple) else ends[given]
        flat = isinstance(part, (Sequential, Graph)) and not isinstance(given, tuple)
        nodes += _in_order(part, given, f"{prefix}{name}.") if flat else [(prefix + name, part, given)]
        source = ends[name] = nodes[-1][0]
    return nodes


def _several(source):
    return source if isinstance(source, tuple) else (source,)
