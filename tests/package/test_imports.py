"""Imports go one way. Read from the syntax trees, so that imports within functions count as well."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each group may import from itself (without a cycle) and from those above it.
ORDER = [
    (
        "_interrupted",
        "errors",
        "config",
        "_blas",
        "_typing",
        "_files",
        "_validate",
        "_imagenet",
        "_names",
        "_targets",
    ),
    ("layers",),
    (
        "display",
        "tape",
        "_passes",
        "_parallel",
        "rules",
        "losses",
        "optim",
        "_schedules",
        "_lbfgs",
        "_balls",
        "_slopes",
        "_code",
        "_diagnosis",
        "_explanations",
        "_uses",
        "_verdicts",
    ),
    ("images",),
    (
        "targets",
        "_heads",
        "_asked",
        "_outputs",
        "_described",
        "model",
        "gradcheck",
        "_certificates",
        "testing",
        "_cases",
        "models",
    ),
    ("io",),
    ("attribution",),
    ("evaluation", "pages", "_compare", "synthesis", "training", "scenes"),
    ("course",),
    ("cli", "__main__"),
]
RANKS = {name: rank for rank, group in enumerate(ORDER) for name in group}
# Model.save calls the writer of files, which knows what a model is.
EXCEPTIONS = {"npgrad.model": "npgrad.io.formats.hdf5"}


def rank(module):
    """The number of a module's group; npgrad itself, which collects the public names of all, comes last."""
    return len(ORDER) if module == "npgrad" else RANKS[module.split(".")[1]]


