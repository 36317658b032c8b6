"""Write a page for each public module into docs/reference/api/: its docstring, its names, and each of them."""

import importlib
import inspect
import re
from pathlib import Path

from public_names import MODULES, public_names

ALSO = ["npgrad.targets", "npgrad.display", "npgrad.config"]
FOLDER = Path(__file__).resolve().parents[1] / "reference" / "api"


def written(path, text):
    """Write `text` if it is not there, so that Sphinx reads what has changed and nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")


def page(name, seen):
    """The page of the module `name`; what is in `seen`, {id: name}, is on an earlier page."""
    module = importlib.import_module(name)
    names = {key: getattr(module, key) for key in public_names(name)}
    modules = sorted(key for key, value in names.items() if inspect.ismodule(value))
    elsewhere = {key: seen[id(value)] for key, value in names.items() if id(value) in seen}
    others = [key for key in names if key not in (*modules, *elsewhere)]
    lines = [f"# {name}", "", "```{eval-rst}", f".. automodule:: {name}", ""]
    if modules:
        lines += [f"Modules: {', '.join(f'`{key}`' for key in modules)}.", ""]
    if elsewhere:
        links = [f":py:obj:`{key} <{elsewhere[key]}>`" for key in sorted(elsewhere, key=str.lower)]
        lines += [f"Also here: {', '.join(links)}.", ""]
    lines += [f".. currentmodule:: {name}", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {key}" for key in sorted(others, key=str.lower)] + [""]
    for key in sorted(others, key=str.lower):
        lines += _entry(key, names[key])
        seen[id(names[key])] = f"{name}.{key}"
    return "\n".join([*lines, "```", ""])


def _entry(key, value):
    if inspect.isclass(value):
        return [f".. autoclass:: {key}", "   :members:", "   :show-inheritance:", ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {key}", ""]
    values = value if isinstance(value, str) else ", ".join(map(str, value))
    return [f".. py:data:: {key}", "", f"   ``{type(value).__name__}``: {escaped(values)}", ""]


def escaped(line):
    """Text with what reStructuredText takes for markup, but for code in backticks."""
    parts = re.split(r"(`+[^`]*`+)", line)
    parts[::2] = [re.sub(r"([*|])|(?<=\w)_(?!\w)", lambda m: "\\" + m[0], part) for part in parts[::2]]
    return "".join(parts)


def _readable(app, what, name, thing, options, lines):
    """Docstrings are plain text: | and * are those of formulas, and an indented block is one."""
    found, code, narrative, example = (
        [],
        None,
        True,
        False,
    )  # code: the indentation of the text before a block of code
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and set(line.strip()) <= {"-"}:
            narrative = False  # the sections of numpydoc
        if code is not None and line.strip() and indent <= code:
            code = None
        before = next((row for row in reversed(found) if row.strip()), "")
        begins = line.strip() and indent and number and not lines[number - 1].strip()
        in_list = re.match(r"\s*([-*]|\d+\.) ", before)
        if code is None and narrative and begins and not in_list:
            if not before.rstrip().endswith("::"):
                found += ["::", ""]
            code = 0
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        found.append(line if code is not None or example else escaped(line))
        if code is None and line.rstrip().endswith("::"):
            code = indent
    lines[:] = found


def index():
    rows = "\n".join(f"{name} <{name}>" for name in [*MODULES, *ALSO])
    return (
        "# API\n\nOne page for each module, from the docstrings, with a link from each name to its source.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{rows}\n```\n"
    )


def write(app):
    """All pages; those of modules that are no longer public are removed."""
    seen = {}
    pages = {f"{name}.md": page(name, seen) for name in [*MODULES, *ALSO]} | {"index.md": index()}
    for name, text in pages.items():
        written(FOLDER / name, text)
    for path in FOLDER.glob("*.md"):
        if path.name not in pages:
            path.unlink()


def setup(app):
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", _readable, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
