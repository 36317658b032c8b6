"""Public names are annotated and documented, and a strictly typed program can use them.

consumer.py is that program: mypy --strict checks it against npgrad as it is installed, and it runs.
"""

import dataclasses
import enum
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from public_names import MODULES, public_names

import npgrad
from npgrad.layers.composite import Calls

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = ROOT / "tests" / "support" / "consumer.py"
HEADINGS = ("Parameters", "Returns", "Yields", "Raises", "Attributes", "Examples", "Notes", "References", "See Also",
            "Warns", "Methods", "Other Parameters")  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """mypy's cache, which the tests share: most of its time goes to NumPy."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package's files as an installation has them, in a folder of their own."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / "npgrad", folder / "npgrad", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def mypy(folder, code, installed, cache):
    """The errors of mypy --strict in a program that imports npgrad from the folder `installed`, or ""."""
    pytest.importorskip("mypy")
    (folder / "program.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "program.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed), "MYPYPATH": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.exhaustive
def test_a_typed_program_is_checked(tmp_path, installed, cache):
    assert mypy(tmp_path, CONSUMER.read_text(encoding="utf-8"), installed, cache) == ""


def test_the_program_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, CONSUMER, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "right by complex step" in done.stdout and "expects 3 channels" in done.stdout


@pytest.mark.exhaustive
def test_mistakes_in_a_typed_program_are_seen(tmp_path, installed, cache):
    """The check above fails for a wrong argument, an unknown name, and a package without py.typed."""
    code = CONSUMER.read_text(encoding="utf-8")
    wrong = code.replace("n_samples=2, rng=3", "n_samples='2', rng=3")
    wrong = wrong.replace("attribution.saliency(", "attribution.salience(")
    said = mypy(tmp_path, wrong, installed, cache)
    assert 'has incompatible type "str"; expected "int"' in said and '"salience"' in said
    untyped = tmp_path / "untyped"
    shutil.copytree(installed, untyped)
    (untyped / "npgrad" / "py.typed").unlink()
    assert "py.typed" in mypy(tmp_path, "import npgrad\n", untyped, cache)


# Annotations and docstrings.


def public_functions():
    """{name: function}: every function and every class's constructor and methods that a public module names."""
    found = {}
    for module in MODULES:
        for key in public_names(module):
            value, name = getattr(importlib.import_module(module), key), f"{module}.{key}"
            if inspect.isfunction(value):
                found[name] = value
            elif inspect.isclass(value) and not issubclass(value, (Exception, enum.Enum)):
                found[name] = value
                found.update({f"{name}.{member}": method for member, method in methods(value)})
    return {name: value for name, value in found.items() if not isinstance(value, types.ModuleType)}


def methods(cls):
    """The public methods that a class itself defines."""
    for key, value in vars(cls).items():
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if inspect.isfunction(function) and not key.startswith("_"):
            yield key, function


def signature(value):
    """(what a caller passes, the annotation of the result)"""
    if inspect.isclass(value):
        own = inspect.signature(value.__init__ if "__init__" in vars(value) else value)
        kept = [p for p in own.parameters.values() if p.name != "self"]
        return kept, None
    own = inspect.signature(value)
    return [p for p in own.parameters.values() if p.name not in ("self", "cls")], own.return_annotation


def sections(docstring):
    """{heading: text} of a numpydoc docstring."""
    found = re.split(rf"(?m)^({'|'.join(HEADINGS)})\n-{{3,}}\n", docstring or "")
    return dict(zip(found[1::2], found[2::2], strict=True))


def documented(text):
    """The names that a Parameters or Attributes section describes: `x, y : int`, `*layers : Layer`."""
    lines = re.findall(r"(?m)^(\S[^:\n]*?)(?: ?:.*)?$", text)
    return {name.strip().lstrip("*`").rstrip("`") for line in lines for name in line.split(",")}


FUNCTIONS = public_functions()
# Tapes are made by Model.forward, and their `run` is the protocol of composites: documented once, there.
ELSEWHERE = {
    "npgrad.Tape": (npgrad.Model, npgrad.Model.forward),
    "npgrad.Tape.run": (Calls.run,),
}


