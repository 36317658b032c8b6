"""All numbers and maps of a page, as arrays: of the forward pass, and of a backward pass for each target and rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgrad._typing import Array, Progress
from npgrad.layers import MaxPool2d, ReLU
from npgrad.pages.maps import in_8_bits, planes, shrink, small, strongest
from npgrad.pages.nodes import Node, uses
from npgrad.pages.walks import LRP, PLAIN, RULE_NAMES, Question, Walked, walk

SIDES, INPUT_SIDE = (28, 20, 14, 10), 112  # of maps, in cells; the first with which enough channels fit
BUDGET = 7_000_000  # bytes of maps before compression
ENOUGH, MOST = 3, 8  # channels shown for each layer
FORWARD = ("norm", "mean", "largest", "nonzero", "idle")
BACKWARD = ("norm", "nonzero", "support", "passed", "stopped", "canceled")
SLOTS = (PLAIN, "evidence", "guided", "deconvolution", LRP)  # evidence: activation times plain gradient
SIGNED = ("evidence", LRP)  # ordered by their sum over the pixels, others by their norm


@dataclass(frozen=True)
class Sizes:
    """How much is shown of each node.

    Parameters
    ----------
    count : int
        The number of channels.
    maps : list of (int, int)
        The size of each node's maps; (0, 0) without a spatial size.
    flows : list of (int, int)
        The size of the map of what a ReLU stops, a max pool routes, or arrives at the pixels; (0, 0) for others.
    """

    count: int
    maps: list[tuple[int, int]]
    flows: list[tuple[int, int]]


def sizes_of(nodes: Sequence[Node], targets: int) -> Sizes:
    """Choose sizes with which the page stays small: smaller maps for larger networks.

    Parameters
    ----------
    nodes : sequence of Node
    targets : int
        How many targets there are.

    Returns
    -------
    Sizes
    """
    for side in SIDES:
        maps = [_size(node, node.y.shape, INPUT_SIDE if i == 0 else side) for i, node in enumerate(nodes)]
        flows = [
            _size(node, _flow_shape(node), INPUT_SIDE if i == 0 else side) for i, node in enumerate(nodes)
        ]
        area, flow = (sum(height * width for height, width in sizes) for sizes in (maps, flows))
        left = BUDGET - targets * (area + len(RULE_NAMES) * flow)
        count = int(left // max(1, area * (targets * len(SLOTS) + 1)))
        if count >= ENOUGH:
            break
    return Sizes(min(max(count, 1), MOST), maps, flows)


def _size(node, shape, side):
    spatial = len(shape) == 4 and max(shape[2:]) > 1
    return small(shape[2:], side) if spatial else (0, 0)


def _flow_shape(node):
    if node.record is None:
        return node.y.shape
    return node.record.x.shape if isinstance(node.record.layer, (ReLU, MaxPool2d)) else ()


class Shown:
    """The strongest channels of every node, their strengths and maps; `lead` numbers targets, slots or rules."""

    def __init__(self, lead: tuple[int, ...], count: int, sizes: Sequence[tuple[int, int]]):
        self.lead, self.count, self.sizes = lead, count, sizes
        shape = (*lead, len(sizes), count)
        self.channels = np.full(shape, -1, np.int32)
        self.strength, self.scale = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.maps = [np.zeros((*lead, count, *size), np.int8) for size in sizes]

    def put(self, at: tuple[int, ...], i: int, values: Array, signed: bool = False) -> None:
        """Show the strongest of the channels (C, h, w) of node i."""
        strengths = values.sum(axis=(1, 2)) if signed else np.linalg.norm(values, axis=(1, 2))
        chosen = strongest(strengths, self.count, signed)
        there = chosen >= 0
        self.channels[(*at, i)] = chosen
        self.strength[(*at, i)][there] = strengths[chosen[there]]
        if max(self.sizes[i]):
            eight, scale = in_8_bits(shrink(values[chosen[there]], self.sizes[i]))
            self.maps[i][at][there], self.scale[(*at, i)][there] = eight, scale

    def arrays(self, name: str) -> dict[str, Array]:
        """All of it by name; the maps node by node."""
        maps = np.concatenate([one.ravel() for one in self.maps])
        own = {"channels": self.channels, "strength": self.strength, "scale": self.scale, "maps": maps}
        return {f"{name}.{key}": array for key, array in own.items()}


def forward_arrays(nodes: Sequence[Node], sizes: Sizes) -> dict[str, Array]:
    """The numbers of the forward pass: `FORWARD` of each node, and its strongest channels.

    Parameters
    ----------
    nodes : sequence of Node
    sizes : Sizes

    Returns
    -------
    dict of ndarray
    """
    facts, shown = np.zeros((len(nodes), len(FORWARD)), np.float32), Shown((), sizes.count, sizes.maps)
    for i, node in enumerate(nodes):
        y = planes(node.y)
        idle = (y == 0).all(axis=(1, 2)).sum()
        facts[i] = np.linalg.norm(y), y.mean(), y.max(), (y != 0).mean(), idle
        shown.put((), i, y)
    return {"forward": facts, **shown.arrays("activation")}


def backward_arrays(
    nodes: Sequence[Node],
    questions: Sequence[Question],
    rules: dict[str, Any],
    sizes: Sizes,
    progress: Progress = None,
) -> dict[str, Array]:
    """The numbers of the backward passes: `BACKWARD` of each node, and its strongest channels.

    Parameters
    ----------
    nodes : sequence of Node
    questions : sequence of Question
        The targets.
    rules : dict
        {name: rules}, of those in `RULE_NAMES` that the network has.
    sizes : Sizes
    progress : callable or None
        Called with (done, total), in backward passes.

    Returns
    -------
    dict of ndarray
    """
    T, R, done = len(questions), len(RULE_NAMES), 0
    facts = np.zeros((T, R, len(nodes), len(BACKWARD)), np.float32)
    shown, cams = Shown((T, len(SLOTS)), sizes.count, sizes.maps), Shown((T,), 1, sizes.maps)
    flows = Shown((T, R), 1, sizes.flows)
    names, used = [node.name for node in nodes], uses(list(nodes))
    for t, question in enumerate(questions):
        for rule in rules:
            r, walked = RULE_NAMES.index(rule), walk(question, names, rule, rules[rule])
            for i, (node, gradient) in enumerate(zip(nodes, walked.at, strict=True)):
                facts[t, r, i] = _facts(nodes, i, gradient, walked, used[i])
                y, dy = planes(node.y), planes(gradient)
                shown.put((t, SLOTS.index(rule)), i, dy, rule in SIGNED)
                if rule == PLAIN:
                    shown.put((t, SLOTS.index("evidence")), i, y * dy, signed=True)
                    cams.put((t,), i, np.tensordot(dy.mean(axis=(1, 2)), y, 1)[None])
                if max(sizes.flows[i]):
                    flows.put((t, r), i, _flow(node, gradient, walked)[None])
            done += 1
            if progress is not None:
                progress(done, T * len(rules))
    return {"backward": facts, **shown.arrays("gradient"), **cams.arrays("cam"), **flows.arrays("flow")}


def _facts(nodes, i, gradient, walked: Walked, used):
    """The numbers of `BACKWARD`.

    passed: the norm of what the layer sends to its inputs, divided by the norm of what arrives; -1 if unknown. The
    other two are shares lost, 1 - |what went on| / |what arrived| in sums of absolute values: at a ReLU; and at a fork,
    where the gradients of several uses cancel each other.
    """
    sent, arrived = _parts(walked.into.get(nodes[i].name)), np.abs(gradient).sum()
    norm = np.linalg.norm(gradient)
    passed, stopped, canceled = -1.0, 0.0, 0.0
    if sent and arrived:
        passed = np.sqrt(sum(np.square(one, dtype=float).sum() for one in sent)) / norm
        if isinstance(nodes[i].record.layer, ReLU):
            stopped = 1 - np.abs(sent[0]).sum() / arrived
    uses = [(_parts(walked.into.get(nodes[user].name)), which) for user, which in used]
    if len(uses) > 1 and all(parts for parts, _ in uses):
        before = sum(np.abs(parts[which]).sum() for parts, which in uses)
        canceled = 1 - arrived / before if before else 0.0
    support = (nodes[i].y * gradient).sum()
    return norm, (gradient != 0).mean(), support, passed, stopped, canceled


def _parts(sent):
    """What a layer sends to each of its inputs, as a list; empty if that is unknown."""
    return [] if sent is None else list(sent) if isinstance(sent, tuple) else [sent]


def _flow(node, gradient, walked):
    """Of a ReLU, what it stopped; of a max pool, where the gradient went; of the input, what arrived: summed up."""
    if node.record is None:
        return planes(gradient).sum(axis=0)
    dx = walked.into.get(node.name, np.zeros_like(node.record.x))
    if isinstance(node.record.layer, ReLU):
        return np.abs(planes(gradient - dx)).sum(axis=0)
    return np.abs(planes(dx)).sum(axis=0)
