"""Read the tensors of a torch .pth file without torch, and without running the pickle in it.

torch.save writes one pickle that describes the tensors (see `_torch_globals.py`) and the bytes of their storages. The
container is a zip archive since torch 1.6, and was a plain sequence before. Everything that the pickle declares is
compared with the actual bytes before an array is allocated.
Source: torch/serialization.py.
"""

import math
import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from npgrad._typing import Array
from npgrad.errors import WeightsError
from npgrad.io.formats import _pickles, _zips
from npgrad.io.formats._torch_globals import GLOBALS, Declared, Parameter, Tensor

if TYPE_CHECKING:
    from npgrad.io.formats.reading import FileBytes

EXPECTED = {"magic number": 0x1950A86A20F9469CFC6C, "version": 1001}  # of the legacy container
MAX_DIMENSIONS = 32
MAX_SHARING = 4  # total bytes of all tensors per byte of the storages that they are views of


def read(data: "bytes | FileBytes", name: str, key: str | None = None) -> dict[str, Array]:
    """Read the tensors of a .pth file: a state dict, or a checkpoint that contains one.

    Other contents of a checkpoint are ignored.

    Parameters
    ----------
    data : bytes or FileBytes
        The content of the file. Of `FileBytes`, one storage after another is read.
    name : str
        The file, for error messages.
    key : str or None, default None
        The key of the state dict in the checkpoint, with dots if it is nested ("ema.state_dict"); "." for the tensors
        beside the keys. None: the only one.

    Returns
    -------
    dict of ndarray
        By name; C-contiguous, writable, in native byte order, in the file's types; but bfloat16 becomes float32.

    Raises
    ------
    WeightsError
        If the file is damaged or unsafe, or contains something else, or several state dicts.
    """
    reader = _read_zip if bytes(data[:4]) == _zips.SIGNATURE else _read_legacy
    content, storages, order = reader(data, name)
    tensors = _state_dict(content, name, key)
    # Several tensors may be views of the same storage; each becomes a separate array.
    room = min(MAX_SHARING * sum(size for size, _ in storages.values()), _zips.MAX_EXPANSION * len(data))
    for key, tensor in tensors.items():
        part = f"{name}: tensor {key[:80]!r}"
        _check_view(tensor, part)
        room -= math.prod(tensor.shape) * tensor.storage.element.dtype.itemsize
        if room < 0:
            raise WeightsError(f"{part}: expected storages used at most {MAX_SHARING} times over, found more")
    return _arrays(tensors, storages, order)


def _arrays(tensors, storages, order):
    """{name: array}. A tensor that is a whole storage stays in the memory into which this was read."""
    names = {key: [] for key in storages}
    for name, tensor in tensors.items():
        names[tensor.storage.key].append(name)
    arrays = dict.fromkeys(tensors)
    for key, (_, read) in storages.items():
        content = read()  # also where no tensor needs it: it could be damaged
        for name in names[key]:
            arrays[name] = _array(tensors[name], content, order, len(names[key]) == 1)
        del content  # before the next is read
    return arrays


def _read_zip(data, name):
    """(pickled object, {storage key: (size, function that reads it)}, byte order) of the container since torch 1.6.

    `archive/data.pkl` is the pickle, `archive/data/KEY` a storage; the folder can have any name.
    """
    archive = _zips.Zip(data, name)
    folder = _folder(archive.members, name)
    order = _byte_order(archive, f"{folder}byteorder", name)
    declared = Declared(skip=True)
    pickle = archive.read(f"{folder}data.pkl")
    content = _pickles.load_whole(pickle, f"{name}: {folder}data.pkl", GLOBALS, declared, lenient=True)
    storages = {}
    for key, (element, count) in declared.storages.items():
        member, size = f"{folder}data/{key}", element.dtype.itemsize
        found = archive.members[member].size if member in archive.members else 0
        if member not in archive.members or found // size != count:
            part = f"{name}: {member[:80]!r}"
            raise WeightsError(f"{part}: expected {count} elements of {size} bytes, found {found} bytes")
        storages[key] = found, partial(archive.read, member)
    return content, storages, order