def documented_parameters(name, value):
    """The parameters that the docstring describes, or those of the base classes, or one that it refers to."""
    docs = [value, *ELSEWHERE.get(name, ()), *(value.__mro__[1:-1] if inspect.isclass(value) else ())]
    found = [sections(inspect.getdoc(one)) for one in docs]
    return set().union(*(documented(p.get("Parameters", "") + p.get("Attributes", "")) for p in found))


def inherited(name):
    """Whether a method only does what its base class documents."""
    owner, _, method = name.rpartition(".")
    cls = FUNCTIONS.get(owner)
    return inspect.isclass(cls) and any(method in vars(base) for base in cls.__mro__[1:])


@pytest.mark.sampled(60)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_annotated(name):
    value = FUNCTIONS[name]
    parameters, returned = signature(value)
    bare = [p.name for p in parameters if p.annotation is inspect.Parameter.empty]
    assert not bare, f"{name}: no annotation of {', '.join(bare)}"
    assert returned is not inspect.Signature.empty, f"{name}: no annotation of what it returns"


@pytest.mark.sampled(60)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_documented(name):
    value = FUNCTIONS[name]
    doc, (parameters, returned) = inspect.getdoc(value), signature(value)
    assert doc, f"{name}: no docstring"
    summary = doc.split("\n\n")[0].strip()
    assert re.match(r"\S.*[.:]$", summary, re.DOTALL), (
        f"{name}: a summary that ends with a period, found {summary!r}"
    )
    if inherited(name):
        return
    parts = sections(doc)
    described = documented_parameters(name, value)
    left_out = [p.name for p in parameters if p.name not in described]
    assert not left_out, f"{name}: not under Parameters: {', '.join(left_out)}"
    if not inspect.isclass(value):
        gives = returned not in (None, "None", inspect.Signature.empty)
        told = {"Returns", "Yields"} & set(
            parts
        ) or not parameters  # without parameters the summary is enough
        assert told or not gives or name in ELSEWHERE, f"{name}: no Returns"
        extra = documented(parts.get("Parameters", "")) - {p.name for p in parameters}
        assert not extra, f"{name}: no parameters, but documented: {', '.join(sorted(extra))}"


def test_the_list_of_public_functions_is_long():
    assert len(FUNCTIONS) > 150
    assert {
        "npgrad.load",
        "npgrad.Model.forward",
        "npgrad.layers.Conv2d",
        "npgrad.layers.Conv2d.init",
    } <= set(FUNCTIONS)


# The tests of the tests.


@dataclasses.dataclass
class Planted:
    """One that is described.

    Attributes
    ----------
    a : int
        The first.
    """

    a: int

    def good(self, x: int, *more: float) -> int:
        """Return the sum.

        Parameters
        ----------
        x : int, default 0
            What is added: a number.
        *more : float
            Others.

        Returns
        -------
        int
        """

    def bare(self, x):
        """Return the sum."""

    def extra(self, x: int) -> int:
        """Return the sum.

        Parameters
        ----------
        x, y : int

        Returns
        -------
        int
        """

    def silent(self, x: int) -> int:
        """Return the sum.

        Parameters
        ----------
        x : int
            What is added.
        """


def test_what_is_not_annotated_or_documented_is_found(monkeypatch):
    for name, value in {"Planted": Planted, **dict(methods(Planted))}.items():
        monkeypatch.setitem(FUNCTIONS, name, value)
    test_every_public_function_is_annotated("Planted")
    for name in ("Planted", "good"):
        test_every_public_function_is_documented(name)
    with pytest.raises(AssertionError, match="no annotation of x"):
        test_every_public_function_is_annotated("bare")
    for name, said in {
        "bare": "not under Parameters: x",
        "extra": "documented: y",
        "silent": "no Returns",
    }.items():
        with pytest.raises(AssertionError, match=said):
            test_every_public_function_is_documented(name)
