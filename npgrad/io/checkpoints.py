"""Checkpoints: all that a run needs to go on, in one .npz file of plain arrays, one of them a line of JSON; no pickles.

A checkpoint names what it was made with, by a SHA-256 of all settings, images and weights, and fits nothing else.
It is read as a stranger's file: by npgrad's own reader of .npz files, which checks every member's CRC-32.
"""

import hashlib
import json
import os

import numpy as np

from npgrad._files import atomic_write, shown
from npgrad.errors import InputError, WeightsError
from npgrad.model import Model

FORMAT = "npgrad checkpoint 1"


def fingerprint(settings):
    """The SHA-256 of {name: value}: numbers, strings, arrays, models, and lists or dicts of them."""
    digest = hashlib.sha256()
    _digest(digest, settings)
    return digest.hexdigest()


def _digest(digest, value):
    if isinstance(value, Model):
        value = [value.network.arrays(buffers=True), repr(value.preprocessing)]
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: str(pair[0]))
        value = [item for pair in pairs for item in pair]
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
        usual = np.random.default_rng(0)
        raise InputError(f"rng: only a generator like {usual!r} can go into a checkpoint") from None
    run = np.frombuffer(text.encode(), np.uint8)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, run=run, **arrays)


def read(path, settings):
    """(arrays, rest) as `write` wrote them, or None where there is no file yet.

    InputError: the file is no checkpoint, is damaged, or was made with other settings.
    """
    if not os.path.exists(path):
        return None
    name = shown(path)
    try:
        arrays = _arrays(path, name)
        found = json.loads(arrays.pop("run").tobytes())
        if found["format"] != FORMAT:
            raise ValueError("it has another format")
        made_with, rest = found["settings"], found["rest"]
    except KeyError as error:
        raise damaged(path, f"there is no {error}") from None
    except (WeightsError, OSError, ValueError, TypeError, RecursionError) as error:
        raise damaged(path, getattr(error, "strerror", None) or error) from None
    if made_with != settings:
        raise InputError(
            f"{name}: this checkpoint was made with other settings, images or weights; "
            "give those again, or another file"
        )
    return arrays, rest


def _arrays(path, name):
    """{name: array} of the file; whatever is wrong with it is a WeightsError or an OSError."""
    from npgrad.io.formats import npz, zips

    if not os.path.isfile(path):  # a pipe might never come to an end
        raise WeightsError(f"{name}: expected a regular file")
    with open(path, "rb") as file:
        data = file.read()
    if any(member.method for member in zips.Zip(data, name).members.values()):
        raise WeightsError(f"{name}: expected stored parts, found compressed ones")
    return npz.read(data, name)


def damaged(path, error):
    """The InputError for a file that cannot be used: one line, whatever the `error` says."""
    reason = " ".join(str(error).removeprefix(f"{shown(path)}: ").split()) or type(error).__name__
    return InputError(f"{shown(path)}: not a checkpoint of npgrad, or a damaged one: {reason:.100}")
