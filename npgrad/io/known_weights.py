"""Pretrained weights known by name: list them, download and convert them, and find them in the cache.

`weights/known.json` describes them. The cache folder contains converted networks as `NAME.h5` and data sets as
downloaded; its subfolder `downloads/` contains the original files.
"""

import dataclasses
import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from npgrad._files import atomic_write, check_folder, shown
from npgrad.errors import DownloadError, WeightsError, unknown
from npgrad.io._known_files import Known, known, megabytes

__all__ = ["Known", "cache_folder", "find", "get", "known", "listing", "megabytes"]


def cache_folder() -> Path:
    """Return the cache folder: NPGRAD_HOME, or else XDG_CACHE_HOME/npgrad, or else ~/.cache/npgrad.

    The folder is created when the first file is stored.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DownloadError
        If the home folder is unknown.
    """
    try:
        if home := os.environ.get("NPGRAD_HOME"):
            return Path(home).expanduser().absolute()
        cache = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG specification says to ignore a relative path.
        return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "npgrad"
    except RuntimeError:
        raise DownloadError("cache folder: found no home folder; set NPGRAD_HOME to a folder") from None


def find(name: str) -> Path | None:
    """Find a file in the cache.

    Parameters
    ----------
    name : str
        A name among `known`.

    Returns
    -------
    pathlib.Path or None
        The file that `get` stored, or None if there is none.
    """
    path = _cached(known()[name]) if name in known() else None
    return path if path and os.path.isfile(path) else None


def listing() -> list[dict[str, Any]]:
    """List everything that `get` can download.

    Returns
    -------
    list of dict
        The fields of `Known`, "megabytes" as text, and "cached": the path of the cached file, or None.
    """
    return [
        dataclasses.asdict(entry) | {"megabytes": megabytes(entry), "cached": find(name)}
        for name, entry in known().items()
    ]


def get(
    name: str, *, progress: Callable[[int, int | None], object] | None = None, force: bool = False
) -> Path:
    """Return the path of a known file, after downloading, verifying, converting and caching it if necessary.

    A file in the cache's `downloads` folder, under its original name or as NAME with the original suffix, is verified
    and used without network access. If NPGRAD_MIRROR is set, files are downloaded from this address of a folder on a
    web server.

    Parameters
    ----------
    name : str
        A name among `known`.
    progress : callable or None, default None
        Called with (done, total) in bytes; total is None if the server does not declare it.
    force : bool, default False
        Download and convert the file again.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UnknownName
        If there is no such name; the message lists the nearest ones.
    DownloadError
        If the file cannot be downloaded, or is not the expected one.
    WeightsError
        If the file cannot be converted.
    """
    if not isinstance(name, str) or name not in known():
        raise unknown("weights", name, known())
    entry = known()[name]
    target = _cached(entry)
    if os.path.isfile(target) and not force:
        return target
    check_folder(target.parent, [target.name])  # before a long download
    original = (None if force else _placed_by_hand(entry)) or _download(entry, progress)
    if entry.kind == "data":
        with atomic_write(target) as temporary:
            shutil.copyfile(original, temporary)
    else:
        _convert(entry, original).save(target)
    return target


def _cached(entry):
    suffix = ".h5" if entry.kind == "weights" else PurePosixPath(entry.filename).suffix
    return cache_folder() / (entry.name + suffix)


def _places(entry):
    """The paths where the original file may be: under its original name, or under ours."""
    names = (entry.filename, entry.name + PurePosixPath(entry.filename).suffix)
    return [cache_folder() / "downloads" / name for name in dict.fromkeys(names)]


def _placed_by_hand(entry):
    """The path of the original file, if it exists and is the expected one, or None."""
    for path in _places(entry):
        if os.path.isfile(path) and not _problem(entry, path):
            return path
    return None


def _download(entry, progress):
    from npgrad.io.download import download  # loads urllib

    path = _places(entry)[0]
    mirror = os.environ.get("NPGRAD_MIRROR")
    url = f"{mirror.rstrip('/')}/{entry.filename}" if mirror else entry.url
    unfit = _unfit(entry)
    try:
        download(
            url,
            path,
            sha256=entry.sha256,
            sha256_prefix=entry.sha256_prefix,
            max_bytes=entry.max_bytes,
            progress=progress,
            check=functools.partial(_problem, entry),
        )
    except DownloadError as problem:
        raise DownloadError("; ".join([str(problem), *unfit])) from None
    return path


def _unfit(entry):
    """Why existing files were not used, for the user who put them there."""
    problems = {path: _problem(entry, path) for path in _places(entry) if os.path.isfile(path)}
    return [f"{shown(path)} does not fit: {problem}" for path, problem in problems.items() if problem]


def _problem(entry, path):
    """What is wrong with a file that should be the original of this entry, or None."""
    from npgrad.io.download import file_sha256, wrong_hash
    from npgrad.io.formats.npz import read_imagenet_val

    try:
        size = path.stat().st_size
        if size > entry.max_bytes:
            return f"expected at most {entry.max_bytes:,} bytes, found {size:,}"
        if entry.size and size != entry.size:
            return f"expected {entry.size:,} bytes, found {size:,}"
        if problem := wrong_hash(file_sha256(path), entry.sha256, entry.sha256_prefix):
            return problem
        if entry.kind == "data":
            read_imagenet_val(path)
    except OSError as problem:
        return f"cannot be read: {problem.strerror}"
    except WeightsError as problem:
        return str(problem).removeprefix(f"{shown(path)}: ")
    return None


def _convert(entry, original):
    from npgrad.io.converting import convert

    kept = ("name", "title", "url", "license", "caution", "accuracy", "source")
    source = {key: getattr(entry, key) for key in kept if getattr(entry, key)}
    return convert(original, architecture=entry.architecture, source=source)
