"""The notebooks: they run from a clean kernel, get the right grades, and the student edition is up to date."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import own_scripts
import pytest

from npgrad.course.grading import HOMEWORKS, QUESTIONS

ROOT = Path(__file__).resolve().parents[2]
HOMEWORK = {"NetworkVisualization": 45, "StyleTransfer": 20, "LayersByHand": 100}
NAMES = [*HOMEWORK, "BackpropByHand"]


@pytest.fixture(scope="module")
def editions():
    return own_scripts.loaded("make_notebooks")


@pytest.fixture
def quick(monkeypatch):
    """Few steps, and no network access: the proxy does not exist."""
    monkeypatch.setenv("NPGRAD_QUICK", "1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")


def notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


# The two longest are also run where they are graded.
@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow)
        if name in ("NetworkVisualization", "LayersByHand")
        else name
        for name in NAMES
    ],
)
def test_it_runs_from_a_clean_kernel(name, quick):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    nb = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(
        nb, timeout=600, resources={"metadata": {"path": str(ROOT / "notebooks")}}
    ).execute()
    outputs = [output for cell in nb.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]  # no warnings


@pytest.mark.parametrize("name", NAMES)
def test_it_is_kept_with_its_images(name):
    path = ROOT / "notebooks" / f"{name}.ipynb"
    assert path.stat().st_size < 3e6
    cells = [cell for cell in notebook(path)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))  # run once, in order
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert "stderr" not in {output.get("name") for output in outputs}
    # A path can also occur by chance, in an image in base64.
    text = re.sub(r'"image/\w+": "[^"]*"', "", path.read_text(encoding="utf-8"))
    for place in (ROOT, Path.home(), tempfile.gettempdir()):  # no paths of the machine they were run on
        assert json.dumps(f"{place}{os.sep}")[1:-1] not in text


def graded(path):
    done = subprocess.run(
        [sys.executable, "-m", "npgrad", "grade", str(path), "--json"],
        capture_output=True, text=True, timeout=900, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", HOMEWORK)
def test_the_solution_gets_full_marks(name, quick):
    pytest.importorskip("nbclient")
    result = graded(ROOT / "notebooks" / f"{name}.ipynb")
    assert (result["got"], result["total"]) == (HOMEWORK[name], HOMEWORK[name]), result


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", HOMEWORK)
def test_the_empty_student_edition_gets_none(name, quick):
    pytest.importorskip("nbclient")
    result = graded(ROOT / "notebooks" / "student" / f"{name}.ipynb")
    assert (result["got"], result["total"]) == (0, HOMEWORK[name]), result
    assert all("not answered" in question["message"] for question in result["questions"])


@pytest.mark.parametrize("name", NAMES)
def test_the_student_edition_is_in_step(name, editions):
    text = (ROOT / "notebooks" / "student" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == editions.written(name)
    assert "SOLUTION" not in text and text.count("# your code here") >= 5


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_notebooks_beside_it(name):
    for folder in (ROOT / "notebooks", ROOT / "notebooks" / "student"):
        text = (folder / f"{name}.ipynb").read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^):]+)\)", text):
            assert (folder / link).is_file(), link


@pytest.mark.parametrize("name", HOMEWORK)
def test_each_question_has_its_target_its_reminder_and_nbgraders_metadata(name):
    cells = notebook(ROOT / "notebooks" / "student" / f"{name}.ipynb")["cells"]
    checks = {}
    for before, cell, after in zip(cells, cells[1:], cells[2:], strict=False):
        about = cell["metadata"].get("nbgrader", {})
        if about.get("grade"):
            (image,) = after["attachments"].values()
            assert after["source"][-1].startswith("![target](attachment:") and len(*image.values()) > 1000
            answer = before["metadata"].get("nbgrader", {})
            assert answer.get("solution") or "Q2.5" in cell["source"][0]
            checks[re.search(r"Q\d\.\w+", "".join(cell["source"]))[0]] = about["points"]
    asked = [each for each in QUESTIONS if each in HOMEWORKS[name].questions]
    assert checks == {each: QUESTIONS[each].points for each in asked}
    reminders = [
        part for cell in cells for part in "".join(cell["source"]).split("**What you need.**\n\n")[1:]
    ]
    assert len(reminders) == len(asked)
    assert all(
        re.match(r"(\* [^\n]+(\n|$)){3}", part) and not part[:400].count("\n") > 4 for part in reminders
    )


@pytest.mark.parametrize("name", NAMES)
def test_nbgrader_knows_every_cell_with_an_answer(name):
    """It refuses an answer in a cell that has no metadata, and two cells with one id."""
    cells = notebook(ROOT / "notebooks" / f"{name}.ipynb")["cells"]
    about = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    for cell, each in zip(cells, about, strict=True):
        assert ("### BEGIN SOLUTION" in "".join(cell["source"])) == each.get("solution", False)
    ids = [each["grade_id"] for each in about if each]
    assert len(set(ids)) == len(ids) > 5


def test_answers_are_cut_out_at_their_indentation(editions):
    code = "def f():\n    a = 1\n    ### BEGIN SOLUTION\n    return a\n    ### END SOLUTION\n\nf()\n"
    cut = "def f():\n    a = 1\n    # your code here\n    raise NotImplementedError\n\nf()\n"
    assert editions.without_answers(code) == cut
    with pytest.raises(ValueError, match="BEGIN SOLUTION without END SOLUTION"):
        editions.without_answers("### BEGIN SOLUTION\nx = 1\n")
