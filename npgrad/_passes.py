"""What a tape needs besides recording and walking: names, partial passes, dropped activations, matching of rules."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from npgrad._typing import Array
from npgrad.errors import InputError, NpgradError, UnknownName, unknown
from npgrad.layers import Composite, Conv2d, Dropout, Layer
from npgrad.layers.composite import Scope, add

INPUT = "input"


class Stop(Exception):
    """Raised when the last wanted layer has run."""


def until_stopped():
    """A context manager for a block that a partial pass may end early."""
    return suppress(Stop)


class Records:
    """The records of a pass, by name.

    ``tape[name]`` is a layer's output, ``tape["input"]`` the network's input, ``tape.output`` the last output;
    iterating gives the records in the order in which the layers finished.
    """

    def __init__(self, x, aliases=None, keep=None):
        self.x: Array = x
        self.output: Array = None  # type: ignore[assignment]  # until the first layer has run
        self.records = {}
        self.unfinished = {}  # composites in which a partial pass stopped
        self.aliases = aliases or {}
        self.origins = Origins(x, keep)

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
        except (UnknownName, InputError):  # InputError: no string, so no name
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
        """After a pass in training mode: BatchNorm's new running statistics by name, ``bn1.running_mean``."""
        return {
            f"{name}.{key}": array
            for name, record in self.records.items()
            if hasattr(record.layer, "new_statistics")
            for key, array in record.layer.new_statistics(record.cache).items()
        }

    def resolve(self, name):
        """The record's own name for a name or an alias; UnknownName lists the nearest."""
        if not isinstance(name, str):
            raise InputError(f"layer: expected one name, found {type(name).__name__} {name!r:.60}")
        own = self.aliases.get(name, name)
        if own != INPUT and own not in self.records:
            raise unknown("layer on this tape", name, self.records)
        return own

    def parameter_gradients(self, dy: Any) -> dict[str, Array]:
        """Gradients of the sum of ``dy * output`` with respect to all parameters.

        Parameters
        ----------
        dy : ndarray or dict
            The upstream gradient, as for `backward`.

        Returns
        -------
        dict of ndarray
            {layer.parameter: gradient}, such as "conv1.weight"; 0 where no upstream gradient arrives.
        """
        layers = {name: record for name, record in self.records.items() if record.layer.parameter_names}

        def collect(record, dy):
            return record.layer.parameter_gradients(dy, record.cache)

        results = self._walk(dy, None, set(layers), collect).results
        return {
            f"{name}.{key}": results[name][key] if name in results else np.zeros_like(array)
            for name, record in layers.items()
            for key, array in record.layer.arrays().items()
        }

    def back(self, name, dy, inputs=1):
        """Backpropagate through one recorded layer with its own backward; a composite's cache is this tape."""
        record = self.records[name]
        return record.layer.backward(dy, self.cache(record))

    def cache(self, record):
        """What the record's layer needs for its backward; for a composite, this tape as its parts see it."""
        return Scope(self, record.name) if isinstance(record.layer, Composite) else record.cache


class Origins:
    """Which record made which array, so that backward can skip records that lead to no wanted gradient.

    Arrays are identified by `id`, which is unique only while all of them are alive: with `keep`, nothing is known.
    """

    def __init__(self, x, keep):
        self._made_by = {id(x): INPUT} if keep is None else None

    def of(self, x):
        """The names of the records that made x, an array or several; None where that is unknown."""
        if self._made_by is None:
            return None
        sources = tuple(
            self._made_by.get(id(array)) for array in (x if isinstance(x, (tuple, list)) else (x,))
        )
        return None if None in sources else sources

    def note(self, record):
        """Remember the record's output."""
        if self._made_by is not None:
            self._made_by[id(record.y)] = record.name


def forget(record, keep):
    """Drop a record's input and output, but not its cache, unless `keep` (names, or None for all) contains it."""
    if keep is not None and record.name not in keep:
        record.x = (None,) * len(record.x) if isinstance(record.x, (tuple, list)) else None
        record.y = None


