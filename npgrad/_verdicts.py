"""What a gradient check found: a row for each array, a verdict, and how the gradient is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINK = "cannot be judged at a kink"
RANDOM = "cannot be judged: two calls of forward give different outputs"


@dataclass(frozen=True)
class Diagnosis:
    """One explanation of a wrong gradient, which was tested.

    Parameters
    ----------
    kind : str
        Such as ``"factor"``, ``"transposed"`` or ``"none of these"``.
    text : str
        The explanation in words.
    fit : float
        The largest difference between the gradient and what the explanation predicts, divided by the largest gradient;
        at most 1e-6, but for "none of these".
    """

    kind: str
    text: str
    fit: float


@dataclass(frozen=True)
class Row:
    """The check of one array.

    Parameters
    ----------
    name : str
        Name of the array: ``x``, or that of a parameter.
    shape : tuple of int
    checked : int
        Number of entries that were checked one by one.
    index : tuple of int
        The worst entry.
    found, expected : float
        The gradient of that entry, and its value by the step.
    error : float
        abs(found - expected), divided by the largest gradient of the array, or by how much a relative change of all
        values changes this gradient where that is more, since rounding does the same. 0 in an array whose gradients
        are all zero but for rounding (below 1e-9 of the largest of any array).
    kinks : int, default 0
        How many of the checked entries cannot be judged, since a kink decides their slope; the sum over all entries of
        a large array counts as one. If none can be judged, the worst entry is one of them.
    kink : str, default ""
        An entry that cannot be judged, and the layer that is at a kink, if this is known.
    beside : bool, default False
        Whether found and expected belong to a point beside a kink, 1e-3 of each array's largest value away from x.
    uncertainty : float, default 0
        The estimated error of expected, which is not counted as an error of the gradient.
    diagnoses : tuple of Diagnosis
        Every explanation of a wrong gradient that fits, the simplest first; one says "none of these" if none does.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    index: tuple[int, ...]
    found: float
    expected: float
    error: float
    kinks: int = 0
    kink: str = ""
    beside: bool = False
    uncertainty: float = 0.0
    diagnoses: tuple[Diagnosis, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether any of the checked entries can be judged."""
        return self.kinks < self.checked


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """The result of a check, which is true if its verdict is "right".

    Parameters
    ----------
    rows : tuple of Row
        One for each array.
    method : {"complex", "centered", "richardson"}
    tolerance : float
        The largest relative error that passes.
    notes : tuple of str
        What else was seen, such as an input that forward changes in place.
    deterministic : bool, default True
        Whether two calls of forward gave the same output; if not, nothing can be checked and there are no rows.
    """

    rows: tuple[Row, ...]
    method: str
    tolerance: float
    notes: tuple[str, ...] = ()
    deterministic: bool = True

    @property
    def verdict(self) -> str:
        """The verdict in words.

        "cannot be judged: ..." if two calls of forward differ. Otherwise "WRONG" if an entry that can be judged has an
        error above the tolerance; "cannot be judged at a kink" if some other array has no entry that can be judged;
        else "right".
        """
        if not self.deterministic:
            return RANDOM
        if self.wrong:
            return "WRONG"
        return "right" if all(row.judged for row in self.rows) else KINK

    @property
    def worst(self) -> Row:
        """The row with the largest error: of those that can be judged, unless the verdict is that some cannot."""
        judged = self.verdict != KINK
        return max((row for row in self.rows if row.judged == judged), key=size)

    def __bool__(self) -> bool:
        return self.verdict == "right"

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The rows with an error above the tolerance."""
        return tuple(row for row in self.rows if row.judged and not row.error <= self.tolerance)

    @property
    def diagnosis(self) -> str:
        """How the gradients are wrong, a line for each array and explanation; empty if none is."""
        lines = [f"{row.name}: {found.text}" for row in self.wrong for found in row.diagnoses]
        return "\n".join(lines)

    def __str__(self) -> str:
        if not self.deterministic:
            return self.verdict
        text = self._summary()
        return "\n".join([text, *self.diagnosis.splitlines(), *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"GradientCheck({str(self).splitlines()[0]})"

    def _repr_html_(self) -> str:
        from npgrad.display.tables import check_html

        return check_html(self)

    def _summary(self):
        row, kinks = self.worst, sum(row.kinks for row in self.rows)
        verdict = f"{self.verdict}{' (found beside it)' if row.beside else ''} by {self.method} step"
        if row.index == () != row.shape:
            return f"{verdict}: the gradient of {row.name} has another shape than {row.name}"
        text = (
            f"{verdict}: worst entry {entry(row)}: gradient {row.found:.6g}, "
            f"expected {row.expected:.6g} (error {row.error:.1e}, tolerance {self.tolerance:.0e})"
        )
        if not kinks:
            return text
        where = row.kink or next(row.kink for row in self.rows if row.kinks)
        checked = sum(row.checked for row in self.rows)
        return f"{text}; {kinks} of {checked} entries {KINK}: {where}"


def entry(row):
    """Such as x[1, 2]."""
    return f"{row.name}[{', '.join(map(str, row.index))}]"


def size(row):
    """The error, by which rows are sorted."""
    return np.inf if np.isnan(row.error) else row.error
