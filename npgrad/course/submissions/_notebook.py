"""Read a notebook, run it, and check its functions."""

import contextlib
import io
import json
import re
import tempfile
import warnings
from pathlib import Path

from npgrad._files import shown
from npgrad.course.grading import NOT_YET, QUESTIONS
from npgrad.course.grading._questions import OTHER_NAMES, questions_of
from npgrad.course.grading._results import result_of
from npgrad.course.submissions import _source
from npgrad.course.submissions._kernel import Kernel, jupyter
from npgrad.course.submissions._remote import Described, RemoteAnswer
from npgrad.course.submissions._session import Limits, Session, Stopped
from npgrad.errors import InputError, unknown


def read(path):
    """The notebook, an nbformat node of version 4; InputError for a file that is not a notebook."""
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
    if str(language).lower() != "python":
        raise InputError(f"{shown(path)}: expected a notebook in Python, found one in {language}")
    return notebook


def questions(notebook):
    """The questions in a notebook's metadata, in the homework's order; UnknownName for one that does not exist.

    Without metadata, they are those of the assignments whose functions the cells define or import.
    """
    about = notebook.metadata.get("npgrad", {})
    asked = about.get("questions", _named(notebook)) if isinstance(about, dict) else None
    if not isinstance(asked, list):
        raise InputError('the metadata "npgrad" of the notebook: expected {"questions": [...]}')
    for question in asked:
        if question not in list(QUESTIONS):
            raise unknown("question (named in the notebook's metadata)", question, QUESTIONS)
    return [question for question in QUESTIONS if question in asked]


def _named(notebook):
    """The questions whose functions the cells define or import by name."""
    text = "\n".join(code_cells(notebook).values())
    names = {
        name
        for pair in re.findall(r"\bdef\s+(\w+)|^\s*(\w+)\s*=\s*lambda\b", text, re.MULTILINE)
        for name in pair
    }
    for imported in re.findall(r"\bimport\s+([^()\n]+|\([^()]+\))", text):
        names.update(re.findall(r"\w+", imported))
    return questions_of(names)


def code_cells(notebook):
    """{number: source} of the code cells that are not empty, counted from 1."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    return dict(enumerate(sources, 1))


def grade_notebook(notebook, folder, limits=None, draw=0, progress=None, maps=None):
    """Run a notebook and check its functions.

    Parameters
    ----------
    notebook : nbformat node
        As `read` returns it.
    folder : path
        The working directory of the cells.
    limits : Limits, optional
        Limits of time and memory.
    draw : int, default 0
        Which inputs the functions are checked on.
    progress : callable, optional
        Called after each cell.
    maps : callable, optional
        Called as ``maps(question, answers)`` with the RemoteAnswers of a question, after its check.

    Returns
    -------
    list of Result
        One for each question.
    dict
        {cell: its error}.
    dict
        {cell: why it did not end}.
    """
    cells, limits = code_cells(notebook), limits or Limits()
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        Kernel(folder, scratch, limits.memory) as process,
    ):
        warnings.simplefilter("ignore")  # Jupyter's own
        session = Session(process, cells, limits, progress)
        session.meddling = _source.meddling(cells)
        session.run_cells()
        results = [_result(session, question, draw, maps) for question in questions(notebook)]
    return results, session.failed, session.stopped


def _result(session, question, draw, maps):
    answers = {}

    def answer(name, function, given):
        answers[name] = RemoteAnswer(name, function, given, session, question, draw)
        return answers[name]

    given = {}
    for name in QUESTIONS[question].functions:
        described = _described(session, name)
        if described is not None:
            given[name] = described
    stopped = "; ".join(f"cell {number} {why}" for number, why in session.stopped.items())
    missing = f"not defined: {stopped}" if stopped else NOT_YET
    with contextlib.redirect_stdout(io.StringIO()):
        result = result_of(question, given, missing, answer)
    if maps is not None:
        maps(question, answers)
    return result


def _described(session, name):
    """What the student's process says about a function of a name, or None where there is none."""
    names = [name, OTHER_NAMES.get(name, name)]
    for _ in range(2):
        try:
            about = session.call({"do": "describe", "names": names}, session.limits.check)
        except Stopped:
            session.recover()
        else:
            return Described(about) if isinstance(about, dict) and about else None
    return None
