"""Every attack file there is: refused in one line, at once, in little memory, and with nothing run or read beside it.

`python -m tests.robustness.attacks` prints the same as a table of counts.
"""

import os
import subprocess
import sys
from pathlib import Path

import attacks
import numpy as np
import pytest
from attacks import judging
from hdf5_files import edit_metadata, forge

import npgrad
from npgrad.cli import main
from npgrad.io.formats import hdf5
from npgrad.models import squeezenet1_1

ROOT = Path(__file__).resolve().parents[2]
POSIX = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured by Linux's means")


@POSIX
@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", attacks.KINDS)
def test_every_attack_of_a_kind(kind, tmp_path):
    tried = attacks.attacks(kind)
    assert len(tried) >= 150
    found = attacks.tried(kind, tmp_path.resolve())
    faults = {name: judging.fault(attack, found.get(name)) for name, attack in tried.items()}
    assert not {name: fault for name, fault in faults.items() if fault}


@POSIX
@pytest.mark.exhaustive
def test_the_watching_sees_what_it_must(tmp_path):
    """The test of the tests: readers that do what none may."""
    attacks.plant_secrets(tmp_path)
    from pickle_writer import call, named, program

    jobs = {
        "runs": program(call(named("colorsys", "rgb_to_hsv"), 1, 1, 1)),
        "takes memory": str(300 << 20).encode(),
        "reads beside": b"",
        "takes time": f"{1.1 * judging.LONGEST * judging.slowness():.2f}".encode(),
    }
    good = (
        "unsafe: takes memory",
        "good",
        attacks.write(tmp_path / "good", str(60 << 20).encode()),
    )
    told = [(f"unsafe: {what}", what, attacks.write(tmp_path / what, data)) for what, data in jobs.items()]
    found = attacks.watched(tmp_path, [good], [*told, ("unsafe: takes memory", "takes little", good[2])])
    assert {"import", "pickle.find_class"} <= {event.split()[0] for event in found["runs"]["events"]}
    assert "MemoryError" in found["takes memory"]["outcome"]
    assert found["takes little"]["outcome"] == "read"
    assert 58 << 20 < found["takes little"]["memory"] < 64 << 20
    assert any("secret.txt" in event for event in found["reads beside"]["events"])
    assert found["takes time"]["seconds"] > 1
    expected = attacks.Attack("", "reads beside", b"", "", None)
    for what in jobs:
        assert judging.fault(expected, found[what])
    assert not judging.fault(expected, found["takes little"])


def test_a_child_that_dies_is_told(tmp_path):
    """So that a file which brings the whole process down fails a test, and no test passes for want of a result."""
    jobs = [("unsafe: dies", name, str(tmp_path)) for name in ("first", "second")]
    found = attacks.watched(tmp_path, [], jobs)
    expected = attacks.Attack("", "", b"", "", "expected")
    assert "the child ended with 3" in judging.fault(expected, found["first"])
    assert "not tried" in judging.fault(expected, found.get("second"))


