"""Files on disk: atomic writes, readable error messages, and the location of the project's own data."""

import errno
import io
import os
import re
import signal
import stat
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from npgrad.errors import InputError, WeightsError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LEFTOVER = re.compile(r"\.npgrad-[0-9a-f]{12}(\..*)?")  # names of `atomic_write`'s temporary files
ABANDONED = (
    24 * 3600
)  # seconds after which a temporary file counts as abandoned, on file systems without locks

_CURES = {
    errno.ENOSPC: "free some space there, or choose another folder",
    errno.EDQUOT: "free some space there, or choose another folder",
    errno.EFBIG: "this exceeds the largest file size there, or the limit of `ulimit -f`; choose another folder",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that can be written to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of this path is not a folder",
}
STREAMS: dict[str, str] = {}  # files that stand for stdin or stdout, and what messages call them
_tidied = set()  # the folders that this process has cleaned up


def shown(path):
    """A path as one printable line, for messages: a name with unprintable characters is quoted.

    >>> shown("kitten.jpg"), shown("two\\nlines")
    ('kitten.jpg', "'two\\\\nlines'")
    """
    text = os.fsdecode(path)
    text = STREAMS.get(text, text)
    return text if text.isprintable() and text else repr(text)


def reason(error):
    """The text of an OSError and a remedy, in one line.

    >>> reason(OSError(errno.ENOSPC, "No space left on device"))
    'No space left on device; free some space there, or choose another folder'
    """
    text = " ".join((error.strerror or str(error)).split()) or type(error).__name__
    return f"{text}; {_CURES[error.errno]}" if error.errno in _CURES else text


@contextmanager
def atomic_write(path):
    """Yield the path of an empty temporary file, which replaces `path` if the block ends without an exception.

    with atomic_write("out.bin") as temporary:
        temporary.write_bytes(data)

    The temporary file is in the same folder and has the same suffix. Its bytes are flushed to disk before it is
    renamed, so `path` is always either the old file or the complete new one. On any failure, including Ctrl-C, the
    temporary file is removed and `path` is unchanged; files of killed processes are removed by the next process
    that writes to the folder. A replaced file keeps its permissions; symbolic links are followed and kept.

    Raises InputError for a missing or read-only folder, a path that is not a regular file, or any OSError in the block,
    such as a full disk; so the block should do nothing except write.
    """
    import secrets

    target, hold = Path(os.path.realpath(path)), None
    try:
        mode = _replaceable_mode(target, path)
        _tidy(target.parent)
        while hold is None:
            temporary = target.with_name(f".npgrad-{secrets.token_hex(6)}{target.suffix}")
            hold = make(temporary, 0o666 if mode is None else mode | stat.S_IWUSR)
        try:
            yield temporary
            _flush_to_disk(temporary)
            if mode is not None:
                os.chmod(temporary, mode)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
            hold.release()
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be written: {reason(error)}") from error


class _NothingToWrite(Exception):
    pass


def check_writable(path):
    """Do everything that `atomic_write` does except the last step: an InputError, or nothing has changed."""
    with suppress(_NothingToWrite), atomic_write(path):
        raise _NothingToWrite


def check_folder(folder, names=()):
    """Raise an InputError unless the folder exists or can be created, and the files `names` in it can be written."""
    there = os.path.abspath(folder)
    try:
        os.lstat(there)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{shown(folder)}: expected a folder to write to; {error.strerror}") from None
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        what = "a file has this name" if there == os.path.abspath(folder) else f"{shown(there)} is a file"
        raise InputError(f"{shown(folder)}: expected a folder to write to; {what}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{shown(folder)}: expected a folder to write to; {_CURES[errno.EACCES]}")
    for name in names if os.path.isdir(folder) else ():
        check_writable(os.path.join(folder, name))


