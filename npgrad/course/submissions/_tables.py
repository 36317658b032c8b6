"""The tables about all submissions of a folder."""

import contextlib
import json

from npgrad._files import atomic_write
from npgrad.course.notebooks import notebooks_folder
from npgrad.course.submissions import _feedback, _source
from npgrad.course.submissions._notebook import code_cells, read
from npgrad.errors import InputError


def write_tables(output, submissions, records):
    """Write grades.csv, summary.json and summary.html.

    Parameters
    ----------
    output : pathlib.Path
        The folder to write to.
    submissions : list of Submission
        As `find_submissions` returns them.
    records : list of dict
        As `grade_folder` returns them.

    Returns
    -------
    dict
        The summary.
    """
    given, pieces = given_pieces(), {}
    for submission in submissions:
        cells = []
        for path in submission.notebooks:
            with contextlib.suppress(InputError):
                cells += code_cells(read(path)).values()
        pieces[submission.name] = _source.pieces(cells, given)
    found = _feedback.summary(records)
    for name, text in (
        ("grades.csv", _feedback.grades(records, _source.most_similar(pieces))),
        ("summary.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n"),
        ("summary.html", _feedback.summary_page(found) + "\n"),
    ):
        with atomic_write(output / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    return found


def given_pieces():
    """Digests of the code that the student edition gives to everybody, which no comparison of students counts."""
    cells = []
    for path in sorted((notebooks_folder() / "student").glob("*.ipynb")):
        cells += [
            "".join(cell["source"])
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "code"
        ]
    return frozenset(_source.pieces(cells))
