"""What `make docs` makes of docstrings and of the command's parser; the rest it checks itself."""

import argparse
import sys

import pytest
from documents import ROOT
from public_names import MODULES, public_names

from npgrad.cli import COMMANDS
from npgrad.cli._parsing import parser_of


@pytest.fixture(scope="module")
def extensions():
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        import api_pages
        import command_page
    finally:
        sys.path.pop(0)
    return api_pages, command_page


def test_the_page_of_the_command_has_every_option(extensions):
    text = extensions[1].page()
    for name in COMMANDS:
        section = text.partition(f"\n## npgrad {name}\n")[2].partition("\n## ")[0]
        for action in parser_of(COMMANDS).of_commands[name]._actions:
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
                assert all(option in section for option in action.option_strings), (name, action)
        assert section.count("```") % 2 == 0 and "Examples:" in section


@pytest.mark.parametrize("name", MODULES)
def test_the_page_of_a_module_has_every_name(extensions, name):
    lines = extensions[0].page(name, {}).splitlines()
    for key in public_names(name):
        assert f"   {key}" in lines or any(f"`{key}`" in line for line in lines), key


DOCSTRING = """The share |a| ** 2 of `x_` in grad_.

A formula:

    y = |x| ** 2

and another ::

    z = y * y

- an item

  that goes on

Returns
-------
float

Examples
--------
>>> 2 ** 3
8
"""


def test_a_docstring_is_read_as_plain_text(extensions):
    lines = DOCSTRING.splitlines()
    extensions[0]._readable(None, "function", "f", None, None, lines)
    text = "\n".join(lines)
    assert text.startswith(
        "The share \\|a\\| \\*\\* 2 of `x_` in grad\\_.\n\nA formula:\n\n::\n\n    y = |x| ** 2\n"
    )
    assert "and another ::\n\n    z = y * y\n\n- an item\n\n  that goes on\n" in text
    assert text.endswith(">>> 2 ** 3\n8")


def test_a_table_of_a_description_is_a_block(extensions):
    text = extensions[1]._prose("Is <b> (--curves, `a --b`).\n\nn       number\nshare   of it\n\nEnd.")
    assert text == "Is &lt;b> (`--curves`, `a --b`).\n\n```text\nn       number\nshare   of it\n```\n\nEnd."
