"""npgrad's own weights file: an HDF5 file that describes its network.

The first 512 bytes are text: the format, and the SHA-256 of the rest, so that every changed byte is detected before a
parser runs. The rest is HDF5 with exactly

    metadata        uint8: UTF-8 JSON with format version, architecture, classes, preprocessing, source
    arrays/NAME     every parameter and buffer by name (`conv1.weight`), as uncompressed floats. In names, "/" is
                    written as %2F and "%" as %25, because "/" separates groups in HDF5

Anything else is refused: soft and external links, external and virtual storage, filters, other types.
"""

import dataclasses
import io
import json
from typing import TYPE_CHECKING

import numpy as np

from npgrad._files import atomic_write, ctrl_c_later, shown
from npgrad._typing import Path
from npgrad.errors import NpgradError, WeightsError
from npgrad.io.formats._hdf5_datasets import members, open_dataset, values
from npgrad.io.formats.reading import FileBytes, regular_file
from npgrad.io.formats.structure import check_names_and_shapes
from npgrad.layers.base import frozen

if TYPE_CHECKING:
    from npgrad.model import Model

VERSION = 2
READABLE = (1, 2)  # in version 1, every network took RGB, a square and values v / 255
HEADER = 512
MAX_METADATA = 16 << 20


def save(model: "Model", path: Path) -> None:
    """Write a model to a file, whole or not at all.

    Parameters
    ----------
    model : Model
        The network.
    path : str or path
        The file, usually .h5.

    Raises
    ------
    InputError
        If the file cannot be written, or the model contains a layer type of your own.
    """
    with atomic_write(path) as temporary, open(temporary, "w+b", buffering=0) as file:
        careful = _Careful(file)
        try:
            _write(model, careful)
        finally:
            if careful.error:
                raise careful.error


def to_bytes(model: "Model") -> bytes:
    """Return the content of a model's file. Equal models give equal bytes.

    Parameters
    ----------
    model : Model
        The network.

    Returns
    -------
    bytes
    """
    file = io.BytesIO()
    _write(model, file)
    return file.getvalue()


class _Careful:
    """A file for h5py, which does not report every failure to write: the first is kept in `error`."""

    def __init__(self, file):
        self.file, self.error = file, None

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        rest = memoryview(data)
        try:
            while rest and not self.error:
                rest = rest[self.file.write(rest) :]  # some of it where the disk is nearly full
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size):
        try:
            return self.file.truncate(size)
        except OSError as error:
            self.error = self.error or error


def _write(model, file):
    """Write to an empty binary file: one array after another, then the header with their hash."""
    import h5py

    from npgrad.io.formats import structure

    metadata = {
        "format": "npgrad weights",
        "version": VERSION,
        "architecture": model.architecture,
        "classes": model.classes,
        "preprocessing": model.preprocessing.to_json(),
        "source": model.source,
    }
    if model.architecture is None:
        metadata["network"] = structure.describe(model.network)
    optional = ("default_layer", "presets", "outputs")
    metadata |= {key: value for key in optional if (value := getattr(model, key))}
    text = json.dumps(metadata, ensure_ascii=False, sort_keys=False).encode()
    with ctrl_c_later(), h5py.File(file, "w", userblock_size=HEADER) as content:
        content.create_dataset("metadata", data=np.frombuffer(text, np.uint8), track_times=False)
        group = content.create_group("arrays")
        for name, array in model.network.arrays(buffers=True).items():
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            group.create_dataset(_key(name), data=array, track_times=False)
    header = _header(FileBytes(file, file.seek(0, io.SEEK_END)).sha256(HEADER))
    file.seek(0)
    file.write(header)


def load(path: Path) -> "Model":
    """Read a model from a file.

    Parameters
    ----------
    path : str or path
        A file that `save` wrote.

    Returns
    -------
    Model

    Raises
    ------
    WeightsError
        If the file cannot be read or is damaged.
    """
    name = shown(path)
    with regular_file(path, name) as content:
        return _load(content, name)


def from_bytes(data: bytes, name: str) -> "Model":
    """Read a model from the content of a file.

    Parameters
    ----------
    data : bytes
        What `to_bytes` returned.
    name : str
        The file, for error messages.

    Returns
    -------
    Model

    Raises
    ------
    WeightsError
        If the content is damaged or not an npgrad file.
    """
    return _load(FileBytes(io.BytesIO(data), len(data)), name)


def _load(content, name):
    version = _check_header(content, name)
    import h5py

    try:
        with ctrl_c_later(), h5py.File(content.file, "r") as file:
            return _read(file, len(content), version, name)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, NpgradError):
            raise
        raise WeightsError(f"{name}: damaged HDF5: {' '.join(str(error).split())[:120]}") from error


def _header(sha256, version=VERSION):
    text = f"npgrad weights, version {version}\nsha256 of what follows these {HEADER} bytes: {sha256}\n"
    return text.encode().ljust(HEADER, b"\n")


