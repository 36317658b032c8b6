"""The records of a pass as the nodes of a graph, one per row, with the lanes in which its lines are drawn."""

from dataclasses import dataclass, field

from npgrad._typing import Array
from npgrad.layers import Composite
from npgrad.tape import INPUT, Record, Tape


@dataclass(eq=False)
class Node:
    """One value of a pass: the input, or the output of a layer.

    Parameters
    ----------
    name : str
        The layer's name, or "input".
    y : ndarray
        The value.
    record : Record or None
        The layer call that made it; None for the input.
    sources : list of int
        The nodes that it is computed from, by their place in the list.
    aliases : list of str
        Composites whose output is the same array, such as the block that ends here.
    lane : int
        The column in which it is drawn; see `set_lanes`.
    """

    name: str
    y: Array
    record: Record | None = None
    sources: list[int] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    lane: int = 0

    @property
    def is_composite(self) -> bool:
        """Whether the value is put together by a composite, as the concatenation at the end of a Fire is."""
        return self.record is not None and isinstance(self.record.layer, Composite)


def nodes_of(tape: Tape) -> list[Node]:
    """List the nodes of a pass that kept everything, in the order in which they were computed.

    A composite is a node of its own only if its output is none of its parts' outputs. Its sources are then the outputs
    inside it that nothing inside it uses.

    Parameters
    ----------
    tape : Tape
        The pass.

    Returns
    -------
    list of Node
        The input first.
    """
    nodes = [Node(INPUT, tape.x)]
    place: dict[str, int] = {INPUT: 0}
    made: dict[int, int] = {}  # id of a layer's output -> its node; the tape keeps the arrays alive
    for record in tape:
        if isinstance(record.layer, Composite) and id(record.y) in made:
            place[record.name] = made[id(record.y)]
            nodes[place[record.name]].aliases.append(record.name)
            continue
        node = Node(record.name, record.y, record)
        if node.is_composite:
            node.sources = _loose_ends(nodes, f"{record.name}.")
        elif record.sources is not None:
            node.sources = [place[source] for source in record.sources]
        node.sources = node.sources or [len(nodes) - 1]  # unknown: drawn as following the layer before
        place[record.name] = made[id(record.y)] = len(nodes)
        nodes.append(node)
    set_lanes(nodes)
    return nodes


def _loose_ends(nodes, prefix):
    inside = {i for i, node in enumerate(nodes) if node.name.startswith(prefix)}
    used = {source for i in inside for source in nodes[i].sources}
    return sorted(inside - used)


def uses(nodes: list[Node]) -> list[list[tuple[int, int]]]:
    """For each node, list where its value is used: (the node that uses it, which of its inputs it is).

    Parameters
    ----------
    nodes : list of Node

    Returns
    -------
    list of list of (int, int)
    """
    found: list[list[tuple[int, int]]] = [[] for _ in nodes]
    for i, node in enumerate(nodes):
        for which, source in enumerate(node.sources):
            found[source].append((i, which))
    return found


def set_lanes(nodes: list[Node]) -> None:
    """Choose each node's lane, as `git log --graph` does: a value keeps its lane down to its last use.

    A node takes over the lane of a source that it is the last to use, so that a chain is one straight line, and a fork
    begins a new lane.

    Parameters
    ----------
    nodes : list of Node
        Their `lane` is set.
    """
    last = [max((i for i, _ in found), default=place) for place, found in enumerate(uses(nodes))]
    taken: dict[int, int] = {}  # lane -> the node whose value is in it
    for i, node in enumerate(nodes):
        ending = sorted({nodes[source].lane for source in node.sources if last[source] == i})
        for lane in ending:
            taken.pop(lane, None)
        free = ending or (lane for lane in range(len(nodes)) if lane not in taken)
        node.lane = next(iter(free))
        if last[i] > i:
            taken[node.lane] = i
