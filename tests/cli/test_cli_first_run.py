"""What somebody meets first: the greeting, the options of every command, words out of order, Ctrl-C."""

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import npgrad
from npgrad.cli import COMMANDS, _messages, _parser, main

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments, folder=None, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_a_greeting_with_three_steps(run):
    code, out, err = run()
    assert (code, err) == (0, "") and out.startswith(f"npgrad {npgrad.__version__}: ")
    steps = re.findall(r"^  (npgrad [^\\&\n]*)", out, re.MULTILINE)
    assert len(steps) == 4  # the third is two
    for step in steps:
        _parser().parse_args(shlex.split(step)[1:])
    assert max(map(len, out.splitlines())) <= 100 and len(out.splitlines()) <= 14
    assert python("-m", "npgrad").stdout == out


def test_the_version(run, capsys):
    assert run("--version") == (0, f"npgrad {npgrad.__version__}\n", "")


@pytest.mark.filterwarnings("default")
def test_quiet_leaves_results_and_errors(make, run, folder):
    line = "fool PHOTO --target 2 --steps 2 -o a.png"
    said = run(*line.replace("PHOTO", f"{folder}/photo.png").split(), "--weights", folder / "net.h5")
    quiet = run("-q", *line.replace("PHOTO", f"{folder}/photo.png").split(), "--weights", folder / "net.h5")
    after = run(
        *line.replace("PHOTO", f"{folder}/photo.png").split(), "--quiet", "--weights", folder / "net.h5"
    )
    assert said[:2] == quiet[:2] == after[:2]
    assert "is seen by the network" in said[2] and "step" in said[2]
    assert quiet[2] == after[2]
    assert quiet[2] == "" or quiet[2].count("\n") == 1 and "was not reached" in quiet[2]
    code, out, err = run(
        "classify", "-q", folder / "photo.png", "missing.png", "--weights", folder / "net.h5"
    )
    assert code == 2 and "%" in out and err == "npgrad: missing.png: no such file\n"
    assert not _messages.is_quiet()  # for this run only
    code, _, err = run(
        "-q", "attribute", folder / "photo.png", "--method", "Saliency", "--weights", folder / "net.h5"
    )
    assert (code, err) == (0, "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.skipif(os.name == "nt", reason="no colors there")
def test_colors_on_a_terminal_unless_they_are_not_wanted(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def said(*words):
        with monkeypatch.context() as patch:
            out, err = Terminal(), Terminal()
            patch.setattr("sys.stdout", out)
            patch.setattr("sys.stderr", err)
            main(words)
        return out.getvalue() + err.getvalue()

    for words in ((), ("nothing",), ("classify", "missing.png")):
        assert "\033[" in said(*words) and said(*words).count("\033[0m") >= 1
        plain = said("--no-color", *words)
        assert "\033" not in plain and plain == re.sub(r"\033\[\d+m", "", said(*words))
        assert "\033" in said(*words)  # for that run only
        for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                assert said(*words) == plain
    assert "\033" not in python("-m", "npgrad").stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("clasify x", "no command 'clasify'; nearest: classify"),
        ("-q clasify x", "no command 'clasify'; nearest: classify"),
        (
            "--weights x classify y",
            "--weights: expected after the command, as in `npgrad classify ... --weights`",
        ),
        (
            "--target=3 attribute y",
            "--target: expected after the command, as in `npgrad attribute ... --target`",
        ),
        (
            "photo.png",
            "no command 'photo.png', which is a file or folder; to explain an image, `npgrad attribute photo.png`",
        ),
        ("attribute photo.png --methud lrp", "no option '--methud'; nearest: --method"),
        ("classify photo.png --quite", "no option '--quite'; nearest: --quiet"),
        ("--nothing", "no option '--nothing'"),
    ],
)
def test_words_that_are_wrong_or_out_of_order(run, tmp_path, line, message):
    (tmp_path / "photo.png").write_bytes(b"")
    code, out, err = run(*line.split())
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err


def test_help_as_a_word(run):
    assert run("help") == run("--help")
    assert run("help", "classify") == run("classify", "--help")
    assert run("help", "me")[:1] == (0,)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_the_options_of_every_command(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0 and out.count("-q, --quiet ") == 1 and out.count("\n  --no-color ") == 1


def test_a_closed_pipe_and_a_full_disk_after_a_help(tmp_path):
    for words in ("--help", "", "completion zsh"):
        script = f"{sys.executable} -m npgrad {words} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert (done.stdout, done.stderr) == ("0\n", ""), words
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "npgrad", "--help"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=300,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        assert done.returncode == 2 and done.stderr.startswith("npgrad: stdout: cannot be written: No space")


# Ctrl-C before the command begins, in the imports.

AT_NUMPY = """
import sys
sys.argv = [{name!r}, "classify", "x.png"]
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
import npgrad.cli
"""


@pytest.mark.parametrize(
    ("name", "module"),
    [("npgrad", "numpy"), ("/usr/bin/npgrad", "npgrad.cli.style"), ("C:/npgrad.exe", "npgrad.model")],
)
def test_ctrl_c_in_the_imports_is_one_line(name, module):
    done = python("-c", AT_NUMPY.format(name=name, module=module))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "npgrad: interrupted\n")


def test_other_programs_keep_their_traceback():
    done = python("-c", AT_NUMPY.format(name="their_program.py", module="numpy"))
    assert "Traceback" in done.stderr and "npgrad: interrupted" not in done.stderr


def test_ctrl_c_in_the_imports_of_python_m(tmp_path):
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt\n")
    done = python(
        "-m", "npgrad", "demo", folder=tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)])
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "npgrad: interrupted\n")
