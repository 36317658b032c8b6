"""Many submissions: records, pages and tables; resumed after an interrupt; in any order."""

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import classroom
import numpy as np
import pytest
from graded import LOSSES, needs_jupyter, notebook
from PIL import Image

from npgrad.cli import main
from npgrad.course.submissions import Limits, _feedback, _folder, _gradescope, _source, _wire
from npgrad.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -2.5, float("inf"), "text", [1, (2.0, "three")], {"a": [None]}, np.float32(1.5),
        np.arange(6.0).reshape(2, 3), np.zeros((0, 3), np.float32), np.array(2), np.arange(6).reshape(2, 3).T,
    ],
)  # fmt: skip
def test_a_value_arrives(value):
    found = _wire.decode(_wire.encode(value))
    assert type(found) is type(value)
    np.testing.assert_equal(found, value)
    if isinstance(value, np.ndarray):
        assert (found.dtype, found.shape, found.flags.writeable) == (value.dtype, value.shape, True)


def test_what_has_no_form_arrives_as_its_type():
    for value, kind in ((object(), "object"), (print, "builtin_function_or_method"), ({1}, "set")):
        assert _wire.decode(_wire.encode(value)) == _wire.Other(kind)
    assert _wire.decode(_wire.encode(np.array([None]))) == _wire.Other("array of object")
    image = Image.new("RGB", (4, 3), "red")
    found = _wire.decode(_wire.encode(image))
    assert isinstance(found, Image.Image) and np.array_equal(np.asarray(found), np.asarray(image))


class Pretends(np.ndarray):
    def __array__(self, *arguments, **options):
        raise ValueError

    def __eq__(self, other):
        return True


def test_a_subclass_is_a_plain_array_when_it_arrives():
    found = _wire.decode(_wire.encode([np.zeros(2).view(Pretends)]))
    assert type(found[0]) is np.ndarray


@pytest.mark.parametrize(
    "header",
    [
        {"dtype": "<f8", "shape": [10]}, {"dtype": "<f8", "shape": [-1]}, {"dtype": "|O", "shape": [1]},
        {"dtype": "<f8", "shape": [2**40, 2**40]}, {"dtype": "V8", "shape": []}, {"dtype": "no", "shape": []},
        {"dtype": "<f8"}, {"list": 3}, {"dict": [1]}, [], {}, "x", {"float": "x"}, {"list": [[]]},
    ],
)  # fmt: skip
def test_bytes_that_are_no_value_are_refused(header):
    text = json.dumps(header).encode()
    with pytest.raises(InputError, match="expected a value"):
        _wire.decode(len(text).to_bytes(8, "little") + text + bytes(8))


def test_bytes_of_nothing_are_refused():
    for data in (b"", b"\xff" * 40, (4).to_bytes(8, "little") + b"[" * 4):
        with pytest.raises(InputError):
            _wire.decode(data)


RIGHT = classroom.RIGHT["gram_matrix"]


def test_similarity_looks_at_structure_not_at_names():
    renamed = RIGHT[0].replace("features", "x").replace("G", "result").replace("F", "m")
    pieces = {
        name: _source.pieces([code])
        for name, code in (("a", RIGHT[0]), ("b", renamed), ("c", RIGHT[1]), ("d", LOSSES["tv_loss"]))
    }
    best = _source.most_similar(pieces)
    assert best["a"][1] == "b" and best["b"] == (best["a"][0], "a") and best["a"][0] > 0.9
    assert best["c"][0] < 0.5 and best["d"][0] < 0.5
    assert _source.most_similar(dict(reversed(pieces.items()))) == best
    assert _source.pieces([RIGHT[0]], frozenset(pieces["a"])) == set()


def record(name, got, message="", refused=None):
    questions = [{"id": "Q2.3", "points": 3, "got": got, "message": message}] if refused is None else []
    total = sum(each["points"] for each in questions)
    more = {"failed_cells": {"cell 2": "ZeroDivisionError: <b>"}, "stopped_cells": {}}
    return {
        "submission": name,
        "questions": questions,
        "got": got,
        "total": total,
        "refused": refused,
        "draw": 1,
        "key": "",
        **more,
    }


