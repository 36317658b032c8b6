"""Files on disk: writing one whole or not at all, and where the project's own data lies."""

import os
import stat
from contextlib import contextmanager
from pathlib import Path

from npgrad.errors import InputError, WeightsError


def shown(path):
    """A path as one printable line, for messages: a name with a line break in it is quoted.

    >>> shown("kitten.jpg"), shown("two\\nlines")
    ('kitten.jpg', "'two\\\\nlines'")
    """
    text = os.fsdecode(path)
    return text if text.isprintable() and text else repr(text)


@contextmanager
def atomic_write(path):
    """Yield the path of an empty temporary file; when the block ends well, it becomes `path`.

    with atomic_write("out.npy") as temporary:
        np.save(temporary, array)

    The temporary file lies in the same folder and has the same suffix. Its bytes are on the disk before
    it takes the name, so `path` holds the old file or the whole new one, whatever happens between. On any
    failure, Ctrl-C included, it is removed and `path` stays as it was. A file that is replaced keeps its
    permissions; a link is followed, and stays.

    Raises InputError for a folder that is missing or read-only, a name that is not a regular file's, or
    any OSError of the block itself, such as a full disk; so the block should do nothing but write.
    """
    import secrets

    target = Path(os.path.realpath(path))
    try:
        mode = _replaceable_mode(target, path)
        temporary = target.with_name(f".npgrad-{secrets.token_hex(6)}{target.suffix}")
        try:
            # O_EXCL: never write through a file or link that somebody else put there.
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            os.close(os.open(temporary, flags, 0o666 if mode is None else mode | stat.S_IWUSR))
            yield temporary
            _flush_to_disk(temporary)
            if mode is not None:
                os.chmod(temporary, mode)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = " ".join((error.strerror or str(error)).split())
        raise InputError(f"{shown(path)}: cannot be written: {reason}") from error


def _replaceable_mode(target, path):
    """The permission bits of the file that `target` would replace, or None where there is none yet."""
    if not target.parent.is_dir():
        raise InputError(f"{shown(path)}: cannot be written: there is no folder {shown(target.parent)}")
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise InputError(f"{shown(path)}: cannot be written: it is a folder, expected a file name")
    if not stat.S_ISREG(mode):
        raise InputError(f"{shown(path)}: cannot be written: it is a device or pipe, expected a regular file")
    if not os.access(target, os.W_OK):
        raise InputError(f"{shown(path)}: cannot be written: the file there is read-only")
    return stat.S_IMODE(mode)


def _flush_to_disk(path):
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def weights_folder():
    """The folder of the bundled weights and class names: inside an installed npgrad, or a checkout's own."""
    package = Path(__file__).resolve().parent
    for folder in (package / "weights", package.parent / "weights"):
        if folder.is_dir():
            return folder
    raise WeightsError(f"{shown(package)}: no folder 'weights' in it or beside it; install npgrad again")