# By the command: exit code 2 and one line


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A small network that classifies images, and a photo for it."""
    folder = tmp_path_factory.mktemp("network")
    squeezenet1_1(num_classes=5, rng=1).save(folder / "net.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    npgrad.images.save_image(pixels, folder / "photo.png")
    return folder


CONVERT = [str(ROOT / "scripts" / "convert_weights.py"), "-o", "out.h5"]
COMMANDS = {  # kind: (an attack, the command that a user gives)
    "pickles": ("builtins.eval: GLOBAL, REDUCE, in a zip", CONVERT),
    "torch_pth": ("a tensor named 'a\\nb', in a zip of its own", CONVERT),
    "hdf5": ("external link", ["-m", "npgrad", "weights", "show"]),
    "caffe": ("200 messages deep", CONVERT),
    "deep_compression": ("cut short", CONVERT),
    "npz": ("code for a shape", CONVERT),
    "safetensors": ("deep nesting", CONVERT),
    "images": ("a PNG of 60000 x 60000", ["-m", "npgrad", "attribute", "--weights", "NETWORK"]),
}


@pytest.mark.exhaustive
def test_the_commands_say_it_in_one_line_and_exit_with_2(tmp_path, network):
    running = {}
    for kind, (name, command) in COMMANDS.items():
        attack = attacks.attacks(kind)[name]
        path = attacks.write(tmp_path / f"{kind}-{attack.file}", attack.content)
        command = [
            sys.executable,
            *(word.replace("NETWORK", str(network / "net.h5")) for word in command),
            path,
        ]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NPGRAD_HOME": str(tmp_path / "home")}
        running[kind] = subprocess.Popen(command, env=environment, **pipes)
    for kind, process in running.items():
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (2, ""), (kind, err)
        assert err.endswith("\n") and err[:-1].isprintable() and f"{kind}-" in err, (kind, err)
    assert not (tmp_path / "out.h5").exists()


def run(capsys, *arguments):
    code = main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("classify", []), ("attribute", []), ("fool", ["--target", "1"]), ("invert", ["--layer", "fire2"]),
        ("dream", ["--layer", "fire2"]), ("style", ["PHOTO"]), ("demo", []), ("evaluate", []),
    ],
)  # fmt: skip
def test_every_command_with_a_broken_image(tmp_path, network, capsys, monkeypatch, command, options):
    monkeypatch.chdir(tmp_path)
    attack = attacks.attacks("images")["png cut after 4 of 8 parts"]
    path = attacks.write(tmp_path / "broken.png", attack.content)
    options = [option.replace("PHOTO", str(network / "photo.png")) for option in options]
    code, _, err = run(capsys, command, path, *options, "--weights", network / "net.h5")
    assert code == 2
    assert [line for line in err.splitlines() if "broken.png" in line and line.startswith("npgrad: ")]
    assert "Traceback" not in err
    assert [entry.name for entry in tmp_path.iterdir()] == ["broken.png"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", ["classify", "attribute", "fool", "visualize", "layers", "weights"])
def test_every_command_with_broken_weights(tmp_path, network, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    path = attacks.write(tmp_path / "broken.h5", attacks.attacks("hdf5")["external storage"].content)
    words = {"layers": [], "visualize": ["1"], "weights": ["show", path]}.get(
        command, [network / "photo.png"]
    )
    words += ["--target", "1"] if command == "fool" else []
    words += [] if command == "weights" else ["--weights", path]
    code, out, err = run(capsys, command, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"npgrad: {path}: ") and err[:-1].isprintable()


def test_what_a_file_says_of_itself_commands_no_terminal(tmp_path, capsys):
    clear = "\x1b[2J"
    path = tmp_path / "w.h5"
    path.write_bytes(forge(edit_metadata(lambda told: told.update(source={clear: clear, "lines": "a\nb"}))))
    code, out, _ = run(capsys, "weights", "show", path)
    assert code == 0
    assert "\x1b" not in out and "\\x1b[2J" in out and "a\\nb" in out
    assert all(line.isprintable() for line in out.splitlines())


def test_a_bug_of_our_own_keeps_its_traceback(network, capsys, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("a bug")

    photo, weights = network / "photo.png", network / "net.h5"
    monkeypatch.setattr(npgrad.Model, "predict", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["classify", str(photo), "--weights", str(weights)])
    monkeypatch.setattr(hdf5, "regular_file", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        npgrad.load(weights)
    monkeypatch.setattr(npgrad.images.reading, "_upright_rgb", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        npgrad.images.open_image(photo)


def test_a_bug_shows_as_a_traceback_in_a_process(network):
    script = (
        "import sys, npgrad.cli, npgrad.attribution as attribution\n"
        "def broken(*a, **k): raise RuntimeError('a bug')\n"
        "attribution.saliency = broken\n"
        "sys.exit(npgrad.cli.main(sys.argv[1:]))"
    )
    words = ["attribute", str(network / "photo.png"), "--weights", str(network / "net.h5"), "-o", "never.png"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60, cwd=network
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr and done.stderr.endswith("RuntimeError: a bug\n")
