"""The record of a folder run, kept beside its results, so that it can be interrupted anywhere and go on.

npgrad-run.json    what was asked; a run that asks something else is refused
manifest.jsonl     a line of JSON for each photo, added when its image is on the disk

A photo that was done again has a second line: the last one counts. A line that was cut off by a crash is removed.
"""

import errno
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from npgrad._files import LEFTOVER, atomic_write, reason, shown
from npgrad.errors import InputError

SETTINGS, LINES = "npgrad-run.json", "manifest.jsonl"


def holds_results(folder):
    """Whether this folder is one that a folder run writes to."""
    return os.path.lexists(os.path.join(folder, SETTINGS))


def remove_leftovers(folder):
    """Remove what a killed run had only begun to write (see `npgrad._files.atomic_write`)."""
    for place, _, files in os.walk(folder):
        for name in files:
            if LEFTOVER.fullmatch(name):
                with suppress(OSError):
                    os.unlink(os.path.join(place, name))


class Manifest:
    """The record in one folder, held by one run at a time.

        with Manifest(folder, settings) as manifest:
            if not manifest.has("a.jpg", stamp):
                manifest.add({"image": "a.jpg", **stamp, ...})

    settings: {name: what JSON can hold}. A stamp, {"size": bytes, "modified": seconds}, tells one state of a photo
    from another. The folder is made if there is none. InputError: the folder holds something else, or the results
    of other settings; another run is at work in it; it cannot be written.
    """

    def __init__(self, folder, settings):
        self.folder = Path(folder)
        self.settings = json.loads(json.dumps(settings))  # tuples become lists, as they will be read again
        self._file, self._made = None, False
        self._last = {}  # photo -> (its stamp, the error or None)

    def __enter__(self):
        with _writing(self.folder):
            self._made = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_that_it_is_ours()
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

    def __exit__(self, kind, *error):
        with suppress(OSError):  # a full disk has been told of already
            if kind is not None and not self._last:
                self._undo()
        with suppress(OSError):
            self._file.close()

    def _undo(self):
        """Leave nothing behind where nothing could be done."""
        if {path.name for path in self.folder.iterdir()} <= {SETTINGS, LINES}:
            os.unlink(self.folder / SETTINGS)
            os.unlink(self.folder / LINES)
            if self._made:
                self.folder.rmdir()

    def has(self, image, stamp):
        """Whether this photo was done, as it is now."""
        return self._last.get(image) == (_key(stamp), None)

    def add(self, line):
        """Write one photo's line: {"image": its name, "size", "modified", and what else there is to say}.

        With an "error" it says that the photo is broken; then it is not repeated by the next run.
        """
        entry = _key(line), line.get("error")
        if entry[1] is not None and self._last.get(line["image"]) == entry:
            return
        with _writing(self.folder / LINES):
            self._file.write(_bytes(line) + b"\n")
            self._file.flush()
        self._last[line["image"]] = entry

    def _check_that_it_is_ours(self):
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
        """Hold the record until the process ends, however it ends; where there are no locks, do without."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise InputError(f"{shown(self.folder)}: another run is at work in this folder") from None

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
                f"{shown(path)}: cannot be read as the settings of a run; give another folder"
            ) from None
        asked = self.settings
        names = [name for name in {**asked, **found} if asked.get(name) != found.get(name)]
        if names:
            different = "; ".join(
                f"{name} {_short(found, name)}, now {_short(asked, name)}" for name in names
            )
            raise InputError(
                f"{shown(self.folder)}: its images were made with other settings ({different}); "
                "give those again, or another folder for the results"
            )

    def _read(self):
        """What is done already; a line without an end is cut off, one that is no line of ours passed over."""
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
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    continue  # its photo is done again


def _key(stamp):
    return stamp["size"], stamp["modified"]


def _bytes(value, indent=None):
    """JSON in UTF-8; a file name's byte that is no UTF-8 is escaped, as JSON has it."""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _short(settings, name):
    text = json.dumps(settings.get(name), ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."


@contextmanager
def _writing(path):
    """Turn an OSError into one line."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be written: {reason(error)}") from error
