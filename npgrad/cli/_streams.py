"""`-` in place of a file: an image on stdin, a result to stdout.

A file in a temporary folder stands for each while the command runs, so that no command has code of its own for them.
With a result on stdout, what is otherwise printed there goes to stderr.
"""

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager, redirect_stdout

from npgrad import _files
from npgrad.cli._messages import is_quiet
from npgrad.errors import ImageError, InputError

STREAM = "-"
MOST = 2**28  # bytes of an image on stdin


def takes_stdin(action):
    """Let an argument that names a file be `-`: the bytes on stdin."""
    action.from_stdin = True
    return action


def takes_stdout(action, suffix):
    """Let an option that names a result be `-`: stdout, in the format of this suffix."""
    action.to_stdout = suffix
    return action


def is_stream(path):
    """Whether a file stands for stdin or stdout."""
    return os.fspath(path) in _files.STREAMS


@contextmanager
def streams(actions, args):
    """Put temporary files in place of every `-`, and copy the result to stdout at the end, if there is one."""
    read = [a.dest for a in actions if hasattr(a, "from_stdin") and _count(args, a.dest)]
    write = [a for a in actions if hasattr(a, "to_stdout") and getattr(args, a.dest) == STREAM]
    if not read and not write:
        yield
        return
    _check(args, read, write)
    with _folder() as folder:
        if read:
            path = os.path.join(folder, "stdin")
            _files.STREAMS[path] = "stdin"
            _keep_stdin(path)
            for dest in read:
                setattr(args, dest, _replaced(getattr(args, dest), path))
        if not write:
            yield
            return
        path = os.path.join(folder, f"stdout{write[0].to_stdout}")
        _files.STREAMS[path] = "stdout"
        setattr(args, write[0].dest, path)
        try:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere if is_quiet() else sys.stderr):
                yield
        finally:
            if os.path.exists(path):  # also what an interrupted run has saved
                with open(path, "rb") as file:
                    sys.stdout.flush()
                    shutil.copyfileobj(file, sys.stdout.buffer)
                    sys.stdout.flush()


def _count(args, dest):
    value = getattr(args, dest)
    return value.count(STREAM) if isinstance(value, list) else int(value == STREAM)


def _replaced(value, path):
    return [path if one == STREAM else one for one in value] if isinstance(value, list) else path


def _check(args, read, write):
    if sum(_count(args, dest) for dest in read) > 1:
        raise InputError("-: expected once, since stdin has one image; found twice")
    if read and sys.stdin is not None and sys.stdin.isatty():
        raise ImageError("stdin: expected an image from a pipe or file; found a terminal")
    if len(write) > 1:
        names = " and ".join(action.option_strings[0] for action in write[:2])
        raise InputError(
            f"{names}: expected - for one of them, since stdout takes one result; found it for both"
        )
    if write and getattr(args, "json", False):
        raise InputError("--json: expected a file for the result, since JSON is printed to stdout; found -")
    if write and sys.stdout.isatty():
        name = write[0].option_strings[0]
        raise InputError(f"{name} -: expected stdout to be a pipe or file, such as `> x{write[0].to_stdout}`; "
                         "found a terminal")  # fmt: skip


@contextmanager
def _folder():
    try:
        folder = tempfile.mkdtemp(prefix="npgrad-")
    except OSError as error:
        raise InputError(f"temporary folder: cannot be made: {_files.reason(error)}") from None
    try:
        yield folder
    finally:
        for path in [path for path in _files.STREAMS if os.path.dirname(path) == folder]:
            del _files.STREAMS[path]
        shutil.rmtree(folder, ignore_errors=True)


def _keep_stdin(path):
    data = sys.stdin.buffer.read(MOST + 1) if sys.stdin else b""
    if len(data) > MOST:
        raise ImageError(f"stdin: expected at most {MOST:,} bytes; found more")
    with _files.atomic_write(path) as temporary:
        temporary.write_bytes(data)