@cache
def sources():
    """{module: its code}, of the whole package."""
    found = {}
    for path in sorted((ROOT / "npgrad").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def imports(name, code, modules):
    """Every (module, imported name or None, line) that a module imports from npgrad, save for type checkers."""
    nodes = list(ast.parse(code).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: a relative import"
            within = [(f"{node.module}.{alias.name}", alias.name) for alias in node.names]
            found = [(sub, None) if sub in modules else (node.module, key) for sub, key in within]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found = [(arg.value, None) for arg in node.args if isinstance(arg, ast.Constant)]
        else:
            continue
        for module, key in found:
            if module.split(".")[0] == "npgrad" and (module, key) != ("npgrad", "__version__"):
                yield module, key, node.lineno


@cache
def imports_of_all():
    """{module: what it imports}, of the whole package."""
    modules = sources()
    return {name: list(imports(name, code, modules)) for name, code in modules.items()}


def each_imports(modules):
    """(module, what it imports) of each; of the whole package read once."""
    if modules is sources():
        return imports_of_all().items()
    return [(name, imports(name, code, modules)) for name, code in modules.items()]


def graph(modules):
    """{module: {module that it imports: line}}; importing `a.b` from elsewhere also runs `a`."""
    edges = {name: {} for name in modules}
    for name, found in each_imports(modules):
        for target, _, line in found:
            parts = target.split(".")
            for length in range(2, len(parts) + 1):
                ran = ".".join(parts[:length])
                if ran in modules and ran != name and (ran == target or not f"{name}.".startswith(f"{ran}.")):
                    edges[name].setdefault(ran, line)
            if target == "npgrad":
                edges[name].setdefault(target, line)
        edges[name] = {
            target: line
            for target, line in edges[name].items()
            if not f"{EXCEPTIONS.get(name)}.".startswith(f"{target}.")
        }
    return edges


def circles(edges):
    """Sets of modules that import each other, directly or through others (Tarjan: strongly connected components)."""
    index, low, stack, found = {}, {}, [], []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in edges[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for name in edges:
        if name not in index:
            visit(name)
    return found


def against_the_order(edges):
    """Lines such as `npgrad.tape:7 imports npgrad.model`."""
    found = []
    for name, targets in edges.items():
        for target, line in targets.items():
            if rank(target) > rank(name):
                found.append(f"{name}:{line} imports {target}")
    return found


def from_private_modules(modules):
    """Imports of what starts with an underscore from another package: `npgrad.cli:3 imports npgrad.io._sums`."""
    found = []
    for name, imported in each_imports(modules):
        for target, key, line in imported:
            package = target.split(".")[:2]
            private = any(part.startswith("_") for part in [*target.split(".")[2:], key or ""])
            if private and name.split(".")[:2] != package:
                found.append(f"{name}:{line} imports {target}{f'.{key}' if key else ''}")
    return found


@cache
def edges_between_all():
    return graph(sources())


def test_there_is_no_circle():
    assert circles(edges_between_all()) == []


def test_imports_keep_to_the_order():
    assert against_the_order(edges_between_all()) == []


def test_what_is_private_to_a_package_is_used_there_alone():
    assert from_private_modules(sources()) == []


def test_every_module_has_its_place_in_the_order():
    tops = {name.split(".")[1] for name in sources() if "." in name}
    assert tops == set(RANKS)


def test_the_exception_is_still_needed():
    for name, target in EXCEPTIONS.items():
        assert target in {found for found, _, _ in imports_of_all()[name]}


def test_the_top_level_is_short():
    """A module there is one that users import or learners open."""
    top = {path.stem for path in (ROOT / "npgrad").glob("*.py")}
    public = {name for name in top if not name.startswith("_")}
    assert len(public) <= 9, sorted(public)


# The tests of the tests: planted faults are found.

CLEAN = {
    "npgrad": "from npgrad.model import Model",
    "npgrad.errors": "",
    "npgrad.tape": "import npgrad.errors",
    "npgrad.model": "from npgrad import errors, tape\ndef save():\n    from npgrad.io.formats.hdf5 import write",
    "npgrad.io": "from npgrad.io.loading import load",
    "npgrad.io.loading": "from npgrad.model import Model\nfrom npgrad.io._parts import part",
    "npgrad.io._parts": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from npgrad.io.loading import load",
    "npgrad.io.formats": "",
    "npgrad.io.formats.hdf5": "from npgrad.model import Model",
}


def test_nothing_is_found_in_a_clean_package():
    edges = graph(CLEAN)
    assert circles(edges) == against_the_order(edges) == from_private_modules(CLEAN) == []


@pytest.mark.parametrize(
    ("module", "code", "circle"),
    [
        ("npgrad.tape", "from npgrad.model import Model", ["npgrad.model", "npgrad.tape"]),
        ("npgrad.errors", "def f():\n    from npgrad import tape", ["npgrad.errors", "npgrad.tape"]),
        ("npgrad.io._parts", "import npgrad.io.loading", ["npgrad.io._parts", "npgrad.io.loading"]),
        (
            "npgrad.tape",
            "async def f():\n    if x:\n        import npgrad.io.formats.hdf5",
            ["npgrad.io", "npgrad.io.formats.hdf5", "npgrad.io.loading", "npgrad.model", "npgrad.tape"],
        ),
    ],
)
def test_a_planted_circle_is_found(module, code, circle):
    assert circle in [
        [name for name in found if name in circle] for found in circles(graph({**CLEAN, module: code}))
    ]


@pytest.mark.parametrize(
    "code", ["import npgrad.io", "def f():\n    from npgrad.io import load", "import npgrad"]
)
def test_an_import_against_the_order_is_found(code):
    [found] = [
        line for line in against_the_order(graph({**CLEAN, "npgrad.errors": code})) if "errors" in line
    ]
    assert found.startswith("npgrad.errors:") and " imports npgrad" in found


@pytest.mark.parametrize(
    "code",
    [
        "from npgrad.io._parts import part",
        "from npgrad.io import _parts",
        "from npgrad.io.loading import _private",
    ],
)
def test_an_import_of_what_is_private_is_found(code):
    assert len(from_private_modules({**CLEAN, "npgrad.model": code})) == 1
    assert from_private_modules({**CLEAN, "npgrad.io": code}) == []


def test_the_graph_is_of_all_modules():
    edges = graph(sources())
    assert len(edges) > 150 and sum(map(len, edges.values())) > 400
    users = defaultdict(set)
    for name, targets in edges.items():
        for target in targets:
            users[target].add(name)
    assert "npgrad.tape" in users["npgrad.errors"] and "npgrad.model" in users["npgrad.tape"]
