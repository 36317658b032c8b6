"""What the documents say to type works as written: Python, with what it prints, and commands."""

import configparser
import importlib.util
import re
import shutil

import pytest
from documents import OTHERS, PAGES, ROOT, blocks, furnish, run, runs

from npgrad import config

# Commands that are not npgrad's own, nor of the repository: what they need is not here.
FOREIGN = ("docker", "nbgrader", "otter", "git clone", "python3 -m venv", "pip download", "cite", "NPGRAD_")
NAMES = {str(path.relative_to(ROOT)): path for path in [*PAGES, *OTHERS]}
RUN = [name for name, path in NAMES.items() if path in PAGES and runs(path)]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("furnished")
    furnish(folder)
    return folder


@pytest.fixture
def workplace(furnished, tmp_path, monkeypatch):
    folder = tmp_path / "here"
    shutil.copytree(furnished, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NPGRAD_HOME", str(folder / "home"))
    for setting in ("threads", "exact", "keep_memory"):  # what a page sets is undone
        monkeypatch.setattr(config, setting, getattr(config, setting))
    return folder


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", RUN)
def test_a_page_runs_as_written(name, workplace):
    wrong = run(NAMES[name])
    assert not wrong, "\n".join(wrong)


def commands(path):
    return [each for block in blocks(path.read_text(encoding="utf-8")) if block.language == "sh"
            for each in block.commands]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_a_page_says_to_type_exists(name):
    """Of commands that are too long to run here: the Makefile's targets, the extras, modules and scripts."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for command in commands(NAMES[name]):
        if make := re.match(r"make ([\w-]+)", command):
            assert re.search(rf"^{make[1]}:", makefile, re.MULTILINE), command
        elif extras := re.match(r"pip install .*\[([\w,]+)\]", command):
            assert set(extras[1].split(",")) <= set(setup["options.extras_require"]), command
        elif module := re.match(r"python -m ([\w.]+)", command):
            assert importlib.util.find_spec(module[1]), command
        elif script := re.match(r"python (scripts/\S+)", command):
            assert (ROOT / script[1]).is_file(), command
        else:
            assert command.startswith(("npgrad ", "pip install ", "@", *FOREIGN)), command


@pytest.mark.parametrize("name", NAMES)
def test_links_within_the_repository_lead_to_files(name):
    """`make docs` checks those between pages, with their headings; here also those to code, images and folders."""
    text = re.sub(r"(?s)```.*?```|`[^`\n]*`(?!\])", "", NAMES[name].read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("http", "#")):
            assert (NAMES[name].parent / link.partition("#")[0]).exists(), link


PAGE = """Text

    npgrad demo \\
      -o x   # a comment

```python
print(1)
```

prints

```
1
```

```sh
npgrad no-command
```
"""


def test_blocks_of_a_page():
    shell, python, last = blocks(PAGE)
    assert [command.split() for command in shell.commands] == [["npgrad", "demo", "-o", "x"]]
    assert (python.text, python.printed, python.line) == ("print(1)\n", "1\n", 6)
    assert last.language == "sh" and last.commands == ["npgrad no-command"]


def test_what_is_wrong_on_a_page_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("print(1)", "print(2)"))
    python, shell = run(page)
    assert python == "page.md:6: prints\n2\ninstead of\n1\n" and "npgrad no-command: exit code 2" in shell


@pytest.mark.parametrize(
    ("printed", "wrong"), [("1.7e-15", False), ("3e-16", False), ("2.4e-13", True), ("2.4", True)]
)
def test_rounding_depends_on_the_machine(tmp_path, printed, wrong):
    page = tmp_path / "page.md"
    page.write_text(f"```python\nprint('error {printed}')\n```\n\nprints\n\n```\nerror 2.4e-15\n```\n")
    assert bool(run(page)) == wrong
