"""The scripts of the project, which are no package, as modules."""

import importlib.util
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "scripts"


def loaded(name):
    """scripts/NAME.py as a module of its own, newly run."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
