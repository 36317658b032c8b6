"""The record of a folder run, kept with its results, so that it can be interrupted at any time and resumed.

npgrad-run.json    the settings; a run with other settings is refused
manifest.jsonl     a line of JSON for each photo, added once its result is on disk

If a photo has several lines, the last one counts. An incomplete line, left by a crash, is removed.
"""

import errno
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from npgrad._files import LEFTOVER, atomic_write, reason, shown
from npgrad._typing import Path as PathLike
from npgrad.errors import InputError

SETTINGS, LINES = "npgrad-run.json", "manifest.jsonl"

Stamp: TypeAlias = dict[str, float | None]
"""{"size": bytes, "modified": seconds}, which distinguishes one state of a photo from another."""


def holds_results(folder: PathLike) -> bool:
    """Return whether a folder holds the results of a folder run.

    Parameters
    ----------
    folder : str or path-like
        The folder.

    Returns
    -------
    bool
    """
    return os.path.lexists(os.path.join(folder, SETTINGS))


def remove_leftovers(folder: PathLike) -> None:
    """Remove the incomplete files of a killed run (see `npgrad._files.atomic_write`).

    Parameters
    ----------
    folder : str or path-like
        The folder of the results.
    """
    for place, _, files in os.walk(folder):
        for name in files:
            if LEFTOVER.fullmatch(name):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))


class Manifest:
    """The record in one folder, locked by one run at a time: a context manager.

        with Manifest(folder, settings) as manifest:
            if not manifest.has("a.jpg", stamp):
                manifest.add({"image": "a.jpg", **stamp, ...})

    Parameters
    ----------
    folder : str or path-like
        The folder of the results, created if it does not exist.
    settings : dict
        Values that JSON can hold.

    Raises
    ------
    InputError
        On entry: the folder holds other things or results of other settings, another run is using it, or it cannot
        be written.
    """

    def __init__(self, folder: PathLike, settings: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self.settings = json.loads(json.dumps(settings))  # with lists for tuples, as they will be read later
        self._file, self._made = None, False
        self._last = {}  # photo -> (its stamp, the error or None)
        self.lines: dict[str, dict[str, Any]] = {}
        """Where the images share one scale, the last line of each, by which they are drawn again."""

    def __enter__(self) -> "Manifest":
        with _writing(self.folder):
            self._made = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_folder()
            path = self.folder / LINES
            if path.is_symlink() or (path.exists() and not path.is_file()):
                raise InputError(f"{shown(path)}: expected a regular file")
            self._file = open(path, "ab+")  # noqa: SIM115 - closed by __exit__
        try:
            self._lock()
            self._read()
            self._check_settings()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk has been reported already
            if kind is not None and not self._last:
                self._undo()
        with suppress(OSError):
            self._file.close()

    def _undo(self):
        """Remove the record of a run that failed before any photo was explained."""
        if {path.name for path in self.folder.iterdir()} <= {SETTINGS, LINES}:
            os.unlink(self.folder / SETTINGS)
            os.unlink(self.folder / LINES)
            if self._made:
                self.folder.rmdir()

    def has(self, image: str, stamp: Stamp) -> bool:
        """Return whether a photo was explained in its present state.

        Parameters
        ----------
        image : str
            The photo, relative to the folder.
        stamp : dict
            Its "size" and time "modified".

        Returns
        -------
        bool
        """
        return self._last.get(image) == (_key(stamp), None)

    def add(self, line: dict[str, Any]) -> None:
        """Append the line of one photo.

        Parameters
        ----------
        line : dict
            The photo ("image"), its "size" and time "modified", and anything else that JSON can hold. "error" says that
            the photo is broken; if the last line of the photo has the same error, it is not repeated.

        Raises
        ------
        InputError
            The file cannot be written.
        """
        entry = _key(line), line.get("error")
        if entry[1] is not None and self._last.get(line["image"]) == entry:
            return
        with _writing(self.folder / LINES):
            self._file.write(_bytes(line) + b"\n")
            self._file.flush()
        self._last[line["image"]] = entry
        self._keep(line)

    def _keep(self, line):
        if self.settings.get("scale") == "shared":
            self.lines[line["image"]] = line

    def _check_folder(self):
        """Raise an InputError if the folder has files of others."""
        if holds_results(self.folder):
            return
        for path in self.folder.iterdir():
            empty = path.name == LINES and path.stat().st_size == 0
            if not path.name.startswith(".") and not empty:
                raise InputError(
                    f"{shown(self.folder)}: expected a new or empty folder for the results, "
                    f"found {shown(path.name)} in it"
                )

    def _lock(self):
        """Lock the record; the lock ends with the process. Without an effect where the system has no locks."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise InputError(f"{shown(self.folder)}: another run is using this folder") from None

    def _check_settings(self):
        path = self.folder / SETTINGS
        if not self._last or not holds_results(self.folder):
            with atomic_write(path) as temporary:
                temporary.write_bytes(_bytes(self.settings, indent=2) + b"\n")
            return
        try:
            found = json.loads(path.read_bytes())
            if not isinstance(found, dict):
                raise ValueError
        except (OSError, ValueError, RecursionError):
            raise InputError(
                f"{shown(path)}: cannot be read as the settings of a run; choose another folder"
            ) from None
        own = self.settings
        names = [name for name in {**own, **found} if own.get(name) != found.get(name)]
        if names:
            different = "; ".join(f"{name} {_short(found, name)}, now {_short(own, name)}" for name in names)
            raise InputError(
                f"{shown(self.folder)}: its images were made with other settings ({different}); "
                "use the same settings, or choose another folder for the results"
            )

    def _read(self):
        """Read which photos are done; an incomplete last line is removed, an invalid one is ignored."""
        whole = 0
        with _writing(self.folder / LINES):
            self._file.seek(0)
            for line in self._file:
                if not line.endswith(b"\n"):
                    self._file.truncate(whole)
                    break
                whole += len(line)
                try:
                    line = json.loads(line)
                    self._last[str(line["image"])] = _key(line), line.get("error")
                    self._keep(line)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    continue  # its photo is explained again


def _key(stamp):
    return stamp["size"], stamp["modified"]


def _bytes(value, indent=None):
    """JSON in UTF-8; bytes of a file name that are not UTF-8 are escaped."""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _short(settings, name):
    text = json.dumps(settings.get(name), ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."


@contextmanager
def _writing(path):
    """Turn an OSError into an InputError of one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be written: {reason(error)}") from error
