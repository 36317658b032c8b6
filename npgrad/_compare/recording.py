"""What was recorded in another framework: the input, outputs of layers, and gradients of outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from npgrad._files import shown
from npgrad._typing import Array, Path
from npgrad._validate import all_finite
from npgrad.errors import InputError
from npgrad.io.formats import npz
from npgrad.io.formats.reading import read_regular_file

INPUT, GRADIENT = "input", "grad:"
CALL = ":"  # "relu:2" is the second call of relu
TO_FIRST = {4: (0, 3, 1, 2), 3: (0, 2, 1)}  # channels-last to channels-first, by the number of axes


@dataclass(frozen=True)
class Recording:
    """A recording, all images as (N, C, H, W).

    Parameters
    ----------
    x : ndarray (N, C, H, W)
        The network's input.
    outputs, gradients : dict of ndarray
        By the names of the other framework, in the order in which they were recorded; that of x is "input".
    channels_last : bool
        Whether images were recorded as (N, H, W, C).
    """

    x: Array
    outputs: dict[str, Array] = field(repr=False)
    gradients: dict[str, Array] = field(repr=False)
    channels_last: bool = False


def recording_of(recorded: Mapping[str, Array] | Path, channels: int | None) -> Recording:
    """Return the recording in a dict or an .npz file, as `npgrad compare --snippet` writes it.

    Parameters
    ----------
    recorded : dict of ndarray, or path
        {"input": x, layer: output, "grad:" + layer: gradient of its output}.
    channels : int or None
        The channels of the network's input, which tell (N, H, W, C) from (N, C, H, W).

    Returns
    -------
    Recording

    Raises
    ------
    InputError, WeightsError
        There is no input or no output, or something that is not an array of real numbers; the file cannot be read.
    """
    name = "recording"
    if isinstance(recorded, (str, os.PathLike)):
        name = shown(recorded)
        recorded = npz.read(read_regular_file(recorded, name), name)
    if not isinstance(recorded, Mapping):
        raise InputError(f"recording: expected a dict of arrays or a path, found {type(recorded).__name__}")
    arrays = {str(key): np.asarray(array) for key, array in recorded.items()}
    for key, array in arrays.items():
        if not key.isprintable():  # names are printed; a file's could contain terminal escape codes
            raise InputError(f"{name}: names of layers: expected printable characters, found {key!r:.60}")
        if array.dtype.kind not in "fiub":
            raise InputError(f"{name}: {key}: expected an array of real numbers, found {array.dtype}")
    if INPUT not in arrays:
        raise InputError(f"{name}: expected an array 'input', found {', '.join(list(arrays)[:5]) or 'none'}")
    x = arrays.pop(INPUT)
    if x.ndim < 2 or not x.size or not all_finite(x):
        raise InputError(f"{name}: input: expected finite numbers (N, C, H, W), found shape {x.shape}")
    last = x.ndim == 4 and channels == x.shape[3] != x.shape[1]
    if last:
        x = x.transpose(TO_FIRST[4])
        arrays = {
            key: array.transpose(TO_FIRST[array.ndim]) if array.ndim in TO_FIRST else array
            for key, array in arrays.items()
        }
    gradients = {
        key.removeprefix(GRADIENT): array for key, array in arrays.items() if key.startswith(GRADIENT)
    }
    outputs = {key: array for key, array in arrays.items() if not key.startswith(GRADIENT)}
    if not outputs:
        raise InputError(f"{name}: expected the output of at least one layer, found none")
    return Recording(x, outputs, gradients, last)


def call_of(key: str) -> tuple[str, int]:
    """Return a module's name and the number of the call: ("relu", 2) of "relu:2".

    Parameters
    ----------
    key : str

    Returns
    -------
    str, int
    """
    name, _, number = key.rpartition(CALL)
    return (name, int(number)) if name and number.isdecimal() and len(number) < 9 else (key, 1)
