"""npgrad's own weights file: one HDF5 file that describes itself.

The first 512 bytes are text: what this is, and the SHA-256 of all that follows, so that any changed byte is seen
before a parser starts. Then comes HDF5 with nothing in it but
    metadata        uint8: UTF-8 JSON; format version, architecture, classes, preprocessing, source
    arrays/NAME     every parameter and buffer under its name, `conv1.weight`, uncompressed floats; HDF5 takes "/" for
                    a folder, so it stands there as %2F (and % as %25)
Only this is read: no links but hard ones, no external or virtual storage, no filters, no other types.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np

from npgrad._files import atomic_write, ctrl_c_later, shown
from npgrad.errors import NpgradError, WeightsError
from npgrad.io.formats.reading import read_regular_file

VERSION = 1
HEADER = 512
MAX_METADATA = 16 << 20
FLOATS = {"<f2": np.float16, "<f4": np.float32, "<f8": np.float64}


def save(model, path):
    """Write `model` to `path`, whole or not at all."""
    data = to_bytes(model)
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(data)


def to_bytes(model):
    """The file's content. The same model gives the same bytes."""
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
        if model.default_layer is not None:
            metadata["default_layer"] = model.default_layer
    text = json.dumps(metadata, ensure_ascii=False, sort_keys=False).encode()
    buffer = io.BytesIO()
    with ctrl_c_later(), h5py.File(buffer, "w", userblock_size=HEADER) as file:
        file.create_dataset("metadata", data=np.frombuffer(text, np.uint8), track_times=False)
        group = file.create_group("arrays", track_times=False)
        for name, array in model.network.arrays(buffers=True).items():
            group.create_dataset(
                _key(name), data=array.astype(array.dtype.newbyteorder("<")), track_times=False
            )
    body = buffer.getvalue()[HEADER:]
    return _header(hashlib.sha256(body).hexdigest()) + body


def load(path):
    """The Model in the file at `path`. WeightsError says what is wrong with it, in one line."""
    name = shown(path)
    return from_bytes(read_regular_file(path, name), name)


def from_bytes(data, name):
    """The Model in a file's content; `name` is the file's, for messages."""
    _check_header(data, name)
    import h5py

    try:
        with ctrl_c_later(), h5py.File(io.BytesIO(data), "r") as file:
            return _read(file, len(data), name)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, NpgradError):
            raise
        raise WeightsError(f"{name}: damaged HDF5: {' '.join(str(error).split())[:120]}") from error


def _header(sha256):
    text = f"npgrad weights, version {VERSION}\nsha256 of what follows these {HEADER} bytes: {sha256}\n"
    return text.encode().ljust(HEADER, b"\n")


def _check_header(data, name):
    """Every byte of the file is either part of a header that must stand just so, or covered by the hash."""
    if not data.startswith(b"npgrad weights, version "):
        from npgrad.io.formats.signatures import describe

        raise WeightsError(
            f"{name}: not an npgrad weights file: it looks like {describe(data)}; "
            "scripts/convert_weights.py makes one from other weights files"
        )
    sha256 = hashlib.sha256(data[HEADER:]).hexdigest()
    if data[:HEADER] != _header(sha256):
        version = data[:40].split(b"\n")[0].decode("ascii", "replace")
        if version != f"npgrad weights, version {VERSION}":
            raise WeightsError(
                f"{name}: header: expected 'npgrad weights, version {VERSION}', found {version!r}"
            )
        raise WeightsError(
            f"{name}: SHA-256: the content is not what the header says: the file was cut off or changed after it "
            "was written; get or convert it again"
        )


def _read(file, file_size, name):
    root = _members(file.id, name, "the file")
    if set(root) != {"metadata", "arrays"}:
        raise WeightsError(f"{name}: expected 'metadata' and 'arrays', found {sorted(root)[:6]}")
    metadata = _read_metadata(file.id, name)
    import h5py

    if root["arrays"] != h5py.h5o.TYPE_GROUP:
        raise WeightsError(f"{name}: arrays: expected a group")
    group = h5py.h5g.open(file.id, b"arrays")
    stored = {key: _open(group, key, name) for key in _members(group, name, "arrays")}
    skeleton = _skeleton(metadata, file_size, name)
    names = {_key(own): own for own in skeleton.network.arrays(buffers=True)}
    expected = {_key(own): array.shape for own, array in skeleton.network.arrays(buffers=True).items()}
    check_names_and_shapes(expected, {key: dataset.shape for key, dataset in stored.items()}, name)
    arrays = {names[key]: _values(dataset, key, name) for key, dataset in stored.items()}
    return skeleton.with_parameters(arrays)


def _key(name):
    """A parameter's name as HDF5 can have it."""
    return name.replace("%", "%25").replace("/", "%2F")