def leading_to(tape, wanted):
    """The names of all records that have a wanted record below or inside them."""
    leading = set()
    seen = wanted & {INPUT}
    for name, record in [*tape.records.items(), *tape.unfinished.items()]:
        inside = any(other.startswith(name + ".") for other in wanted)
        if record.sources is None:
            below = bool(seen)  # x may have come from any record before
        else:
            below = any(source in wanted or source in leading for source in record.sources)
        if inside or below:
            leading.add(name)
        seen = seen | (wanted & {name})
    return leading


def checked_upstream(tape, dy):
    """{record's own name: upstream gradient}, of the shape and precision of the record's output."""
    checked = {}
    for name, gradient in by_layer(tape, dy).items():
        own, y, gradient = tape.resolve(name), tape[name], np.asarray(gradient)
        check_upstream(name, gradient, y.shape)
        dtype = np.result_type(y, 1j) if gradient.dtype.kind == "c" else y.dtype
        checked[own] = add(checked.get(own), gradient.astype(dtype, copy=False))
    return checked


def by_layer(tape, dy):
    """`dy` as {layer: upstream gradient}; an array belongs to the last output."""
    return dy if isinstance(dy, dict) else {next(reversed(tape.records)): dy}


def check_upstream(name, dy, shape):
    """Refuse an upstream gradient that is not numeric, or whose shape differs from the output's."""
    if dy.shape != shape:
        raise InputError(f"upstream gradient at {name}: expected shape {shape}, found {dy.shape}")
    if dy.dtype.kind not in "fciub":
        raise InputError(f"upstream gradient at {name}: expected numbers, found {dy.dtype}")


class RuleTable:
    """The rules of one walk, by record name and by layer type; anything else is refused."""

    def __init__(self, tape, rules):
        self._by_name, self._by_type = {}, {}
        for key, rule in (rules or {}).items():
            if not callable(rule):
                raise NpgradError(f"rule for {key}: expected a function (record, dy) -> dx, found {rule!r}")
            if isinstance(key, type) and issubclass(key, Layer):
                self._by_type[key] = rule
            elif isinstance(key, str):
                self._by_name[tape.resolve(key)] = rule
            else:
                raise NpgradError(f"rules: expected a layer type or a layer's name, found {key!r}")

    def rule_for(self, record):
        """The rule for a record: by its name, else by the nearest type that it inherits from; or None."""
        if record.name in self._by_name:
            return self._by_name[record.name]
        return next(
            (self._by_type[kind] for kind in type(record.layer).__mro__ if kind in self._by_type), None
        )


def refuse_inside(composite, names):
    """A rule for a composite replaces its parts: nothing may enter or be wanted inside it."""
    for name in names:
        if name.startswith(f"{composite}."):
            raise InputError(f"the rule for {composite} replaces what is inside it, {name} too")


def completed(tape, name, walk):
    """The gradient that a walk found for a record, never the caller's own array; 0 where none arrived."""
    dy = walk.results.get(name)
    if dy is None:
        return np.zeros_like(tape[name])
    return dy.copy() if any(np.may_share_memory(dy, one) for one in walk.upstream.values()) else dy


def last_spatial_layer(tape):
    """The last layer whose output has a spatial size, before the classifier if that is a convolution itself."""
    records = [record for record in tape.parts[0] if not isinstance(record.layer, Dropout)]
    if any(record.y is None for record in records):
        raise InputError("layer: the default needs a pass that keeps all outputs (keep=None); name the layer")
    names = [record.name for record in records]
    spatial = [record.name for record in records if record.y.ndim == 4 and max(record.y.shape[2:]) > 1]
    if not spatial:
        raise InputError("layer: expected a network with a layer that has a spatial size, found none")
    last = next((record for record in reversed(records) if record.layer.parameter_names), None)
    if last is not None and isinstance(last.layer, Conv2d) and len(last.layer.weight) == tape.output.shape[1]:
        before = names[: names.index(last.name)]
        spatial = [name for name in spatial if name in before] or spatial
    return spatial[-1]


def describe(record):
    """One line on a record: its name, layer and shapes."""
    first = record.x[0] if isinstance(record.x, (tuple, list)) else record.x
    shapes = "not kept" if first is None else f"{_shape(record.x)} -> {_shape(record.y)}"
    return f"{record.name}: {type(record.layer).__name__} {shapes}"


def _shape(x):
    if isinstance(x, (tuple, list)):
        return " + ".join(map(_shape, x))
    return "unfinished" if x is None else str(tuple(x.shape))
