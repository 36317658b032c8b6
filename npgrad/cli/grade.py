"""Run a notebook of the homework from top to bottom in a fresh process, then check its functions and print the points.

Cells that fail do not stop the others; they are listed. The notebook's folder is the working directory, and the file
itself is not changed. The last quarter of the time limit is reserved for the checks. Each cell, and then each check, is
interrupted after half of the time that is left, so that one that never ends costs only its own points; if it ends the
process, the other cells run again in a new one. Functions that are not checked in time get 0 points, and so do
functions imported from npgrad.

The questions are those in the notebook's metadata, {"npgrad": {"questions": ["Q1.1", ...]}}, as in the notebooks that
`npgrad notebooks` writes; without them, all of the homework's. The lesson BackpropByHand has none.

A notebook is a program: grade only notebooks that you would run yourself."""

import json
import os
import sys
import tempfile
import textwrap
import time
import warnings
from pathlib import Path

from npgrad._files import shown
from npgrad.cli._common import add_json, print_json, table
from npgrad.cli._kernel import Kernel, jupyter
from npgrad.errors import InputError, unknown

HELP = "points of a homework notebook, which is run from top to bottom"
EXAMPLES = """examples:
  npgrad grade homework/NetworkVisualization.ipynb
  npgrad grade homework/StyleTransfer --timeout 1800 --json"""

HOMEWORK = "NetworkVisualization.ipynb and StyleTransfer.ipynb"
RESULT = "application/vnd.npgrad.result+json"  # the type of a question's Result as an output of the kernel
FOR_CHECKS = 0.25  # share of the time limit
# In the notebook's process: load the checks, and run one. None of the notebook's own names is used or changed.
LOAD = "__import__('npgrad.cli.grade').cli.grade.prepare();"
CHECK = "__import__('npgrad.cli.grade').cli.grade.send_result({question!r}, {missing!r})"
LINE = 100  # characters per line, where the terminal does not say


def add_arguments(parser):
    parser.add_argument("notebook", metavar="NOTEBOOK", help="notebook file; .ipynb may be left out")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="time limit for all cells and checks (default 600)",
    )
    add_json(parser)


