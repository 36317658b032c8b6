"""Finding a network by name or path."""

import os
from pathlib import Path

from npgrad._files import shown, weights_folder
from npgrad.errors import WeightsError, unknown

BUNDLED = "scenes"  # the network that comes with npgrad


def load(source=None):
    """The Model of a weights file, or of a bundled or cached network by name.

    source: a path to an .h5 file that `Model.save` or scripts/convert_weights.py wrote, or to an .onnx file (with
    the extra `npgrad[onnx]`); or a name that `npgrad weights list` shows; None is the bundled network. WeightsError
    says what is wrong with a file, UnknownName lists the nearest names.
    """
    from npgrad.io.formats import hdf5, onnx

    if source is None:
        path = bundled(BUNDLED)
        if path is None:
            raise WeightsError(
                "no network is bundled with this version: give a weights file, "
                "or get one with `npgrad weights get squeezenet1_1`"
            )
        return hdf5.load(path)
    text = os.fspath(source)
    if Path(text).is_file() or isinstance(source, os.PathLike) or os.sep in text or Path(text).suffix:
        return onnx.load(text) if onnx.matches(text) else hdf5.load(text)
    return hdf5.load(_by_name(text))


def bundled(name):
    """The path of a network that comes with npgrad, or None if none of this name does."""
    path = weights_folder() / f"{name}.h5"
    return path if name.isidentifier() and path.is_file() else None


def _by_name(name):
    from npgrad.io import known_weights as fetch

    if (path := bundled(name)) is not None:
        return path
    networks = [known.name for known in fetch.known().values() if known.kind == "weights"]
    path = fetch.find(name)
    if path is None and name in networks:
        raise WeightsError(f"{name} is not on this machine yet: get it with `npgrad weights get {name}`")
    if name not in networks:
        raise unknown("network or file", shown(name), [*networks, BUNDLED])
    return path
