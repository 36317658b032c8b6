"""One image explained: the target and methods that were requested, computed."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from npgrad._asked import asked, is_question, resolved
from npgrad._outputs import explained, measure
from npgrad._targets import resolve_targets
from npgrad._typing import Array, ImageLike, Progress
from npgrad._validate import check_input
from npgrad.attribution import methods
from npgrad.attribution.explanation import Explanation
from npgrad.attribution.families import FAMILIES
from npgrad.attribution.request import Request
from npgrad.errors import InputError
from npgrad.images.captions import Legend, duration
from npgrad.images.reading import open_image
from npgrad.images.seen import middle
from npgrad.images.sheets import sheet_of_rows
from npgrad.model import Model


def explain(
    model: Model,
    image: ImageLike,
    method: str | tuple[str, ...] = "saliency",
    target: Any = None,
    *,
    sign: str | None = None,
    outliers: float = 2.0,
    colormap: str | None = None,
    scale: float | str | None = None,
    alone: bool = False,
    bare: bool = False,
    progress: Progress = None,
    **options: Any,
) -> Explanation:
    """Explain one image. The result has the raw array, and shows itself in a notebook as a captioned image.

    Parameters
    ----------
    model : Model
        The network.
    image : path, PIL.Image.Image, ndarray (H, W, 3) of uint8, or ndarray (1, C, H, W) of floats
        The image; or the network's input, as ``model.preprocess`` returns it.
    method : str or tuple of str, default "saliency"
        The name of a method of `npgrad.attribution`, or several names for a sheet with a row for each family.
    target : int, str, callable or None
        The class by index or name, or what else is asked for; see `npgrad.targets`. None: the top class.
    sign : {"absolute", "positive", "signed"} or None
        Which values are shown. None: as the method is usually shown.
    outliers : float, default 2.0
        The percentage of the map's sum that may be clipped.
    colormap : str or None
        A name of `npgrad.display.colormap`. None: the default of the sign, which color-blind people can read.
    scale : float, "shared" or None
        The value that has the strongest color; for a sheet, "shared" is the largest of its maps. None: each its own.
    alone : bool, default False
        Whether to show the map without the image.
    bare : bool, default False
        Whether to show only the part that the network sees, without a caption.
    progress : callable or None
        Called with (done, total), counted as the method does, or in methods if there are several.
    **options
        Keyword arguments for the method, such as ``layer``.

    Returns
    -------
    Explanation

    Raises
    ------
    InputError
        The method does not take an option, or there are options for several methods.
    UnknownName, TargetError
        There is no such method, class or colormap.
    ImageError
        The image cannot be read.

    Examples
    --------
    >>> import npgrad
    >>> model = npgrad.load()
    >>> image, label, mask = npgrad.scenes.scene(7)
    >>> explanation = npgrad.explain(model, image, "grad_cam")
    >>> explanation.array.shape
    (13, 13)
    """
    method = method if isinstance(method, str) else tuple(method)
    request = Request(method, target, options, sign, outliers, alone, bare, colormap, scale)
    request.check(model)
    return answer(model, image, request, progress)


def answer(model: Model, source: ImageLike, request: Request, progress: Progress = None) -> Explanation:
    """Explain one image as a checked request says.

    Parameters
    ----------
    model, source, progress
        As for `explain`.
    request : Request
        What to compute and how to show it.

    Returns
    -------
    Explanation

    Raises
    ------
    ImageError
        The image cannot be read.
    """
    empty, x, asked_for = opened(model, source, request)
    if isinstance(request.method, str):
        start = time.perf_counter()
        array = attributed(model, x, asked_for, request.method, request.options, progress)
        return replace(empty, array=array, seconds=time.perf_counter() - start)
    found = []
    for done, name in enumerate(request.names, 1):
        start = time.perf_counter()
        array = attributed(model, x, asked_for, name, {})
        found.append(_one_of(empty, name, array, time.perf_counter() - start))
        if progress is not None:
            progress(done, len(request.names))
    return replace(empty, sheet=_sheet(empty, found))


def opened(model: Model, source: ImageLike, request: Request) -> tuple[Explanation, Array, Any]:
    """Open an image and find what is asked of it.

    Parameters
    ----------
    model, source, request
        As for `answer`.

    Returns
    -------
    (Explanation, ndarray, object)
        The explanation, still without an array; the network's input; and the target for a method.

    Raises
    ------
    ImageError, InputError
        The image cannot be read, or there are several.
    """
    ready = isinstance(source, np.ndarray) and source.dtype.kind == "f"
    if ready:
        x = check_input(source)
        if len(x) != 1:
            raise InputError(f"image: expected one, found a batch of shape {x.shape}")
        source = open_image(model.deprocess(x)[0])
    else:
        source = open_image(source)
        x = model.preprocess(source)
    if request.target is None and not model.has_classes and _all_blind(request.names):
        asked_for, target, kind = 0, None, measure(model)
    else:
        asked_for, target = _target(model, x, request.target)
        kind = "value" if target[0] is None else measure(model)
    return Explanation(None, target, kind, request, model, source, ready), x, asked_for


def _one_of(whole, name, array, seconds):
    """The explanation by one of several methods."""
    request = replace(whole.request, method=name, colormap=whole.request.colormap_of(name))
    return replace(whole, array=array, request=request, seconds=seconds)


def _sheet(whole, found):
    """A row for each family of methods, each map with its name, its time, and why it is blank."""
    scale = whole.request.scale
    if scale == "shared":
        scale = max((one.shown.limit for one in found), default=0) or None
    rows = []
    for family, names in FAMILIES.items():
        row = []
        for one in sorted((one for one in found if one.request.method in names), key=found.index):
            label = f"{one.request.method}, {duration(one.seconds)}"
            row.append(
                (one.tile(scale), "\n".join(filter(None, [label, one.blank and f"blank: {one.blank}"])))
            )
        if row:
            rows.append((family, row))
    legends = []
    for one in found:
        legend = Legend(one.sign, scale, one.request.colormap, not whole.request.alone)
        if legend not in legends:
            legends.append(legend)
    note = "" if whole.whole else middle(whole.model.preprocessing, whole.photo.size)
    own = "" if scale else "Each map has its own scale: the strongest color is its own largest value."
    lines = filter(None, [whole.about, note and f"The network sees {note}.", own])
    return sheet_of_rows(whole.seen, list(lines), legends, rows)


def _all_blind(names):
    return all(methods.METHODS[name].blind for name in names)


def _target(model, x, target):
    """(the target for a method, its description): the class's index, name and probability, or the text and value."""
    if target is not None and is_question(model, target):
        question = resolved(model, target)
        valued, _ = asked(explained(model), x, question)
        return question, (None, str(question), float(valued(x)[0, 0]))
    ranking = model.predict(x, top=model.num_classes)[0]
    index = ranking[0][0] if target is None else model.class_index(target)
    if target is None and not model.has_classes:
        index = resolve_targets(model, model(x))[0]  # which refuses to choose among several
    return index, next(found for found in ranking if found[0] == index)


def attributed(
    model: Model, x: Array, target: Any, name: str, options: dict[str, Any], progress: Progress = None
) -> Array:
    """Compute an attribution with the arguments that the method needs for this image.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, C, H, W)
        The preprocessed image.
    target : int or callable
        As for the method.
    name : str
        The method.
    options : dict
        Keyword arguments for it.
    progress : callable or None
        Called with (done, total), if the method does that.

    Returns
    -------
    ndarray
        Without the batch axis.

    Raises
    ------
    InputError
        The method gives several maps.
    """
    options = methods.defaults(name, model, x, options.get("layer")) | options
    if progress is not None and methods.takes(name, "progress"):
        options["progress"] = progress
    found = methods.function_of(name)(model, x, target, **options)
    if isinstance(found, dict):
        raise InputError(f"layer: expected one name, found list: {name} gives a map of each layer by itself")
    return found[0]
