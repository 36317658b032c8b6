"""Checkpoints: the state that a run needs to continue, in one .npz file of plain arrays, without pickles.

One of the arrays is JSON text. A checkpoint contains the SHA-256 of all settings, images and weights of its run, and
cannot be used with any others. It is read as an untrusted file, by npgrad's own .npz reader, which verifies the CRC-32
of every member.
"""

import dataclasses
import functools
import hashlib
import json
import os
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from npgrad._files import atomic_write, shown
from npgrad._typing import Array, Path
from npgrad.errors import InputError, WeightsError
from npgrad.layers.base import Layer
from npgrad.model import Model

FORMAT = "npgrad checkpoint 2"


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of a run's settings.

    Parameters
    ----------
    settings : dict
        Numbers, strings, arrays, models, lists, dicts and dataclasses of them, by name. A function counts by its name
        alone, other objects also by their attributes: so the result is the same in every process.

    Returns
    -------
    str
        64 hex digits.

    Examples
    --------
    >>> fingerprint({"steps": 10, "rate": 0.1}) == fingerprint({"rate": 0.1, "steps": 10})
    True
    """
    digest = hashlib.sha256()
    _digest(digest, settings)
    return digest.hexdigest()


def _digest(digest, value):
    if isinstance(value, Model):
        outputs = [value.outputs] if value.outputs else []
        value = [value.network.arrays(buffers=True), value.network, repr(value.preprocessing), *outputs]
    elif isinstance(value, Layer):  # its options and its parts; the model has its parameters already
        counted = value.arrays(buffers=True)
        own = {name: item for name, item in _fields(value).items() if name not in counted}
        value = [type(value).__qualname__, own]
    elif isinstance(value, functools.partial):
        value = ["partial", value.func, value.args, value.keywords]
    elif isinstance(value, types.MethodType):
        value = [value.__func__, value.__self__]
    elif isinstance(value, type) or hasattr(value, "__qualname__"):
        value = f"{getattr(value, '__module__', None)}.{value.__qualname__}"
    elif (
        dataclasses.is_dataclass(value) or type(value).__repr__ is object.__repr__
    ):  # else, the repr tells all
        value = [type(value).__qualname__, _fields(value)]
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


def _fields(value):
    """The fields of a dataclass, or the attributes of another object."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return getattr(value, "__dict__", {})


def write(path: Path, settings: str, arrays: Mapping[str, Array], rest: Mapping[str, Any]) -> None:
    """Write the state of a run, whole or not at all.

    Parameters
    ----------
    path : str or path
        The file.
    settings : str
        The run's `fingerprint`.
    arrays : dict of ndarray
        Arrays by name.
    rest : dict
        Other values by name: a generator's state as "rng", and others that JSON can hold.

    Raises
    ------
    InputError
        If a value in `rest` is not, or the file cannot be written.
    """
    try:
        text = json.dumps({"format": FORMAT, "settings": settings, "rest": rest})
    except TypeError:
        usual = np.random.default_rng(0)
        raise InputError(
            f"rng: expected a generator like {usual!r}, the only kind that can be saved in a checkpoint"
        ) from None
    run = np.frombuffer(text.encode(), np.uint8)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, run=run, **arrays)


def read(path: Path, settings: str | None) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Read the state of a run.

    Parameters
    ----------
    path : str or path
        The file.
    settings : str or None
        The run's `fingerprint`. None: the file may be one of any run.

    Returns
    -------
    (dict of ndarray, dict) or None
        `arrays` and `rest` as passed to `write`. None if the file does not exist.

    Raises
    ------
    InputError
        If the file is not a checkpoint, is damaged, or was written with other settings.
    """
    if not os.path.exists(path):
        return None
    arrays, made_with, rest = _parts(path)
    if settings is not None and made_with != settings:
        raise InputError(
            f"{shown(path)}: this checkpoint was made with other settings, images or weights; "
            "use the same ones, or another file"
        )
    return arrays, rest


def check(path: Path) -> None:
    """Check, before the settings of a run are known, that a file is a checkpoint or does not exist.

    Parameters
    ----------
    path : str or path
        The file.

    Raises
    ------
    InputError
        If the file is not a checkpoint, or is damaged.
    """
    if os.path.exists(path):
        _parts(path)


def _parts(path):
    """(arrays, fingerprint of the settings, the rest) of a checkpoint."""
    name = shown(path)
    try:
        arrays = _arrays(path, name)
        found = json.loads(arrays.pop("run").tobytes())
        if found["format"] != FORMAT:
            raise ValueError("it has another format")
        return arrays, found["settings"], found["rest"]
    except KeyError as error:
        raise damaged(path, f"there is no {error}") from None
    except (WeightsError, OSError, ValueError, TypeError, RecursionError) as error:
        raise damaged(path, getattr(error, "strerror", None) or error) from None


def _arrays(path, name):
    """{name: array} of the file; every defect is a WeightsError or an OSError."""
    from npgrad.io.formats import _zips, npz

    if not os.path.isfile(path):  # a pipe might never end
        raise WeightsError(f"{name}: expected a regular file")
    with open(path, "rb") as file:
        data = file.read()
    if any(member.method for member in _zips.Zip(data, name).members.values()):
        raise WeightsError(f"{name}: expected stored members, found compressed ones")
    return npz.read(data, name)


def damaged(path: Path, error: object) -> InputError:
    """Create the InputError for a file that cannot be used.

    Parameters
    ----------
    path : str or path
        The file.
    error : object
        What is wrong with it; the message contains at most 100 characters of it, on one line.

    Returns
    -------
    InputError
    """
    reason = " ".join(str(error).removeprefix(f"{shown(path)}: ").split()) or type(error).__name__
    return InputError(f"{shown(path)}: not an npgrad checkpoint, or a damaged one: {reason:.100}")
