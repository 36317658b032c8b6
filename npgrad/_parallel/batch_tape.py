"""The tape of a batch that was processed in parts, on all cores."""

import functools

import numpy as np

from npgrad import _passes as passes
from npgrad._parallel import threads
from npgrad.tape import Tape


class BatchTape(Tape):
    """A Tape made of tapes, `parts`, each of a few samples; it behaves like one Tape of the whole batch.

    Where the whole is needed, for `records` or for a rule that is not `per_sample`, the batch goes through the
    network once more, in one piece.
    """

    parts = ()

    def __init__(self, run, x, rows):
        """run: a function x -> Tape. rows: the slices of x."""
        self.x = x
        self._run, self._rows = run, rows
        self.parts = tuple(threads.thread_map(lambda part: run(x[part]), rows))

    @functools.cached_property
    def whole(self):
        """The same pass in one piece."""
        return self._run(self.x)

    @property
    def records(self):
        return self.whole.records

    @property
    def output(self):
        return np.concatenate([part.output for part in self.parts])

    def __getitem__(self, name):
        if self.resolve(name) == passes.INPUT:
            return self.x
        return np.concatenate([part[name] for part in self.parts])

    def resolve(self, name):
        return self.parts[0].resolve(name)

    def backward(self, dy, rules=None, at=(passes.INPUT,)):
        if not all(getattr(rule, "per_sample", False) for rule in (rules or {}).values()):
            return self.whole.backward(dy, rules, at)
        found = self._each_part(lambda part, dy: part.backward(dy, rules, at), dy)
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def parameter_gradients(self, dy):
        found = self._each_part(lambda part, dy: part.parameter_gradients(dy), dy)
        return {name: sum(part[name] for part in found) for name in found[0]}

    def _each_part(self, work, dy):
        """[work(part, its rows of the upstream gradients) for each part]"""
        first = self.parts[0]
        dy = {name: np.asarray(gradient) for name, gradient in passes.by_layer(first, dy).items()}
        for name, gradient in dy.items():
            passes.check_upstream(name, gradient, (len(self.x), *first[name].shape[1:]))
        share = [{name: gradient[rows] for name, gradient in dy.items()} for rows in self._rows]
        return threads.thread_map(lambda pair: work(*pair), zip(self.parts, share, strict=True))
