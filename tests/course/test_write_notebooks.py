"""`npgrad.course.notebooks.write_notebooks`: which files it writes, and when it refuses to."""

import os
from pathlib import Path

import pytest
from messages import NOT_WRITTEN

from npgrad import InputError
from npgrad.course import notebooks
from npgrad.course.notebooks import NAMES, write_notebooks

ROOT = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.mark.parametrize("student", [False, True])
def test_the_notebooks_are_written(tmp_path, student):
    folder = tmp_path / "new" / "homework"
    paths = write_notebooks(folder, student=student)
    assert paths == [folder / f"{name}.ipynb" for name in NAMES]
    assert sorted(folder.iterdir()) == sorted(paths)
    for path in paths:
        edition = ROOT / "student" if student else ROOT
        assert path.read_bytes() == (edition / path.name).read_bytes()


def test_what_is_there_is_overwritten_only_by_force(tmp_path):
    mine = tmp_path / "StyleTransfer.ipynb"
    mine.write_text("my answers")
    with pytest.raises(InputError, match=r"StyleTransfer.ipynb: it exists already; .*--force") as error:
        write_notebooks(tmp_path)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [mine] and mine.read_text() == "my answers"
    assert len(write_notebooks(str(tmp_path), force=True)) == len(NAMES)
    assert mine.read_bytes() == (ROOT / mine.name).read_bytes()


def test_a_dangling_link_is_not_written_through(tmp_path):
    (tmp_path / "StyleTransfer.ipynb").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="it exists already"):
        write_notebooks(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_where_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(InputError, match="expected a folder to write to; ") as error:
            write_notebooks(folder)
        assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=NOT_WRITTEN):
        write_notebooks(tmp_path)


def test_an_incomplete_installation_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "__file__", str(tmp_path / "npgrad" / "course" / "notebooks.py"))
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(InputError, match="found none; install npgrad again"):
        write_notebooks(tmp_path / "homework")
    assert not (tmp_path / "homework").exists()
