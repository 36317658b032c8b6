"""What Gradescope reads: results.json for a submission, and the folder of an autograder.

The format is that of https://gradescope-autograders.readthedocs.io/en/latest/specs/.
"""

import json
from pathlib import Path

from npgrad._files import atomic_write
from npgrad.course.grading import QUESTIONS

SETUP = """#!/usr/bin/env bash
# Installs Python's packages when Gradescope builds the autograder. Put npgrad's wheel (`make wheel`) beside this file.
set -e
apt-get update
apt-get install -y python3 python3-venv
python3 -m venv /autograder/venv
cd /autograder/source
/autograder/venv/bin/pip install "$(ls npgrad-*.whl)[notebooks]"
"""
RUN = """#!/usr/bin/env bash
# Grades the notebooks of one submission. Change the options here, such as --cell-timeout.
set -e
rm -rf /tmp/all /tmp/graded
mkdir -p /tmp/all
cp -r /autograder/submission /tmp/all/submission
OPENBLAS_NUM_THREADS=1 /autograder/venv/bin/npgrad grade /tmp/all -o /tmp/graded --gradescope
cp /tmp/graded/gradescope/submission/results.json /autograder/results/results.json
"""


def results(record):
    """A submission's record in Gradescope's format.

    Parameters
    ----------
    record : dict
        As `grade_folder` returns them.

    Returns
    -------
    dict
    """
    tests = [
        {
            "score": result["got"],
            "max_score": result["points"],
            "status": "passed" if result["got"] == result["points"] else "failed",
            "name": QUESTIONS[result["id"]].title,
            "number": result["id"].removeprefix("Q"),
            "output": result["message"] or "ok",
            "visibility": "visible",
        }
        for result in record["questions"]
    ]
    cells = {**record["failed_cells"], **record["stopped_cells"]}
    lines = [record["refused"], *(f"{cell}: {why}" for cell, why in cells.items())]
    found = {"score": record["got"], "output": "\n".join(filter(None, lines)), "visibility": "visible"}
    return {**found, "stdout_visibility": "hidden", "tests": tests}


def write_gradescope(folder, records):
    """Write NAME/results.json for each record, and the folder `autograder`, which is to be zipped and uploaded."""
    folder = Path(folder)
    for record in records:
        text = json.dumps(results(record), indent=1, ensure_ascii=False) + "\n"
        _write(folder / record["submission"] / "results.json", text)
    for name, text in (("setup.sh", SETUP), ("run_autograder", RUN)):
        path = folder / "autograder" / name
        _write(path, text)
        path.chmod(0o755)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
