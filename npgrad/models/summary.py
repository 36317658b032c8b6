"""Summarize a network: one row per layer, as `npgrad layers` prints them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npgrad._validate import pair
from npgrad.layers import Composite, Conv2d, Linear
from npgrad.model import Model


@dataclass(frozen=True)
class LayerSummary:
    """The row of one layer. For a composite, the counts include all its parts.

    Parameters
    ----------
    name : str
        The layer's name.
    kind : str
        Its type, such as "Conv2d".
    shape : tuple of int
        The shape of its output, without the batch dimension.
    parameters : int
        The number of trained values.
    multiply_adds : int
        The number of multiply-adds for one image.
    memory : int
        The bytes of its output for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    memory: int


def summarize(model: Model, size: int | tuple[int, int] | None = None) -> list[LayerSummary]:
    """Summarize every layer of a network, for one image.

    Parameters
    ----------
    model : Model
        The network.
    size : int, (int, int) or None, default None
        The image's height and width in pixels; one number for a square. None: the size of the preprocessing.

    Returns
    -------
    list of LayerSummary
        In the order of execution.
    """
    height, width = model.preprocessing.size if size is None else pair(size, "size")
    channels = model.in_channels or len(model.preprocessing.mean)
    tape = model.forward(np.zeros((1, channels, height, width), np.float32))
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
    """A composite's bytes: the outputs of its parts, and its own output if that is another array."""
    own = 0 if any(tape[row.name] is record.y for row in leaves) else record.y.nbytes
    return own + sum(row.memory for row in leaves)


def totals(model: Model, rows: Sequence[LayerSummary]) -> tuple[int, int, int]:
    """Sum the rows of a network.

    Parameters
    ----------
    model : Model
        The network.
    rows : sequence of LayerSummary
        What `summarize` returned.

    Returns
    -------
    (int, int, int)
        Parameters, multiply-adds, and bytes of activations of the whole network.
    """
    outer = [row for row in rows if row.name in model.network.parts()]
    parameters = sum(array.size for array in model.parameters().values())
    return parameters, sum(row.multiply_adds for row in outer), sum(row.memory for row in outer)


def _multiply_adds(record):
    """Each output of a convolution or linear layer is a sum of products over one filter."""
    if isinstance(record.layer, (Conv2d, Linear)):
        return int(record.y.size * np.prod(record.layer.weight.shape[1:]))
    return 0
