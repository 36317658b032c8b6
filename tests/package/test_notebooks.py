"""The notebooks: they run from a clean kernel, get the right grades, and the student edition is up to date."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "make_notebooks.py"
HOMEWORK = {"NetworkVisualization": 45, "StyleTransfer": 20}
NAMES = [*HOMEWORK, "BackpropByHand"]


@pytest.fixture(scope="module")
def editions():
    spec = importlib.util.spec_from_file_location("make_notebooks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quick(monkeypatch):
    """Few steps, and no network access: the proxy does not exist."""
    monkeypatch.setenv("NPGRAD_QUICK", "1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")


def notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
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
    text = path.read_text(encoding="utf-8")
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


@pytest.mark.parametrize("name", HOMEWORK)
def test_the_student_edition_is_in_step(name, editions):
    text = (ROOT / "notebooks" / "student" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert text == editions.written(name)
    assert "SOLUTION" not in text and text.count("# your code here") >= 5


def test_answers_are_cut_out_at_their_indentation(editions):
    code = "def f():\n    a = 1\n    ### BEGIN SOLUTION\n    return a\n    ### END SOLUTION\n\nf()\n"
    cut = "def f():\n    a = 1\n    # your code here\n    raise NotImplementedError\n\nf()\n"
    assert editions.without_answers(code) == cut
    with pytest.raises(ValueError, match="BEGIN SOLUTION without END SOLUTION"):
        editions.without_answers("### BEGIN SOLUTION\nx = 1\n")
