"""A tape is one forward pass, kept; backward walks it from seeds.

    tape = model.forward(x)
    tape["fire4"]                                       an activation
    tape.backward({"fire4": dy}, at=("conv1", "input"))  {"conv1": ..., "input": ...}

Every layer call leaves a record: the layer, its input x, its output y, and what its backward needs. The tape
is a plain value and holds all there is to know of the pass; layers and model hold nothing of it.
"""

import dataclasses
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad.errors import InputError, NpgradError, UnknownName, unknown
from npgrad.layers import Composite, Layer
from npgrad.layers.composite import add, naming

INPUT = "input"


@dataclass(eq=False)
class Record:
    """One layer call. `sources` names the records whose outputs it took, or is None where that is unknown."""

    name: str
    layer: Layer
    x: Any
    y: np.ndarray | None = None
    cache: Any = None
    sources: tuple | None = None

    def __repr__(self):
        first = self.x[0] if isinstance(self.x, (tuple, list)) else self.x
        shapes = "not kept" if first is None else f"{_shape(self.x)} -> {_shape(self.y)}"
        return f"{self.name}: {type(self.layer).__name__} {shapes}"


class Tape:
    """One forward pass of a network: its records in the order in which the layers finished.

    `tape[name]` is a layer's output, `tape["input"]` the network's input, `tape.output` the last output.

    keep: the names of the layers whose outputs will be asked for, or None for all of them. Of the others only the
    caches stay, which is all that backward needs; their records' x and y are None, and their memory is free for the
    layers that follow.
    """

    def __init__(self, network, x, upto=None, training=False, rng=None, aliases=None, keep=None):
        self.x = x
        self.output = None  # what the last layer made
        self.records = {}
        self._keep = keep
        self._network = network
        self._aliases = aliases or {}
        self._upto, self._training = upto, training
        self._rng = None if rng is None else np.random.default_rng(rng)
        self._unfinished = {}  # composites in which the pass stopped
        self._made_by = {id(x): INPUT}  # arrays stay alive on the tape, so ids stay unique
        with suppress(_Stop):
            network.forward(x, self)

    def run(self, name, layer, x):
        """Run one layer and record it. Composites call this for their parts."""
        if name in self.records:
            raise InputError(f"{name}: two layers of one network have this name")
        record = Record(name, layer, x, sources=self._sources(x))
        if isinstance(layer, Composite):
            try:
                record.y, _ = layer.forward(x, _Inside(self, name))
            except _Stop:
                self._unfinished[name] = record
                raise
        else:
            options = {"training": self._training, "rng": self._rng} if layer.has_training_mode else {}
            with naming(name):
                record.y, record.cache = layer.forward(x, **options)
        self._note(record)
        if name == self._upto:
            raise _Stop
        return self.output

    def _note(self, record):
        """Record a call, as far as it is to be kept, and return its output."""
        self.records[record.name], self.output, x = record, record.y, record.x
        if self._keep is None:
            self._made_by[id(record.y)] = record.name
        elif record.name not in self._keep:
            record.x, record.y = (None,) * len(x) if isinstance(x, (tuple, list)) else None, None
        return self.output

    def back(self, name, dy, inputs=1):
        """Back through one recorded layer, by the layer's own rule alone."""
        record = self.records[name]
        return record.layer.backward(dy, self._cache(record))

    def _cache(self, record):
        # A composite's cache is the tape. It is not kept in the record: that would be a cycle, and the tape's
        # memory would be freed late.
        return _Inside(self, record.name) if isinstance(record.layer, Composite) else record.cache

    def __getitem__(self, name):
        name = self.resolve(name)
        if name == INPUT:
            return self.x
        if self.records[name].y is not None:
            return self.records[name].y
        if name == next(reversed(self.records)):
            return self.output
        raise InputError(f"{name}: its output was not kept; name it in keep=")

    def __contains__(self, name):
        try:
            self.resolve(name)
        except UnknownName:
            return False
        return True

    def __iter__(self):
        return iter(self.records.values())

    def __repr__(self):
        return "\n".join([f"input {_shape(self.x)}", *map(repr, self)])

    @property
    def parts(self):
        """The tapes that this one is made of: itself, or those of a large batch's parts (`BatchTape`)."""
        return (self,)

    @property
    def statistics(self):
        """After a training pass: BatchNorm's new running statistics by name, `bn1.running_mean`."""
        return {
            f"{name}.{key}": array
            for name, record in self.records.items()
            if hasattr(record.layer, "new_statistics")
            for key, array in record.layer.new_statistics(record.cache).items()
        }

    def resolve(self, name):
        """The record's own name for a name or an alias; UnknownName lists the nearest."""
        own = self._aliases.get(name, name)
        if own != INPUT and own not in self.records:
            raise unknown("layer on this tape", name, self.records)
        return own

    def backward(self, seeds, rules=None, at=(INPUT,)):
        """Gradients of the sum of seed * output over all seeds: {name: array}, for every name of `at`.

        seeds: the gradient put in at the last output, or {layer: gradient put in at its output}, each of the
        shape of that output. rules: {layer type or name: f(record, dy) -> dx}, what backward does there
        instead of the layer's own; a name wins over a type. A rule whose attribute `per_sample` is True promises
        to treat each image by itself; then a large batch may come to it in parts. at: the layers at whose
        outputs the gradient is wanted; "input" is x. A layer that no seed reaches has gradient 0.

        Nothing is computed above the topmost seed, nor below the lowest wanted layer.
        """
        at = (at,) if isinstance(at, str) else tuple(at)
        wanted = {name: self.resolve(name) for name in at}
        walk = _Walk(self, seeds, rules, set(wanted.values()), collect=lambda record, dy: dy)
        found = {own: walk.results.get(own) for own in wanted.values()}
        for own, dy in found.items():
            if dy is None:
                found[own] = np.zeros_like(self[own])
            elif any(np.may_share_memory(dy, seed) for seed in walk.seeds.values()):
                found[own] = dy.copy()  # not the caller's own array
        return {name: found[own] for name, own in wanted.items()}

    def parameter_gradients(self, seeds):
        """Gradients by parameter name, `conv1.weight`, of the sum of seed * output; `seeds` as for backward."""
        layers = {name: record for name, record in self.records.items() if record.layer.parameter_names}
        walk = _Walk(self, seeds, None, set(layers), collect=_parameter_gradients)
        return {
            f"{name}.{key}": walk.results[name][key] if name in walk.results else np.zeros_like(array)
            for name, record in layers.items()
            for key, array in record.layer.arrays().items()
        }

    def _sources(self, x):
        if self._keep is not None:  # an array that is gone may have had the same id
            return None
        arrays = x if isinstance(x, (tuple, list)) else (x,)
        sources = tuple(self._made_by.get(id(array)) for array in arrays)
        return None if None in sources else sources

    def _leads_to(self, wanted):
        """The names of all records below which (or, in a composite, inside which) something wanted lies."""
        leading = set()
        seen = wanted & {INPUT}
        for name, record in [*self.records.items(), *self._unfinished.items()]:
            inside = any(other.startswith(name + ".") for other in wanted)
            if record.sources is None:
                below = bool(seen)  # where x came from is not known: it may have come from any of them
            else:
                below = any(source in wanted or source in leading for source in record.sources)
            if inside or below:
                leading.add(name)
            seen = seen | (wanted & {name})
        return leading


