"""Grade a folder of submissions: in parallel, resumable, and with the same result in any order."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from npgrad import __version__
from npgrad._files import atomic_write, shown
from npgrad.course.submissions._session import Limits
from npgrad.errors import InputError, NpgradError

RECORDS, SETTINGS = "submissions", "grading.json"
COPIED = 200 * 2**20  # bytes of files beside a notebook that are copied for it


@dataclass(frozen=True)
class Submission:
    """One student's notebooks. folder: what lies beside them, or None where that is not theirs alone."""

    name: str
    notebooks: tuple[str, ...]
    folder: str | None

    def digest(self):
        """A digest of the notebooks, which the inputs of the checks depend on."""
        parts = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in self.notebooks]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Settings:
    """How all submissions are graded."""

    seed: int
    limits: Limits
    maps: bool = True
    files: str | None = None

    def key(self, submission):
        """What a submission's result depends on; a result with the same key is not computed again."""
        text = json.dumps([submission.digest(), self.seed, asdict(self.limits), self.maps, __version__])
        return hashlib.sha256(text.encode()).hexdigest()

    def draw(self, submission):
        """The draw of a submission's inputs, from the seed and its own text."""
        text = f"{self.seed} {submission.digest()}"
        return 1 + int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def find_submissions(path, results=None):
    """The submissions of a folder: its notebooks, and the folders in it that have notebooks; or the one notebook."""
    path = Path(path)
    if path.is_file():
        return [Submission(path.stem, (str(path),), str(path.parent))]
    submissions, outside = {}, None if results is None else Path(results).resolve()
    for entry in sorted(path.iterdir()):
        if entry.name.startswith(".") or entry.resolve() == outside:
            continue
        if entry.is_dir():
            notebooks = [
                each
                for each in sorted(entry.rglob("*.ipynb"))
                if each.is_file() and not any(part.startswith(".") for part in each.relative_to(entry).parts)
            ]
            name, folder = entry.name, str(entry)
        else:
            notebooks = [entry] if entry.suffix.lower() == ".ipynb" else []
            name, folder = entry.stem, None
        if notebooks:
            name = entry.name if name in submissions else name
            submissions[name] = Submission(name, tuple(map(str, notebooks)), folder)
    if not submissions:
        raise InputError(
            f"{shown(path)}: expected notebooks, or folders with notebooks, one for each student; found none"
        )
    return [submissions[name] for name in sorted(submissions)]


def seed_of(results, seed=None):
    """The seed of a folder of results: the one given, the one that it was begun with, or a new one."""
    path = Path(results) / SETTINGS
    before = None
    if path.is_file():
        try:
            before = int(json.loads(path.read_text(encoding="utf-8"))["seed"])
        except (ValueError, KeyError, TypeError, OSError):
            raise InputError(f"{shown(path)}: expected the settings of an earlier run; delete it") from None
    if seed is None:
        seed = secrets.randbits(32) if before is None else before
    if seed != before:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({"seed": seed}) + "\n", encoding="utf-8")
    return seed


def grade_folder(submissions, results, settings, jobs=1, progress=None):
    """Grade submissions that have no result yet, and write a record and a page for each.

    Parameters
    ----------
    submissions : list of Submission
        As `find_submissions` returns them.
    results : path
        The folder to write to.
    settings : Settings
        Seed and limits.
    jobs : int, default 1
        Processes that compare; each has one more process, in which a notebook runs.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    list of dict
        The records of all submissions, in the order of their names.
    """
    folder = Path(results) / RECORDS
    folder.mkdir(parents=True, exist_ok=True)
    todo = [each for each in submissions if _kept(folder, each, settings) is None]
    done = len(submissions) - len(todo)
    lock, waiting, errors = threading.Lock(), list(reversed(todo)), []

    def lane():
        nonlocal done
        worker = _Worker()
        try:
            while True:
                with lock:
                    if errors or not waiting:
                        return
                    submission = waiting.pop()
                record, page = worker.grade(submission, settings)
                with lock:
                    _write(folder, record, page)
                    done += 1
                    if progress is not None:
                        progress(done, len(submissions))
        except BaseException as error:  # to be raised by the thread that waits
            errors.append(error)
        finally:
            worker.close()

    if progress is not None:
        progress(done, len(submissions))
    lanes = [threading.Thread(target=lane, daemon=True) for _ in range(min(jobs, len(todo)))]
    for each in lanes:
        each.start()
    try:
        for each in lanes:
            while each.is_alive():
                each.join(0.2)
    except KeyboardInterrupt:
        errors.append(None)
        raise
    if errors:
        raise errors[0]
    return [_kept(folder, each, settings) for each in submissions]