def test_the_tables():
    records = [
        record("=a", 3),
        record("b", 0, "tv_loss: it wraps (img of shape (1, 3))"),
        record("c", 0, refused="no"),
    ]
    similar = {"=a": (0.5, "b"), "b": (0.5, "=a"), "c": (0.0, "")}
    rows = list(csv.DictReader(io.StringIO(_feedback.grades(records, similar))))
    assert [row["submission"] for row in rows] == ["'=a", "b", "c"]  # no formula for a spreadsheet
    assert [row["Q2.3"] for row in rows] == ["3", "0", ""]
    assert rows[0]["similarity"] == "0.50" and rows[2]["note"] == "no"
    found = _feedback.summary(records)
    assert found["questions"]["Q2.3"]["diagnoses"] == [{"text": "tv_loss: it wraps", "submissions": 1}]
    assert found["distribution"] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert "tv_loss: it wraps" in _feedback.summary_page(found)


def test_a_page():
    tile = np.zeros((8, 8, 3), np.uint8)
    page = _feedback.page(
        record("<i>", 0, "tv_loss: a < b"), {"Q2.3": [("maps", None, [tile]), ("more", [tile], [tile])]}
    )
    assert "<i>" not in page.partition("<body>")[2].replace("<i style", "") and "a &lt; b" in page
    assert page.count("nothing to show") == 1
    assert page.count("data:image/png") == 3 and "ZeroDivisionError: &lt;b&gt;" in page


