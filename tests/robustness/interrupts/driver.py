"""Start a piece of work in a process, end it at a random moment, and ask whether everything is whole."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from web_server import Server, whole, with_ranges

from interrupts.kinds import kinds, leftovers, slowly
from interrupts.work import BODY

CHILD = Path(__file__).with_name("child.py")
EACH_LINE = Path(__file__).with_name("each_line.py")
DISKS = Path(__file__).with_name("disks.py")
IN_TURNS = 0.2  # seconds within which endless work is ended
PATIENCE = 60  # seconds until a process that does not end is a fault
SIGNALS = {"kill -9": signal.SIGKILL, "Ctrl-C": signal.SIGINT}


@dataclass
class Count:
    """What became of one kind of work: how often it was ended by each signal, and what was not as it must be."""

    name: str
    tried: Counter = field(default_factory=Counter)
    survived: Counter = field(default_factory=Counter)
    finished: int = 0  # how often it came to its end, and to the same as without interruptions
    cleared: int = 0  # temporary files that were left, and were gone later
    faults: list = field(default_factory=list)


@contextlib.contextmanager
def server():
    """A web server on this machine, for the downloads."""
    with Server() as at_work:
        at_work.pause = threading.Event()
        at_work.answers |= {"/slow": slowly, "/file": with_ranges(BODY)}
        threading.Thread(target=at_work.serve_forever, args=(0.01,), daemon=True).start()
        yield at_work
        at_work.shutdown()


def environment(folder, url):
    """Of the processes: a cache folder of their own, the local server for every other, no proxies, one thread."""
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    more = {"NPGRAD_HOME": str(folder / "home"), "NPGRAD_MIRROR": url, "OPENBLAS_NUM_THREADS": "1"}
    return own | more


def start(kind, folder, url):
    """The process, which has loaded its modules and now begins to work."""
    process = subprocess.Popen(
        [sys.executable, str(CHILD), *kind.arguments(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder, url),
        start_new_session=True,  # so that Ctrl-C can be sent as a terminal does it, to all of a group
    )
    process.stdout.readline()
    return process


def end(process, number, seconds):
    """Send the signal after so many seconds: (exit code, stderr)."""
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.kill()
    return finish(process)


def finish(process):
    """(exit code, stderr) when the process, and all that it started, has ended."""
    try:
        err = process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[1]
    return process.returncode, err


def what_was_said(code, err, number):
    """What is wrong with the exit code and the words of a process that was sent a signal, or None.

    At its very end, when nothing is left to do, Python lets a Ctrl-C end the process without a word.
    """
    if code is None:
        return f"it did not end in {PATIENCE} s"
    if number == signal.SIGKILL:
        return None if code in (0, -signal.SIGKILL) else f"exit code {code}: {err[-500:]}"
    if code not in (0, 130, -signal.SIGINT):
        return f"exit code {code}: {err[-2000:]}"
    lines = [line for line in err.replace("\r", "\n").splitlines() if "interrupted" in line]
    if "Traceback" in err or "Exception ignored" in err or (code == 130 and len(lines) != 1):
        return f"it said {err[-2000:]!r}"
    return None


def end_often(kind, times, rng, folder, url):
    """End the work `times` times: a Count."""
    count, whole_one = Count(kind.name), folder / "undisturbed"
    seconds = IN_TURNS if kind.endless else _undisturbed(kind, whole_one, url)
    if not kind.endless:
        kind.compare(whole_one, whole_one)
    place = _fresh(kind, folder / "0")
    attempts = 0
    while sum(count.tried.values()) < times and attempts < 4 * times and len(count.faults) < 10:
        attempts += 1
        name = str(rng.choice(list(SIGNALS)))
        before = leftovers(place)
        code, err = end(start(kind, place, url), SIGNALS[name], rng.uniform(0, seconds))
        if code == 0 and kind.endless:
            code, err = None, f"the signal was swallowed: {err}"
        fault = what_was_said(code, err, SIGNALS[name]) or _fault(kind, place)
        if code == 0 and not fault:  # it had come to its end before the signal
            fault = _done(kind, place, whole_one)
            count.finished += not fault
        else:
            count.tried[name] += 1
            count.survived[name] += not fault
        count.cleared += len(set(before) - set(leftovers(place)))
        if fault:
            count.faults.append(f"{kind.name}, {name}: {fault}")
        if code == 0 or fault:
            place = _fresh(kind, folder / str(attempts))
    _come_to_the_end(kind, place, whole_one, url, count)
    return count


def _come_to_the_end(kind, place, whole_one, url, count):
    """What was ended last goes on undisturbed: to the same end, and without anything left over."""
    before = leftovers(place)
    if kind.endless:
        end(start(kind, place, url), signal.SIGINT, 0.1)
        fault = _fault(kind, place)
    else:
        code, err = finish(start(kind, place, url))
        fault = f"exit code {code}: {err[-2000:]}" if code else _done(kind, place, whole_one)
    if not fault and leftovers(place):
        fault = f"left over: {leftovers(place)}"
    count.finished += not fault
    count.cleared += len(set(before) - set(leftovers(place)))
    if fault:
        count.faults.append(f"{kind.name}, at its end: {fault}")


def _fresh(kind, place):
    place.mkdir(parents=True)
    kind.begin(place)
    return place


def _undisturbed(kind, place, url):
    """How long the work takes; it is done in `place`."""
    process = start(kind, _fresh(kind, place), url)
    begun = time.perf_counter()
    code, err = finish(process)
    if code:
        raise RuntimeError(f"{kind.name}: undisturbed, it ended with {code}: {err}")
    return time.perf_counter() - begun


def _fault(kind, place):
    try:
        kind.check(place)
    except Exception as error:  # whatever a reader says of a file that is not whole
        return f"{type(error).__name__}: {error}"
    left = leftovers(place)
    return f"too much is left over: {left}" if len(left) > kind.several else None


def _done(kind, place, whole_one):
    try:
        kind.compare(place, whole_one)
    except Exception as error:
        return f"it came to another end: {type(error).__name__}: {error}"
    return None


def run(times, seed, only=None, tell=None):
    """End every kind of work at random moments, about `times` times in all: the Counts."""
    rng, counts = np.random.default_rng(seed), []
    with server() as at_work:
        every = [kind for kind in kinds(at_work.url) if only is None or kind.name in only]
        for kind in every:
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder).resolve()
                if kind.name.startswith("weights get"):
                    kind.begin(folder / "served")
                    at_work.answers["/small.npz"] = whole((folder / "served" / "small.npz").read_bytes())
                counts.append(end_often(kind, -(-times // len(every)), rng, folder, at_work.url))
            if tell is not None:
                tell(counts[-1])
    return counts


def at_each_line(job, signal_name, url, each=1):
    """{"tried", "faults"} of each_line.py."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(EACH_LINE), job, str(int(SIGNALS[signal_name])), url, str(each)],
            env=environment(Path(folder), url),
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def on_a_disk(*arguments, before=(), few=60):
    """{"tried", "faults"} of disks.py, which the command `before` may give surroundings."""
    done = subprocess.run(
        [*before, sys.executable, str(DISKS), *map(str, arguments)],
        env=os.environ | {"FEW": str(few), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
