"""Ledgers: where relevance went, layer by layer, from the score to the pixels; every layer's account must close.

A layer gets relevance from above and gives relevance to its inputs. What it keeps is its bias's share, and what epsilon
took from the denominators; both are computed from the definition, not as the remainder, so that

    in = out + kept by biases + kept by epsilons

holds only if the rule's backward is right. Forks and joins between layers are right if the whole closes as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._targets import flat, one_hot, resolve_targets
from npgrad._typing import Array, Rules, Target
from npgrad._validate import check_input, full_baseline
from npgrad.attribution._layer_rules import DEEP_LIFT, LRP
from npgrad.attribution._lrp_sharing import BOOKS, Rule
from npgrad.attribution._rule_tables import refuse_unknown_layers, with_defaults
from npgrad.attribution.lrp import by_type
from npgrad.model import Model
from npgrad.tape import INPUT

__all__ = ["Ledger", "LedgerRow", "deep_lift_ledger", "lrp_ledger"]

TOLERANCE = 1e-9


@dataclass(frozen=True)
class LedgerRow:
    """The account of one layer.

    Parameters
    ----------
    name, kind : str
        The layer's name and type.
    incoming, outgoing : float
        The relevance of its output, and that of its inputs, summed over all values.
    biases, epsilons : float
        What its bias kept, or another constant, such as BatchNorm's mean; what epsilon, or a denominator of 0, took.
    lost : float
        What is left: incoming - outgoing - biases - epsilons.
    """

    name: str
    kind: str
    incoming: float
    outgoing: float
    biases: float
    epsilons: float
    lost: float


@dataclass(frozen=True)
class Ledger:
    """The accounts of all layers; true if each closes, and the whole.

    Parameters
    ----------
    method : {"lrp", "deep_lift"}
    rows : tuple of LedgerRow
        In the order of the walk, from the score to the pixels.
    start, end : float
        The score (DeepLIFT: its difference from the baseline's), and the sum of the attribution.
    error : float
        start - end - all that was kept, divided by the largest amount in the ledger.
    tolerance : float
        The largest error that passes.
    """

    method: str
    rows: tuple[LedgerRow, ...]
    start: float
    end: float
    error: float
    tolerance: float = TOLERANCE

    @property
    def scale(self) -> float:
        """The largest amount."""
        amounts = [abs(value) for row in self.rows for value in (row.incoming, row.biases, row.epsilons)]
        return max([abs(self.start), *amounts]) or 1.0

    @property
    def faulty(self) -> tuple[LedgerRow, ...]:
        """The layers whose account does not close."""
        return tuple(row for row in self.rows if not abs(row.lost) <= self.tolerance * self.scale)

    def __bool__(self) -> bool:
        return not self.faulty and self.error <= self.tolerance

    def __str__(self) -> str:
        biases, epsilons = (sum(getattr(row, key) for row in self.rows) for key in ("biases", "epsilons"))
        amounts = (
            f"{self.start:.6g} = {self.end:.6g} at the pixels + {biases:.6g} kept by biases "
            f"+ {epsilons:.6g} by epsilons"
        )
        if self.faulty:
            return f"WRONG: {amounts}: the account of {', '.join(row.name for row in self.faulty)} does not close"
        said = "closes" if self else "WRONG: does not close, between the layers"
        return f"{said}: {amounts} (error {self.error:.1e}, tolerance {self.tolerance:.0e})"


@explains_scores
def lrp_ledger(model: Model, x: Array, target: Target = None, rules: Rules | Rule = None) -> Ledger:
    """Account for the relevance of layer-wise relevance propagation at every layer.

    Bach et al. 2015, equation 2: relevance is conserved from layer to layer, but for the shares of biases and epsilons.

    Parameters
    ----------
    model : Model
        The network; computed in float64.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them; amounts are sums over all of them.
    target : int, str, callable, sequence of them, or None
        As for `lrp`.
    rules : dict, Rule or None
        As for `lrp`.

    Returns
    -------
    Ledger

    Raises
    ------
    InputError, TargetError, UnknownName
        As for `lrp`.

    Examples
    --------
    >>> from npgrad.attribution.ledgers import lrp_ledger
    >>> from npgrad.models import squeezenet1_1
    >>> x = np.random.default_rng(0).normal(size=(1, 3, 40, 40))
    >>> bool(lrp_ledger(squeezenet1_1(num_classes=5, rng=0), x, 2))
    True
    """
    model, x = model.astype(np.float64), check_input(x).astype(np.float64)
    tape = model.forward(x, whole=True)
    targets = resolve_targets(model, tape.output, target)
    rules = with_defaults(by_type(rules), LRP)
    refuse_unknown_layers(tape, rules, "lrp")
    start = one_hot(model, tape.output, targets) * tape.output
    books = _Books(lambda record, arrays: arrays)
    end = tape.backward(start, {key: books.counting(rule) for key, rule in rules.items()})[INPUT]
    return books.ledger("lrp", float(flat(start).sum()), float(end.sum()))


@explains_scores
def deep_lift_ledger(
    model: Model, x: Array, target: Target = None, baseline: float | Array | None = None, rules: Rules = None
) -> Ledger:
    """Account for DeepLIFT's contributions at every layer: nothing is kept.

    Shrikumar, Greenside, Kundaje 2017, section 3.1, summation to delta: the contributions m * (y - y0) sum to the
    difference of the score at every cut through the network.

    Parameters
    ----------
    model : Model
        The network; computed in float64.
    x : ndarray (N, C, H, W)
        Preprocessed images; amounts are sums over all of them.
    target : int, str, callable, sequence of them, or None
        As for `deep_lift`.
    baseline : None, float or ndarray
        The reference input, broadcast to x. None: 0, the mean color.
    rules : dict or None
        As for `deep_lift`.

    Returns
    -------
    Ledger

    Raises
    ------
    InputError, TargetError, UnknownName
        As for `deep_lift`.
    """
    model, x = model.astype(np.float64), check_input(x).astype(np.float64)
    tape = model.forward(x, whole=True)
    reference = model.forward(full_baseline(baseline, x.shape, x.dtype), whole=True)
    targets = resolve_targets(model, tape.output, target)
    rules = with_defaults(rules, DEEP_LIFT)
    refuse_unknown_layers(tape, rules, "deep_lift")
    start = one_hot(model, tape.output, targets)

    def contributions(record, arrays):
        """Multipliers times differences from the reference, of the layer's output and of its inputs."""
        other = reference.records[record.name]
        pairs = [(record.y, other.y), *zip(_several(record.x), _several(other.x), strict=True)]
        return [m * (a - b) for m, (a, b) in zip(arrays, pairs, strict=True)]

    def against(rule):
        return lambda record, dy: rule(record, reference.records[record.name], dy)

    books = _Books(contributions)
    m = tape.backward(start, {key: books.counting(against(rule)) for key, rule in rules.items()})[INPUT]
    difference = float((start * (tape.output - reference.output)).sum())
    return books.ledger("deep_lift", difference, float((m * (x - reference.x)).sum()))


class _Books:
    """The rows of a walk; `amounts` makes relevances of what a rule got and gave, for the output and each input."""

    def __init__(self, amounts: Callable[[Any, list[Array]], list[Array]]):
        self.amounts, self.rows = amounts, list[LedgerRow]()

    def counting(self, rule):
        """The rule, which enters a row for each of its calls."""

        def counted(record, dy):
            entries: list[tuple[float, float]] = []
            token = BOOKS.set(entries)
            try:
                dx = rule(record, dy)
            finally:
                BOOKS.reset(token)
            incoming, *outgoing = (float(np.sum(one)) for one in self.amounts(record, [dy, *_several(dx)]))
            biases, epsilons = (float(sum(entry[i] for entry in entries)) for i in (0, 1))
            out = sum(outgoing)
            what = (incoming, out, biases, epsilons, incoming - out - biases - epsilons)
            self.rows.append(LedgerRow(record.name, type(record.layer).__name__, *what))
            return dx

        return counted

    def ledger(self, method, start, end):
        """The ledger of the walk."""
        kept = sum(row.biases + row.epsilons for row in self.rows)
        ledger = Ledger(method, tuple(self.rows), start, end, 0.0)
        error = abs(start - end - kept) / ledger.scale
        return Ledger(method, ledger.rows, start, end, float(error))


def _several(x):
    return list(x) if isinstance(x, (tuple, list)) else [x]