class _Walk:
    """One walk back over a tape. `results` holds collect(record, dy) for every wanted record it came to."""

    def __init__(self, tape, seeds, rules, wanted, collect):
        self._tape, self._wanted, self._collect = tape, wanted, collect
        self.seeds = _checked_seeds(tape, seeds)
        self._by_name, self._by_type = _split_rules(tape, rules or {})
        self._leading = tape._leads_to(wanted)
        self.results = {}
        dx = add(tape._network.backward(None, self), self.seeds.get(INPUT))
        if INPUT in wanted and dx is not None:
            self.results[INPUT] = dx

    def back(self, name, dy, inputs=1):
        """Back through one layer: put in its seed, note its gradient, go on only if there is a reason to."""
        record = self._tape.records.get(name) or self._tape._unfinished.get(name)
        if record is None:  # the forward pass stopped before it
            return None if inputs == 1 else (None,) * inputs
        dy = add(dy, self.seeds.get(name))
        if dy is not None and name in self._wanted:
            self.results[name] = self._collect(record, dy)
        dx = None
        if name in self._leading:
            dx = self._through(record, dy)
        return (None,) * len(record.x) if dx is None and isinstance(record.x, (tuple, list)) else dx

    def _through(self, record, dy):
        rule = self._by_name.get(record.name) or self._rule_for(type(record.layer))
        if isinstance(record.layer, Composite):
            # a rule speaks of what comes through the composite: of nothing, if nothing comes from above
            if rule is None or dy is None:
                return record.layer.backward(dy, _Inside(self, record.name))
            for name in (*self.seeds, *self._wanted):
                if name.startswith(f"{record.name}."):
                    raise InputError(f"the rule for {record.name} replaces what is inside it, {name} too")
        if dy is None:
            return None
        if rule is None:
            return record.layer.backward(dy, record.cache)
        return rule(dataclasses.replace(record, cache=self._tape._cache(record)), dy)

    def _rule_for(self, layer_type):
        for kind in layer_type.__mro__:
            if kind in self._by_type:
                return self._by_type[kind]
        return None