def _seconds(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


_seconds.__name__ = "number of seconds > 0"


def run(args):
    from npgrad.course.grading import NOT_YET

    path = find(args.notebook)
    notebook = read(path)
    if not questions(notebook):
        raise InputError(f"{shown(path)}: this notebook has no questions; those with some are {HOMEWORK}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Jupyter's own
        results, failed, reason = grade_notebook(notebook, Path(path).resolve().parent, args.timeout)
    got, total = (sum(result[key] for result in results) for key in ("got", "points"))
    if args.json:
        print_json(
            {"questions": results, "got": got, "total": total, "failed_cells": failed, "stopped": reason}
        )
    else:
        print(score_table(results, got, total))
        for cell in failed:
            print(f"cell {cell['cell']} raised {cell['error']}")
        if reason:
            print(f"npgrad: {reason}", file=sys.stderr)
    if "npgrad" not in notebook.metadata and all(NOT_YET in result["message"] for result in results):
        print(
            f"npgrad: {shown(path)}: defines none of the homework's functions, and names no questions in its "
            f"metadata; is it one of {HOMEWORK}?",
            file=sys.stderr,
        )


def find(name):
    """The file of a notebook, whose suffix may be left out; InputError if there is none."""
    from npgrad.course.notebooks import NAMES  # loads all of the course

    path = next((path for path in (name, f"{name}.ipynb") if os.path.isfile(path)), None)
    if path is None:
        own = Path(name).name.removesuffix(".ipynb") in NAMES
        hint = "; `npgrad notebooks DIR` writes it to a folder" if own else ""
        raise InputError(f"{shown(name)}: no such file, expected a notebook (.ipynb){hint}")
    return path


def read(path):
    """The notebook, an nbformat node; InputError for a file that is not a notebook."""
    try:
        found = json.loads(Path(path).read_bytes())  # a byte order mark, as of Windows editors, is understood
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
            notebook = nbformat.reads(json.dumps(found), as_version=4)
            nbformat.validate(notebook)
    except Exception as error:  # nbformat raises KeyError, AttributeError and its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{shown(path)}: not a notebook: {reason}") from None
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise InputError(f"{shown(path)}: expected a notebook in Python, found one in {language}")
    return notebook


def grade_notebook(notebook, folder, timeout):
    """Run a notebook and check it: (results as dicts, cells that failed, what was stopped or None)."""
    asked = questions(notebook)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    with tempfile.TemporaryDirectory() as scratch, Kernel(folder, scratch, LOAD) as process:
        session = _Session(process, dict(enumerate(cells, 1)), timeout)
        session.run_cells((1 - FOR_CHECKS) * timeout)
        results = [session.check(question) for question in asked]
    failed = [{"cell": number, "error": error} for number, error in sorted(session.failed.items())]
    return results, failed, "; ".join(session.stopped.values()) or None


class _Session:
    """A notebook's cells in a process. One that ends the process is left out when they run again in a new one.

    failed: {cell: its error}. stopped: {cell or question: why it did not end}.
    """

    def __init__(self, process, cells, seconds):
        self.process, self.cells, self.left = process, cells, seconds
        self.failed, self.stopped = {}, {}

    def execute(self, source, limit, **options):
        """Run code for at most half of the time that is left: `limit`, or less. Only its own time counts."""
        begin = time.monotonic()
        ran = self.process.execute(source, max(0, min(limit, self.left)) / 2, **options)
        self.left -= time.monotonic() - begin
        return ran

    def run_cells(self, seconds):
        from tqdm import tqdm

        reserve = self.left - seconds
        todo = [number for number in self.cells if number not in self.stopped]
        for number in tqdm(todo, unit="cell", leave=False, disable=None):
            if self.left <= reserve:
                self.stopped[number] = (
                    f"cell {number} and those after it did not run: the time limit was reached"
                )
                return
            self.failed.pop(number, None)
            ran = self.execute(self.cells[number], self.left - reserve, store_history=True)
            if ran.error:
                self.failed[number] = ran.error
            if ran.stopped:
                self.stopped[number] = f"cell {number} {ran.stopped}"
            if not self.process.alive:
                self.process.restart()
                self.run_cells(self.left - reserve)
                return

    def check(self, question):
        """The Result of a question, as a dict."""
        from npgrad.course.grading import NOT_YET, QUESTIONS

        cells = "; ".join(why for number, why in self.stopped.items() if number in self.cells)
        missing = f"not defined: {cells}" if cells else NOT_YET
        ran = self.execute(CHECK.format(question=question, missing=missing), self.left)
        why = f"the check {ran.stopped}" if ran.stopped else f"the check raised {ran.error}"
        if not self.process.alive:
            self.stopped[question] = f"the check of {question} {ran.stopped}"
            self.process.restart()
            self.run_cells(self.left / 2)
        points = QUESTIONS[question].points
        nothing = {"id": question, "points": points, "got": 0, "message": f"not graded: {why}"}
        return ran.data.get(RESULT, nothing)


def questions(notebook):
    """The questions in a notebook's metadata, in the homework's order; UnknownName for one that does not exist."""
    from npgrad.course.grading import QUESTIONS

    about = notebook.metadata.get("npgrad", {})
    asked = about.get("questions", list(QUESTIONS)) if isinstance(about, dict) else None
    if not isinstance(asked, list):
        raise InputError('the metadata "npgrad" of the notebook: expected {"questions": [...]}')
    for question in asked:
        if question not in list(QUESTIONS):
            raise unknown("question (named in the notebook's metadata)", question, QUESTIONS)
    return [question for question in QUESTIONS if question in asked]


_streams = {}


def prepare():
    """Runs in the notebook's process, first: no cell may end the process or take its output from the others."""
    from IPython import get_ipython

    import npgrad.course.grading  # noqa: F401

    shell = get_ipython()
    _streams.update(stdout=sys.stdout, stderr=sys.stderr)
    shell.ask_exit = lambda: None  # exit() and quit()
    shell.events.register("post_execute", lambda: vars(sys).update(_streams))


def send_result(question, missing):
    """Runs in the notebook's process: check a question on the names defined there, and display the Result."""
    import contextlib
    import dataclasses
    import io

    import numpy as np
    from IPython import get_ipython
    from IPython.display import display

    from npgrad.course.grading import grade_one

    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="warn", under="ignore"):
        result = grade_one(question, get_ipython().user_ns, missing)
    vars(sys).update(_streams)
    display({RESULT: dataclasses.asdict(result)}, raw=True)


def score_table(results, got, total):
    """The lines: question, points, got, and what is wrong, wrapped to the terminal's width."""
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
