"""The upper part of a network, run on modified outputs of one of its layers."""

import numpy as np

from npgrad._targets import scores
from npgrad.attribution._narrow import narrowed
from npgrad.tape import INPUT, Record, Tape


def run_to(model, x, layer):
    """A tape of x that ends at `layer`; the whole pass if `layer` is "input"."""
    return model.forward(x, upto=None if layer == INPUT else layer)


def outputs_at(model, x, layers):
    """{layer: its output} of several layers, from one pass."""
    if len(layers) == 1:
        return {layers[0]: run_to(model, x, layers[0])[layers[0]]}
    tape = model.forward(x, keep=layers)
    return {layer: tape[layer] for layer in layers}


def onward(model, tape, layer, y):
    """Run the network from `layer` on as if y had been its output: a Tape of len(y) images.

    tape: the pass of one image, at least up to `layer`. y: modified copies of the layer's output there. What bypasses
    the layer, such as the other branch of a fork, keeps its values. Layers before `layer` are not run again, so
    gradients are available from `layer` on.
    """
    return _Onward(model, tape, layer, y)


def score_from(model, tape, layer, target):
    """A function of modified outputs y of `layer`, as for `onward`, to the scores of one class (len(y),).

    Of the last layer with weights, only this class is computed, if that layer runs again.
    """
    small, [place] = narrowed(model, [target])
    if small is not model and layer != INPUT:
        parts = model.network.layers
        if any(name in tape for name, part in small.network.layers.items() if part is not parts[name]):
            small, place = model, target
    return lambda y: scores(small, onward(small, tape, layer, y).output, place)


class _Onward(Tape):
    """A tape on which the outputs up to a layer are given, not computed."""

    def __init__(self, model, tape, layer, y):
        def copies(array):  # one image repeated len(y) times, as a view
            return np.broadcast_to(array, (len(y), *array.shape[1:]))

        self._given = {layer: y}
        for record in tape:
            if layer in (INPUT, record.name):
                break
            self._given[record.name] = copies(record.y)
        super().__init__(model.network, y if layer == INPUT else copies(tape.x), aliases=model.aliases)

    def run(self, name, layer, x):
        if name not in self._given:
            return super().run(name, layer, x)
        return self._note(Record(name, layer, x, self._given[name], sources=self.origins.of(x)))
