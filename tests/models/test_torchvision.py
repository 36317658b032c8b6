"""Every CNN of the real torchvision: from .pth and from ONNX by both exporters, and how its weights take images."""

import os
import subprocess
from pathlib import Path

import checks
import numpy as np
import pytest

import npgrad
from npgrad.io import known_weights
from npgrad.io.converting import convert
from npgrad.models import registry

ROOT = Path(__file__).parents[2]
PYTHON = next(ROOT.glob(".venv-torchvision/[bS]*/python*"), None)
SCRIPT = ROOT / "tests" / "support" / "torchvision_networks.py"

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*taken to be trained without"),
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON is None, reason="no environment with torchvision: make .venv-torchvision"),
]


def write(*arguments):
    subprocess.run([PYTHON, SCRIPT, *arguments], check=True, capture_output=True, timeout=1800)


def memory():
    """GiB of this machine; 0 where it cannot be asked."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return 0


HUGE = pytest.mark.skipif(memory() < 48, reason="645 million parameters, exported in float64, need 48 GiB")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=HUGE if name == "regnet_y_128gf" else ())
        for name in registry.ARCHITECTURES
        if not name.endswith("_v1")
    ],
)
def test_numbers_are_those_of_torchvision(name, tmp_path):
    write("network", name, tmp_path)
    with np.load(tmp_path / "net.npz") as file:
        reference = dict(file)
    assert reference["parameters"] == registry.ARCHITECTURES[name].parameters
    for file in ("net.pth", "dynamo-False.onnx", "dynamo-True.onnx"):
        model = convert(tmp_path / file)
        (tmp_path / file).unlink()
        if file == "net.pth":
            assert model.architecture["name"] == name
        tape = model.astype(np.float64).forward(reference["x"])
        checks.assert_close(tape.output, reference["y"], 1e-9, f"logits, {file}")
        checks.assert_close(
            tape.backward(reference["dy"])["input"], reference["dx"], 1e-9, f"gradient, {file}"
        )


def test_images_are_those_of_the_transforms(tmp_path):
    write("transforms", tmp_path)
    compared = 0
    for entry in known_weights.known().values():
        if entry.filename.endswith(".pth"):
            with np.load(tmp_path / f"{entry.filename}.npz") as file:
                found = npgrad.Preprocessing(**entry.preprocessing).apply(file["image"])
                checks.assert_close(found[0], file["out"], 1e-6, entry.name)
            compared += 1
    assert compared >= 97
