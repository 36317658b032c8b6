"""Full disks: every writer over an old file, with ever more free bytes, from none to one too few.

    python disks.py limit              files may not be larger than so many bytes (RLIMIT_FSIZE)
    python disks.py writes             the n-th write fails, for every n
    python disks.py full FOLDER        FOLDER, a small file system, is filled up but for so many pages
    python disks.py user FOLDER        FOLDER may be read but not written

Each prints {"tried": ..., "faults": [...]}; FEW, from the environment, says how many sizes are tried.
"""

import contextlib
import errno
import io
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interrupts import kinds, work
from npgrad import NpgradError

FEW = int(os.environ.get("FEW", 60))  # sizes that are tried, about, besides the last ones
PAGE = os.sysconf("SC_PAGE_SIZE")


def fault(folder, writer, where):
    """Write the second content over the first, which must be refused in one line: what is wrong, or None."""
    path = work.target(folder, writer)
    before = path.read_bytes()
    said = None
    try:
        with where:
            work.WRITERS[writer][1](path, 1)
    except NpgradError as error:
        said = str(error)
    if said is None:
        return f"nothing was said, and {len(path.read_bytes())} bytes were written"
    if len(said.splitlines()) != 1 or not said.startswith(f"{path}: cannot be written: ") or "; " not in said:
        return f"it said {said!r}"
    if path.read_bytes() != before:
        return "the old file is not what it was"
    return f"left over: {kinds.leftovers(folder)}" if kinds.leftovers(folder) else None


def over_old_files(folder, wheres):
    """{"tried", "faults"} of all writers; wheres(size, writes) gives contexts in which writing must fail."""
    tried, faults = 0, []
    for writer in work.WRITERS:
        place = folder / writer
        place.mkdir()
        with counted_writes() as writes:
            work.WRITERS[writer][1](work.target(place, writer), 1)
        size = work.target(place, writer).stat().st_size
        work.WRITERS[writer][1](work.target(place, writer), 0)
        for name, where in wheres(size, len(writes)):
            tried += 1
            said = fault(place, writer, where)
            faults += [f"{writer}, {name}: {said}"] if said else []
        for path in place.iterdir():
            path.unlink()
    return {"tried": tried, "faults": faults}


def limits(size, writes):
    """Some sizes below this one, among them the last."""
    for room in sorted({*range(0, size, max(1, size // FEW)), *range(max(0, size - min(9, FEW)), size)}):
        yield f"{room} of {size} bytes", limited(room)


@contextlib.contextmanager
def limited(room):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # Python ignores SIGXFSZ: it is an OSError
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def each_write(size, writes):
    for n in range(writes):
        yield f"write {n + 1} of {writes}", counted_writes(fail_at=n)


@contextlib.contextmanager
def counted_writes(fail_at=None):
    """Python's files, whose writes are counted in a list; the one at `fail_at` finds the disk full."""
    done, usual = [], io.open

    class Counting(io.FileIO):
        def write(self, data):
            if len(done) == fail_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done.append(len(data))
            return super().write(data)

    def opened(file, mode="r", *arguments, **keywords):
        if mode == "wb":
            return io.BufferedWriter(Counting(file, mode))
        if mode == "w+b" and keywords == {"buffering": 0}:
            return Counting(file, mode)
        return usual(file, mode, *arguments, **keywords)

    import builtins

    builtins.open = io.open = opened
    try:
        yield done
    finally:
        builtins.open = io.open = usual


def fillings(folder):
    """As `limits`, on a file system that is full but for some pages."""

    def wheres(size, writes):
        pages = -(-size // PAGE)
        for free in sorted({*range(0, pages, max(1, pages // FEW)), pages - 1}):
            yield f"{free} free pages for {pages}", filled(folder, free)

    return wheres


@contextlib.contextmanager
def filled(folder, free):
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with open(ballast, "r+b") as file:
        file.truncate(max(0, -(-ballast.stat().st_size // PAGE) - free) * PAGE)
    try:
        yield
    finally:
        ballast.unlink()


def not_for_this_user(folder):
    """The old files are there; writing beside them is refused."""
    tried, faults = 0, []
    for writer in work.WRITERS:
        (folder / writer).mkdir()
        work.WRITERS[writer][1](work.target(folder / writer, writer), 0)
    if os.geteuid() == 0:
        os.chmod(folder, 0o755)
        os.setuid(65534)  # permissions do not bind root
    else:
        for place in folder.iterdir():
            place.chmod(0o500)
    for writer in work.WRITERS:
        tried += 1
        said = fault(folder / writer, writer, contextlib.nullcontext())
        faults += [f"{writer}: {said}"] if said else []
    return {"tried": tried, "faults": faults}


def main(what, *folder):
    if what == "full":
        return over_old_files(Path(folder[0]), fillings(Path(folder[0])))
    if what == "user":
        return not_for_this_user(Path(folder[0]))
    with tempfile.TemporaryDirectory() as place:
        return over_old_files(Path(place).resolve(), {"limit": limits, "writes": each_write}[what])


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
