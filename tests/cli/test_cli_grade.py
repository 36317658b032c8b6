"""The command `grade`: little notebooks in, points out."""

import argparse
import json
import re
import sys
from pathlib import Path

import homework_answers
import pytest
from graded import needs_jupyter, notebook

from npgrad.cli import grade, main
from npgrad.course import submissions
from npgrad.course.grading._questions import NETWORK_VISUALIZATION, STYLE_TRANSFER
from npgrad.errors import InputError, NpgradError

QUESTIONS = {**NETWORK_VISUALIZATION, **STYLE_TRANSFER}


@pytest.fixture
def run(tmp_path, capsys):
    """run(notebook, options) -> (exit code, stdout, stderr) of `npgrad grade`."""

    def run(content, *options):
        path = tmp_path / "homework.ipynb"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        before = path.read_bytes()
        parser = argparse.ArgumentParser()
        grade.add_arguments(parser)
        code = grade.run(parser.parse_args([str(path), *options]))
        assert path.read_bytes() == before
        assert [each.name for each in tmp_path.iterdir() if not each.name.endswith(".txt")] == [path.name]
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def points(out):
    """{question: (got, message)} of the printed table."""
    rows, last = {}, None
    for line in out.splitlines():
        if found := re.fullmatch(r"(Q\d\.\d\w?|total) +(\d+) +(\d+) *(.*)", line):
            last, _, got, message = found.groups()
            rows[last] = [int(got), message]
        elif line.startswith(" " * 20):
            rows[last][1] += "\n" + line.strip()
    return rows


@pytest.mark.exhaustive
@needs_jupyter
def test_a_right_notebook_gets_its_points(run):
    """What is written there is worth full points, what is imported from npgrad nothing."""
    answers = Path(homework_answers.__file__).read_text()
    code, out, err = run(notebook(answers, "from npgrad.course import tv_loss", "%matplotlib nonsense"))
    assert (code, err) == (None, "")
    rows = points(out)
    assert {name: got for name, (got, _) in rows.items()} == {
        **{name: question.points for name, question in QUESTIONS.items()}, "Q2.3": 0, "total": 62,
    }  # fmt: skip
    assert [name for name, (_, message) in rows.items() if message] == ["Q2.3"]
    assert rows["Q2.3"][1] == "tv_loss: imported from npgrad, not written here"
    assert out.splitlines()[-1].startswith("cell 3 raised ")


@pytest.mark.exhaustive
@needs_jupyter
def test_a_notebook_names_its_questions(run):
    asked = notebook(
        "def content_loss(w, a, b):\n    return w * ((a - b) ** 2).sum()",
        npgrad={"questions": ["Q2.3", "Q2.1"]},
    )
    rows = points(run(asked)[1])
    assert rows == {"Q2.1": [3, ""], "Q2.3": [0, "tv_loss: not answered yet"], "total": [3, ""]}
    for wrong, message in (
        ({"questions": ["Q9"]}, "no question"),
        ({"questions": 3}, "expected {"),
        (3, "expected {"),
    ):
        with pytest.raises(NpgradError, match=message):
            run(notebook("1", npgrad=wrong))


STUDENT = """
def {}(*arguments, **options):
    # your code here
    raise NotImplementedError
"""


@pytest.mark.exhaustive
@needs_jupyter
def test_an_unfinished_notebook(run):
    """What is there is checked, what is not gets nothing, and cells that fail stop nothing."""
    names = [name for question in QUESTIONS.values() for name in question.functions]
    code, out, err = run(
        notebook(
            "import os, numpy as np\nfrom npgrad.course import *",
            *[STUDENT.format(name) for name in dict.fromkeys(names)],
            "compute_saliency_maps(0, 0, 0)",
            "1 / 0",
            "def content_loss(w, a, b):\n    return w * np.mean((a - b) ** 2)",
            "def tv_loss(img, w):\n    return w * sum(np.sum(np.diff(img, axis=axis) ** 2) for axis in (2, 3))",
            "open('here.txt', 'w').write(os.getcwd())\nprint('0 of 0')\ninput()",
            kernelspec={"name": "somebody-elses", "display_name": "Mine", "language": "python"},
        ),
        "--json",
    )
    found = json.loads(out)
    assert list(found)[:3] == ["questions", "got", "total"]
    assert (code, err, found["got"], found["total"]) == (None, "", 3, 65)
    assert all(list(each) == ["id", "points", "got", "message"] for each in found["questions"])
    by_id = {each["id"]: each for each in found["questions"]}
    assert list(by_id) == list(QUESTIONS)
    assert by_id["Q2.3"] == {"id": "Q2.3", "points": 3, "got": 3, "message": ""}
    assert re.match("content_loss: found the mean of .* expected their sum", by_id["Q2.1"]["message"])
    for name in by_id.keys() - {"Q2.1", "Q2.3"}:
        assert by_id[name]["got"] == 0
        assert by_id[name]["message"] == "\n".join(
            f"{each}: not answered yet" for each in QUESTIONS[name].functions
        )
    first = len(set(names)) + 2
    errors = {each["cell"]: each["error"] for each in found["failed_cells"]}
    assert list(errors) == [first, first + 1, first + 4]
    assert (errors[first], errors[first + 1]) == (
        "NotImplementedError",
        "ZeroDivisionError: division by zero",
    )
    assert errors[first + 4].startswith("StdinNotImplementedError")
    assert found["stopped"] is None


