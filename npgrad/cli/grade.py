"""Run a notebook of the homework from top to bottom in a fresh process, then check its functions and print the points.

Cells that fail do not stop the others; they are listed. The notebook's folder is the working directory, and the file
itself is not changed. The last quarter of the time limit is reserved for the checks: a cell that is still running by
then is interrupted, and what is defined so far is checked. Functions that are not checked in time get 0 points, and so
do functions imported from npgrad.

The questions are those in the notebook's metadata, {"npgrad": {"questions": ["Q1.1", ...]}}, as in the notebooks that
`npgrad notebooks` writes; without them, all of the homework's.

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
from npgrad.cli._kernel import CellRun, Kernel, jupyter
from npgrad.errors import InputError, unknown

HELP = "points of a homework notebook, which is run from top to bottom"
EXAMPLES = """examples:
  npgrad grade NetworkVisualization.ipynb
  npgrad grade homework/StyleTransfer.ipynb --timeout 1800 --json"""

RESULT = "application/vnd.npgrad.result+json"  # the type of a question's Result as an output of the kernel
FOR_CHECKS = 0.25  # share of the time limit
# In the notebook's process: load the checks, and run one. None of the notebook's own names is used or changed.
LOAD = "__import__('npgrad.course.grading');"
CHECK = "__import__('npgrad.cli.grade').cli.grade.send_result(get_ipython(), {question!r}, {missing!r})"
LINE = 100  # characters per line, where the terminal does not say


def add_arguments(parser):
    parser.add_argument("notebook", metavar="NOTEBOOK", help="notebook file (.ipynb)")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="time limit for everything (default 600)",
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
    """The notebook, an nbformat node; InputError for a file that is not a notebook."""
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
    except Exception as error:  # nbformat raises KeyError, AttributeError and its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{shown(path)}: not a notebook: {reason}") from None
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise InputError(f"{shown(path)}: expected a notebook in Python, found one in {language}")
    return notebook


def grade_notebook(notebook, folder, timeout):
    """Run a notebook and check it: (results as dicts, cells that failed, why it was stopped early or None)."""
    from tqdm import tqdm

    from npgrad.course.grading import NOT_YET, QUESTIONS

    end = time.monotonic() + timeout
    asked = questions(notebook)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    results, failed, stopped = [], [], None
    with tempfile.TemporaryDirectory() as scratch, Kernel(folder, scratch) as process:
        process.execute(LOAD, end)  # so that the first check is not charged for it
        for number, source in enumerate(tqdm(cells, unit="cell", leave=False, disable=None), 1):
            ran = process.execute(source, end - FOR_CHECKS * timeout, store_history=True)
            if ran.error:
                failed.append({"cell": number, "error": ran.error})
            if ran.stopped:
                stopped = f"cell {number} {ran.stopped}"
                break
        missing = f"not graded: {stopped}, and the cells after it did not run" if stopped else NOT_YET
        for question in asked:
            # Half of the time left, so that a function that never ends leaves time for the other questions.
            limit = (time.monotonic() + end) / 2
            code = CHECK.format(question=question, missing=missing)
            ran = process.execute(code, limit) if process.alive else CellRun()
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


def send_result(shell, question, missing):
    """Runs in the notebook's process: check a question on the names defined there, and display the Result."""
    import contextlib
    import dataclasses
    import io

    from IPython.display import display

    from npgrad.course.grading import grade_one

    with contextlib.redirect_stdout(io.StringIO()):
        result = grade_one(question, shell.user_ns, missing)
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
