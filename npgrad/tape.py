"""A tape is one forward pass, recorded; backward walks it from the last record to the first.

Take three layers, z = w * x, a = relu(z), y = sum of a, with x = (2, -3) and w = 5:

    scale     x = ( 2,  -3)  ->  z = (10, -15)         dx = w * dz       = (5, 0)
    relu      z = (10, -15)  ->  a = (10,   0)         dz = da * (z > 0) = (1, 0)
    sum       a = (10,   0)  ->  y =  10               da = (dy, dy)     = (1, 1)     from dy = 1

Forward runs down the rows and records, for each, the layer, its input, its output and the cache that the layer's
backward needs. Backward runs up the rows: each layer turns the gradient of its output into that of its input, which
is the output of the row above. An upstream gradient may enter at any row and is added to what arrives there, a rule
may replace a layer's own backward (guided backprop, LRP), and rows that lead to no wanted gradient are skipped.
A tape is a plain value; model and layers keep nothing. `_passes.py` has ``tape[name]``, parameter gradients and rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npgrad import _passes as passes
from npgrad._passes import INPUT, Records
from npgrad._typing import Array, Layers, Rng, Rules
from npgrad.errors import InputError
from npgrad.layers import Composite, Layer
from npgrad.layers.composite import Scope, add, naming


@dataclass(eq=False)
class Record:
    """One layer call.

    Attributes
    ----------
    name, layer, x, y, cache : str, Layer, ndarray, ndarray, object
        The call ``y, cache = layer.forward(x)``; x and y are None if not kept, cache is None for a composite.
    sources : tuple of str or None
        The records whose outputs are x; None where that is unknown.
    """

    name: str
    layer: Layer
    x: Any
    y: Array | None = None
    cache: Any = None
    sources: tuple[str, ...] | None = None
    __repr__ = passes.describe


class Tape(Records):
    """One forward pass of a network. `Model.forward` makes tapes and documents the parameters."""

    def __init__(self, network: Layer, x: Array, upto: str | None = None, training: bool = False, rng: Rng = None,
                 aliases: dict[str, str] | None = None, keep: Any = None):  # fmt: skip
        super().__init__(x, aliases, keep)
        self.network, self._upto, self._keep = network, upto, keep
        self._options = {"training": training, "rng": None if rng is None else np.random.default_rng(rng)}
        with passes.until_stopped():
            network.forward(x, self)

    def _repr_html_(self) -> str:
        from npgrad.display.tables import tape_html

        return tape_html(self)

    def run(self, name: str, layer: Layer, x: Any) -> Array:
        """Run one layer and record the call. Composites call this for their parts (`Calls.run`)."""
        if name in self.records:
            raise InputError(f"{name}: two layers of one network have this name")
        record = Record(name, layer, x, sources=self.origins.of(x))
        if isinstance(layer, Composite):
            self.unfinished[name] = record
            record.y, _ = layer.forward(x, Scope(self, name))
            del self.unfinished[name]
        else:
            with naming(name):
                options = self._options if layer.has_training_mode else {}
                record.y, record.cache = layer.forward(x, **options)
        return self._note(record)

    def _note(self, record: Record) -> Array:
        """Add a record to the tape and return its output; the pass ends after the record `upto`."""
        self.records[record.name], self.output = record, record.y
        self.origins.note(record)
        passes.forget(record, self._keep)
        if record.name == self._upto:
            raise passes.Stop
        return self.output

    def backward(self, dy: Any, rules: Rules = None, at: Layers = (INPUT,)) -> dict[str, Array]:
        """Gradients of the sum of ``dy * output`` with respect to the outputs of the layers `at`.

        Parameters
        ----------
        dy : ndarray or dict
            Upstream gradient at the last output; or {layer: upstream gradient at its output}.
        rules : dict or None
            {layer type or name: f(record, dy) -> dx}, used there in place of the layer's own backward; a name takes
            precedence over a type. A rule with ``per_sample = True`` treats every sample of a batch independently.
        at : str or sequence of str, default ("input",)
            Layers to compute the gradients at the outputs of; "input" is x.

        Returns
        -------
        dict of ndarray
            {name: gradient}, of the shape of that output; 0 where no upstream gradient arrives.

        Raises
        ------
        InputError, UnknownName
            An upstream gradient has the wrong shape; a name is not on the tape.
        """
        wanted = {name: self.resolve(name) for name in ((at,) if isinstance(at, str) else at)}
        walk = self._walk(dy, rules, set(wanted.values()), collect=lambda record, dy: dy)
        return {name: passes.completed(self, own, walk) for name, own in wanted.items()}

    def _walk(self, *what, **how):
        return Walk(self, *what, **how)


class Walk:
    """One backward walk over a tape; `results` has ``collect(record, dy)`` of the wanted records, and dx as "input"."""

    def __init__(self, tape, dy, rules, wanted, collect):
        self.tape, self.wanted, self.collect, self.results = tape, wanted, collect, {}
        self.upstream, self.rules = passes.checked_upstream(tape, dy), passes.RuleTable(tape, rules)
        self.leading = passes.leading_to(tape, wanted)
        # None: upstream gradients enter by name, in `back`, which the network's backward calls for each of its parts.
        self.results[INPUT] = add(tape.network.backward(None, self), self.upstream.get(INPUT))

    def back(self, name, dy, inputs=1):
        """Backpropagate through one layer: add its upstream gradient, collect, continue if anything below is wanted."""
        record = self.tape.records.get(name) or self.tape.unfinished.get(name)
        if record is None:  # the forward pass stopped before it
            return None if inputs == 1 else (None,) * inputs
        dy = add(dy, self.upstream.get(name))
        if dy is not None and name in self.wanted:
            self.results[name] = self.collect(record, dy)
        dx = self._through(record, dy) if name in self.leading else None
        return (None,) * len(record.x) if dx is None and isinstance(record.x, (tuple, list)) else dx

    def _through(self, record, dy):
        rule = self.rules.rule_for(record)
        if isinstance(record.layer, Composite):
            if rule is None or dy is None:  # with no gradient from above, only what enters inside counts
                return record.layer.backward(dy, Scope(self, record.name))
            passes.refuse_inside(record.name, [*self.upstream, *self.wanted])
        if dy is None:
            return None
        if rule is None:
            return record.layer.backward(dy, record.cache)
        return rule(replace(record, cache=self.tape.cache(record)), dy)
