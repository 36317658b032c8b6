"""Public names: all documented, none missing; and importing npgrad stays cheap."""

import importlib
import inspect
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from documents import but_rounding
from public_names import MODULES, public_names

import npgrad
from npgrad.attribution import methods
from npgrad.models import registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_exists_and_has_a_docstring(name):
    module = importlib.import_module(name)
    for key in public_names(name):
        assert inspect.getdoc(getattr(module, key)), f"{name}.{key}"
    assert set(public_names(name)) <= set(dir(module))


@pytest.mark.parametrize(
    "cls", [npgrad.Model, npgrad.Tape, npgrad.Record, npgrad.Preprocessing, npgrad.layers.Conv2d]
)
def test_every_public_method_has_a_docstring(cls):
    for key, value in inspect.getmembers(cls):
        if not key.startswith("_") and (inspect.isfunction(value) or inspect.ismethod(value)):
            assert inspect.getdoc(value), f"{cls.__name__}.{key}"


@pytest.mark.parametrize("name", MODULES)
def test_the_documentation_names_just_what_is_public(name):
    """It has a table with a row for each public module: | `npgrad.layers` | `Add`, ... |."""
    text = (ROOT / "docs" / "reference" / "names.md").read_text(encoding="utf-8")
    [row] = re.findall(rf"^\| `{re.escape(name)}` \|(.*)\|$", text, flags=re.MULTILINE)
    networks = registry.ARCHITECTURES if name == "npgrad.models" else ()  # too many to be listed
    assert sorted(re.findall(r"`(\w+)`", row)) == sorted(set(public_names(name)) - set(networks))


def test_the_table_of_scores_describes_the_methods_as_npgrad_score_does():
    text = (ROOT / "docs" / "reference" / "scores.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \| \d+ \| \d+ ±", text, flags=re.MULTILINE))
    assert rows == {name: method.note for name, method in methods.METHODS.items()}
    assert f"There are {len(methods.METHODS)} [methods]" in (ROOT / "README.md").read_text(encoding="utf-8")


def loaded_by(code):
    script = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


def test_a_bare_import_loads_little():
    more = loaded_by("import npgrad") - loaded_by("import numpy, json")
    heavy = ("scipy", "h5py", "PIL", "matplotlib", "tqdm", "threadpoolctl", "torch", "urllib.request", "http",
             "argparse", "concurrent", "zipfile", "npgrad.cli", "npgrad.io.formats",
             "npgrad.io.known_weights")  # fmt: skip
    assert not [name for name in more if any(name == h or name.startswith(f"{h}.") for h in heavy)]


def test_torch_is_nowhere_in_the_library():
    used = loaded_by(
        "import npgrad, npgrad.cli, npgrad.io.converting, npgrad.attribution, npgrad.images.heat_maps"
    )
    assert not {"torch", "captum", "safetensors"} & used
    for path in (ROOT / "npgrad").rglob("*.py"):
        assert not re.search(
            r"^\s*(import|from) (torch|captum)\b", path.read_text(encoding="utf-8"), re.MULTILINE
        ), path


def test_unknown_attributes():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = npgrad.nothing


def test_the_readmes_examples_print_what_it_says(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    expected = re.findall(r"\nprints\n\n```\n(.*?)```", text, flags=re.DOTALL)
    exec(compile("".join(code), "README.md", "exec"), {})
    assert but_rounding(capsys.readouterr().out) == but_rounding("".join(expected))


def test_the_readmes_files_are_as_short_as_it_says():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files = [ROOT / "npgrad" / name for name in ("tape.py", "layers/conv.py", "layers/fire.py")]
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    assert abs(lines - int(re.search(r"are about (\d+) lines", text)[1])) <= 25


def test_the_table_of_methods_is_up_to_date():
    """But for the deviations, which a run of the tests with --deviations measures."""
    script = runpy.run_path(str(ROOT / "scripts" / "methods_table.py"))
    deviations = script["written"]()
    assert script["table"](deviations) in (ROOT / "docs" / "reference" / "methods.md").read_text(
        encoding="utf-8"
    )
    assert deviations.keys() == methods.METHODS.keys()
    for name, text in deviations.items():
        assert float(text) <= script["WHY"].get(name, (1e-9, ""))[0], name
