"""Which pixels of the image a value was made from, and the numbers of the first convolution."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from npgrad._typing import Array, Window
from npgrad.layers import Conv2d
from npgrad.layers.base import PIXEL
from npgrad.layers.composite import in_a_row
from npgrad.pages.nodes import Node

SMALL = 256  # values in a window that is shown in numbers


@dataclass(frozen=True)
class _Field:
    field: Window | None

    def receptive_field(self):
        return self.field


def fields_of(nodes: Sequence[Node]) -> list[Window | None]:
    """The receptive field of each node on the image: (size, stride, padding at the top and left), or None if unknown.

    Where several values are put together, it is the smallest window that contains those of all.

    Parameters
    ----------
    nodes : sequence of Node

    Returns
    -------
    list
    """
    found: list[Window | None] = [PIXEL if nodes[0].y.ndim == 4 else None]
    for node in nodes[1:]:
        below = _together([found[source] for source in node.sources])
        layer = node.record.layer if node.record is not None and not node.is_composite else None
        several = len(node.sources) > 1
        own = PIXEL if several and node.y.ndim == 4 else layer and layer.receptive_field()
        found.append(in_a_row(_Field(below), _Field(own)) if below and own else None)
    return found


def _together(fields):
    if not fields or any(field is None for field in fields) or len({field[1] for field in fields}) > 1:
        return None
    sides = range(2)
    padding = tuple(max(field[2][side] for field in fields) for side in sides)
    size = tuple(padding[side] + max(field[0][side] - field[2][side] for field in fields) for side in sides)
    return size, fields[0][1], padding


def first_convolutions(nodes: Sequence[Node]) -> tuple[list[int], dict[str, Array]]:
    """The convolutions of the image with small windows, whose sums a page can write out.

    Parameters
    ----------
    nodes : sequence of Node

    Returns
    -------
    (list of int, dict of ndarray)
        The nodes; and the image, the weights and the biases.
    """
    found, arrays = [], {}
    for i, node in enumerate(nodes):
        layer: Any = node.record and node.record.layer
        plain = isinstance(layer, Conv2d) and node.sources == [0] and node.record.x is nodes[0].y
        if plain and layer.groups == 1 and layer.weight[0].size <= SMALL and len(layer.padding) == 2:
            found.append(i)
            arrays["x"] = nodes[0].y[0].astype("float32")
            arrays[f"weight {i}"] = layer.weight.astype("float32")
            bias = layer.bias if layer.bias is not None else 0 * layer.weight[:, 0, 0, 0]
            arrays[f"bias {i}"] = bias.astype("float32")
    return found, arrays