@pytest.mark.exhaustive
@needs_jupyter
def test_cells_and_functions_that_never_end(run):
    code, out, err = run(
        notebook(
            "def tv_loss(img, w):\n    d, a = img[:, :, 1:] - img[:, :, :-1], img[..., 1:] - img[..., :-1]\n"
            "    return w * ((d * d).sum() + (a * a).sum())",
            "def make_fooling_image(X, y, model, **options):\n    while True:\n        X = X + 1",
            "while True:\n    pass",
            "def content_loss(w, a, b):\n    return w * ((a - b) ** 2).sum()",
        ),
        "--cell-timeout",
        "5",
        "--check-timeout",
        "5",
    )
    rows = points(out)
    assert (code, rows["total"][0], rows["Q2.3"], rows["Q2.1"]) == (None, 6, [3, ""], [3, ""])
    late = "was interrupted after 5 s"
    assert rows["Q1.3b"][1].replace("\n", " ") == f"make_fooling_image: not graded: the check {late}"
    assert re.match(f"gram_matrix: not defined: cell 3 {late}", rows["Q2.2"][1].replace("\n", " "))
    assert err == f"npgrad: cell 3 {late}\n"


@pytest.mark.exhaustive
@needs_jupyter
def test_a_process_that_ends(run):
    _, out, err = run(notebook("import os", "def content_loss(*a):\n    os._exit(1)"), "--json")
    found = json.loads(out)
    by_id = {each["id"]: each["message"] for each in found["questions"]}
    assert by_id["Q1.4"].startswith("class_visualization_update_step: not answered yet")
    assert by_id["Q2.1"] == "content_loss: not graded: the check ended the process"
    assert by_id["Q2.2"].startswith("gram_matrix: not answered yet")
    assert found["stopped"] is None


@needs_jupyter
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_notebook_as_editors_on_windows_write_it(tmp_path, encoding):
    path = tmp_path / "homework.ipynb"
    path.write_bytes(json.dumps(notebook("größe = 1")).encode(encoding))
    assert submissions.code_cells(submissions.read(path)) == {1: "größe = 1"}


@needs_jupyter
def test_a_notebook_without_its_suffix(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["grade", "BackpropByHand"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        "npgrad: BackpropByHand: no such file, expected a notebook (.ipynb); `npgrad notebooks DIR`"
    )
    assert main(["notebooks", "."]) == 0
    capsys.readouterr()
    monkeypatch.setattr(submissions, "grade_notebook", lambda *arguments: pytest.fail("it ran"))
    assert main(["grade", "BackpropByHand"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("npgrad: BackpropByHand.ipynb: this notebook has no questions")


@pytest.mark.exhaustive
@needs_jupyter
def test_a_notebook_of_something_else_says_so(run):
    code, out, err = run(notebook("x = 1"))
    assert points(out)["total"] == [0, ""]
    assert err.endswith(
        "homework.ipynb: defines none of the homework's functions, and names no questions in its metadata; "
        "is it one of LayersByHand.ipynb, NetworkVisualization.ipynb and StyleTransfer.ipynb?\n"
    )


@needs_jupyter
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a notebook: expected JSON in UTF-8, found"),
        ("{'a': 1}", "not a notebook: expected JSON in UTF-8, found"),
        ('{"cells": [}', "not a notebook: expected JSON in UTF-8, found"),
        ("[" * 100_000, "not a notebook: expected JSON in UTF-8, found"),
        ("[1, 2]", "not a notebook: expected JSON with nbformat, metadata and cells"),
        ('{"cells": []}', "not a notebook: expected JSON with nbformat, metadata and cells"),
        ({**notebook(), "nbformat": "four"}, "not a notebook: "),
        ({**notebook(), "cells": [{"cell_type": "code"}]}, "not a notebook: "),
        ({**notebook(), "cells": 5}, "not a notebook: "),
        (
            notebook(kernelspec={"name": "ir", "display_name": "R", "language": "R"}),
            "expected a notebook in Python",
        ),
    ],
)
def test_what_is_no_notebook(run, content, message):
    with pytest.raises(InputError) as error:
        run(content)
    text = str(error.value)
    assert "homework.ipynb: " in text
    assert message in text
    assert "\n" not in text


def test_what_is_not_there(tmp_path):
    for path in (tmp_path / "none.ipynb", tmp_path):
        with pytest.raises(InputError, match="no such file, expected a notebook"):
            grade.find(str(path))


def test_without_jupyter(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    path = tmp_path / "homework.ipynb"
    path.write_text(json.dumps(notebook()))
    with pytest.raises(
        NpgradError,
        match=r"needs ipykernel, which is not installed; it is in the extra 'notebooks', in a checkout: pip install -e",
    ):
        submissions.read(path)


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "inf", "soon"])
def test_a_time_limit_is_a_number_of_seconds(seconds, capsys):
    parser = argparse.ArgumentParser()
    grade.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["x.ipynb", "--timeout", seconds])
    assert f"invalid number of seconds > 0 value: '{seconds}'" in capsys.readouterr().err
