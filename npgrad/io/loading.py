"""Load a network by path or name."""

import dataclasses
import os
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from npgrad._files import shown, weights_folder
from npgrad._typing import Path
from npgrad.errors import WeightsError, unknown

if TYPE_CHECKING:
    from npgrad.model import Model

BUNDLED = "scenes"  # the network that comes with npgrad


def load(source: Path | None = None) -> "Model":
    """Load a network from a file, or a bundled or cached network by name.

    Parameters
    ----------
    source : str, path or None, default None
        A path to an .h5 file written by `Model.save` or ``npgrad convert``, or to an .onnx file (which needs the onnx
        package); or a name that ``npgrad weights list`` shows. None: the bundled network.

    Returns
    -------
    Model

    Raises
    ------
    WeightsError
        If the file cannot be read, or the named network has not been downloaded yet.
    UnknownName
        If no network or file has this name; the message lists the nearest names.

    Examples
    --------
    >>> load()
    Model(squeezenet1_1, 735,834 parameters, 26 named classes)
    """
    from npgrad.io.formats import hdf5, onnx

    if source is None:
        path = bundled(BUNDLED)
        if path is None:
            raise WeightsError(
                "no network is bundled with this version: pass a weights file, "
                "or get one with `npgrad weights get squeezenet1_1`"
            )
        return _scenes(path)
    text = os.fspath(source)
    if FilePath(text).is_file() or isinstance(source, os.PathLike) or os.sep in text or FilePath(text).suffix:
        return onnx.load(text) if onnx.matches(text) else hdf5.load(text)
    path = _by_name(text)
    return _scenes(path) if path == bundled(BUNDLED) else hdf5.load(path)


def _scenes(path):
    """The bundled network, which says what it knows: `Model.preprocess` warns of other images."""
    from npgrad.images.seen import DRAWN_SCENES
    from npgrad.io.formats import hdf5

    model = hdf5.load(path)
    return dataclasses.replace(model, source={**model.source, "knows": DRAWN_SCENES})


def bundled(name: str) -> FilePath | None:
    """Return the path of a network that comes with npgrad.

    Parameters
    ----------
    name : str
        The network's name, such as "scenes".

    Returns
    -------
    pathlib.Path or None
        None if no bundled network has this name.
    """
    path = weights_folder() / f"{name}.h5"
    return path if name.isidentifier() and path.is_file() else None


def _by_name(name):
    from npgrad.io import known_weights

    if (path := bundled(name)) is not None:
        return path
    networks = [entry.name for entry in known_weights.known().values() if entry.kind == "weights"]
    path = known_weights.find(name)
    if path is None and name in networks:
        raise WeightsError(f"{name} is not on this machine yet: get it with `npgrad weights get {name}`")
    if name not in networks:
        raise unknown("network or file", shown(name), [*networks, BUNDLED])
    return path
