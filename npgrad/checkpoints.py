"""Checkpoints: all that a long run needs to go on, in one .npz file of plain arrays and a line of JSON; no pickles.

A checkpoint names what it was made with, by a SHA-256 of all settings, pictures and weights, and fits nothing else.
"""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from npgrad.errors import InputError
from npgrad.files import atomic_write, shown
from npgrad.model import Model

FORMAT = "npgrad checkpoint 1"
_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)


def fingerprint(settings):
    """The SHA-256 of {name: value}: numbers, strings, arrays, models, and lists or dicts of them."""
    digest = hashlib.sha256()
    _digest(digest, settings)
    return digest.hexdigest()


def _digest(digest, value):
    if isinstance(value, Model):
        value = value.network.arrays(buffers=True)
    if isinstance(value, dict):
        value = [item for pair in sorted(value.items(), key=str) for item in pair]
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (list, tuple)):
        digest.update(f"list {len(value)} ".encode())
        for item in value:
            _digest(digest, item)
    else:
        digest.update(f"{type(value).__name__} {value!r} ".encode())


def write(path, settings, arrays, rest):
    """Write a run's state, whole or not at all.

    settings: a `fingerprint`. arrays: {name: array}. rest: {name: what JSON can hold}.
    """
    try:
        text = json.dumps({"format": FORMAT, "settings": settings, "rest": rest})
    except TypeError:
        raise InputError(
            f"rng: only a generator like {np.random.default_rng(0)!r} can go into a checkpoint"
        ) from None
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, run=np.array(text), **arrays)


def read(path, settings):
    """(arrays, rest) as `write` wrote them, or None where there is no file yet.

    InputError: the file is no checkpoint, is damaged, or was made with other settings.
    """
    if not Path(path).exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("its parts are compressed")  # then a small file could unpack to a huge one
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        found = json.loads(str(arrays.pop("run")))
        if found["format"] != FORMAT:
            raise ValueError("it has another format")
        made_with, rest = found["settings"], found["rest"]
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{shown(path)}: not a checkpoint of npgrad, or a damaged one: {reason:.100}"
        ) from None
    if made_with != settings:
        raise InputError(
            f"{shown(path)}: this checkpoint was made with other settings, pictures or weights; "
            "give those again, or another file"
        )
    return arrays, rest