def check_suffix(path, what, suffixes, error=InputError):
    """Raise an error unless the path has one of the suffixes; what: "an image", for the message."""
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise error(
            f"{shown(path)}: expected {what}'s suffix ({', '.join(suffixes)}); found {suffix or 'none'!r}"
        )


@contextmanager
def atomic_file(path):
    """Yield an in-memory file, which is written to `path` with `atomic_write` if the block ends without an exception.

    For writers implemented in C, such as those of np.save and Pillow: with a real file, they report no error if the
    disk is full and the last bytes do not fit.
    """
    with atomic_write(path) as temporary:
        buffer = io.BytesIO()
        yield buffer
        temporary.write_bytes(buffer.getvalue())


def _replaceable_mode(target, path):
    """The permission bits of the file that `target` would replace, or None where there is none yet."""
    if not target.parent.is_dir():
        raise InputError(
            f"{shown(path)}: cannot be written: there is no folder {shown(target.parent)}; create it first"
        )
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise InputError(f"{shown(path)}: cannot be written: it is a folder, expected a file name")
    if not stat.S_ISREG(mode):
        raise InputError(f"{shown(path)}: cannot be written: it is a device or pipe, expected a regular file")
    if not os.access(target, os.W_OK):
        raise InputError(
            f"{shown(path)}: cannot be written: the file is read-only; choose another name, or allow writing to it"
        )
    return stat.S_IMODE(mode)


def _flush_to_disk(path):
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _tidy(folder):
    """Once per process and folder: remove temporary files that killed processes left."""
    if folder in _tidied:
        return
    _tidied.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if LEFTOVER.fullmatch(entry.name)]:
            hold = take(folder / name)
            if hold is not None:
                (folder / name).unlink(missing_ok=True)
                hold.release()


@contextmanager
def ctrl_c_later():
    """Defer Ctrl-C until the end of the block, for code that would swallow it.

    Python ignores an exception, and prints a traceback, if it is raised in a weak reference's callback; h5py has one
    for every object in a file.
    """
    came, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # Ctrl-C does not reach this thread, or is ignored
        return
    signal.signal(signal.SIGINT, lambda *signal_and_frame: came.append(signal_and_frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])


@dataclass
class Hold:
    """A temporary file owned by this process, until `release` or the end of the process."""

    file: int | None  # a descriptor with a lock; None if the system has no locks

    def release(self):
        if self.file is not None:
            os.close(self.file)
            self.file = None


def make(path, mode=0o666):
    """Create a new, empty file: its Hold, or None in the rare case that another process removed it immediately.

    Raises FileExistsError rather than writing to an existing file or through a link.
    """
    return _hold(path, os.O_CREAT | os.O_EXCL, mode, free=True)


def take(path, at_once=False):
    """The Hold of a temporary file that a killed process left, or None if there is none or a living process holds it.

    On systems without locks, it is taken only after a day, or `at_once`.
    """
    try:
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode):
            return _hold(path, 0, 0, free=at_once or time.time() - found.st_mtime > ABANDONED)
    except OSError:
        pass
    return None


def _hold(path, flags, mode, free):
    """free: whether to take the file on systems without locks."""
    file = os.open(path, os.O_WRONLY | flags | getattr(os, "O_NOFOLLOW", 0), mode)
    if fcntl is None:
        os.close(file)  # an open file can be neither renamed nor removed on Windows
        return Hold(None) if free else None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
    except OSError:  # a file system without locks
        pass
    # Between the opening and the lock, another process may have had the lock and removed or renamed the file.
    if free and os.path.lexists(path) and os.path.samestat(os.fstat(file), os.lstat(path)):
        return Hold(file)
    os.close(file)
    return None


def weights_folder():
    """The folder of the bundled weights and class names, in an installed npgrad or in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "weights", package.parent / "weights"):
        if folder.is_dir():
            return folder
    raise WeightsError(
        f"{shown(package)}: expected a folder 'weights' in it or next to it, found none; install npgrad again"
    )
