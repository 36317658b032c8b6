"""One image explained: the target and method that were requested, and the heat map that a person looks at."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from npgrad._files import atomic_file
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
    target : int, str or None
        The class by index or name. None: each image's top class.
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
    target: int | str | None = None
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
            model.class_index(self.target)


@dataclass(frozen=True)
class Explanation:
    """The result of `explain`.

    Parameters
    ----------
    image : PIL.Image.Image
        The heat map, or the contact sheet of several methods.
    array : ndarray or None
        The raw attribution of the image, without the batch axis. None for a contact sheet.
    target : (int, str, float)
        Index, name and probability of the target class; or index, name and value of an output.
    """

    image: "Image"
    array: Array | None
    target: tuple[int, str, float]


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
    ranking = model.predict(x, top=model.num_classes)[0]
    index = ranking[0][0] if request.target is None else model.class_index(request.target)
    if request.target is None and model.outputs == "value":
        index = resolve_targets(model, model(x))[0]  # which refuses to choose among several
    target = next(found for found in ranking if found[0] == index)
    shown = model.preprocessing.view(source, zoom=2)
    if isinstance(request.method, str):
        array = _attribution(model, x, index, request.method, request.options, progress)
        return Explanation(_heat_map(array, shown, request.method, request), array, target)
    note = middle(model.preprocessing, source.size)
    return Explanation(_sheet(model, x, target, shown, note, request, progress), None, target)


def _sheet(model, x, target, shown, note, request, progress):
    """Every method on one image, each labeled with its name and running time."""
    from PIL import Image

    tiles, labels = [Image.fromarray(shown)], ["\n".join([target[1], *([note] if note else [])])]
    for done, name in enumerate(request.method, 1):
        start = time.perf_counter()
        array = _attribution(model, x, target[0], name, {}, None)
        labels.append(f"{name}, {time.perf_counter() - start:.2g} s")
        tiles.append(_heat_map(array, shown, name, request))
        if progress is not None:
            progress(done, len(request.method))
    return contact_sheet(tiles, labels)


def _attribution(model, x, target, name, options, progress):
    options = methods.defaults(name, model, x) | options
    if progress is not None and methods.takes(name, "progress"):
        options["progress"] = progress
    return methods.function_of(name)(model, x, target, **options)[0]


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