def _folder(members, name):
    """The archive's only folder, with its slash: the one that contains data.pkl."""
    pickled = [member for member in members if re.fullmatch(r"[^/]+/data\.pkl", member)]
    folders = [member.removesuffix("data.pkl") for member in pickled]
    if len(folders) != 1:
        raise WeightsError(f"{name}: expected one data.pkl in one folder, found {len(folders)}")
    if any(member.startswith((folders[0] + "code/", folders[0] + "constants.pkl")) for member in members):
        raise WeightsError(f"{name}: expected a state dict, found TorchScript; torch.save its state_dict()")
    return folders[0]


def _byte_order(archive, member, name):
    if member not in archive.members:  # before torch 2.1
        return "<"
    word = bytes(archive.read(member))
    if word not in (b"little", b"big"):
        raise WeightsError(f"{name}: {member!r}: expected little or big, found {word[:20]!r}")
    return "<" if word == b"little" else ">"


def _read_legacy(data, name):
    """The same for the container before torch 1.6: five pickles, then the storages.

    The pickles are a magic number, a version, sizes of C types, the object and a list of storage keys. For each key,
    the number of elements (int64) and the elements follow, little-endian on every machine.
    """
    at = 0
    values = {}
    declared = Declared()
    for part in ("magic number", "version", "system information", "object", "storage keys"):
        lenient = part == "object"
        allowed = (GLOBALS, declared) if lenient else ({}, None)
        values[part], used = _pickles.load(data, f"{name}: {part}", *allowed, at, lenient)
        at += used
        expected = EXPECTED.get(part)
        if expected and values[part] != expected:
            raise WeightsError(f"{name}: expected torch's {part}, {expected}, found another")
    storages = _legacy_storages(data, at, values["storage keys"], declared.storages, name)
    return values["object"], storages, "<"


def _legacy_storages(data, at, keys, declared, name):
    """{key: (size, function that reads it)} of the storages from byte `at` on: each a count of elements, then these."""
    strings = type(keys) is list and all(type(key) is str for key in keys)
    if not strings or sorted(keys) != sorted(declared):
        raise WeightsError(f"{name}: storage keys: expected the object's {len(declared)}, found others")
    storages = {}
    for key in keys:
        element, count = declared[key]
        part = f"{name}: byte {at}: storage {key[:80]!r}"
        found, start = int.from_bytes(data[at : at + 8], "little"), at + 8
        at = start + count * element.dtype.itemsize
        if found != count:
            raise WeightsError(f"{part}: expected {count} elements, found {found}")
        if at > len(data):
            raise WeightsError(f"{part}: expected {at - start} bytes, found {max(len(data) - start, 0)}")
        storages[key] = at - start, partial(data.__getitem__, slice(start, at))
    if at != len(data):
        raise WeightsError(f"{name}: byte {at}: expected the end, found {len(data) - at} bytes more")
    return storages


def _state_dict(content, name, key):
    """{name: Tensor} of a state dict, or of the one in a checkpoint."""
    tables, seen = {}, set()
    for path, table in _tables(content):
        if id(table) not in seen:  # one dict could be there under two names
            tables[path] = table
            seen.add(id(table))
    if key is not None:
        chosen = {path: table for path, table in tables.items() if f"{path}.".startswith(f"{key}.")}
        if not chosen:
            found = ", ".join(tables) or "none"
            raise WeightsError(f"{name}: key {key!r}: expected that of a state dict, found {found}")
        tables = chosen
    # names of parameters have dots; a checkpoint could also contain single tensors, such as the best accuracy
    tables = {path: table for path, table in tables.items() if any("." in k for k in table)} or tables
    if len(tables) > 1 and not any("." in k for table in tables.values() for k in table):
        tables.pop(".", None)
    if len(tables) > 1:
        counts = {path: sum(type(v) is Tensor for v in table.values()) for path, table in tables.items()}
        found = ", ".join(f"{path} ({count} tensors)" for path, count in counts.items())
        raise WeightsError(f"{name}: expected one state dict, found {found}: choose one with key (--key)")
    if not tables:
        raise WeightsError(f"{name}: expected a state dict, tensors by name; found {_described(content)}")
    (table,) = tables.values()
    for key, value in table.items():
        for part in (key, value):
            if type(part) is _pickles.Inert:
                raise WeightsError(
                    f"{name}: {str(key)[:80]}: expected a tensor among the weights, found {part}, which is unknown "
                    "here and was not run: save the state_dict by itself"
                )
    return {key: value for key, value in table.items() if type(key) is str and type(value) is Tensor}


