"""The page in which one walks a forward and a backward pass, layer by layer."""

from __future__ import annotations

import base64
import inspect
import io
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from PIL import Image

from npgrad import __version__
from npgrad._files import atomic_write
from npgrad._outputs import scores_of
from npgrad._typing import Array, Path, Progress, Target
from npgrad._validate import check_input
from npgrad.errors import NpgradError
from npgrad.layers import Conv2d, ReLU
from npgrad.model import Model
from npgrad.pages.nodes import nodes_of
from npgrad.pages.numbers import BACKWARD, FORWARD, SIGNED, SLOTS, backward_arrays, forward_arrays, sizes_of
from npgrad.pages.packing import html, packed, part
from npgrad.pages.paths import path_arrays
from npgrad.pages.walks import RULE_NAMES, expect_one, questions, rules_of
from npgrad.pages.windows import fields_of, first_convolutions


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
    page = html(heading, body, data, block, style, part("explore.js") + part("panels.js"))
    if output is not None:
        with atomic_write(output) as temporary:
            temporary.write_bytes(page.encode(errors="replace"))  # a file name may have lone surrogates
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
    sizes, fields = sizes_of(nodes, len(asked)), fields_of(nodes)
    written_out, values = first_convolutions(nodes)
    arrays = {
        **forward_arrays(nodes, sizes),
        **backward_arrays(nodes, asked, rules, sizes, progress),
        **path_arrays(asked[chosen], x),
        **values,
    }
    index, block = packed(arrays)
    image, color = _image(model, x)
    data = {
        "title": title or "image",
        "version": __version__,
        "network": model.architecture["name"] if model.architecture else type(model.network).__name__,
        "size": list(x.shape[2:]),
        "image": image,
        "baseline": color,
        "questions": [_described(question) for question in asked],
        "chosen": chosen,
        "rules": [{"name": name, "why": missing.get(name, "")} for name in RULE_NAMES],
        "forward": FORWARD,
        "backward": BACKWARD,
        "slots": SLOTS,
        "signed": SIGNED,
        "count": sizes.count,
        "nodes": [_node(node, sizes, fields, i) for i, node in enumerate(nodes)],
        "writtenOut": written_out,
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


def _node(node, sizes, fields, i):
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
        "map": list(sizes.maps[i]),
        "flow": [flow, *sizes.flows[i]],
        "field": fields[i] and [side for sides in fields[i] for side in sides],
        "convolution": [*layer.stride, *layer.padding, *layer.dilation, *layer.weight.shape]
        if isinstance(layer, Conv2d)
        else [],
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
        # The page may be read elsewhere: it names the file within its package, not where that is installed.
        place = file.as_posix().rfind(f"/{kind.__module__.partition('.')[0]}/")
        found[kind.__name__] = {
            "text": inspect.cleandoc("\n" + "".join(lines)),
            "line": first,
            "file": file.name if place < 0 else file.as_posix()[place + 1 :],
        }
    return found


def _image(model, x):
    """(the image as a data URL, the color of the baseline 0); gray for channels that cannot be shown."""
    try:
        pixels, color = model.deprocess(x)[0], model.deprocess(0 * x)[0, 0, 0]
    except NpgradError:
        plane = x[0].reshape(-1, *x.shape[-2:]).mean(axis=0)
        pixels, color = np.uint8(255 * (plane - plane.min()) / (np.ptp(plane) or 1)), np.full(3, 128)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", [int(v) for v in color]
