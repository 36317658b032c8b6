"""The command where Python, the system or the files are not as on a developer's machine.

Each test runs the command in a process of its own, most of them on a drawn scene with the bundled network.
"""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npgrad
from npgrad.cli import COMMANDS
from npgrad.images import save_image
from npgrad.models import squeezenet1_1
from npgrad.scenes import CLASSES, scene

ROOT = Path(__file__).resolve().parents[2]
FOLDER, NAME = "My photos é 猫", "チーズ ß.png"  # cp1252 has é and ß, and no Japanese
INDEX = 18  # of the scene's class
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24
# Drops root's right to write everywhere, then runs this Python with the remaining arguments.
WITHOUT_ROOTS_RIGHTS = f"""
import ctypes, os, sys
if os.geteuid() == 0:
    ctypes.CDLL(None).prctl({PR_CAPBSET_DROP}, {CAP_DAC_OVERRIDE}, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def python(folder, *arguments, **environment):
    """Run Python in `folder`: stdout, stderr; a variable that is None is not set. The exit code must be 0."""
    done = started(folder, *arguments, **environment)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stdout + done.stderr
    return done.stdout, done.stderr


def started(folder, *arguments, **environment):
    settings = {
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "OPENBLAS_NUM_THREADS": "1",
        **environment,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NPGRAD_"))}
    merged = {name: value for name, value in {**kept, **settings}.items() if value is not None}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=merged,
        capture_output=True,
        encoding=settings["PYTHONIOENCODING"] or "utf-8",
        errors="surrogateescape",
        timeout=120,
    )


def command(folder, *arguments, **environment):
    return python(folder, "-m", "npgrad", *arguments, **environment)


def is_the_scene(out):
    assert f"{CLASSES[INDEX]} ({INDEX})" in " ".join(out.split()), out


@pytest.fixture
def folder(tmp_path):
    """A folder with spaces and Japanese in its name, and a scene with such a name in it."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    image, index, _ = scene(3)
    assert index == INDEX
    save_image(image, folder / NAME)
    save_image(image, folder / "scene.png")
    return folder


# Names of files and text files.


@pytest.mark.exhaustive
def test_spaces_and_other_scripts_in_paths(folder):
    out, err = command(folder.parent, "classify", Path(FOLDER, NAME), "--top", 1)
    is_the_scene(out)
    assert (out.splitlines()[0], err) == (str(Path(FOLDER, NAME)), "")
    target = folder / "карта 1.png"
    out, err = command(folder, "attribute", folder / NAME, "--method", "saliency", "-o", target)
    assert target.is_file() and out.endswith(f"-> {target}\n")
    model = squeezenet1_1(num_classes=3, rng=1)
    np.savez(folder / "сеть 1.npz", **model.parameters())
    command(folder, "convert", "сеть 1.npz", "-o", "сеть 2.h5", "--arch", "squeezenet1_1")
    out, _ = command(folder, "classify", NAME, "--weights", "сеть 2.h5")
    assert len(out.splitlines()) == 4


@pytest.mark.sampled(1)
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="every file name is Unicode here")
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_file_name_that_is_no_text(folder, encoding):
    name = os.fsdecode(b"a\xff.png")
    shutil.copy(folder / NAME, folder / name)
    out, _ = command(folder, "classify", name, "--top", 1, "--json", PYTHONIOENCODING=encoding)
    assert json.loads(out)[0]["image"] == name
    out, _ = command(folder, "classify", name, "--top", 1, PYTHONIOENCODING=encoding)
    assert out.startswith("a\\udcff.png\n")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_labels_with_the_line_ends_of_windows(folder, start):
    model = squeezenet1_1(num_classes=3, rng=1)
    np.savez(folder / "net.npz", **model.parameters())
    lines = f"{start}n00000001 tabby, cat\r\nn00000002 Süßes 猫\r\nn00000003 red fox, fox\r\n"
    (folder / "labels.txt").write_bytes(lines.encode())
    command(folder, "convert", "net.npz", "-o", "net.h5", "--labels", "labels.txt", "--arch", "squeezenet1_1")
    found = npgrad.load(folder / "net.h5")
    assert found.classes == ("tabby", "Süßes 猫", "red fox") and found.class_index("n00000003") == 2


@pytest.mark.exhaustive
def test_the_package_with_the_line_ends_of_windows(folder, tmp_path):
    """A checkout on Windows whose text files git has converted."""
    installed = install(tmp_path / "installed")
    for path in [*installed.rglob("*.py"), *installed.rglob("*.txt"), *installed.rglob("*.json")]:
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    is_the_scene(command(folder, "classify", NAME, "--top", 1, PYTHONPATH=installed)[0])
    code = "import npgrad.io.labels as l; c = l.imagenet_classes(); print(len(c), c[281], c[-1])"
    out, _ = python(folder, "-c", code, PYTHONPATH=installed)
    assert out == "1000 tabby toilet tissue\n"
    assert "squeezenet1_1 " in command(folder, "weights", "list", PYTHONPATH=installed)[0]


# Encodings of the terminal.