GRADESCOPE = {
    "type": "object",
    "required": ["tests"],
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number", "minimum": 0},
        "execution_time": {"type": "number"},
        "output": {"type": "string"},
        "output_format": {"$ref": "#/$defs/format"},
        "visibility": {"$ref": "#/$defs/visibility"},
        "stdout_visibility": {"$ref": "#/$defs/visibility"},
        "extra_data": {"type": "object"},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number", "minimum": 0},
                    "max_score": {"type": "number", "minimum": 0},
                    "status": {"enum": ["passed", "failed"]},
                    "name": {"type": "string"},
                    "name_format": {"$ref": "#/$defs/format"},
                    "number": {"type": "string"},
                    "output": {"type": "string"},
                    "output_format": {"$ref": "#/$defs/format"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "visibility": {"$ref": "#/$defs/visibility"},
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
    "$defs": {
        "visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "format": {"enum": ["text", "html", "simple_format", "md", "ansi"]},
    },
}  # the fields of https://gradescope-autograders.readthedocs.io/en/latest/specs/


def test_gradescopes_files(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    records = [record("a", 3), record("b", 0, "tv_loss: no"), record("c", 0, refused="not a notebook")]
    _gradescope.write_gradescope(tmp_path, records)
    for each in records:
        found = json.loads((tmp_path / each["submission"] / "results.json").read_text())
        jsonschema.validate(found, GRADESCOPE)
        assert found["score"] == each["got"] == sum(test["score"] for test in found["tests"])
    for name in ("setup.sh", "run_autograder"):
        path = tmp_path / "autograder" / name
        assert path.stat().st_mode & 0o111 and path.read_text().startswith("#!/usr/bin/env bash\n")
        assert subprocess.run(["bash", "-n", str(path)]).returncode == 0


def test_the_submissions_of_a_folder(tmp_path):
    for name in (
        "b.ipynb",
        "a/one.ipynb",
        "a/.ipynb_checkpoints/one.ipynb",
        "a/two.ipynb",
        "c/x.txt",
        "results/r.ipynb",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    found = _folder.find_submissions(tmp_path, tmp_path / "results")
    assert [(each.name, [Path(path).name for path in each.notebooks]) for each in found] == [
        ("a", ["one.ipynb", "two.ipynb"]), ("b", ["b.ipynb"]),
    ]  # fmt: skip
    with pytest.raises(InputError, match="expected notebooks, or folders with notebooks"):
        _folder.find_submissions(tmp_path / "c")
    settings = _folder.Settings(3, Limits())
    assert settings.draw(found[0]) == settings.draw(found[0]) != settings.draw(found[1])
    assert settings.draw(found[0]) != _folder.Settings(4, Limits()).draw(found[0])


@pytest.mark.parametrize("jobs", [1, 3])
def test_it_is_resumed_and_independent_of_order(tmp_path, monkeypatch, jobs):
    """Interrupted at random twice, nothing is graded again, and the result is that of one run."""
    for number in range(40):
        (tmp_path / f"s{number}.ipynb").write_text(str(number))
    submissions, settings, rng = (
        _folder.find_submissions(tmp_path),
        _folder.Settings(1, Limits()),
        random.Random(jobs),
    )
    graded, limit = [], [rng.randrange(5, 15)]

    def grade(self, submission, settings):
        if limit[0] == 0:
            raise KeyboardInterrupt
        limit[0] -= 1
        graded.append(submission.name)
        time.sleep(rng.random() / 500)
        return {
            **record(submission.name, int(submission.name[1:]) % 4),
            "key": settings.key(submission),
        }, "page"

    monkeypatch.setattr(_folder._Worker, "grade", grade)
    results = tmp_path / "results"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            _folder.grade_folder(submissions, results, settings, jobs)
        limit[0] = rng.randrange(5, 12)
    limit[0] = 1000
    found = _folder.grade_folder(submissions, results, settings, jobs)
    assert sorted(graded) == sorted(each.name for each in submissions)
    assert [each["submission"] for each in found] == [each.name for each in submissions]
    other = _folder.grade_folder(list(reversed(submissions)), tmp_path / "other", settings, jobs)
    assert sorted(other, key=lambda each: each["submission"]) == found
    (tmp_path / "s3.ipynb").write_text("changed")
    graded.clear()
    _folder.grade_folder(submissions, results, settings, jobs)
    assert graded == ["s3"]


def test_the_seed_is_kept(tmp_path):
    first = _folder.seed_of(tmp_path)
    assert (_folder.seed_of(tmp_path), _folder.seed_of(tmp_path, 5), _folder.seed_of(tmp_path)) == (
        first,
        5,
        5,
    )
    (tmp_path / "grading.json").write_text("{}")
    with pytest.raises(InputError, match="settings of an earlier run"):
        _folder.seed_of(tmp_path)


def test_a_folder_needs_an_output(tmp_path, capsys):
    assert main(["grade", str(tmp_path)]) == 2
    assert "a folder of submissions needs -o" in capsys.readouterr().err


def command(folder, results, *options):
    words = [
        sys.executable,
        "-m",
        "npgrad",
        "grade",
        str(folder),
        "-o",
        str(results),
        "--seed",
        "3",
        "--no-maps",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*words, *options], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment
    )


def points(results):
    rows = csv.DictReader(io.StringIO((results / "grades.csv").read_text()))
    return {row["submission"]: {name: int(row[name] or 0) for name in classroom.QUESTIONS} for row in rows}


@needs_jupyter
@pytest.mark.exhaustive
def test_a_small_class(tmp_path):
    folder, results = tmp_path / "class", tmp_path / "results"
    folder.mkdir()
    expected = classroom.write(folder, 3)
    (folder / "broken.ipynb").write_text("no notebook")
    assert command(folder, results, "--jobs", "2", "--gradescope").wait(1800) == 0
    found = points(results)
    assert found.pop("broken") == dict.fromkeys(classroom.QUESTIONS, 0)
    assert found == expected
    for name in (*expected, "broken"):
        assert {f"{name}.json", f"{name}.html"} <= {path.name for path in (results / "submissions").iterdir()}
    assert (results / "gradescope" / "autograder" / "run_autograder").is_file()


def graded_in(results):
    return len(list((results / "submissions").glob("*.json")))


@needs_jupyter
@pytest.mark.slow
def test_two_hundred_submissions_killed_twice(tmp_path):
    """All rows are right, and the table is that of a run that nobody killed."""
    folder, results, whole = tmp_path / "class", tmp_path / "results", tmp_path / "whole"
    folder.mkdir()
    expected, rng = classroom.write(folder, 200), random.Random(1)
    for _ in range(2):
        process, enough = command(folder, results, "--jobs", "2"), graded_in(results) + rng.randrange(5, 60)
        while graded_in(results) < enough and process.poll() is None:
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 10 <= graded_in(results) < 200
    begin = time.monotonic()
    assert command(folder, whole, "--jobs", "2").wait() == 0
    print(f"200 submissions in {time.monotonic() - begin:.0f} s")
    assert command(folder, results, "--jobs", "2").wait() == 0
    assert points(whole) == expected
    assert (results / "grades.csv").read_bytes() == (whole / "grades.csv").read_bytes()


@needs_jupyter
@pytest.mark.exhaustive
def test_maps_beside_the_right_ones(tmp_path):
    cell = (
        "import numpy as np\ndef compute_saliency_maps(X, y, model):\n    tape = model.forward(X)\n"
        "    dy = np.zeros_like(tape.output)\n    dy[np.arange(len(y)), y] = 1\n"
        "    return np.abs(tape.backward(dy)['input']).max(axis=1)"
    )
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook(cell, npgrad={"questions": ["Q1.1"]})))
    made, page = _folder.graded(_folder.find_submissions(path)[0], _folder.Settings(1, Limits()))
    assert (made["got"], made["total"]) == (11, 11), made
    assert page.count("data:image/png") == 2 and ">yours<" in page and "tape.backward" not in page
