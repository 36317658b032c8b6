"""Programs that write files, ended at random moments: what stood there stays whole, what is new is whole or not there.

`python -m tests.interrupts` ends them many times and prints how often all was well; tests/test_interrupts.py does a
little of it. Half of the time by SIGKILL, which no program sees coming, half by SIGINT, which is Ctrl-C.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHILD = ["-m", "interrupts.child"]
COMMAND = ["-m", "npgrad"]


@dataclass(frozen=True)
class Work:
    """A kind of work that is interrupted.

    prepare: makes in a folder what the work needs. arguments: of Python, for the work's process, which runs in that
    folder. endless: it writes again and again until it is ended; else it ends by itself, and the same command goes on.
    fault: what is wrong with the folder after an interruption, in words, or "". made: the files that are there when the
    work is done, for what ends by itself: {name: bytes}.
    """

    prepare: Callable[[Path], None]
    arguments: list
    fault: Callable[[Path], str]
    made: Callable[[Path], dict] | None = None
    endless: bool = field(default=False, kw_only=True)


@dataclass
class Count:
    """interrupted: how often. survived: how often nothing was wrong. faults: what was, in words."""

    interrupted: int = 0
    survived: int = 0
    faults: list = field(default_factory=list)


def environment():
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OPENBLAS_NUM_THREADS": "1"}


def start(work, folder):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, *work.arguments], cwd=folder, env=environment(), start_new_session=True, **pipes
    )


def interrupt(work, folder, times, rng):
    """Start the work and end it, so many times, in one folder; what ends by itself is then led to its end. A Count."""
    count, moments = Count(), random.Random(rng)
    work.prepare(folder)
    before, expected, whole = 0.3, None, 1.0
    if not work.endless:  # once undisturbed, elsewhere, for what must come out and how long it takes
        other = folder.with_name(folder.name + "-undisturbed")
        other.mkdir()
        work.prepare(other)
        began = time.monotonic()
        done = start(work, other)
        _, err = done.communicate(timeout=300)
        assert done.returncode == 0, err
        expected, whole = work.made(other), time.monotonic() - began
    killed = 0
    while count.interrupted < times:
        process, kind = start(work, folder), moments.choice([signal.SIGKILL, signal.SIGINT])
        time.sleep(moments.uniform(before if work.endless else 0.0, before + whole))
        process.send_signal(kind)
        _, err = process.communicate(timeout=300)
        if process.returncode == 0 and not work.endless:  # it was faster: begin anew
            if said := _differs(work, folder, expected):
                count.faults.append(said)
            _empty(folder)
            work.prepare(folder)
            killed = 0
            continue
        count.interrupted += 1
        killed += kind == signal.SIGKILL
        said = work.fault(folder)
        if not said and len(left := leftovers(folder)) > killed:
            said = f"left behind after {killed} kills: {left}"
        if not said and kind == signal.SIGINT and work.arguments[:2] == COMMAND:
            said = _rude(process.returncode, err)
        if said:
            count.faults.append(f"{kind.name}: {said}")
        else:
            count.survived += 1
    if not work.endless:
        done = start(work, folder)
        _, err = done.communicate(timeout=300)
        if done.returncode or (said := _differs(work, folder, expected)):
            count.faults.append(f"at the end: {err[-300:] if done.returncode else said}")
            count.survived -= 1
    return count


def leftovers(folder):
    """Temporary files: they are recognisable by their names, and nothing ever reads them.

    NAME.part is none: an interrupted download goes on from there.
    """
    temporary = re.compile(r"\.npgrad-.*|.*\.\d+-[0-9a-f]{8}\.part")
    return [path.name for path in folder.rglob("*") if temporary.fullmatch(path.name)]


def _differs(work, folder, expected):
    found = work.made(folder)
    wrong = [name for name in expected if found.get(name) != expected[name]]
    return f"not what comes out undisturbed: {wrong[:3]}" if wrong else ""


def _rude(code, err):
    """What is wrong with how a command ended by Ctrl-C: with one line and 130, or before it had begun to listen."""
    if "Traceback" in err and "npgrad/cli" in err:
        return f"a traceback: {err[-300:]}"
    return "" if code in (130, -signal.SIGINT, 1, 0) else f"exit code {code}: {err[-300:]}"


def _empty(folder):
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