@pytest.mark.exhaustive
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp932"])
def test_what_the_terminal_cannot_show(folder, encoding):
    out, err = command(folder, "classify", NAME, "--top", 1, PYTHONIOENCODING=encoding)
    is_the_scene(out)
    assert out.splitlines()[0] == NAME.encode(encoding, "backslashreplace").decode(encoding) and err == ""
    out, _ = command(folder, "classify", NAME, "--top", 1, "--json", PYTHONIOENCODING=encoding)
    assert json.loads(out)[0]["image"] == NAME


@pytest.mark.exhaustive
def test_messages_that_the_terminal_cannot_show(folder):
    done = started(folder, "-m", "npgrad", "classify", "猫.png", PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (2, "npgrad: \\u732b.png: no such file\n")
    out, err = command(
        folder.parent, "attribute", FOLDER, "--method", "saliency", "--workers", 1, PYTHONIOENCODING="cp1252"
    )
    assert "2 photos" in out + err and (folder.parent / f"{FOLDER}-saliency" / "manifest.jsonl").is_file()


EVERY_HELP = f"""
from npgrad.cli import main
for name in {["", *COMMANDS]}:
    try:
        main([name, "--help"] if name else ["--help"])
    except SystemExit as exit:
        if exit.code:
            raise
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("settings", [{"PYTHONIOENCODING": "cp1252"}, {"PYTHONOPTIMIZE": "2"}], ids=str)
def test_every_help(folder, settings):
    out, err = python(folder, "-c", EVERY_HELP, **settings)
    assert out.count("usage: npgrad") == len(COMMANDS) + 1 and err == ""
    for name in COMMANDS:
        assert f"usage: npgrad {name} " in out


# Python's own settings, and the system's.


@pytest.mark.exhaustive
def test_without_docstrings_and_asserts(folder):
    is_the_scene(command(folder, "classify", NAME, "--top", 1, PYTHONOPTIMIZE="2")[0])
    out, _ = command(folder, "attribute", NAME, "--method", "lrp", "-o", "map.png", PYTHONOPTIMIZE="2")
    assert out.endswith("-> map.png\n")
    check = ("gradcheck", "--size", 33, "--entries", 1)
    assert command(folder, *check, PYTHONOPTIMIZE="2")[0].endswith("all right\n")


EVERY_COMMAND = f"""
import sys
from npgrad.cli import COMMANDS, _demo_images, main
_demo_images.MAKERS = _demo_images.MAKERS[:1]
lines = [line.split() for line in sys.argv[1].splitlines() if line]
missing = set(COMMANDS) - {{"grade"}} - {{words[0] for words in lines}}
for words in lines:
    code = main([word.replace("PHOTO", {NAME!r}) for word in words])
    if missing or code and words[0] != "fool":  # which may fail to fool
        raise SystemExit(f"{{words}}: {{code}}, {{missing}}")
"""
LITTLE = "--weights 猫.h5"
LINES = f"""
classify PHOTO PHOTO {LITTLE}
attribute PHOTO {LITTLE} --target ß --save-array 猫.npy
attribute PHOTO {LITTLE} --method grad_cam --json
attribute фото {LITTLE} --workers 1 -o 猫
evaluate PHOTO {LITTLE} --methods saliency --steps 1 --samples 1
score -n 1 --slow 1 --curves 0 --methods saliency
fool PHOTO {LITTLE} --method fgsm --epsilon 200 --compare 猫2.png
visualize 猫 {LITTLE} --steps 1 --size 32 --animate 猫.gif
style PHOTO PHOTO {LITTLE} --size 32 --style-size 32 --steps 1
invert PHOTO {LITTLE} --layer fire2 --steps 1 --checkpoint 猫.ckpt
dream PHOTO {LITTLE} --layer fire2 --size 32 --octaves 1 --steps 1
weights list
weights show 猫.h5
convert 猫.npz -o 猫2.h5 --arch squeezenet1_1 --labels 猫.txt
layers {LITTLE}
gradcheck {LITTLE} --size 33 --entries 1
certify PHOTO {LITTLE}
compare --snippet torch
completion bash
explore PHOTO {LITTLE} -o 猫.html
report PHOTO {LITTLE} --methods saliency,lrp --steps 1 --samples 1 -o 猫2.html
notebooks уроки
demo PHOTO {LITTLE} -o демо
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "settings",
    [
        {"PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        pytest.param({"PYTHONOPTIMIZE": "1"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_every_command(folder, settings):
    """All but `grade`, which needs Jupyter."""
    model = squeezenet1_1(num_classes=3, rng=1)
    small = npgrad.Preprocessing(resize=40, crop=32)
    npgrad.Model(model.network, ("猫", "dog", "ß"), small, model.architecture).save(folder / "猫.h5")
    np.savez(folder / "猫.npz", **model.parameters())
    (folder / "猫.txt").write_text("猫\ndog\nß\n", encoding="utf-8")
    (folder / "фото").mkdir()
    shutil.copy(folder / NAME, folder / "фото" / NAME)
    python(folder, "-c", EVERY_COMMAND, LINES, **settings)
    assert len(list(folder.glob("*-*.png"))) >= 6 and (folder / "демо" / "index.html").is_file()


@pytest.mark.exhaustive
def test_the_demo_names_its_parts_without_docstrings(folder):
    code = (
        "from types import SimpleNamespace\n"
        "from npgrad.cli import _demo_images, main\n"
        "def stop(*arguments): raise KeyboardInterrupt\n"
        "stop.__name__ = 'two_words'\n"
        "_demo_images.MAKERS = (stop,)\n"
        "raise SystemExit(main(['demo', '-o', 'demo']) != 130)\n"
    )
    assert python(folder, "-c", code, PYTHONOPTIMIZE="2")[1].splitlines()[1] == "1/1 two words"


@pytest.mark.exhaustive
def test_no_home(folder):
    none = {"HOME": None, "USERPROFILE": None, "XDG_CACHE_HOME": None}
    is_the_scene(command(folder, "classify", NAME, "--top", 1, **none)[0])
    is_the_scene(
        command(folder, "classify", NAME, "--top", 1, **{**none, "HOME": str(folder / "no such")})[0]
    )


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="no user database")
def test_no_home_and_no_entry_in_the_user_database(folder):
    """As in a container that runs with the number of a user whom its system does not know."""
    start = (
        "import pwd\ndef unknown(*_): raise KeyError\npwd.getpwuid = unknown\nfrom npgrad.cli import main\n"
    )
    is_the_scene(python(folder, "-c", start + f"main(['classify', {NAME!r}])", HOME=None)[0])
    code = start + "raise SystemExit(main(['weights', 'list']) != 2)"
    message = "npgrad: cache folder: found no home folder; set NPGRAD_HOME to a folder\n"
    assert python(folder, "-c", code, HOME=None, XDG_CACHE_HOME=None) == ("", message)


def install(target):
    """A copy of the package as a wheel installs it, without compiled files."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "npgrad", target / "npgrad", ignore=without)
    for name in ("weights", "notebooks"):
        shutil.copytree(ROOT / name, target / "npgrad" / name, ignore=without)
    return target


@pytest.mark.exhaustive
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how to make it so for root is Linux's")
def test_an_installation_that_cannot_be_written_to(folder, tmp_path):
    installed, home = install(tmp_path / "installed"), tmp_path / "home"
    home.mkdir()
    before = sorted(path for path in installed.rglob("*"))
    folders = [home, installed, *(path for path in before if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        settings = {"PYTHONPATH": installed, "HOME": home, "XDG_CACHE_HOME": None}
        probe = f"open({str(installed / 'npgrad' / 'new')!r}, 'w')"
        done = started(folder, "-c", WITHOUT_ROOTS_RIGHTS, "-c", probe, **settings)
        assert "Permission" in done.stderr  # or this test would show nothing
        words = ("-m", "npgrad", "classify", NAME, "--top", 1)
        out, err = python(folder, "-c", WITHOUT_ROOTS_RIGHTS, *words, **settings)
        is_the_scene(out)
        assert err == ""
        words = (
            "-m",
            "npgrad",
            "attribute",
            folder,
            "--method",
            "saliency",
            "--workers",
            2,
            "-o",
            tmp_path / "maps",
        )
        python(folder, "-c", WITHOUT_ROOTS_RIGHTS, *words, **settings)
        assert len(list((tmp_path / "maps").glob("*.png"))) == 2
        assert sorted(path for path in installed.rglob("*")) == before
    finally:
        for path in folders:
            path.chmod(0o755)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("method", "optimize"),
    [
        ("spawn", ""),
        ("forkserver", "2"),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in [("spawn", "2"), ("forkserver", "")]),
    ],
)
def test_start_methods_of_processes(folder, method, optimize):
    """spawn is the one of macOS and Windows, forkserver that of Linux from Python 3.14 on."""
    if method == "forkserver" and sys.platform == "win32":
        pytest.skip("not on Windows")
    (folder / "program 1.py").write_text(
        "import multiprocessing\n"
        "from npgrad.cli import main\n"
        "if __name__ == '__main__':\n"
        f"    multiprocessing.set_start_method({method!r})\n"
        f"    raise SystemExit(main(['attribute', '.', '--method', 'saliency', '--workers', '2', '-o', 'maps 1']))\n",
        encoding="utf-8",
    )
    python(folder, "program 1.py", PYTHONOPTIMIZE=optimize)
    assert len(list((folder / "maps 1").glob("*.png"))) == 2


# What the project says of versions.


def test_the_oldest_versions_are_those_of_the_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    bounds = [
        line.split(" >= ") for line in config["options"]["install_requires"].split("\n") if ">=" in line
    ]
    text = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8")
    pinned = dict(line.split("==") for line in text.splitlines() if "==" in line)
    assert pinned == {name: f"{bound}.0" for name, bound in bounds}


def test_one_version_of_ruff():
    [pinned] = re.findall(
        r"^ruff==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"ruff==([\d.]+)", hooks) == [pinned] * 2


def test_one_version_of_npgrad():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {npgrad.__version__}\n" in cited
