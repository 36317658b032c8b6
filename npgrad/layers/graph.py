"""A directed acyclic graph of layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from npgrad._typing import Array, Cache
from npgrad.errors import InputError
from npgrad.layers.base import Layer
from npgrad.layers.composite import Calls, Composite, add


@dataclass(frozen=True, eq=False)
class Graph(Composite):
    """Every node takes the outputs of earlier nodes; the output of the last node is y.

    Backward visits the nodes in reverse order. An output that is used several times is a fork: it moves the loss
    through each use, so the gradients of all uses add up. When a node is visited, all uses of its output have been
    visited before, so its gradient is complete.

    Parameters
    ----------
    nodes : dict
        {name: (layer, source)} in execution order. A source is the name of an earlier node, or "input" for x; a layer
        with several inputs, such as Add, has a tuple of sources:
        ``Graph({"a": (conv, "input"), "b": (ReLU(), "a"), "sum": (Add(), ("a", "b"))})``
    """

    nodes: dict[str, Any]

    def __post_init__(self):
        if not isinstance(self.nodes, dict) or not self.nodes:
            raise InputError(f"Graph: expected a dict of at least one node by name, found {self.nodes!r:.60}")
        before, nodes = {"input"}, {}
        for name, node in self.nodes.items():
            if not isinstance(name, str) or not name or name == "input":
                raise InputError(f"Graph: {name!r} is not a node name (a word, not 'input')")
            if not isinstance(node, (tuple, list)) or len(node) != 2 or not isinstance(node[0], Layer):
                raise InputError(f"Graph: {name}: expected (layer, source), found {node!r:.60}")
            layer, source = node
            source = tuple(source) if isinstance(source, (tuple, list)) else source
            for one in source if isinstance(source, tuple) else (source,):
                if one not in before:
                    raise InputError(f"Graph: {name} takes {one!r:.60}, which is not an earlier node")
            before.add(name)
            nodes[name] = (layer, source)
        object.__setattr__(self, "nodes", nodes)

    def forward(self, x: Array, tape: Cache = None) -> tuple[Array, Cache]:
        tape = Calls() if tape is None else tape
        y = {"input": x}
        for name, (layer, source) in self.nodes.items():
            inputs = tuple(y[one] for one in source) if isinstance(source, tuple) else y[source]
            y[name] = tape.run(name, layer, inputs)
        return y[next(reversed(self.nodes))], tape

    def backward(self, dy: Array | None, tape: Cache) -> Array | None:
        dys = dict.fromkeys([*self.nodes, "input"])  # each output's gradient so far
        dys[next(reversed(self.nodes))] = dy
        for name, (_, source) in reversed(self.nodes.items()):
            if isinstance(source, tuple):
                dx = tape.back(name, dys[name], inputs=len(source))
            else:
                source, dx = (source,), (tape.back(name, dys[name]),)
            for one, gradient in zip(source, (None,) * len(source) if dx is None else dx, strict=True):
                dys[one] = add(dys[one], gradient)  # summed over all uses, if it is a fork
        return dys["input"]

    def parts(self) -> dict[str, Layer]:
        return {name: layer for name, (layer, _) in self.nodes.items()}

    def with_parts(self, parts: dict[str, Layer]) -> Layer:
        return replace(self, nodes={name: (parts[name], source) for name, (_, source) in self.nodes.items()})
