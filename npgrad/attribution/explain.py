"""One photo explained: what is asked about it, and the heat map that a person looks at."""

import dataclasses
import time
from dataclasses import dataclass, field

import numpy as np

from npgrad._files import atomic_file
from npgrad.attribution import methods
from npgrad.errors import InputError
from npgrad.images import open_image


@dataclass(frozen=True)
class Question:
    """What is asked about a photo, and how the answer is shown.

    method          the name of a method of npgrad.attribution, or several, for one labeled sheet of them
    target          the class asked about, by index or name; None: each photo's likeliest
    options         {keyword: value} for the method; what it needs besides is `npgrad.attribution.methods.defaults`
    sign, outliers  as for `npgrad.images.heat_maps.heat_map`; sign None: as fits the method
    alone           without the photo beneath
    """

    method: str | tuple = "saliency"
    target: int | str | None = None
    options: dict = field(default_factory=dict)
    sign: str | None = None
    outliers: float = 2.0
    alone: bool = False

    @property
    def title(self):
        """The method's name; of several "all", or their names with commas between."""
        if isinstance(self.method, str):
            return self.method
        return "all" if set(self.method) == set(methods.METHODS) else ",".join(self.method)

    def check(self, model):
        """An error of the NpgradError family, where the methods, their options or the target cannot be."""
        names = [self.method] if isinstance(self.method, str) else self.method
        for name in names:
            methods.function_of(name)
        if self.options and not isinstance(self.method, str):
            raise InputError("options: several methods are asked for, and have different ones; expected none")
        for key in self.options:
            if key in ("model", "x", "target", "progress") or not methods.takes(self.method, key):
                raise InputError(f"options: {self.method} takes no {key!r}")
        if self.options.get("return_delta"):
            raise InputError("options: return_delta: expected an attribution alone")
        if self.target is not None:
            model.class_index(self.target)


@dataclass(frozen=True)
class Explanation:
    """The answer. image: a PIL image. array: the raw attribution, None for a sheet. target: the class
    asked about as (index, name, probability)."""

    image: object
    array: np.ndarray | None
    target: tuple


def explain(model, source, question, progress=None):
    """The Explanation of one photo.

    source: a path, a PIL image or a uint8 array. progress: called with (done, total), of the method's own parts
    or of several methods. ImageError: the photo cannot be read.
    """
    source = open_image(source)
    x = model.preprocess(source)
    ranking = model.predict(x, top=model.num_classes)[0]
    asked = ranking[0][0] if question.target is None else model.class_index(question.target)
    target = next(found for found in ranking if found[0] == asked)
    photo = _as_seen(model, source)
    if isinstance(question.method, str):
        array = _attribution(model, x, asked, question.method, question.options, progress)
        return Explanation(_heat_map(array, photo, question.method, question), array, target)
    return Explanation(_sheet(model, x, target, photo, question, progress), None, target)


def _sheet(model, x, target, photo, question, progress):
    """Every method on one photo, each with its name and the time it took."""
    from PIL import Image

    from npgrad.images.sheets import contact_sheet

    tiles, labels = [Image.fromarray(photo)], [target[1]]
    for done, name in enumerate(question.method, 1):
        start = time.perf_counter()
        array = _attribution(model, x, target[0], name, {}, None)
        labels.append(f"{name}, {time.perf_counter() - start:.2g} s")
        tiles.append(_heat_map(array, photo, name, question))
        if progress is not None:
            progress(done, len(question.method))
    return contact_sheet(tiles, labels)


def _attribution(model, x, target, name, options, progress):
    options = methods.defaults(name, model, x) | options
    if progress is not None and methods.takes(name, "progress"):
        options["progress"] = progress
    return methods.function_of(name)(model, x, target, **options)[0]


def _heat_map(array, photo, name, question):
    from npgrad.images.heat_maps import heat_map

    sign = question.sign or methods.METHODS[name].sign
    return heat_map(array, None if question.alone else photo, sign=sign, outliers=question.outliers)


def _as_seen(model, source):
    """What the network sees of the photo, as pixels at twice the size: a person likes to see more."""
    seen = model.preprocessing
    twice = dataclasses.replace(seen, resize=2 * seen.resize, crop=2 * seen.crop)
    return twice.invert(twice.apply(source))[0]


def save_array(array, path):
    """Write an .npy file, whole or not at all."""
    with atomic_file(path) as file:
        np.save(file, array)
