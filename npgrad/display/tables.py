"""Tables in HTML, as notebooks show them: the layers of a model, the records of a tape, the rows of a check.

Every text is escaped, since the names of layers and arrays may come from files of others.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

_CELL = "text-align: right; padding: .1em .8em"


def model_html(model: Any) -> str:
    """The layers of a model as a table of its parts, each composite folded.

    Parameters
    ----------
    model : Model

    Returns
    -------
    str
        HTML.
    """
    return f"<details open><summary><b>{escape(repr(model))}</b></summary>{_parts(model.network)}</details>"


def _parts(network):
    rows, found = [], []
    for name, layer in network.parts().items():
        count = sum(array.size for array in layer.arrays().values())
        shapes = ", ".join(f"{key} {_shape(array.shape)}" for key, array in layer.arrays().items())
        if hasattr(layer, "parts"):
            found += [
                _table(rows),
                _folded(f"{name}: {type(layer).__name__}, {count:,} parameters", _parts(layer)),
            ]
            rows = []
        else:
            rows.append((name, type(layer).__name__, f"{count:,}" if count else "", shapes))
    return "".join([*found, _table(rows)])


def _folded(summary, inside):
    indented = f'<div style="margin-left: 1.2em">{inside}</div>'
    return f"<details><summary>{escape(summary)}</summary>{indented}</details>"


def tape_html(tape: Any) -> str:
    """The records of a forward pass: what each layer's output has in shape, memory and norm.

    Parameters
    ----------
    tape : Tape

    Returns
    -------
    str
        HTML. The memory and norm of an output that was not kept are left out.
    """
    parts = [list(part) for part in tape.parts]
    rows, total = [("input", "", _shape(tape.x.shape), _bytes(tape.x.nbytes), _norm([tape.x]))], tape.x.nbytes
    for records in zip(*parts, strict=True):
        outputs = [record.y for record in records]
        first = records[0]
        kind = type(first.layer).__name__
        if any(y is None for y in outputs):
            rows.append((first.name, kind, "not kept", "", ""))
            continue
        size = sum(y.nbytes for y in outputs)
        total += size if not hasattr(first.layer, "parts") else 0
        shape = sum(len(y) for y in outputs), *outputs[0].shape[1:]
        rows.append((first.name, kind, _shape(shape), _bytes(size), _norm(outputs)))
    heading = f"Tape of {len(rows) - 1} records, {_bytes(total)} of outputs"
    table = _table(rows, ("layer", "type", "output", "memory", "norm"))
    return f"<details open><summary><b>{heading}</b></summary>{table}</details>"


def check_html(check: Any) -> str:
    """The rows of a gradient check: which array's gradient is right, and how far off the others are.

    Parameters
    ----------
    check : GradientCheck

    Returns
    -------
    str
        HTML.
    """
    rows = []
    for row in check.rows:
        passed = "cannot be judged" if not row.judged else "pass" if row.error <= check.tolerance else "FAIL"
        rows.append((row.name, _shape(row.shape), str(row.checked), f"{row.error:.1e}", passed))
    table = _table(rows, ("array", "shape", "entries", "error", "")) if rows else ""
    lines = "".join(f"<p>{escape(line)}</p>" for line in (*check.diagnosis.splitlines(), *check.notes))
    heading = f"Gradient check: {check.verdict}" + (f", tolerance {check.tolerance:.0e}" if rows else "")
    return f"<b>{escape(heading)}</b>{table}{lines}"


def _table(rows: Sequence[Iterable[str]], heading: Sequence[str] = ()) -> str:
    if not rows:
        return ""
    head = "".join(f'<th style="{_style(i)}">{escape(cell)}</th>' for i, cell in enumerate(heading))
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_style(i)}">{escape(str(cell))}</td>' for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _style(column):
    return _CELL.replace("right", "left") if column < 2 else _CELL


def _shape(shape):
    return " x ".join(map(str, shape)) or "scalar"


def _bytes(count):
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _norm(arrays):
    with np.errstate(over="ignore"):
        return f"{math.sqrt(sum(float(np.vdot(a, a).real) for a in arrays)):.4g}"
