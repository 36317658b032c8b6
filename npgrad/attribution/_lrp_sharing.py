"""What the rules of LRP share: the base class, and dividing relevance among contributions."""

from __future__ import annotations

import dataclasses
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from npgrad._validate import not_negative
from npgrad.errors import InputError
from npgrad.layers import Conv2d, Linear

# Where a ledger is kept (ledgers.py), a list of (kept by biases, kept by epsilons), one of every division.
BOOKS: ContextVar[list[tuple[float, float]] | None] = ContextVar("BOOKS", default=None)


@dataclass(frozen=True)
class Rule:
    """Base class of the rules, called as ``rule(record, relevance)``.

    Parameters
    ----------
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.

    Raises
    ------
    InputError
        If epsilon or another float parameter of a rule is not a finite number >= 0.
    """

    epsilon: float = field(default=1e-9, kw_only=True)

    per_sample = True  # see Tape.backward

    def __post_init__(self) -> None:
        for own in dataclasses.fields(self):
            if own.type in (float, "float"):  # a string under `from __future__ import annotations`
                not_negative(getattr(self, own.name), f"{type(self).__name__} {own.name}")


def share_out(relevance, parts, epsilon):
    """Divide relevance over parts (x, layer): contributions are their x_i w_ik, z is the sum of layer(x)."""
    runs = [(x, layer, *layer.forward(x)) for x, layer in parts]
    total = sum(z for _, _, z, _ in runs)
    per_unit = divide(relevance, total, epsilon)
    if BOOKS.get() is not None:
        biases = [layer.bias for _, layer in parts if layer.bias is not None]
        constants = sum(bias.reshape(-1, *(1,) * (total.ndim - 2)) for bias in biases) if biases else 0.0
        book(relevance, per_unit, total, constants)
    return sum(x * layer.backward(per_unit, cache) for x, layer, _, cache in runs)


def book(relevance, per_unit, z, constants):
    """Enter what was kept: the constants' shares, and what all shares, per_unit * z, leave of it."""
    books = BOOKS.get()
    if books is not None:
        books.append((float(np.sum(per_unit * constants)), float(np.sum(relevance - per_unit * z))))


def without_constant(record):
    """The record's y without the bias, or whatever else does not depend on x: the sum of x_i w_ik."""
    layer, x = record.layer, record.x
    if isinstance(layer, (Conv2d, Linear)):
        return dataclasses.replace(layer, bias=None)(x)
    zeros = tuple(map(np.zeros_like, x)) if isinstance(x, (tuple, list)) else np.zeros_like(x)
    return record.y - layer(zeros)


def divide(relevance, z, epsilon):
    """relevance / z with z moved away from 0 by epsilon; 0 where it is still 0."""
    z = z + np.where(z < 0, -epsilon, epsilon).astype(z.dtype)
    return np.divide(relevance, z, out=np.zeros_like(z), where=z != 0)


def part(array, sign):
    """The positive part of an array, or the negative."""
    return np.maximum(array, 0) if sign > 0 else np.minimum(array, 0)


def weighted(rule, record):
    """The record's layer, if it has weights that contribute as x_i w_ik."""
    if isinstance(record.layer, (Conv2d, Linear)):
        return record.layer
    rule, layer = type(rule).__name__, type(record.layer).__name__
    raise InputError(f"{record.name}: {rule} is a rule for Conv2d and Linear, found {layer}")