def _tables(content, path=""):
    """(path, dict) of every dict with tensors by name, in other dicts or not; "." is the path of the outermost."""
    if type(content) is not dict:
        return
    for key, value in content.items():
        if type(value) is Parameter:
            content[key] = value.tensor
    if any(type(key) is str and type(value) is Tensor for key, value in content.items()):
        yield path or ".", content
    for key, value in content.items():
        if type(key) is str:
            yield from _tables(value, f"{path}.{key}".lstrip("."))


def _described(content):
    """What was found instead of a state dict, in words, and what to do."""
    inside = type(content) in (dict, list, tuple)
    values = content.values() if type(content) is dict else content if inside else [content]
    whole = next((value for value in values if type(value) is _pickles.Inert), None)
    found = [str(key)[:60] for key in list(content)[:5]] if type(content) is dict else _pickles.kind(content)
    if whole is None:
        return found
    where = f" in {found}" if inside else ""
    return (
        f"a pickled object of {whole}{where}, which cannot be read without running it: where it was made, "
        "torch.save(model.state_dict(), FILE) writes what can be read; or export the model to ONNX"
    )


def _check_view(tensor, part):
    """Refuse a tensor that is not entirely inside its storage, or larger than it."""
    count, offset, shape, strides = tensor.storage.count, tensor.offset, tensor.shape, tensor.strides
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise WeightsError(
            f"{part}: expected a stride for each of at most {MAX_DIMENSIONS} sizes, "
            f"found {len(shape)} sizes and {len(strides)} strides"
        )
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        raise WeightsError(f"{part}: expected offset, shape and strides >= 0, found others")
    if 0 in shape:  # NumPy refuses overly large shapes even then
        count, last = 2**31, 0
    else:
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if last >= count or math.prod(max(size, 1) for size in shape) > count:
        raise WeightsError(f"{part}: expected a view of {count} elements, found shape {shape} up to {last}")


def _array(tensor, content, order, alone):
    """The checked view of a storage's bytes, if it is the only one and has all of them; else a copy."""
    shape, element = tensor.shape, tensor.storage.element
    dtype = element.dtype.newbyteorder(order)
    if 0 in shape:
        view = np.empty(shape, dtype)
    else:
        offset = (tensor.storage.first + tensor.offset) * dtype.itemsize
        # The stride of a dimension of size 1 is never used, and might have any value.
        steps = [step if size > 1 else 0 for size, step in zip(shape, tensor.strides, strict=True)]
        view = np.ndarray(shape, dtype, content, offset, [step * dtype.itemsize for step in steps])
    if element.name == "BFloat16Storage":  # the upper half of a float32; NumPy has no such type
        bits = view.astype(np.uint32, order="C")
        bits <<= 16
        return bits.view(np.float32)
    if element.name == "BoolStorage":
        return np.not_equal(view, 0, order="C", out=np.empty(shape, bool))
    if alone and view.nbytes == len(content):
        return np.require(view, dtype.newbyteorder("="), "CAW")  # copies what is not so, or not writable
    return np.array(view, dtype.newbyteorder("="), order="C")
