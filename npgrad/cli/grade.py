"""Run a notebook of the homework from top to bottom in a fresh process, then check its functions and print the points.

Cells that fail do not stop the others; they are listed. The notebook's folder is the working directory, and its file is
not changed. Of the time limit, which is for everything, the last quarter is kept for the checks: a cell that never ends
is interrupted before, and what is defined by then is checked. What is not checked in time gets 0 points, and so does
what is imported from npgrad.

The questions are those that the notebook's metadata name, {"npgrad": {"questions": ["Q1.1", ...]}}, as in the
notebooks that come with npgrad; without them, the whole homework's.

A notebook is a program: run only those that you would run yourself."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from npgrad._files import shown
from npgrad.cli._common import add_json, print_json, table
from npgrad.errors import InputError, unknown

HELP = "run a notebook of the homework and print its points"
EXAMPLES = """examples:
  npgrad grade NetworkVisualization.ipynb
  npgrad grade homework/StyleTransfer.ipynb --timeout 1800 --json"""

RESULT = "application/vnd.npgrad.result+json"  # what a question's Result is handed back as
FOR_CHECKS = 0.25  # of the time limit
# In the notebook's process: load the checks, and run one. No name of the notebook's own is used or touched.
LOAD = "__import__('npgrad.course.grading');"
CHECK = "__import__('npgrad.cli.grade').cli.grade.hand_back(get_ipython(), {question!r}, {missing!r})"
START, GRACE = 120, 3  # seconds in which a process has to be there, and to answer after an interrupt
LINE = 100  # characters, where the terminal does not say


def add_arguments(parser):
    parser.add_argument("notebook", metavar="NOTEBOOK", help="an .ipynb file")
    parser.add_argument(
        "--timeout", type=_seconds, default=600.0, metavar="SECONDS", help="for everything (default 600)"
    )
    add_json(parser)


def _seconds(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


_seconds.__name__ = "number of seconds > 0"


def run(args):
    notebook = read(args.notebook)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Jupyter's own
        results, failed, reason = grade_notebook(notebook, Path(args.notebook).resolve().parent, args.timeout)
    got, total = (sum(result[key] for result in results) for key in ("got", "points"))
    if args.json:
        print_json(
            {"questions": results, "got": got, "total": total, "failed_cells": failed, "stopped": reason}
        )
        return
    print(score_table(results, got, total))
    for cell in failed:
        print(f"cell {cell['cell']} raised {cell['error']}")
    if reason:
        print(f"npgrad: {reason}", file=sys.stderr)


def read(path):
    """The notebook, an nbformat node; InputError in one line for what is none."""
    if not os.path.isfile(path):
        raise InputError(f"{shown(path)}: no such file, expected a notebook (.ipynb)")
    try:
        text = Path(path).read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{shown(path)}: not a notebook: expected JSON in UTF-8, found {reason}") from None
    if not isinstance(found, dict) or not {"nbformat", "metadata"} <= found.keys():
        raise InputError(f"{shown(path)}: not a notebook: expected JSON with nbformat, metadata and cells")
    nbformat, _ = jupyter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notebook = nbformat.reads(text, as_version=4)
            nbformat.validate(notebook)
    except Exception as error:  # nbformat raises what it likes: KeyError, AttributeError, its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{shown(path)}: not a notebook: {reason}") from None
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise InputError(f"{shown(path)}: expected a notebook in Python, found one in {language}")
    return notebook


def jupyter():
    """The modules (nbformat, jupyter_client), which only this command needs; InputError if they are not installed."""
    try:
        import ipykernel  # noqa: F401 - the process that runs the notebook needs it
        import jupyter_client
        import nbformat
    except ImportError as error:
        raise InputError(
            f"running a notebook needs {error.name}, which is not installed: pip install 'npgrad[notebooks]'"
        ) from None
    return nbformat, jupyter_client


def grade_notebook(notebook, folder, timeout):
    """Run a notebook and check it: (results as dicts, cells that failed, why it was stopped early or None)."""
    from tqdm import tqdm

    from npgrad.course.grading import NOT_YET, QUESTIONS

    end = time.monotonic() + timeout
    asked_for = questions(notebook)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    results, failed, stopped = [], [], None
    with tempfile.TemporaryDirectory() as scratch, Process(folder, scratch) as process:
        process.execute(LOAD, end)  # so that the checks begin at once
        for number, source in enumerate(tqdm(cells, unit="cell", leave=False, disable=None), 1):
            ran = process.execute(source, end - FOR_CHECKS * timeout, store_history=True)
            if ran.error:
                failed.append({"cell": number, "error": ran.error})
            if ran.stopped:
                stopped = f"cell {number} {ran.stopped}"
                break
        missing = f"not graded: {stopped}, and the cells after it did not run" if stopped else NOT_YET
        for question in asked_for:
            # Half of what is left: a function that never ends leaves time for the other questions.
            limit = (time.monotonic() + end) / 2
            code = CHECK.format(question=question, missing=missing)
            ran = process.execute(code, limit) if process.alive else Ran()
            if process.alive or ran.data:
                why = f"the check {ran.stopped}" if ran.stopped else f"the check raised {ran.error}"
            else:
                stopped = stopped or f"the check of {question} {ran.stopped}"
                why = stopped
            nothing = {
                "id": question,
                "points": QUESTIONS[question].points,
                "got": 0,
                "message": f"not graded: {why}",
            }
            results.append(ran.data.get(RESULT, nothing))
    return results, failed, stopped


def questions(notebook):
    """The questions that a notebook asks, in the homework's order; InputError for one that there is not."""
    from npgrad.course.grading import QUESTIONS

    about = notebook.metadata.get("npgrad", {})
    asked = about.get("questions", list(QUESTIONS)) if isinstance(about, dict) else None
    if not isinstance(asked, list):
        raise InputError('the metadata "npgrad" of the notebook: expected {"questions": [...]}')
    for question in asked:
        if question not in list(QUESTIONS):
            raise unknown("question (named in the notebook's metadata)", question, QUESTIONS)
    return [question for question in QUESTIONS if question in asked]