class _Inside:
    """A tape or a walk as a composite's parts see it: their names get the composite's before them."""

    def __init__(self, owner, name):
        self._owner, self._prefix = owner, f"{name}."

    def run(self, name, layer, x):
        return self._owner.run(self._prefix + name, layer, x)

    def back(self, name, dy, inputs=1):
        return self._owner.back(self._prefix + name, dy, inputs)

    def __getitem__(self, name):
        """(layer, cache) of a part, as a composite's own cache has it."""
        record = self._owner.records[self._prefix + name]
        return record.layer, self._owner._cache(record)


class _Stop(Exception):
    """The last wanted layer has run."""


def _parameter_gradients(record, dy):
    return record.layer.parameter_gradients(dy, record.cache)


def _checked_seeds(tape, seeds):
    """{own name: array of the output's shape and precision}."""
    if not isinstance(seeds, dict):
        seeds = {next(reversed(tape.records)): seeds}
    checked = {}
    for name, seed in seeds.items():
        own, y, seed = tape.resolve(name), tape[name], np.asarray(seed)
        check_seed(name, seed, y.shape)
        seed = seed.astype(np.result_type(y, 1j) if seed.dtype.kind == "c" else y.dtype, copy=False)
        checked[own] = add(checked.get(own), seed)
    return checked


def check_seed(name, seed, shape):
    """Refuse a seed of another shape than the output it is put in at, or of what is no number."""
    if seed.shape != shape:
        raise InputError(f"seed at {name}: expected shape {shape}, found {seed.shape}")
    if seed.dtype.kind not in "fciub":
        raise InputError(f"seed at {name}: expected numbers, found {seed.dtype}")


def _split_rules(tape, rules):
    """Rules by the records' own names, and rules by type; whatever is neither is refused."""
    by_name, by_type = {}, {}
    for key, rule in rules.items():
        if not callable(rule):
            raise NpgradError(f"rule for {key}: expected a function (record, dy) -> dx, found {rule!r}")
        if isinstance(key, type) and issubclass(key, Layer):
            by_type[key] = rule
        elif isinstance(key, str):
            by_name[tape.resolve(key)] = rule
        else:
            raise NpgradError(f"rules: expected a layer type or a layer's name, found {key!r}")
    return by_name, by_type


def _shape(x):
    if isinstance(x, (tuple, list)):
        return " + ".join(map(_shape, x))
    return "unfinished" if x is None else str(tuple(x.shape))
