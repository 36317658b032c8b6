"""Write docs/reference/command.md: every command with its description, options and examples, from its parser."""

import argparse
import re
from pathlib import Path

from api_pages import written

from npgrad.cli import COMMANDS
from npgrad.cli._parsing import parser_of

FILE = Path(__file__).resolve().parents[1] / "reference" / "command.md"


def page():
    """The page's text."""
    parsers = parser_of(COMMANDS).of_commands
    lines = [
        "# The command",
        "",
        "`npgrad COMMAND --help` prints the same. Results go to stdout, progress and messages to stderr. Exit codes: 0 "
        "success, 1 a check that failed or a result that could not be written, 2 an error in the arguments or files, "
        "3 a check without a verdict, 130 interrupted.",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    lines += [
        f"| [`npgrad {name}`](#npgrad-{name}) | {_cell(command.HELP)} |" for name, command in COMMANDS.items()
    ]
    for name, command in COMMANDS.items():
        lines += ["", *section(parsers[name], f"npgrad {name}", 2), "", "Examples:", "", "```sh"]
        lines += [re.sub(r"^  ", "", line) for line in command.EXAMPLES.splitlines()[1:]] + ["```"]
    return "\n".join(lines) + "\n"


def section(parser, name, level):
    """The heading, description and options of a parser, and those of its subcommands."""
    usage = " ".join(parser.format_usage().split()).removeprefix("usage: ")
    lines = [f"{'#' * level} {name}", ""]
    if parser.description and level == 2:
        lines += [_prose(parser.description), ""]
    lines += ["```sh", usage, "```", ""]
    subcommands = {}
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            subcommands = action.choices
        elif action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            rows.append(
                f"| {_name(action)} | {_options(_cell(parser._get_formatter()._expand_help(action)))} |"
            )
    if rows:
        lines += ["| argument | what it is |", "|---|---|", *rows]
    for key, sub in subcommands.items():
        lines += ["", *section(sub, f"{name} {key}", level + 1)]
    return lines


def _name(action):
    metavar = action.metavar or ("{" + ",".join(map(str, action.choices)) + "}" if action.choices else None)
    value = "" if action.nargs == 0 else metavar or action.dest.upper()
    value = " ".join(value) if isinstance(value, tuple) else value
    names = ", ".join(action.option_strings)
    return f"`{_cell(' '.join(filter(None, (names, value))))}`"


def _cell(text):
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")


def _prose(text):
    """Paragraphs as they are, and those that are tables or indented as blocks of text."""
    parts = re.split(r"\n\s*?\n", text.strip("\n"))
    for number, part in enumerate(parts):
        if re.search(r"(?m)^ {2,}|\S {2,}\S", part):
            parts[number] = f"```text\n{part.rstrip()}\n```"
        else:
            parts[number] = _options(part.replace("<", "&lt;").replace("*", r"\*"))
    return "\n\n".join(parts)


def _options(text):
    """The text with options as code, which would become dashes."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"(?<![\w-])--[a-z][\w-]*", r"`\g<0>`", part) for part in parts[::2]]
    return "".join(parts)


def setup(app):
    app.connect("builder-inited", lambda app: written(FILE, page()))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