def _members(group, name, where):
    """{member: object type} of a group, refusing every link that leads anywhere but into it."""
    import h5py

    members = {}
    for key in group:
        label = f"{name}: {where}: {key.decode('utf-8', 'replace')[:80]!r}"
        if group.links.get_info(key).type != h5py.h5l.TYPE_HARD:
            raise WeightsError(f"{label} is a soft or external link, which is never followed")
        info = h5py.h5o.get_info(group, key)
        if info.rc != 1:
            raise WeightsError(f"{label} is reached by {info.rc} links, expected one")
        members[key.decode("utf-8", "replace")] = info.type
    return members


def _open(group, key, name):
    """A dataset's handle, after a look at everything that could make reading it unsafe."""
    import h5py

    label = f"{name}: {key}"
    if h5py.h5o.get_info(group, key.encode()).type != h5py.h5o.TYPE_DATASET:
        raise WeightsError(f"{label}: expected a dataset")
    dataset = h5py.h5d.open(group, key.encode())
    plan = dataset.get_create_plist()
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_external_count() or plan.get_nfilters():
        raise WeightsError(f"{label}: expected plain contiguous storage, found chunked, external or virtual")
    wanted = (*FLOATS, "|u1")
    # get_type().dtype would resolve compound, vlen and reference types; ask for the class first
    type_class = dataset.get_type().get_class()
    if type_class not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT) or dataset.dtype.str not in wanted:
        raise WeightsError(f"{label}: expected floats of 16, 32 or 64 bits, found another type")
    size = int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
    if dataset.get_storage_size() != size:
        raise WeightsError(f"{label}: declared {size} bytes, stored {dataset.get_storage_size()}")
    return dataset


def _read_metadata(root, name):
    import h5py

    dataset = _open(root, "metadata", name)
    if dataset.dtype.str != "|u1" or len(dataset.shape) != 1 or dataset.shape[0] > MAX_METADATA:
        raise WeightsError(f"{name}: metadata: expected at most {MAX_METADATA >> 20} MiB of bytes in one row")
    text = np.empty(dataset.shape, np.uint8)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, text)
    try:
        metadata = json.loads(text.tobytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{name}: metadata: expected JSON: {error}") from None
    if not isinstance(metadata, dict) or metadata.get("version") != VERSION:
        raise WeightsError(f"{name}: metadata: expected npgrad weights, version {VERSION}")
    return metadata


def _skeleton(metadata, file_size, name):
    """The model that the metadata describes, every parameter zero."""
    import dataclasses

    from npgrad.images import Preprocessing
    from npgrad.io.formats import structure
    from npgrad.model import Model
    from npgrad.models import registry

    try:
        architecture = metadata.get("architecture")
        if architecture is None:
            layer = metadata.get("default_layer")
            if not isinstance(layer, str | None):
                raise WeightsError(f"default_layer: expected a layer's name, found {str(layer)[:40]!r}")
            model = Model(structure.build(metadata.get("network"), room=file_size), default_layer=layer)
        else:
            model = registry.skeleton(architecture, room=file_size)
        classes, source = metadata.get("classes"), metadata.get("source") or {}
        if classes is not None and not (
            isinstance(classes, list) and all(isinstance(c, str) for c in classes) and classes
        ):
            raise WeightsError("classes: expected a list of names")
        if classes and architecture and len(classes) != model.num_classes:
            raise WeightsError(f"classes: expected {model.num_classes} names, found {len(classes)}")
        if not isinstance(source, dict):
            raise WeightsError(f"source: expected names and values, found {str(source)[:40]!r}")
        preprocessing = Preprocessing.from_json(metadata.get("preprocessing"))
        return dataclasses.replace(model, classes=classes, preprocessing=preprocessing, source=source)
    except NpgradError as error:
        raise WeightsError(f"{name}: metadata: {error}") from None


def check_names_and_shapes(expected, found, name):
    """Compare {tensor: shape} of a network with that of a file; every difference is named in one line."""
    wrong = [f"{key} is missing" for key in expected if key not in found]
    wrong += [f"{key} is not of this network" for key in found if key not in expected]
    for key in expected.keys() & found.keys():
        if tuple(expected[key]) != tuple(found[key]):
            turned = " (transposed?)" if sorted(expected[key]) == sorted(found[key]) else ""
            wrong.append(f"{key}: expected shape {tuple(expected[key])}, found {tuple(found[key])}{turned}")
    if wrong:
        more = f"; and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise WeightsError(f"{name}: {'; '.join(wrong[:8])}{more}")


def _values(dataset, key, name):
    import h5py

    array = np.empty(dataset.shape, dataset.dtype)
    if array.dtype.kind != "f":
        raise WeightsError(f"{name}: {key}: expected floats, found {array.dtype}")
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    if not np.isfinite(array).all():
        raise WeightsError(f"{name}: {key}: expected finite numbers, found NaN or Inf")
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
