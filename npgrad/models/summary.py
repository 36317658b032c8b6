"""What a network consists of: a row a layer, as `npgrad layers` prints it."""

from dataclasses import dataclass

import numpy as np

from npgrad.layers import Composite, Conv2d, Linear


@dataclass(frozen=True)
class LayerSummary:
    """One layer: output shape without the batch, parameters, multiply-adds, and bytes of its output.

    A composite's numbers are those of all its parts.
    """

    name: str
    kind: str
    shape: tuple
    parameters: int
    multiply_adds: int
    memory: int


def summarize(model, size=None):
    """A LayerSummary for every layer, for one image of `size` px (None: what preprocessing gives)."""
    size = model.preprocessing.crop if size is None else size
    channels = next(array.shape[1] for array in model.parameters().values() if array.ndim == 4)
    tape = model.forward(np.zeros((1, channels, size, size), np.float32))
    rows = {}
    for record in tape:
        inner = [row for name, row in rows.items() if name.startswith(record.name + ".")]
        leaves = [row for row in inner if not any(o.name.startswith(row.name + ".") for o in inner)]
        composite = isinstance(record.layer, Composite)
        rows[record.name] = LayerSummary(
            record.name,
            type(record.layer).__name__,
            record.y.shape[1:],
            sum(array.size for array in record.layer.arrays().values()),
            sum(row.multiply_adds for row in leaves) if composite else _multiply_adds(record),
            _memory(record, leaves, tape) if composite else record.y.nbytes,
        )
    return list(rows.values())


def _memory(record, leaves, tape):
    """A composite's bytes: what its parts put out, and its own output where that is not the last part's."""
    own = 0 if any(tape[row.name] is record.y for row in leaves) else record.y.nbytes
    return own + sum(row.memory for row in leaves)


def totals(model, rows):
    """(parameters, multiply-adds, bytes of activations) of the whole network."""
    outer = [row for row in rows if row.name in model.network.parts()]
    parameters = sum(array.size for array in model.parameters().values())
    return parameters, sum(row.multiply_adds for row in outer), sum(row.memory for row in outer)


def _multiply_adds(record):
    """Each output of a convolution or linear layer is a sum of products over one filter."""
    if isinstance(record.layer, (Conv2d, Linear)):
        return int(record.y.size * np.prod(record.layer.weight.shape[1:]))
    return 0