class _Worker:
    """A process that grades one submission after another, and is replaced if it ends."""

    def __init__(self):
        self.pool = None

    def grade(self, submission, settings):
        for _ in range(2):
            if self.pool is None:
                self.pool = ProcessPoolExecutor(1, get_context("spawn"), _follow, (os.getpid(),))
            try:
                return self.pool.submit(graded, submission, settings).result()
            except BrokenProcessPool:
                self.close()
        return refused(submission, settings, "the process that graded it was ended twice")

    def close(self):
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)
            self.pool = None


def _follow(parent):
    """End this process, and the notebook's, soon after the one that started it has been killed."""

    def watch():
        import psutil

        while os.getppid() == parent:
            time.sleep(1)
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def graded(submission, settings):
    """(record, page) of a submission; runs in a worker's process."""
    from npgrad.course.submissions import _feedback, _notebook
    from npgrad.course.submissions._maps import Maps

    draw = settings.draw(submission)
    best, failed, stopped, shown_images, refusals = {}, {}, {}, {}, []
    for path in submission.notebooks:
        label = Path(path).name if len(submission.notebooks) > 1 else ""
        try:
            notebook = _notebook.read(path)
            if not _notebook.questions(notebook):
                continue
            maps = Maps() if settings.maps else None
            with _working_folder(submission, settings) as folder:
                results, errors, late = _notebook.grade_notebook(
                    notebook, folder, settings.limits, draw, maps=maps
                )
        except NpgradError as error:
            refusals.append(str(error))
            continue
        for result in results:
            if result.id not in best or result.got > best[result.id].got:
                best[result.id] = result
                if maps is not None and result.id in maps.found:
                    shown_images[result.id] = maps.found[result.id]
        failed |= {f"{label} cell {number}".strip(): text for number, text in errors.items()}
        stopped |= {f"{label} cell {number}".strip(): text for number, text in late.items()}
    record = _record(submission, settings, best, "; ".join(refusals))
    record |= {"failed_cells": failed, "stopped_cells": stopped}
    return record, _feedback.page(record, shown_images)


def refused(submission, settings, why):
    """(record, page) of a submission that could not be graded."""
    from npgrad.course.submissions import _feedback

    record = _record(submission, settings, {}, why) | {"failed_cells": {}, "stopped_cells": {}}
    return record, _feedback.page(record, {})


def _record(submission, settings, results, why):
    from npgrad.course.grading import QUESTIONS

    questions = [asdict(results[name]) for name in QUESTIONS if name in results]
    return {
        "submission": submission.name,
        "questions": questions,
        "got": sum(each["got"] for each in questions),
        "total": sum(each["points"] for each in questions),
        "refused": why or None,
        "draw": settings.draw(submission),
        "key": settings.key(submission),
    }


def _working_folder(submission, settings):
    """A temporary folder with the student's own files and those for everybody: ".." does not lead to others'."""
    holder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    for source in filter(None, (submission.folder, settings.files)):
        files = [each for each in Path(source).rglob("*") if each.is_file() and not each.is_symlink()]
        if sum(each.stat().st_size for each in files) > COPIED:
            holder.cleanup()
            raise InputError(f"{shown(source)}: expected at most 200 MB of files beside the notebook")
        shutil.copytree(source, holder.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    return holder


def _kept(folder, submission, settings):
    """The record of an earlier run, if it is of the same notebook and settings; otherwise None."""
    try:
        record = json.loads((folder / f"{submission.name}.json").read_text(encoding="utf-8"))
        return record if record["key"] == settings.key(submission) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(folder, record, page):
    name = record["submission"]
    for suffix, text in ((".html", page), (".json", json.dumps(record, indent=1, ensure_ascii=False))):
        with atomic_write(folder / f"{name}{suffix}") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
