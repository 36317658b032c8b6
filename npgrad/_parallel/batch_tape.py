"""The tape of a batch that went through the network in parts, on all cores."""

import functools

import numpy as np

from npgrad._parallel import threads as parallel
from npgrad.tape import Tape, check_seed


class BatchTape(Tape):
    """A Tape made of tapes, `parts`, each of a few images; to whoever uses it, one Tape of the whole batch.

    Where the whole is asked for, as `records` or by a rule that does not say `per_sample`, the batch goes through
    the network once more, in one piece.
    """

    parts = ()

    def __init__(self, run, x, rows):
        """run: a function x -> Tape. rows: the slices of x."""
        self.x = x
        self._run, self._rows = run, rows
        self.parts = tuple(parallel.thread_map(lambda part: run(x[part]), rows))

    @functools.cached_property
    def whole(self):
        """The same pass in one piece."""
        return self._run(self.x)

    @property
    def records(self):
        return self.whole.records

    def __getitem__(self, name):
        if self.resolve(name) == "input":
            return self.x
        return np.concatenate([part[name] for part in self.parts])

    @property
    def output(self):
        return np.concatenate([part.output for part in self.parts])

    def resolve(self, name):
        return self.parts[0].resolve(name)

    def backward(self, seeds, rules=None, at=("input",)):
        if not all(getattr(rule, "per_sample", False) for rule in (rules or {}).values()):
            return self.whole.backward(seeds, rules, at)
        found = self._each(lambda part, seeds: part.backward(seeds, rules, at), seeds)
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def parameter_gradients(self, seeds):
        found = self._each(lambda part, seeds: part.parameter_gradients(seeds), seeds)
        return {name: sum(part[name] for part in found) for name in found[0]}

    def _each(self, work, seeds):
        """[work(part, its rows of the seeds)]"""
        first = self.parts[0]
        seeds = seeds if isinstance(seeds, dict) else {next(reversed(first.records)): seeds}
        seeds = {name: np.asarray(seed) for name, seed in seeds.items()}
        for name, seed in seeds.items():
            check_seed(name, seed, (len(self.x), *first[name].shape[1:]))
        share = [{name: seed[rows] for name, seed in seeds.items()} for rows in self._rows]
        return parallel.thread_map(lambda pair: work(*pair), zip(self.parts, share, strict=True))
