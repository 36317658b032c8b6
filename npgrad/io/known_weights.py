"""Weights files known by name: what there is, getting them, and where they are kept.

The facts stand in `weights/known.json`. The cache folder holds the files as downloaded, in `downloads/`, and
beside it what they became: a converted network as `NAME.h5`, a data set as it is.
"""

import dataclasses
import functools
import json
import os
import shutil
from pathlib import Path, PurePosixPath

from npgrad._files import atomic_write, shown, weights_folder
from npgrad.errors import DownloadError, WeightsError, unknown


@dataclasses.dataclass(frozen=True)
class Known:
    """One entry of `weights/known.json`.

    kind: "weights", converted to .h5, or "data", kept as it is. size: in bytes, None where not known for
    certain; max_bytes: no more than this is downloaded. sha256, sha256_prefix: of the file as downloaded, its
    first digits where no more is known, or None. accuracy: {"top1", "top5" in percent, "measured_on"}, or
    None. caution: what to mind besides the license.
    """

    name: str
    kind: str
    title: str
    url: str
    license: str
    source: str
    max_bytes: int
    size: int | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    accuracy: dict | None = None
    architecture: str | None = None
    caution: str | None = None

    @property
    def filename(self):
        """The file's name where it comes from."""
        return PurePosixPath(self.url).name


@functools.cache
def known() -> dict[str, Known]:
    """Everything that `get` can fetch, by name."""
    facts = json.loads((weights_folder() / "known.json").read_text(encoding="utf-8"))
    return {name: Known(name=name, **entry) for name, entry in facts.items()}


def cache_folder() -> Path:
    """Where files are kept: NPGRAD_HOME, else XDG_CACHE_HOME/npgrad, else ~/.cache/npgrad.

    The folder is made when the first file is put there.
    """
    try:
        if home := os.environ.get("NPGRAD_HOME"):
            return Path(home).expanduser().absolute()
        cache = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG specification has a relative path ignored.
        return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "npgrad"
    except RuntimeError:
        raise DownloadError("no home folder to keep files in: set NPGRAD_HOME to a folder of yours") from None


def find(name) -> Path | None:
    """The cached file that `get(name)` made, or None."""
    path = _cached(known()[name]) if name in known() else None
    return path if path and os.path.isfile(path) else None


def listing() -> list[dict]:
    """What is known, an entry a dict: the fields of `Known`, and `cached`: the file's path or None."""
    return [dataclasses.asdict(entry) | {"cached": find(name)} for name, entry in known().items()]


def get(name, *, progress=None, force=False) -> Path:
    """The path of a known file, ready for use: downloaded, checked, converted and cached as far as needed.

    progress: called as progress(done_bytes, total_bytes_or_None). force: fetch and convert it anew.

    A file that somebody put in the cache's `downloads` folder, under its original name or as NAME with the
    original's suffix, is checked and used without a network. NPGRAD_MIRROR, if set, is the address of a
    folder on a web server that files are fetched from instead. Raises UnknownName, DownloadError,
    WeightsError.
    """
    if name not in known():
        raise unknown("weights", name, known())
    entry = known()[name]
    target = _cached(entry)
    if os.path.isfile(target) and not force:
        return target
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
    """Where the file as downloaded may lie: under its original name, or under ours."""
    names = (entry.filename, entry.name + PurePosixPath(entry.filename).suffix)
    return [cache_folder() / "downloads" / name for name in dict.fromkeys(names)]


def _placed_by_hand(entry):
    """The original where it is there already and as it should be, or None."""
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
    """Why the files that are there already were not taken: whoever put them there wants to know."""
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
