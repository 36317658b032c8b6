"""Make the student edition of the homework's notebooks, without answers and outputs.

    python scripts/make_notebooks.py            writes notebooks/student/NAME.ipynb
    python scripts/make_notebooks.py --run      runs every notebook first, and saves it with its outputs
    python scripts/make_notebooks.py --check    exits with 1 if the student edition is out of date

Names of notebooks after it restrict it to these.

In a code cell, an answer is between the lines ### BEGIN SOLUTION and ### END SOLUTION. After the check of a question,
the student edition has the image that the right answer gives: the next one among the solved notebook's outputs."""

import argparse
import json
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = ("BackpropByHand", "LayersByHand", "NetworkVisualization", "StyleTransfer")
IMAGES = ("image/jpeg", "image/png")  # the smaller one first
ANSWER = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", flags=re.MULTILINE | re.DOTALL)


def without_answers(code):
    """The code with every answer replaced by a placeholder."""
    cut = ANSWER.sub(r"\1# your code here\n\1raise NotImplementedError", code)
    if "### BEGIN SOLUTION" in cut or "### END SOLUTION" in cut:
        raise ValueError(f"BEGIN SOLUTION without END SOLUTION, or the reverse:\n{cut}")
    return cut


def student_edition(notebook):
    """The student edition of a notebook, both as parsed JSON; the argument is not modified."""
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell = {**cell, "outputs": [], "execution_count": None}
            source = without_answers(source)
        cells.append({**cell, "source": source.splitlines(keepends=True)})
        if is_check(cell):
            cells.append(target(cell["id"], notebook["cells"][number + 1 :]))
    return {**notebook, "cells": cells}


def is_check(cell):
    """Whether a cell is the check of a question."""
    return cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("grade", False)


def target(check, following):
    """A cell with the first image among the outputs of the cells that follow a check, before the next one."""
    for cell in following:
        if is_check(cell):
            break
        for output in cell.get("outputs", ()):
            for kind in IMAGES:
                if kind in output.get("data", {}):
                    name = f"target.{kind.partition('/')[2]}"
                    return {
                        "attachments": {name: {kind: "".join(output["data"][kind])}},
                        "cell_type": "markdown",
                        "id": check.replace("check", "target"),
                        "metadata": {},
                        "source": [
                            "A right answer gives this:\n",
                            "\n",
                            f"![target](attachment:{name})",
                        ],
                    }
    raise ValueError(f"{check}: no image after this check")


def written(name):
    """The student edition of one notebook, as text."""
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return json.dumps(student_edition(notebook), indent=1, ensure_ascii=False) + "\n"


def run(name):
    """Run a notebook from a clean kernel and save it with its outputs."""
    import nbclient
    import nbformat

    path = FOLDER / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=None, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    nbformat.write(notebook, path)
    print(path.relative_to(FOLDER.parent))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; report what is out of date")
    parser.add_argument("--run", action="store_true", help="run every notebook first (needs nbclient)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"expected names of {', '.join(NAMES)}; found {', '.join(sorted(unknown))}")
    names, stale = args.names or NAMES, 0
    for name in names if args.run else ():
        run(name)
    for name in names:
        path, text = FOLDER / "student" / f"{name}.ipynb", written(name)
        if args.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                print(
                    f"{path.relative_to(FOLDER.parent)} is out of date; run this script",
                    file=sys.stderr,
                )
                stale = 1
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")  # on Windows as well
            print(path.relative_to(FOLDER.parent))
    return stale


if __name__ == "__main__":
    sys.exit(main())
