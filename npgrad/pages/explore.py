"""The page in which one walks a forward and a backward pass, layer by layer."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from npgrad import __version__
from npgrad._files import atomic_write
from npgrad._outputs import scores_of
from npgrad._typing import Array, Path, Progress, Target
from npgrad._validate import check_input
from npgrad.layers import MaxPool2d, ReLU
from npgrad.model import Model
from npgrad.pages.maps import in_8_bits, planes, shrink, small, strongest
from npgrad.pages.nodes import Node, nodes_of, uses
from npgrad.pages.packing import html, packed, part
from npgrad.pages.walks import PLAIN, RULE_NAMES, Question, expect_one, questions, rules_of, walk

SIDE, INPUT_SIDE = 28, 112  # of maps, in cells
BUDGET = 7_500_000  # bytes of maps before compression
FACTS = ("norm", "nonzero", "support", "stopped", "cancelled")


def explore(
    model: Model,
    x: Array,
    target: Target = None,
    output: Path | None = None,
    title: str = "",
    progress: Progress = None,
) -> str:
    """Make one HTML page in which one walks a forward and a backward pass of an image, from pixels to scores and back.

    The page has the network as a graph and, for every layer, its shape, its parameters, the sizes of its activation
    and gradient, the share of the gradient that is not zero, the strongest channels as maps, what a ReLU stopped and a
    max pool routed, Grad-CAM, and the code of its backward. Targets are the top five classes (or the five largest
    values) and the one asked; gradients are plain, guided, of a deconvolutional network, or relevance (LRP, with
    `npgrad.attribution.composite_by_position`). The page opens from disk and makes no request.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, C, H, W)
        One preprocessed image, as ``model.preprocess`` returns it.
    target : int, str, callable or None
        The class by index or name, or another question (`npgrad.targets`). None: the top class.
    output : str, path-like or None
        The file to write, whole or not at all. None: none.
    title : str, default ""
        The page's title, such as the image's name.
    progress : callable or None
        Called with (done, total), counted in backward passes.

    Returns
    -------
    str
        The page.

    Raises
    ------
    InputError
        If x is not one image, or the file cannot be written.
    TargetError, UnknownName
        If there is no such class.

    Examples
    --------
    >>> import npgrad
    >>> model = npgrad.load()  # the bundled network
    >>> image, label, mask = npgrad.scenes.scene(7)
    >>> page = npgrad.explore(model, model.preprocess(image), title="scene 7")
    >>> page[:15], len(page) < 5_000_000
    ('<!DOCTYPE html>', True)
    """
    data, block = packed_passes(model, x, target, title, progress)
    heading = f"{data['title']}: a forward and a backward pass"
    body, style = part("explore.html"), part("page.css") + part("explore.css")
    page = html(heading, body, data, block, style, part("explore.js"))
    if output is not None:
        with atomic_write(output) as temporary:
            temporary.write_text(page, encoding="utf-8")
    return page


def packed_passes(
    model: Model, x: Array, target: Target = None, title: str = "", progress: Progress = None
) -> tuple[dict[str, Any], str]:
    """Compute all that the page shows.

    Parameters
    ----------
    model, x, target, title, progress
        As for `explore`.

    Returns
    -------
    (dict, str)
        Names and sizes; and the compressed arrays that `index` in the first describes.
    """
    x = check_input(x)
    expect_one(x)
    scored = scores_of(model)
    tape = scored.forward(x)
    nodes = nodes_of(tape)
    asked, chosen = questions(scored, tape, target)
    rules, missing = rules_of(asked[0])
    arrays, sizes = _forward(nodes, len(asked))
    arrays |= _backward(nodes, asked, rules, sizes, progress)
    index, block = packed(arrays)
    data = {
        "title": title or "image",
        "version": __version__,
        "network": model.architecture["name"] if model.architecture else type(model.network).__name__,
        "size": list(x.shape[2:]),
        "image": _image(model, x),
        "questions": [_described(question) for question in asked],
        "chosen": chosen,
        "rules": [{"name": name, "why": missing.get(name, "")} for name in RULE_NAMES],
        "facts": FACTS,
        "count": sizes["count"],
        "nodes": [_node(node, sizes, i) for i, node in enumerate(nodes)],
        "code": _code(nodes),
        "index": index,
    }
    return data, block


def _described(question):
    return {
        "name": question.name,
        "index": question.index,
        "score": question.score,
        "probability": question.probability,
    }


def _forward(nodes: Sequence[Node], targets: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays of the forward pass, sizes of maps): norm, mean, largest, share not zero, number of idle channels."""
    values = [planes(node.y) for node in nodes]
    maps = [small(y.shape[1:], INPUT_SIDE if i == 0 else SIDE) for i, y in enumerate(values)]
    maps = [size if max(size) > 1 and nodes[i].y.ndim == 4 else (0, 0) for i, size in enumerate(maps)]
    area = sum(height * width for height, width in maps)
    count = int(np.clip(BUDGET // max(1, area * (targets * 5 + 1)), 2, 8))
    facts = np.zeros((len(nodes), 5), np.float32)
    channels = np.full((len(nodes), count), -1, np.int32)
    strength, scale = np.zeros((2, len(nodes), count), np.float32)
    cells = []
    for i, y in enumerate(values):
        idle = int((y == 0).all(axis=(1, 2)).sum())
        facts[i] = np.linalg.norm(y), y.mean(), y.max(), (y != 0).mean(), idle
        norms = np.linalg.norm(y, axis=(1, 2))
        _show(y, norms, strongest(norms, count), maps[i], channels[i], strength[i], scale[i], cells)
    sizes = {"count": count, "maps": maps, "flow": [_flow_size(node, i) for i, node in enumerate(nodes)]}
    arrays = {
        "forward": facts,
        "activation.channels": channels,
        "activation.strength": strength,
        "activation.scale": scale,
        "activation.maps": _joined(cells),
    }
    return arrays, sizes


def _show(y, strengths, chosen, size, channels, strength, scale, cells):
    """Note the chosen channels and their strengths, and append their maps."""
    there = chosen >= 0
    channels[:] = chosen
    strength[there] = strengths[chosen[there]]
    if max(size):
        maps = np.zeros((len(chosen), *size), y.dtype)
        maps[there] = shrink(y[chosen[there]], size)
        eight, scale[:] = in_8_bits(maps)
        cells.append(eight.ravel())


def _flow_size(node, i):
    """The size of the map of what a ReLU stops, a max pool routes, or arrives at the pixels; (0, 0) without one."""
    if i == 0 and node.y.ndim == 4:
        return small(node.y.shape[2:], INPUT_SIDE)
    if node.record is not None and isinstance(node.record.layer, (ReLU, MaxPool2d)) and node.y.ndim == 4:
        return small(node.record.x.shape[2:], SIDE)
    return 0, 0


def _joined(cells):
    return np.concatenate(cells) if cells else np.zeros(0, np.int8)


SLOTS = {PLAIN: 0, "guided": 2, "deconvolution": 3, "LRP": 4}  # 1: activation times plain gradient


def _backward(nodes, asked: Sequence[Question], rules, sizes, progress) -> dict[str, Any]:
    """Arrays of the backward passes, one for each target and rule."""
    T, R, N, K = len(asked), len(RULE_NAMES), len(nodes), sizes["count"]
    facts = np.zeros((T, R, N, len(FACTS)), np.float32)
    channels = np.full((T, 5, N, K), -1, np.int32)
    strength, scale = np.zeros((2, T, 5, N, K), np.float32)
    cam_scale, flow_scale = np.zeros((T, N), np.float32), np.zeros((T, R, N), np.float32)
    cells: list[dict[Any, Any]] = [{} for _ in nodes]
    names, used = [node.name for node in nodes], uses(nodes)
    for t, question in enumerate(asked):
        for r, rule in enumerate(RULE_NAMES):
            if rule not in rules:
                continue
            walked = walk(question, names, rule, rules[rule])
            for i, (node, gradient) in enumerate(zip(nodes, walked.at, strict=True)):
                dy, size = planes(gradient), sizes["maps"][i]
                facts[t, r, i] = _facts(nodes, i, gradient, walked, used[i])
                shown = [(SLOTS[rule], dy, rule == "LRP")]
                if rule == PLAIN:
                    y = planes(node.y)
                    shown.append((1, y * dy, True))
                    if max(size):
                        cam = shrink(np.tensordot(dy.mean(axis=(1, 2)), y, 1), size)
                        cells[i]["cam", t], cam_scale[t, i] = in_8_bits(cam)
                for slot, maps, signed in shown:
                    strengths = maps.sum(axis=(1, 2)) if signed else np.linalg.norm(maps, axis=(1, 2))
                    chosen, found = strongest(strengths, K, signed), []
                    at = (t, slot, i)
                    _show(maps, strengths, chosen, size, channels[at], strength[at], scale[at], found)
                    cells[i]["maps", t, slot] = _joined(found)
                if max(sizes["flow"][i]):
                    flow = shrink(_flow(node, gradient, walked), sizes["flow"][i])
                    cells[i]["flow", t, r], flow_scale[t, r, i] = in_8_bits(flow)
            if progress is not None:
                progress(t * len(rules) + list(rules).index(rule) + 1, T * len(rules))
    orders = {
        "maps": [("maps", t, slot) for t in range(T) for slot in range(5)],
        "cam": [("cam", t) for t in range(T)],
        "flow": [("flow", t, r) for t in range(T) for r in range(R)],
    }
    areas = {
        "maps": [K * h * w for h, w in sizes["maps"]],
        "cam": [h * w for h, w in sizes["maps"]],
        "flow": [h * w for h, w in sizes["flow"]],
    }
    blocks = {
        kind: _joined(
            [
                np.ravel(found.get(key, np.zeros(areas[kind][i], np.int8)))
                for i, found in enumerate(cells)
                for key in order
            ]
        )
        for kind, order in orders.items()
    }
    return {
        "backward": facts,
        "channels": channels,
        "strength": strength,
        "scale": scale,
        "cam.scale": cam_scale,
        "flow.scale": flow_scale,
        **blocks,
    }


def _facts(nodes, i, gradient, walked, used):
    """The gradient's norm, its share not zero, the sum of activation times gradient, and the two shares lost.

    A share lost is 1 - |what went on| / |what arrived|, in sums of absolute values: at a ReLU, and at a fork, where the
    gradients of several uses cancel each other.
    """
    node, stopped, cancelled = nodes[i], 0.0, 0.0
    arrived = np.abs(gradient).sum()
    if (
        node.record is not None
        and isinstance(node.record.layer, ReLU)
        and node.name in walked.into
        and arrived
    ):
        stopped = 1 - np.abs(walked.into[node.name]).sum() / arrived
    parts = [walked.into.get(nodes[user].name) for user, _ in used]
    if len(parts) > 1 and all(one is not None for one in parts):
        parts = [
            one[which] if isinstance(one, tuple) else one for one, (_, which) in zip(parts, used, strict=True)
        ]
        before = sum(np.abs(one).sum() for one in parts)
        cancelled = 1 - arrived / before if before else 0.0
    support = float((node.y * gradient).sum())
    return np.linalg.norm(gradient), (gradient != 0).mean(), support, stopped, cancelled


def _flow(node, gradient, walked):
    """Of a ReLU, what it stopped; of a max pool, where the gradient went; of the input, what arrived: summed up."""
    if node.record is None:
        return planes(gradient).sum(axis=0)
    dx = walked.into.get(node.name, np.zeros_like(node.record.x))
    if isinstance(node.record.layer, ReLU):
        return np.abs(planes(gradient - dx)).sum(axis=0)
    return np.abs(planes(dx)).sum(axis=0)


def _node(node, sizes, i):
    layer = node.record.layer if node.record is not None else None
    flow = "pixels" if layer is None else "stopped" if isinstance(layer, ReLU) else "routed"
    return {
        "name": node.name,
        "kind": "image" if layer is None else type(layer).__name__,
        "aliases": node.aliases,
        "shape": list(node.y.shape[1:]),
        "parameters": 0 if layer is None else sum(array.size for array in layer.arrays().values()),
        "sources": node.sources,
        "lane": node.lane,
        "map": list(sizes["maps"][i]),
        "flow": [flow, *sizes["flow"][i]],
    }


def _code(nodes):
    """{kind: the lines of its backward, where they begin, and its file}, as far as the source is there."""
    found = {}
    for node in nodes[1:]:
        kind = type(node.record.layer)
        if kind.__name__ in found:
            continue
        try:
            lines, first = inspect.getsourcelines(kind.backward)
            file = FilePath(inspect.getsourcefile(kind.backward) or "")
        except (OSError, TypeError):
            continue
        top = kind.__module__.partition(".")[0]
        shown = file.as_posix()[file.as_posix().rfind(f"/{top}/") + 1 :]
        found[kind.__name__] = {
            "text": inspect.cleandoc("\n" + "".join(lines)),
            "line": first,
            "file": shown,
            "url": file.resolve().as_uri(),
        }
    return found


def _image(model, x):
    """The image as a data URL; gray for channels that cannot be shown."""
    import base64
    import io

    from PIL import Image

    from npgrad.errors import NpgradError

    try:
        pixels = model.deprocess(x)[0]
    except NpgradError:
        plane = x[0].mean(axis=0)
        span = float(np.ptp(plane)) or 1.0
        pixels = np.uint8(255 * (plane - plane.min()) / span)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
