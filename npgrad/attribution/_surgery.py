"""The upper part of a network, run on changed outputs of one of its layers."""

import numpy as np

from npgrad.tape import INPUT, Record, Tape


def run_to(model, x, layer):
    """A tape of x that has come to `layer`, and no further if it is a layer; "input" is one here, too."""
    return model.forward(x, upto=None if layer == INPUT else layer)


def onward(model, tape, layer, y):
    """The pass from `layer` on as if its output had been y: a Tape of len(y) images.

    tape: the pass of one image, at least up to `layer`. y: changed copies of what the layer put out
    there. What goes past the layer, as the other branch of a fork does, stays as it was. No layer that had
    finished before is run again, so backward can be asked for gradients from `layer` on.
    """
    return _Onward(model, tape, layer, y)


class _Onward(Tape):
    """A tape on which the outputs up to a layer are given, not computed."""

    def __init__(self, model, tape, layer, y):
        def copies(array):  # one image, seen len(y) times: a view
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
        return self.note(Record(name, layer, x, self._given[name], sources=self.origins.of(x)))
