"""Passes that go on from what was recorded, so that a difference in one layer shows in that layer alone.

Every layer gets the recorded output of the layer before it, and backward the recorded gradient, where there is one.
"""

from __future__ import annotations

import numpy as np

from npgrad.errors import InputError
from npgrad.layers import Composite
from npgrad.layers.composite import add
from npgrad.tape import INPUT, Record, Tape, Walk


class ForcedTape(Tape):
    """A forward pass in which ``judge(tape, record, failure)`` returns the output that the pass goes on with.

    The record's y is npgrad's own output, or None where the layer cannot take its input; failure then says why.
    """

    def __init__(self, network, x, judge, aliases=None, upto=None):
        self.judge = judge
        super().__init__(network, x, upto, aliases=aliases)

    def run(self, name, layer, x):
        try:
            return super().run(name, layer, x)
        except InputError as error:
            self.unfinished.pop(name, None)
            record = Record(name, layer, x, sources=self.origins.of(x))
            record.y = self.judge(self, record, error)
            if record.y is None:
                raise
            return super()._note(record)

    def _note(self, record):
        record.y = self.judge(self, record, None)
        return super()._note(record)

    def walk(self, gradients, judge):
        """Walk backward from recorded gradients {layer: array}; see `ForcedWalk`."""
        return ForcedWalk(self, gradients, judge)


class ForcedWalk(Walk):
    """A backward walk in which ``judge(name, dy)`` sees the gradient that arrives at each recorded output.

    `arrived` has the upstream gradient of every layer, `gave` the gradient of its input that its backward returned.
    """

    def __init__(self, tape, gradients, judge):
        self.gradients, self.judge, self.arrived, self.gave = gradients, judge, {}, {}
        super().__init__(tape, {}, None, {*gradients, INPUT}, lambda record, dy: None)
        self.dx = self.results[INPUT]

    def back(self, name, dy, inputs=1):
        if name in self.gradients:
            dy = self.gradients[name] if dy is None else self.judge(name, dy)
        if dy is not None:
            self.arrived[name] = dy
        dx = super().back(name, dy, inputs)
        if dy is not None and not isinstance(self.tape.records[name].layer, Composite):
            self.gave[name] = dx
        return dx

    def _through(self, record, dy):
        if dy is not None and record.cache is None and not isinstance(record.layer, Composite):
            record = self.tape.records[record.name]
            if record.cache is None and not _needs_none(record):  # the layer could not run
                return None if not isinstance(record.x, tuple) else (None,) * len(record.x)
        return super()._through(record, dy)


def _needs_none(record):
    """Whether the layer's cache is None by itself, as that of dropout is in inference mode."""
    try:
        return record.layer.forward(record.x)[1] is None
    except InputError:
        return False


def users_of(tape, name):
    """[(record, number of the input)] of the layers that take a layer's output."""
    y = tape.x if name == INPUT else tape.records[name].y
    found = []
    for record in tape:
        if not isinstance(record.layer, Composite):
            inputs = record.x if isinstance(record.x, (tuple, list)) else (record.x,)
            found += [(record, i) for i, x in enumerate(inputs) if x is y]
    return found


def summed(parts):
    """The gradient at a fork."""
    total = add(*parts)
    return None if total is None else np.asarray(total)
