"""Run notebooks of the homework from top to bottom, then check their functions and print the points.

A notebook runs in a process of its own; what its functions return is compared in one that never runs it, on inputs
drawn from the seed and the notebook's own text. A function that calls npgrad's own version of what it is asked for
earns nothing, however it is reached. Cells that fail do not stop the others; they are listed. A cell or check that
exceeds its limit, or ends the process, costs its own points only: the cells before it run again in a new process.

For one NOTEBOOK, its folder is the working directory, and the points are printed. For a FOLDER of submissions
(notebooks, or a folder with notebooks for each student), -o says where the results go: for each submission a JSON
file and a page, then grades.csv and summary.html. Submissions that have a result already are not graded again, so an
interrupted run is resumed by the same command.

The questions are those in the notebook's metadata, {"npgrad": {"questions": ["Q1.1", ...]}}, as in the notebooks that
`npgrad notebooks` writes; without them, those of the assignments (image gradients, layers by hand) whose functions the
cells define or import. The lesson BackpropByHand has none.

A notebook is a program, which may do what you may: docs/howto/grading.md says what is isolated, and how to use a
container."""

import dataclasses
import os
import textwrap
from pathlib import Path

from npgrad._files import check_folder, shown
from npgrad.cli._common import add_json, print_json, table, whole_number_type
from npgrad.cli._messages import bar, fail, progress_bar
from npgrad.errors import InputError

HELP = "points of homework notebooks, which are run from top to bottom"
EXAMPLES = """examples:
  npgrad grade homework/NetworkVisualization.ipynb
  npgrad grade homework/StyleTransfer --timeout 1800 --json
  npgrad grade submissions -o results --jobs 2"""

HOMEWORK = "LayersByHand.ipynb, NetworkVisualization.ipynb and StyleTransfer.ipynb"
LINE = 100  # characters per line, where the terminal does not say


def add_arguments(parser):
    parser.add_argument(
        "notebook",
        metavar="NOTEBOOK|FOLDER",
        help="notebook file, whose .ipynb may be left out; or a folder of submissions, with -o",
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="folder for the results of all submissions")
    parser.add_argument(
        "--jobs", type=whole_number_type(1), default=1, metavar="N", help="submissions at a time (default 1)"
    )
    parser.add_argument(
        "--seed",
        type=whole_number_type(0),
        metavar="N",
        help="seed of the inputs that functions are checked on; default: a new one, which -o keeps",
    )
    limits = parser.add_argument_group("limits")
    for name, default, text in (
        ("--cell-timeout", 120.0, "time limit for a cell"),
        ("--check-timeout", 60.0, "time limit for the check of a function"),
        (
            "--timeout",
            1800.0,
            "time limit for all cells and checks, a quarter of which is left for the checks",
        ),
    ):
        limits.add_argument(
            name, type=_seconds, default=default, metavar="SECONDS", help=f"{text} (default {default:g})"
        )
    limits.add_argument(
        "--memory",
        type=_gigabytes,
        default=4.0,
        metavar="GB",
        help="memory that a notebook may use (default 4)",
    )
    parser.add_argument("--files", metavar="DIR", help="with -o: files that every notebook finds beside it")
    parser.add_argument("--no-maps", action="store_true", help="with -o: pages without maps")
    parser.add_argument(
        "--gradescope",
        action="store_true",
        help="with -o: also results.json for Gradescope, and the folder of an autograder",
    )
    add_json(parser)


def _seconds(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def _gigabytes(text):
    value = float(text)
    if not 0.5 <= value < float("inf"):
        raise ValueError
    return value


_seconds.__name__, _gigabytes.__name__ = "number of seconds > 0", "number of gigabytes >= 0.5"


def run(args):
    from npgrad.course.submissions import Limits

    limits = Limits(args.cell_timeout, args.check_timeout, args.timeout, args.memory)
    if args.output is not None:
        return run_folder(args, limits)
    if os.path.isdir(args.notebook) and not os.path.isfile(f"{args.notebook}.ipynb"):
        raise InputError(
            f"{shown(args.notebook)}: a folder of submissions needs -o, a folder for the results"
        )
    return run_one(args, limits)


def run_one(args, limits):
    import secrets

    from npgrad.course.grading import NOT_YET
    from npgrad.course.submissions import code_cells, grade_notebook, questions, read

    path = find(args.notebook)
    notebook = read(path)
    if not questions(notebook):
        raise InputError(f"{shown(path)}: this notebook has no questions; those with some are {HOMEWORK}")
    seed = secrets.randbits(31) if args.seed is None else args.seed
    with bar(total=len(code_cells(notebook)), unit="cell", disable=None) as cells:
        results, failed, stopped = grade_notebook(
            notebook, Path(path).resolve().parent, limits, 1 + seed, cells.update
        )
    results = [dataclasses.asdict(result) for result in results]
    got, total = (sum(result[key] for result in results) for key in ("got", "points"))
    cells = [{"cell": number, "error": error} for number, error in sorted(failed.items())]
    reason = "; ".join(f"cell {number} {why}" for number, why in sorted(stopped.items())) or None
    if args.json:
        print_json(
            {
                "questions": results,
                "got": got,
                "total": total,
                "failed_cells": cells,
                "stopped": reason,
                "seed": seed,
            }
        )
    else:
        print(score_table(results, got, total))
        for cell in cells:
            print(f"cell {cell['cell']} raised {cell['error']}")
        if reason:
            fail(reason)
    if "npgrad" not in notebook.metadata and all(NOT_YET in result["message"] for result in results):
        fail(
            f"{shown(path)}: defines none of the homework's functions, and names no questions in its "
            f"metadata; is it one of {HOMEWORK}?"
        )


def run_folder(args, limits):
    """Grade all submissions, then write the tables about all of them."""
    from npgrad.course import submissions as grader

    path = args.notebook if os.path.isdir(args.notebook) else find(args.notebook)
    if args.files is not None and not os.path.isdir(args.files):
        raise InputError(f"{shown(args.files)}: expected a folder of files for the notebooks, found none")
    grader.jupyter()
    submissions = grader.find_submissions(path, args.output)
    check_folder(args.output, ("grades.csv",))
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    seed = grader.seed_of(output, args.seed)
    settings = grader.Settings(seed, limits, not args.no_maps, args.files)
    progress = progress_bar("grade", unit="submission")
    try:
        records = grader.grade_folder(submissions, output, settings, args.jobs, progress)
    finally:
        progress.close()
    found = grader.write_tables(output, submissions, records)
    if args.gradescope:
        grader.write_gradescope(output / "gradescope", records)
    if args.json:
        print_json(found)
        return
    print(f"{found['submissions']} submissions, {found['mean']:.1%} of the points on average")
    for name in ("grades.csv", "summary.html"):
        print(shown(output / name))


def find(name):
    """The file of a notebook, whose suffix may be left out; InputError if there is none."""
    from npgrad.course.notebooks import NAMES  # loads all of the course

    path = next((path for path in (name, f"{name}.ipynb") if os.path.isfile(path)), None)
    if path is None:
        own = Path(name).name.removesuffix(".ipynb") in NAMES
        hint = "; `npgrad notebooks DIR` writes it to a folder" if own else ""
        raise InputError(f"{shown(name)}: no such file, expected a notebook (.ipynb){hint}")
    return path


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
