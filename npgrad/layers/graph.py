"""Layers in any order that has no circle."""

from dataclasses import dataclass

from npgrad.errors import InputError
from npgrad.layers.base import Layer
from npgrad.layers.composite import Calls, Composite, add


@dataclass(frozen=True, eq=False)
class Graph(Composite):
    """Every node takes the outputs of nodes before it; the last node's output is y.

    nodes: {name: (layer, source)} in the order of running. A source is the name of a node before this one, or
    "input" for x; a layer that takes several arrays, such as Add, has a tuple of sources.

    Going back, the nodes come in the opposite order. An output may have been used several times; moving it moves
    the loss along all these ways, so the gradients that come back along them add. When a node's turn comes, all
    that used its output have had theirs, so its gradient is complete.

        Graph({"a": (conv, "input"), "b": (ReLU(), "a"), "sum": (Add(), ("a", "b"))})
    """

    nodes: dict

    def __post_init__(self):
        if not isinstance(self.nodes, dict) or not self.nodes:
            raise InputError(f"Graph: expected a dict of at least one node by name, found {self.nodes!r:.60}")
        before, nodes = {"input"}, {}
        for name, node in self.nodes.items():
            if not isinstance(name, str) or not name or name == "input":
                raise InputError(f"Graph: {name!r} is no node name (a word, not 'input')")
            if not isinstance(node, (tuple, list)) or len(node) != 2 or not isinstance(node[0], Layer):
                raise InputError(f"Graph: {name}: expected (layer, source), found {node!r:.60}")
            layer, source = node
            source = tuple(source) if isinstance(source, (tuple, list)) else source
            for one in source if isinstance(source, tuple) else (source,):
                if one not in before:
                    raise InputError(f"Graph: {name} takes {one!r:.60}, which is no node before it")
            before.add(name)
            nodes[name] = (layer, source)
        object.__setattr__(self, "nodes", nodes)

    def forward(self, x, tape=None):
        tape = Calls() if tape is None else tape
        y = {"input": x}
        for name, (layer, source) in self.nodes.items():
            inputs = tuple(y[one] for one in source) if isinstance(source, tuple) else y[source]
            y[name] = tape.run(name, layer, inputs)
        return y[name], tape

    def backward(self, dy, tape):
        back = dict.fromkeys([*self.nodes, "input"])  # what has come back to each output so far
        back[next(reversed(self.nodes))] = dy
        for name, (_, source) in reversed(self.nodes.items()):
            if isinstance(source, tuple):
                dx = tape.back(name, back[name], inputs=len(source))
            else:
                source, dx = (source,), (tape.back(name, back[name]),)
            for one, gradient in zip(source, dx, strict=True):
                back[one] = add(back[one], gradient)  # the fork: used before, used again
        return back["input"]

    def parts(self):
        return {name: layer for name, (layer, _) in self.nodes.items()}

    def with_parts(self, parts):
        return Graph({name: (parts[name], source) for name, (_, source) in self.nodes.items()})
