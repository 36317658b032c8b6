"""Compare recorded gradients with npgrad's, on a walk that goes on from what was recorded."""

from __future__ import annotations

import dataclasses

import numpy as np

from npgrad._compare.backward import explained_gradient
from npgrad._compare.forced import ForcedTape
from npgrad._compare.forward import distance
from npgrad._compare.recording import INPUT
from npgrad._compare.results import DIFFERS, EQUAL, ComparedLayer, maps_of
from npgrad._compare.stand_ins import Fixed
from npgrad.layers import Composite

ROUNDINGS = 16  # how many times npgrad's own rounding still is rounding
SINGLE = float(np.finfo(np.float32).eps)


def gradient_rows(comparing, tape):
    """The rows of the recorded gradients, in the order of the walk."""
    recording, notes = comparing.recording, comparing.notes
    if not recording.gradients:
        notes.append("no gradients were recorded: backward is not compared")
        return []
    keys = {name: key for name, key in comparing.keys.items() if key in recording.gradients}
    elsewhere = any(row.diagnoses and row.diagnoses[0].kind == "preprocessing" for row in comparing.rows)
    if (
        INPUT in recording.gradients and not elsewhere
    ):  # else it is the gradient of another input than the first layer's
        keys[INPUT] = INPUT
    gradients = {}
    for name, key in keys.items():
        array = comparing.flattened(name, in_memory_order(recording.gradients[key]))
        gradients[name] = like(array, tape[name])
    for name in [name for name, array in gradients.items() if array.shape != tape[name].shape]:
        shape = gradients.pop(name).shape
        notes.append(
            f"the gradient of {keys[name]} has shape {shape}, npgrad's {tape[name].shape}: not compared"
        )
    outputs = [name for name in gradients if name != INPUT]
    if not outputs:
        notes.append("no gradient of an output was recorded, from which backward could start")
        return []
    single = _in_single(comparing, tape)
    free = _arriving(tape, outputs[-1:], gradients)
    rounded = _arriving(single, outputs[-1:], gradients, np.float32) if single is not None else {}
    alone = _arriving(single, gradients, gradients, np.float32) if single is not None else {}
    pending = []

    def judge(name, dy):
        found = gradients[name]
        noise = distance(dy, alone[name]) if alone.get(name) is not None else 0.0
        tolerance = tolerance_of(recording.gradients[keys[name]], noise)
        pending.append((name, dy, distance(dy, found), tolerance))
        return found

    walk = tape.walk(gradients, judge)
    if INPUT in gradients and walk.dx is not None:
        judge(INPUT, walk.dx)
    rows = []
    for name, dy, error, tolerance in pending:
        whole, rounding = (
            distance(free[name], other) if free.get(name) is not None and other is not None else np.nan
            for other in (gradients[name], rounded.get(name))
        )
        kind = type(comparing.layers[name]).__name__ if name != INPUT else "input"
        row = ComparedLayer(name, kind, keys[name], "backward", error, tolerance, whole, rounding, EQUAL)
        if not error <= tolerance:
            other = _explained(row, tape, walk, dy, gradients[name], comparing.layers)
            row = row if _same_dropout(comparing, other) else other
        rows.append(row)
    return rows


def _explained(row, tape, walk, dy, found, layers):
    blamed, kind, fits = explained_gradient(tape, walk, row.name, dy, found, row.error, row.tolerance, layers)
    changes = {"name": blamed, "kind": kind, "diagnoses": tuple(fits.diagnoses), "maps": maps_of(dy, found)}
    return dataclasses.replace(row, verdict=DIFFERS, **changes)


def _same_dropout(comparing, row):
    """Whether it is the mask that forward showed already, except where a value was 0, dropped or not."""
    return isinstance(comparing.replaced.get(row.name), Fixed) and row.diagnoses[0].kind == "dropout"


def _in_single(comparing, tape):
    """The forced pass in float32, with the layers that were explained computed as in the recording."""
    if all(row.verdict == EQUAL for row in comparing.rows):
        return comparing.single_tape
    values = {record.name: record.y for record in tape if record.name in comparing.recorded}

    def judge(_, record, failure):
        if record.name in comparing.replaced and not isinstance(record.layer, Composite):
            record.layer = comparing.replaced[record.name]
            _, record.cache = record.layer.forward(record.x)
        found = values.get(record.name, record.y)
        return None if found is None else found.astype(np.float32)

    x = comparing.recording.x.astype(np.float32)
    return ForcedTape(comparing.networks[np.float32], x, judge, comparing.aliases)


def _arriving(tape, forced, gradients, kind=np.float64):
    """{layer: gradient of its output by npgrad}, going on from the recorded ones only at the layers `forced`."""
    found = {}

    def judge(name, dy):
        found[name] = dy
        return gradients[name].astype(kind) if name in forced else dy

    start = {name: array.astype(kind) for name, array in gradients.items()}
    walk = tape.walk(start, judge)
    found[INPUT] = walk.dx
    return found


def tolerance_of(recorded, noise):
    """The largest error that is rounding, of an array in its precision, where npgrad's own float32 has this noise."""
    precision = float(np.finfo(recorded.dtype).eps) if recorded.dtype.kind == "f" else SINGLE
    return float(ROUNDINGS * max(noise * precision / SINGLE, precision))


def in_memory_order(array):
    """The array in float64; images channels-last in memory, as npgrad's layers are fast on."""
    array = np.asarray(array, np.float64)
    if array.ndim != 4:
        return array
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def like(array, own):
    """The array as npgrad's has it: without or with axes of length 1, and with the channels first.

    A network may hold its channels last between two layers, as torch's ConvNeXt does; how an array is stored is no
    difference of the network.
    """
    if array.ndim == own.ndim == 4 and array.shape != own.shape:
        moved = array.transpose(0, 3, 1, 2)
        if moved.shape == own.shape:
            return moved
    same = [[side for side in one.shape if side > 1] for one in (array, own)]
    return array.reshape(own.shape) if same[0] == same[1] else array
