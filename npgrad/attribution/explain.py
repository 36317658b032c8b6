"""One image explained: the target and method that were requested, and the heat map that a person looks at."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from npgrad._asked import asked, is_question, resolved, target_found
from npgrad._files import atomic_file
from npgrad._outputs import explained, measure
from npgrad._targets import resolve_targets
from npgrad._typing import Array, ImageLike, Path, Progress
from npgrad.attribution import methods
from npgrad.errors import InputError
from npgrad.images.heat_maps import heat_map
from npgrad.images.reading import open_image
from npgrad.images.seen import middle
from npgrad.images.sheets import contact_sheet
from npgrad.model import Model

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Request:
    """Which attribution of an image to compute, and how to show it.

    Parameters
    ----------
    method : str or tuple of str, default "saliency"
        The name of a method of `npgrad.attribution`, or several names for one labeled contact sheet.
    target : int, str, callable or None
        The class by index or name, or what else is asked for; see `npgrad.targets`. None: each image's top class.
    options : dict
        Keyword arguments for the method, in addition to `npgrad.attribution.methods.defaults`.
    sign : {"absolute", "positive", "signed"} or None
        As for `npgrad.images.heat_maps.heat_map`. None: as the method is usually shown.
    outliers : float, default 2.0
        As for `npgrad.images.heat_maps.heat_map`.
    alone : bool, default False
        Whether to show the heat map without the image in the background.
    """

    method: str | tuple[str, ...] = "saliency"
    target: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    sign: str | None = None
    outliers: float = 2.0
    alone: bool = False

    @property
    def title(self) -> str:
        """The name of the method; of several, "all" or their names separated by commas."""
        if isinstance(self.method, str):
            return self.method
        return "all" if set(self.method) == set(methods.METHODS) else ",".join(self.method)

    def check(self, model: Model) -> None:
        """Check the methods, their options and the target before any work is done.

        Parameters
        ----------
        model : Model
            The network.

        Raises
        ------
        InputError
            The method does not take an option, or there are options for several methods.
        UnknownName, TargetError
            There is no such method or class.
        """
        names = [self.method] if isinstance(self.method, str) else self.method
        for name in names:
            methods.function_of(name)
        if self.options and not isinstance(self.method, str):
            raise InputError("options: several methods take different options; expected none")
        for key in self.options:
            if key in ("model", "x", "target", "progress") or not methods.takes(self.method, key):
                raise InputError(f"options: {self.method} takes no {key!r}")
        if self.options.get("return_delta"):
            raise InputError("options: return_delta: expected False, since only the attribution is shown")
        if self.target is not None:
            target_found(model, self.target)


@dataclass(frozen=True)
class Explanation:
    """The result of `explain`.

    Parameters
    ----------
    image : PIL.Image.Image
        The heat map, or the contact sheet of several methods.
    array : ndarray or None
        The raw attribution of the image, without the batch axis. None for a contact sheet.
    target : (int or None, str, float) or None
        Index, name and probability of the target class; or index, name and value of an output. None, the text and the
        value of a target that is more than a class. Only None: no output was given, of a network without classes,
        and the method's result is the same for all.
    measure : {"probability", "value"}
        What the last entry of the target is.
    """

    image: "Image"
    array: Array | None
    target: tuple[int | None, str, float] | None
    measure: str = "probability"


def explain(model: Model, source: ImageLike, request: Request, progress: Progress = None) -> Explanation:
    """Explain one image.

    Parameters
    ----------
    model : Model
        The network.
    source : path, ndarray of uint8, or PIL.Image.Image
        The image.
    request : Request
        What to compute and how to show it.
    progress : callable or None
        Called with (done, total), counted as the method does, or in methods if there are several.

    Returns
    -------
    Explanation

    Raises
    ------
    ImageError
        The image cannot be read.
    """
    source = open_image(source)
    x = model.preprocess(source)
    if request.target is None and not model.has_classes and _all_blind(request.method):
        asked_for, target, kind = 0, None, measure(model)
    else:
        asked_for, target = _target(model, x, request.target)
        kind = "value" if target[0] is None else measure(model)
    shown = model.preprocessing.view(source, zoom=2)
    if isinstance(request.method, str):
        array = _attribution(model, x, asked_for, request.method, request.options, progress)
        return Explanation(_heat_map(array, shown, request.method, request), array, target, kind)
    note = middle(model.preprocessing, source.size)
    sheet = _sheet(model, x, asked_for, target[1] if target else "", shown, note, request, progress)
    return Explanation(sheet, None, target, kind)


def _all_blind(names):
    return all(methods.METHODS[name].blind for name in ([names] if isinstance(names, str) else names))


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


def _sheet(model, x, target, name_of_target, shown, note, request, progress):
    """Every method on one image, each labeled with its name and running time."""
    from PIL import Image

    tiles, labels = [Image.fromarray(shown)], ["\n".join(filter(None, [name_of_target, note]))]
    for done, name in enumerate(request.method, 1):
        start = time.perf_counter()
        array = _attribution(model, x, target, name, {}, None)
        labels.append(f"{name}, {time.perf_counter() - start:.2g} s")
        tiles.append(_heat_map(array, shown, name, request))
        if progress is not None:
            progress(done, len(request.method))
    return contact_sheet(tiles, labels)


def _attribution(model, x, target, name, options, progress):
    options = methods.defaults(name, model, x, options.get("layer")) | options
    if progress is not None and methods.takes(name, "progress"):
        options["progress"] = progress
    found = methods.function_of(name)(model, x, target, **options)
    if isinstance(found, dict):
        raise InputError(f"layer: expected one name, found list: {name} gives a map of each layer by itself")
    return found[0]


def _heat_map(array, shown, name, request):
    sign = request.sign or methods.METHODS[name].sign
    if array.ndim == 3:
        array = (np.abs(array) if sign == "absolute" else array).sum(axis=0)
    return heat_map(array, None if request.alone else shown, sign=sign, outliers=request.outliers)


def save_array(array: Array, path: Path) -> None:
    """Write an array to an .npy file, whole or not at all.

    Parameters
    ----------
    array : ndarray
        The array.
    path : str or path-like
        The file.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    with atomic_file(path) as file:
        np.save(file, array)