@dataclass
class Ran:
    """What came of a cell. error: what it raised, in a line; stopped: why it did not come to its end; data: by type."""

    error: str | None = None
    stopped: str | None = None
    data: dict = field(default_factory=dict)


class Process:
    """A fresh kernel of this very Python, whatever kernel a notebook names, and what runs in it."""

    def __init__(self, folder, scratch):
        self.folder, self.scratch, self.alive, self.client = folder, scratch, True, None

    def __enter__(self):
        from ipykernel.kernelspec import get_kernel_dict
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

        class ThisPython(KernelSpecManager):
            def get_kernel_spec(self, kernel_name):
                return KernelSpec(**get_kernel_dict())

        _, jupyter_client = jupyter()
        connection = os.path.join(self.scratch, "kernel.json")
        self.manager = jupyter_client.KernelManager(
            kernel_name="python3", kernel_spec_manager=ThisPython(), connection_file=connection
        )
        # None of the profile, history or configuration of whoever grades.
        environment = {**os.environ, "IPYTHONDIR": self.scratch}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.manager.start_kernel(cwd=str(self.folder), env=environment, **quiet)
        try:
            self.client = self.manager.blocking_client()
            self.client.start_channels()
            self.client.wait_for_ready(timeout=START)
        except RuntimeError as error:
            self.__exit__()
            raise InputError(f"no Python process for the notebook: {error}") from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        if self.client is not None:
            self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def execute(self, source, limit, store_history=False):
        """Run a cell until it ends, or dies, or the time `limit` comes: Ran."""
        ran, begin = Ran(), time.monotonic()
        cell = self.client.execute(
            source, store_history=store_history, allow_stdin=False, stop_on_error=False
        )
        if self._ended(cell, ran, limit):
            return ran
        if self.alive:
            ran.stopped = f"was interrupted after {time.monotonic() - begin:.0f} s: the time was over"
            self.manager.interrupt_kernel()
            if not self._ended(cell, ran, time.monotonic() + GRACE):
                self.alive = False
                ran.stopped = "could not be interrupted when the time was over"
        else:
            ran.stopped = "ended the process"
        ran.error = None
        return ran

    def _ended(self, cell, ran, limit):
        """Listen to what a cell puts out; True at its end, False if the process died or the time is over."""
        while (left := limit - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=min(left, 0.5))
            except queue.Empty:
                if not self.manager.is_alive():
                    self.alive = False
                    return False
                continue
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != cell:
                continue
            if kind == "error":
                name, text = content["ename"], content["evalue"]
                ran.error = one_line(f"{name}: {text}" if text else name)
            elif kind == "display_data":
                ran.data.update(content["data"])
            elif kind == "status" and content["execution_state"] == "idle":
                return True
        return False


def hand_back(shell, question, missing):
    """Runs in the notebook's process: check a question on what is defined there, and hand back the Result."""
    import contextlib
    import dataclasses
    import io

    from IPython.display import display

    from npgrad.course.grading import grade_one

    with contextlib.redirect_stdout(io.StringIO()):
        result = grade_one(question, shell.user_ns, missing)
    display({RESULT: dataclasses.asdict(result)}, raw=True)


def score_table(results, got, total):
    """The lines: question, points, got, and what is wrong, broken where the terminal ends."""
    import shutil

    width = max(40, shutil.get_terminal_size((LINE, 24)).columns - 24)
    rows = [["question", "points", "got", ""]]
    for result in results:
        lines = [part for line in result["message"].splitlines() for part in textwrap.wrap(line, width)]
        first, *rest = lines or [""]
        rows.append([result["id"], str(result["points"]), str(result["got"]), first])
        rows += [["", "", "", line] for line in rest]
    rows.append(["total", str(total), str(got), ""])
    return table(rows, right=(1, 2))


def one_line(text):
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:197] + "..."
