"""`-` for an image on stdin, and for a result on stdout: one mechanism for every command."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npgrad import _files
from npgrad.cli import COMMANDS, _parser, _streams


@pytest.fixture
def stdin(monkeypatch):
    """stdin("photo.png"): what the next run reads; its `.terminal` says whether it is one."""

    files = []

    def stdin(path):
        files.append(open(path, encoding="latin-1", newline=""))  # noqa: SIM115
        monkeypatch.setattr("sys.stdin", files[-1])
        return files[-1]

    yield stdin
    for file in files:
        file.close()
    assert not _files.STREAMS  # nothing stands for a stream any longer


@pytest.fixture
def binary(monkeypatch, folder, stdin, tmp_path):
    """binary("invert -") -> (exit code, the bytes on stdout, stderr), with the photo on stdin."""
    from npgrad.cli import main

    monkeypatch.chdir(tmp_path)

    def binary(line, image=None, terminal=False):
        stdin(image or folder / "photo.png")
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        err = io.StringIO()
        out.isatty = lambda: terminal
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            words = line.replace("PHOTO", f"{folder}/photo.png").split()
            code = main([*words, *(["--weights", str(folder / "net.h5")] if words[0] != "convert" else [])])
        out.flush()
        return code, out.buffer.getvalue(), err.getvalue()

    return binary


RESULTS = {
    "attribute - -o -": "PNG",
    "attribute - -o map.png --save-array -": "npy",
    "fool - --target 2 --steps 2 -o -": "PNG",
    "fool - --target 2 --steps 2 -o a.png --compare -": "PNG",
    "visualize dog --steps 2 --size 32 -o -": "PNG",
    "style - PHOTO --size 32 --style-size 32 --steps 2 -o -": "PNG",
    "style PHOTO - --size 32 --style-size 32 --steps 2 -o a.png --animate -": "GIF",
    "invert - --layer fire3 --steps 2 -o -": "PNG",
    "dream - --layer fire3 --size 40 --octaves 1 --steps 1 -o -": "PNG",
    "explore - -o -": "html",
}


@pytest.mark.sampled(3)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("line", RESULTS)
def test_a_result_on_stdout(binary, line):
    code, out, err = binary(line)
    assert code in (0, 1), err  # 1: not fooled
    kind = RESULTS[line]
    if kind == "npy":
        assert np.load(io.BytesIO(out)).shape == (3, 32, 32)
    elif kind == "html":
        assert out.startswith(b"<!DOCTYPE html>") and b"stdin" in out
    else:
        image = Image.open(io.BytesIO(out))
        image.load()
        assert image.format == kind
    assert "stdout" in err or not line.endswith("-o -")  # what is otherwise on stdout is there
    assert "/npgrad-" not in err and "Traceback" not in err
    assert set(os.listdir()) <= {"map.png", "a.png"}


def test_the_same_image_and_the_same_result_as_with_files(binary, folder, run):
    code, out, err = binary("attribute - --target 2 --quiet -o -")
    assert (code, err) == (0, "")
    assert (
        run("attribute", folder / "photo.png", "--target", 2, "-o", "a.png", "--weights", folder / "net.h5")[
            0
        ]
        == 0
    )
    ours, file = (Image.open(source) for source in (io.BytesIO(out), "a.png"))
    np.testing.assert_array_equal(np.asarray(ours)[:200], np.asarray(file)[:200])  # below is the file's name


@pytest.mark.filterwarnings("default")
def test_json_has_the_dash(run, folder, stdin):
    stdin(folder / "photo.png")
    code, out, err = run("attribute", "-", "--json", "--weights", folder / "net.h5")
    found = json.loads(out)
    assert code == 0 and found["image"] == "-" and found["output"] == "stdin-saliency.png"
    assert err == "npgrad: stdin: only the middle 48x48 of 90x60 px is seen by the network\n"


def test_every_image_and_result_may_be_a_stream():
    """By what the parser knows: an argument named IMAGE, CONTENT, ... or a result with a suffix."""
    parser = _parser()
    for name, own in parser.of_commands.items():
        for action in own._actions:
            metavar = action.metavar if isinstance(action.metavar, str) else ""
            if metavar.split("|")[0] in ("IMAGE", "PHOTO", "CONTENT", "STYLE"):
                assert action.from_stdin, (name, action.dest)
            if metavar.startswith(("OUT.", "FILE.png")):
                assert action.to_stdout in metavar, (name, action.dest)
    assert len(parser.of_commands) == len(COMMANDS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("style - -", "-: expected once, since stdin has one image; found twice"),
        ("attribute - -o - --save-array -", "-o and --save-array: expected - for one of them"),
        ("attribute - -o - --json", "--json: expected a file for the result"),
        ("attribute - -o - --certify", "--certify: expected a file for the image"),
        ("invert - --layer fire3 --every 1 -o -", "--every: expected a file for the image"),
        ("attribute - PHOTO -o -", "stdout: expected a folder, since there are 2 images"),
    ],
)
def test_what_cannot_be(binary, line, message):
    code, out, err = binary(line)
    assert (code, out, err.count("\n")) == (2, b"", 1)
    assert message in err and not os.listdir()


def test_no_binary_to_a_terminal(binary):
    code, out, err = binary("attribute - -o -", terminal=True)
    assert (code, out) == (2, b"")
    assert err == "npgrad: -o -: expected stdout to be a pipe or file, such as `> x.png`; found a terminal\n"


def test_no_image_from_a_terminal_and_none_too_large(binary, folder, monkeypatch, run, stdin):
    file = stdin(folder / "photo.png")
    monkeypatch.setattr(_streams, "MOST", 100)
    assert run("classify", "-")[::2] == (2, "npgrad: stdin: expected at most 100 bytes; found more\n")

    class Terminal:
        buffer = file.buffer

        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    assert (
        run("classify", "-")[2] == "npgrad: stdin: expected an image from a pipe or file; found a terminal\n"
    )


def test_no_image_on_stdin_is_one_line(binary, tmp_path):
    (tmp_path / "text").write_text("hello")
    for line in ("classify -", "attribute - -o -"):
        code, out, err = binary(line, tmp_path / "text")
        assert (code, out, err.count("\n")) == (2, b"", 1) and err.startswith("npgrad: stdin: not an image")


@pytest.mark.filterwarnings("default")
def test_an_interrupted_run_gives_the_latest_image(binary, monkeypatch):
    from npgrad.cli._synthesis import RunOutput

    draw = RunOutput.__call__

    def interrupt(self, step, image, losses):
        draw(self, step, image, losses)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunOutput, "__call__", interrupt)
    code, out, err = binary("invert - --layer fire3 --steps 5 -o -")
    assert code == 130 and Image.open(io.BytesIO(out)).format == "PNG"
    assert "interrupted at step 1; stdout holds the latest image" in err


def test_a_pipeline_of_two(folder, tmp_path):
    """attribute | classify, in real processes; with a reader that closes the pipe, nothing is said."""
    npgrad = f"{sys.executable} -m npgrad"
    net = f"--weights {folder}/net.h5"
    script = (
        f"{npgrad} attribute {folder}/photo.png --bare --alone {net} -q -o - | {npgrad} classify - {net} -q --top 1\n"
        f"{npgrad} attribute {folder}/photo.png {net} -q -o - | head -c 4 | tail -c 3"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stderr == "" and done.returncode == 0
    first, second, last = done.stdout.splitlines()
    assert (first, last) == ("stdin", "PNG") and "%" in second