def _check_header(content, name):
    """The version, once the header, which must match exactly, and the hash of everything else are verified."""
    head = bytes(content[:HEADER])
    if not head.startswith(b"npgrad weights, version "):
        from npgrad.io.formats.signatures import HEAD, describe

        raise WeightsError(
            f"{name}: not an npgrad weights file: it looks like {describe(bytes(content[:HEAD]))}; "
            "`npgrad convert` makes one from other weights files"
        )
    sha256 = content.sha256(HEADER)
    for version in READABLE:
        if head == _header(sha256, version):
            return version
    found = head[:40].split(b"\n")[0].decode("ascii", "replace")
    if found not in [f"npgrad weights, version {version}" for version in READABLE]:
        raise WeightsError(f"{name}: header: expected 'npgrad weights, version 1 or 2', found {found!r}")
    raise WeightsError(
        f"{name}: SHA-256: expected the hash in the header, found another: the file was truncated or changed after "
        "it was written; download or convert it again"
    )


def _read(file, file_size, version, name):
    root = members(file.id, name, "the file")
    if set(root) != {"metadata", "arrays"}:
        raise WeightsError(f"{name}: expected 'metadata' and 'arrays', found {sorted(root)[:6]}")
    metadata = _read_metadata(file.id, version, name)
    import h5py

    if root["arrays"] != h5py.h5o.TYPE_GROUP:
        raise WeightsError(f"{name}: arrays: expected a group")
    group = h5py.h5g.open(file.id, b"arrays")
    stored = {key: open_dataset(group, key, name) for key in members(group, name, "arrays")}
    skeleton = _skeleton(metadata, file_size, name)
    expected = {_key(own): array.shape for own, array in skeleton.network.arrays(buffers=True).items()}
    check_names_and_shapes(expected, {key: dataset.shape for key, dataset in stored.items()}, name)
    # each array is read when its layer is made, so that there is never a second copy of them all
    network = skeleton.network.map_arrays(lambda own, _: frozen(values(stored[_key(own)], _key(own), name)))
    return dataclasses.replace(skeleton, network=network)


def _key(name):
    """A parameter's name, escaped for HDF5."""
    return name.replace("%", "%25").replace("/", "%2F")


def _read_metadata(root, version, name):
    import h5py

    dataset = open_dataset(root, "metadata", name)
    if dataset.dtype.str != "|u1" or len(dataset.shape) != 1 or dataset.shape[0] > MAX_METADATA:
        raise WeightsError(
            f"{name}: metadata: expected at most {MAX_METADATA >> 20} MiB of bytes in one dimension"
        )
    text = np.empty(dataset.shape, np.uint8)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, text)
    try:
        metadata = json.loads(text.tobytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{name}: metadata: expected JSON: {error}") from None
    if not isinstance(metadata, dict) or metadata.get("version") != version:
        raise WeightsError(f"{name}: metadata: expected npgrad weights, version {version}")
    return metadata


def _skeleton(metadata, file_size, name):
    """The model that the metadata describe, all parameters zero."""
    from npgrad.images import Preprocessing
    from npgrad.io.formats import structure
    from npgrad.model import Model
    from npgrad.models import registry

    try:
        architecture = metadata.get("architecture")
        if architecture is None:
            model = Model(structure.build(metadata.get("network"), room=file_size))
        else:
            model = registry.skeleton(architecture, room=file_size)
        layer, presets = (
            metadata.get("default_layer", model.default_layer),
            metadata.get("presets", model.presets),
        )
        if not isinstance(layer, str | None):
            raise WeightsError(f"default_layer: expected a layer's name, found {str(layer)[:40]!r}")
        if not isinstance(presets, (list, tuple)) or not all(isinstance(one, str) for one in presets):
            raise WeightsError(f"presets: expected a list of names, found {str(presets)[:40]!r}")
        classes, source = metadata.get("classes"), metadata.get("source") or {}
        if classes is not None and not (
            isinstance(classes, list) and all(isinstance(c, str) for c in classes) and classes
        ):
            raise WeightsError("classes: expected a list of names")
        if not isinstance(source, dict):
            raise WeightsError(f"source: expected names and values, found {str(source)[:40]!r}")
        preprocessing = Preprocessing.from_json(metadata.get("preprocessing"))
        if metadata["version"] == 1 and model.in_channels == 1:  # version 1 could not say gray
            preprocessing = dataclasses.replace(preprocessing.changed(channels="gray"), assumed=True)
        return dataclasses.replace(
            model,
            classes=classes,
            preprocessing=preprocessing,
            source={key: value for key, value in source.items() if key != "knows"},  # of the bundled network
            default_layer=layer,
            presets=tuple(presets),
            outputs=metadata.get("outputs"),
        )
    except NpgradError as error:
        raise WeightsError(f"{name}: metadata: {error}") from None
