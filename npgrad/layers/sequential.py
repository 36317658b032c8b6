"""Layers in sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from npgrad._typing import Array, Cache, Window
from npgrad.errors import InputError
from npgrad.layers.base import Layer
from npgrad.layers.composite import Calls, Composite, in_a_row


@dataclass(frozen=True, eq=False)
class Sequential(Composite):
    """y = last(... second(first(x))).

    The chain rule, written out: each layer's dx is the dy of the layer before it.

    Parameters
    ----------
    layers : dict
        {name: layer} in execution order.
    """

    layers: dict[str, Any]

    def __post_init__(self):
        if not isinstance(self.layers, dict) or not self.layers:
            raise InputError(
                f"Sequential: expected a dict of at least one layer by name, found {self.layers!r:.60}"
            )
        for name, layer in self.layers.items():
            if not isinstance(name, str) or not name or name == "input" or "." in name:
                raise InputError(
                    f"Sequential: {name!r} is not a layer name (a word without a dot, not 'input')"
                )
            if not isinstance(layer, Layer):
                raise InputError(f"Sequential: {name} is a {type(layer).__name__}, not a layer")
        object.__setattr__(self, "layers", dict(self.layers))

    def forward(self, x: Array, tape: Cache = None) -> tuple[Array, Cache]:
        tape = Calls() if tape is None else tape
        for name, layer in self.layers.items():
            x = tape.run(name, layer, x)
        return x, tape

    def backward(self, dy: Array | None, tape: Cache) -> Array | None:
        for name in reversed(self.layers):
            dy = tape.back(name, dy)
        return dy

    def receptive_field(self) -> Window | None:
        return in_a_row(*self.layers.values())

    def parts(self) -> dict[str, Layer]:
        return self.layers

    def with_parts(self, parts: dict[str, Layer]) -> Layer:
        return replace(self, layers=parts)
