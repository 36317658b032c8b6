"""End a piece of work at every line of the code that writes: first at the first line that is run, then at the second,
and so on to the last. Each time a copy of this process does the work, and another one then does it to its end.

    python each_line.py JOB SIGNAL URL EACH     prints {"tried": ..., "faults": [...]}

With EACH = 3, it is every third line.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interrupts import kinds, work
from npgrad import _files as files

ROOT = Path(__file__).resolve().parents[3]
NEVER_CAME, SWALLOWED, FAILED = 0, 3, 4  # exit codes; 130 for an interruption that came through


class Write:
    """One of the writers, over an old file."""

    code = ("_files.py", "io/checkpoints.py", "io/formats/hdf5.py", "images/saving.py", "images/animation.py")

    def __init__(self, writer):
        self.writer = writer
        with tempfile.TemporaryDirectory() as folder:
            self.wanted = [self._written(Path(folder), which) for which in (0, 1)]

    def _written(self, folder, which):
        path = work.target(folder, self.writer)
        work.WRITERS[self.writer][1](path, which)
        return work.content(path, self.writer)

    def begin(self, folder):
        self._written(folder, 0)

    def do(self, folder):
        self._written(folder, 1)

    def check(self, folder):
        assert work.content(work.target(folder, self.writer), self.writer) in self.wanted

    def compare(self, folder, undisturbed):
        assert work.content(work.target(folder, self.writer), self.writer) == self.wanted[1]


class Careless(Write):
    """Not how it is done: for the test of the tests."""

    code = ("../tests/robustness/interrupts/each_line.py",)

    def __init__(self):
        super().__init__("array")

    def do(self, folder):
        with open(work.target(folder, "array"), "wb") as file:
            file.write(self.wanted[1][:100])
            file.flush()
            file.write(self.wanted[1][100:])


class Download(kinds.Download):
    code = ("_files.py", "io/download.py", "io/_http.py")

    def __init__(self, resumable, url):
        super().__init__(f"{url}/file", resumable)

    def do(self, folder):
        work.get_file(self.url, folder / "file", self.resumable)


class Folder(kinds.Folder):
    code = (
        "_files.py",
        "attribution/folders/__init__.py",
        "attribution/folders/job.py",
        "attribution/folders/manifest.py",
    )

    def __init__(self):
        super().__init__(workers=1, count=2)

    def do(self, folder):
        from npgrad.attribution.folders import attribute_folder

        run = attribute_folder(work.little_net(), folder / "in", folder / "out", save_arrays=True)
        if run.interrupted:
            raise KeyboardInterrupt


class Train(kinds.Train):
    code = ("_files.py", "io/checkpoints.py", "training/loop.py")

    def do(self, folder):
        work.train(folder, steps=6)


def job(name, url):
    if name in work.WRITERS:
        return Write(name)
    return {
        "download": lambda: Download(True, url),
        "download without a hash": lambda: Download(False, url),
        "folder": Folder,
        "training": Train,
        "careless": Careless,
    }[name]()


JOBS = [*work.WRITERS, "download", "download without a hash", "folder", "training"]


def in_a_copy(do, said, code=(), number=None, line=0):
    """Exit code of a copy of this process that does the work; at the `line`-th line of `code` it sends itself a signal.

    said: the file that its complaints go to.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    came = NEVER_CAME
    try:
        files._tidied.clear()  # a new process has not looked for leftovers yet
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        count = 0

        def at_line(frame, event, argument):
            nonlocal count, came
            if event == "line":
                count += 1
                if count == line:
                    came = SWALLOWED
                    os.kill(os.getpid(), number)
            return at_line

        def at_call(frame, event, argument):
            return at_line if frame.f_code.co_filename in code else None

        if number is not None:
            sys.settrace(at_call)
        do()
    except KeyboardInterrupt:
        came = 130
    except BaseException:
        traceback.print_exc()
        came = FAILED
    finally:
        sys.settrace(None)
        sys.stderr.flush()
        os._exit(came)


def at_each_line(name, number, url, folder, each):
    """{"tried", "faults"}: the work named so, ended by the signal at each line."""
    it = job(name, url)
    code = {str((ROOT / "npgrad" / file).resolve()) for file in it.code}
    undisturbed, said, line, faults = folder / "undisturbed", folder / "said", 0, []
    undisturbed.mkdir()
    it.begin(undisturbed)
    assert in_a_copy(lambda: it.do(undisturbed), said) == 0, said.read_text()
    it.compare(undisturbed, undisturbed)
    while len(faults) < 5:
        line += each
        place = folder / str(line)
        place.mkdir()
        it.begin(place)
        ended = in_a_copy(lambda place=place: it.do(place), said, code, number, line)
        if ended == NEVER_CAME:
            break
        try:
            wanted = 130 if number == signal.SIGINT else -number
            assert (ended, said.read_text()) == (wanted, ""), f"it ended with {ended}: {said.read_text()}"
            it.check(place)
            assert len(kinds.leftovers(place)) <= 1
            ended = in_a_copy(lambda place=place: it.do(place), said)
            assert (ended, said.read_text()) == (0, ""), f"again, it ended with {ended}: {said.read_text()}"
            it.compare(place, undisturbed)
            assert not kinds.leftovers(place)
        except Exception as error:
            faults.append(f"{name}, line {line}: {type(error).__name__}: {error}")
    return {"tried": line // each - 1, "faults": faults}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found = at_each_line(
            sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(place).resolve(), int(sys.argv[4])
        )
    print(json.dumps(found))
