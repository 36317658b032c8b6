"""Torch's .pth files written by hand in both containers: of old times, and as nothing good writes them."""

import io
import struct
from zipfile import ZipFile

import numpy as np
from pickle_writer import Code, call, encode, named, program
from zip_writer import archive

ORDERED = named("collections", "OrderedDict")
OLD_PARAMETER = named("torch.nn.parameter", "Parameter")
FLOATS = np.arange(1, 7, dtype="<f4").tobytes()
MAGIC = program(0x1950A86A20F9469CFC6C)
LEGACY_HEAD = MAGIC + program(1001)
SYSTEM = program({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4, "long": 4}})


def zip_file(value, storages=None, **members):
    """A zip container of the pickled value, and of six floats as storage 0 unless told otherwise."""
    storages = {"0": FLOATS} if storages is None else storages
    contents = {"a/data.pkl": program(value), **{f"a/data/{key}": raw for key, raw in storages.items()}}
    return archive({**contents, **{f"a/{name}": content for name, content in members.items()}})


def legacy_file(value, storages=None, head=LEGACY_HEAD + SYSTEM, keys=None):
    """The same as a legacy container; storages: {key: (number of elements, bytes)}."""
    storages = {"0": (6, FLOATS)} if storages is None else storages
    content = b"".join(struct.pack("<q", count) + raw for count, raw in storages.values())
    return head + program(value) + program(list(storages) if keys is None else keys) + content


def one(**changes):
    """A state dict of one tensor, "w": two rows of three of the six floats of storage 0."""
    fields = {"stored": storage("0", 6), "shape": (2, 3), "strides": (3, 1), **changes}
    return {"w": tensor(**fields)}


def legacy_one(view=None, count=6, **changes):
    return one(stored=storage("0", count, more=(view,)), **changes)


def storage(key, count, kind="FloatStorage", more=()):
    """A storage by its persistent id, as torch writes it."""
    return Code(encode(("storage", named("torch", kind), key, "cpu", count, *more)) + b"Q")


def tensor(stored, shape, strides, offset=0, more=(False, None)):
    """A call of torch._utils._rebuild_tensor_v2; `more` are requires_grad, hooks and metadata."""
    return call(named("torch._utils", "_rebuild_tensor_v2"), stored, offset, shape, strides, *more)


def zip_members(data):
    """{name: content} of an archive."""
    with ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}
