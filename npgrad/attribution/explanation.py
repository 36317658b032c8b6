"""The attribution of one image as a result that people look at: a captioned image, a file, a notebook's cell."""

import io
import warnings
import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from npgrad import __version__
from npgrad._files import atomic_file
from npgrad._outputs import measured
from npgrad._typing import Array, Path
from npgrad.attribution.families import why_blank
from npgrad.attribution.request import Request
from npgrad.errors import level_outside
from npgrad.images.captions import Legend, captioned
from npgrad.images.heat_maps import heat_map
from npgrad.images.overlays import Shown, overlay, shown_values
from npgrad.images.saving import save_image
from npgrad.images.seen import middle
from npgrad.io.checkpoints import fingerprint
from npgrad.model import Model

if TYPE_CHECKING:
    from PIL.Image import Image

_hashes: "weakref.WeakKeyDictionary[Model, str]" = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Explanation:
    """An attribution of one image, which shows itself in a notebook.

    Parameters
    ----------
    array : ndarray or None
        The raw attribution of the image, without the batch axis. None for a contact sheet of several methods.
    target : (int or None, str, float) or None
        Index, name and probability of the target class; or index, name and value of an output. None, the text and the
        value of a target that is more than a class. Only None: no output was given, of a network without classes,
        and the method's result is the same for all.
    measure : {"probability", "value"}
        What the last entry of the target is.
    request : Request
        What was asked for.
    model : Model
        The network.
    photo : PIL.Image.Image
        The whole image.
    whole : bool, default False
        Whether the network saw the photo as it is, not a part of it.
    sheet : PIL.Image.Image or None
        The contact sheet of several methods.
    seconds : float, default 0.0
        How long the method took.
    """

    array: Array | None
    target: tuple[int | None, str, float] | None
    measure: str
    request: Request
    model: Model
    photo: "Image"
    whole: bool = False
    sheet: "Image | None" = None
    seconds: float = 0.0

    @cached_property
    def image(self) -> "Image":
        """The captioned image, or the contact sheet of several methods."""
        return self.sheet or self.drawn(self.request.scale if self.request.scale != "shared" else None)

    @cached_property
    def shown(self) -> Shown:
        """The map's values as they are shown, with the reason if there is nothing to show."""
        size = self.photo.size[::-1] if self.whole else self.model.preprocessing.size
        return shown_values(self._map, size, self.sign, self.request.outliers)

    @property
    def _map(self):
        """The array without channels."""
        array = self.array
        if array.ndim == 3:
            array = (np.abs(array) if self.sign == "absolute" else array).sum(axis=0)
        return array

    @property
    def sign(self) -> str:
        """Which values are shown: "absolute", "positive" or "signed"."""
        return self.request.sign_of(self.request.names[0])

    @property
    def blank(self) -> str:
        """Why the map shows nothing, or an empty text."""
        return why_blank(self.request.names[0], self.shown.blank) if self.shown.blank else ""

    @property
    def caption(self) -> str:
        """Method and target in one line, such as "grad_cam: tabby (281), probability 83.12%"."""
        return ": ".join(filter(None, (self.request.title, self.about)))

    @property
    def about(self) -> str:
        """The target in words, such as "tabby (281), probability 83.12%"; empty without one."""
        if self.target is None:
            return ""
        index, name, number = self.target
        place = "" if index is None else f" ({index})"
        return f"{name}{place}, {self.measure} {measured(self.measure, number)}"

    def drawn(self, limit: float | None = None) -> "Image":
        """Draw the image.

        Parameters
        ----------
        limit : float or None
            The value that has the strongest color. None: the map's own.

        Returns
        -------
        PIL.Image.Image
        """
        request = self.request
        if request.bare:
            return self.tile(limit)
        limit = limit or self.shown.limit
        preprocessing = None if self.whole else self.model.preprocessing
        colormap = request.colormap_of(request.names[0])
        drawn = overlay(self.shown, self.photo, preprocessing, self.sign, limit, colormap, request.alone)
        lines, legend = [self.caption], None
        if self.blank:
            warnings.warn(f"nothing to show: {self.blank}", stacklevel=level_outside())
            lines.append(f"blank: {self.blank}")
        else:
            legend = Legend(self.sign, limit, colormap, not request.alone)
        if drawn.framed:
            lines.append("frame: the part that the network sees")
        elif request.alone and preprocessing and (note := middle(preprocessing, self.photo.size)):
            lines.append(note)
        return captioned(drawn.image, lines, legend)

    def tile(self, limit: float | None = None) -> "Image":
        """Draw the part that the network sees, at twice its resolution, without a caption.

        Parameters
        ----------
        limit : float or None
            The value that has the strongest color. None: the map's own.

        Returns
        -------
        PIL.Image.Image
        """
        request = self.request
        colormap = request.colormap_of(request.names[0])
        seen = None if request.alone else self.seen
        return heat_map(self._map, seen, self.sign, request.outliers, colormap=colormap, limit=limit)

    @cached_property
    def seen(self) -> Array:
        """The part that the network sees, at twice its resolution: uint8 (H, W, 3)."""
        return np.asarray(self.photo) if self.whole else self.model.preprocessing.view(self.photo, zoom=2)

    @property
    def text(self) -> dict[str, str]:
        """What the file of the image says to programs: text chunks of a PNG."""
        found = {
            "Software": f"npgrad {__version__}",
            "npgrad:method": self.request.title,
            "npgrad:weights": weights_hash(self.model),
        }
        if self.target is not None:
            index, name, number = self.target
            found["npgrad:target"] = name if index is None else f"{name} ({index})"
            found[f"npgrad:{self.measure}"] = f"{number:.6g}"
        if self.array is not None:
            found |= {"npgrad:sign": self.sign, "npgrad:limit": f"{self.limit:.6g}"}
        return found

    @property
    def limit(self) -> float:
        """The value that has the strongest color in `image`."""
        scale = self.request.scale
        return float(scale) if isinstance(scale, (int, float)) else self.shown.limit

    def save(self, path: Path) -> None:
        """Write the image to a file, whole or not at all; a PNG says in text chunks what it is.

        Parameters
        ----------
        path : str or path-like
            The file; its suffix determines the format.

        Raises
        ------
        ImageError
            The suffix is not that of an image.
        InputError
            The file cannot be written.
        """
        save_image(self.image, path, self.text)

    def show(self) -> None:
        """Open the image in the system's viewer of images."""
        self.image.show()

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.image.save(file, "PNG", compress_level=1)
        return file.getvalue()

    def __repr__(self) -> str:
        shape = "" if self.array is None else f", array {self.array.shape}"
        return f"Explanation({self.caption}{shape})"


def weights_hash(model: Model) -> str:
    """Return 16 hexadecimal digits that identify a network: its weights, layers, classes and preprocessing.

    Parameters
    ----------
    model : Model
        The network.

    Returns
    -------
    str
    """
    if model not in _hashes:
        network = {"model": model, "layers": model.layer_names(), "classes": model.classes}
        _hashes[model] = fingerprint(network)[:16]
    return _hashes[model]


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
