"""The wheel holds all that a checkout has, and works from an empty folder."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_every_package_is_listed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "npgrad").rglob("*.py")}
    data = {"npgrad.notebooks", "npgrad.notebooks.student", "npgrad.weights"}
    found = {".".join(folder.parts) for folder in folders} | data
    assert set(config["options"]["packages"].split()) == found


def _python(*arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with nothing in it but the installed wheel."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("npgrad", "notebooks", "weights"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _python("-m", "build", "--wheel", "--no-isolation", "--outdir", target, source)
    [wheel] = target.glob("*.whl")
    _python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    return target


def run(installed, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(installed), "NPGRAD_HOME": str(folder / "home")}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.exhaustive
def test_the_wheel_works_from_an_empty_folder(installed, tmp_path):
    done = run(
        installed,
        tmp_path,
        "-c",
        "import npgrad.io.labels; print(npgrad.__file__); print(npgrad.io.labels.imagenet_classes()[281])",
    )
    assert done.stdout.splitlines() == [str(installed / "npgrad" / "__init__.py"), "tabby"]
    done = run(installed, tmp_path, "-m", "npgrad", "weights", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "squeezenet1_1" in done.stdout
    done = run(installed, tmp_path, "-m", "npgrad", "gradcheck", "--arch", "squeezenet1_1", "--size", "33")
    assert done.stdout.endswith("all right\n")


@pytest.mark.exhaustive
def test_the_wheel_writes_the_notebooks(installed, tmp_path):
    code = "from npgrad.course.notebooks import write_notebooks as w; w('solved'); w('student', student=True)"
    done = run(installed, tmp_path, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("BackpropByHand", "LayersByHand", "NetworkVisualization", "StyleTransfer"):
        expected = [ROOT / "notebooks" / folder / f"{name}.ipynb" for folder in ("", "student")]
        found = [tmp_path / folder / f"{name}.ipynb" for folder in ("solved", "student")]
        assert [path.read_bytes() for path in found] == [path.read_bytes() for path in expected]


@pytest.mark.exhaustive
def test_the_wheel_explains_a_real_photo(installed, tmp_path, deep_compression, shared):
    (tmp_path / "home" / "downloads").mkdir(parents=True)
    shutil.copy(deep_compression, tmp_path / "home" / "downloads" / "compressed_SqueezeNet.net")
    name = "squeezenet1_0_deep_compression"
    assert run(installed, tmp_path, "-m", "npgrad", "weights", "get", name).returncode == 0
    photo = shared / "images" / "hyena.jpg"
    done = run(installed, tmp_path, "-m", "npgrad", "classify", photo, "--weights", name, "--top", 1)
    assert "hyena" in done.stdout.splitlines()[1]
    done = run(installed, tmp_path, "-m", "npgrad", "attribute", photo, "--weights", name)
    assert done.returncode == 0 and done.stderr.endswith("px is seen by the network\n")
    assert (tmp_path / "hyena-saliency.png").stat().st_size > 10_000
