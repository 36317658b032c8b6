"""The arguments of the command: its parsers, their help, and one line for what is wrong."""

import argparse
import os
import re

from npgrad import __version__
from npgrad._files import shown
from npgrad.cli._common import table
from npgrad.cli._messages import choose
from npgrad.errors import InputError, UnknownName, unknown

EXAMPLES = """commands:
{commands}

examples:
  npgrad demo
  npgrad attribute npgrad-demo/scene.png
  npgrad weights get squeezenet1_1
  npgrad classify your-photo.jpg --weights squeezenet1_1
  npgrad attribute your-photo.jpg --weights squeezenet1_1 --method grad_cam -o grad_cam.png
  npgrad fool your-photo.jpg --weights squeezenet1_1 --target goldfish

`npgrad COMMAND --help` describes each command; `npgrad completion --help` says how a shell completes them."""


def parse(words, commands):
    """The arguments, with `parser` and `actions`; an error of one line names what is misspelled or out of order."""
    choose(quiet=False, color="--no-color" not in words)  # for what is wrong with the words
    words = _in_order(words, commands)
    parser = parser_of(commands)
    if "--no-color" in words:
        for each in (parser, *parser.of_commands.values()):
            each.color = False  # of the help, from Python 3.14 on
    args, rest = parser.parse_known_args(_with_negative_targets(words))
    own = parser.of_commands.get(args.command, parser)
    if rest:
        wrong = next((word for word in rest if word.startswith("-") and word != "-"), None)
        if wrong is not None:
            raise _unknown_option(wrong.partition("=")[0], own)
        images = getattr(args, "image", None)
        if isinstance(images, list) and images:  # argparse takes those before the first option only
            images += rest
            rest = []
    if rest:
        own.error(f"unexpected {' '.join(map(repr, rest))}")
    args.parser, args.actions = parser, own._actions
    choose(getattr(args, "quiet", False), not getattr(args, "no_color", False))
    return args


def _in_order(words, commands):
    """The words with the command first, but for options of every command; `help COMMAND` as `COMMAND --help`."""
    first = next((i for i, word in enumerate(words) if word not in _EVERYWHERE), len(words))
    if first == len(words):
        return words
    before, word, after = words[:first], words[first], words[first + 1 :]
    if word == "help":
        return [*before, *(after[:1] if after[:1] and after[0] in commands else []), "--help"]
    if word.startswith("-"):
        command = next((other for other in after if other in commands), None)
        if command and word.partition("=")[0] not in ("-h", "--help", "--version"):
            name = word.partition("=")[0]
            raise InputError(f"{name}: expected after the command, as in `npgrad {command} ... {name}`")
    elif word not in commands:
        if os.path.exists(word):
            hint = f"to explain an image, `npgrad attribute {shown(word)}`"
            raise UnknownName(f"no command {word!r}, which is a file or folder; {hint}")
        raise unknown("command", word, commands)
    return words


_EVERYWHERE = ("-q", "--quiet", "--no-color")


def _with_negative_targets(words):
    """The arguments with `--target -tabby` as `--target=-tabby`: argparse takes "-tabby" for an option."""
    joined: list[str] = []
    for word in words:
        if joined[-1:] == ["--target"] and re.match(r"-[^-]", word) and word not in ("-o", "-h", "-q"):
            joined[-1] = f"--target={word}"
        else:
            joined.append(word)
    return joined


def _unknown_option(wrong, parser):
    import difflib  # needed only for errors

    known = [name[2:] for action in parser._actions for name in action.option_strings if name[:2] == "--"]
    nearest = difflib.get_close_matches(wrong.lstrip("-"), known, n=3, cutoff=0.6)
    if len(wrong) == 2:  # -w: perhaps --weights
        nearest = [name for name in known if name[0] == wrong[1]]
    hint = (
        "nearest: " + ", ".join(f"--{name}" for name in nearest)
        if nearest
        else f"`{parser.prog} --help` lists them"
    )
    return UnknownName(f"no option {wrong!r}; {hint}")


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, in the words of the others."""

    def error(self, message):
        for pattern, words in _MESSAGES:
            message = re.sub(pattern, words, message, flags=re.DOTALL)
        name = self.prog.partition(" ")[2]
        raise InputError(f"{name}{': ' if name else ''}{message}; see `{self.prog} --help`")


# argparse's messages -> ours
_MESSAGES = (
    (r"invalid int value: ", "invalid whole number value: "),
    (r"invalid float value: ", "invalid number value: "),
    (r"^argument ([^:]+): invalid choice: ('.*') \(choose from (.*)\)$", r"\1: expected one of \3; found \2"),
    (r"^argument ([^:]+): invalid (.+) value: ('.*'|\".*\")$", r"\1: expected a \2, found \3"),
    (r"^argument ([^:]+): expected (.*) arguments?$", r"\1: expected \2 value, found none"),
    (r"^the following arguments are required: ", "expected "),
    (r"^argument ", ""),
)


def parser_of(commands):
    """The parser of all commands; `of_commands` has that of each."""
    parser = Parser(
        prog="npgrad",
        usage="npgrad [-h] [--version] [-q] [--no-color] COMMAND ...",
        description="Explain what a convolutional network sees, with hand-written backpropagation in NumPy.",
        epilog=EXAMPLES.format(commands=table([[f"  {name}", c.HELP] for name, c in commands.items()])),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"npgrad {__version__}")
    _add_everywhere(parser)
    each = parser.add_subparsers(prog="npgrad", dest="command", metavar="COMMAND", help=argparse.SUPPRESS)
    for name, command in commands.items():
        own = each.add_parser(name, help=command.HELP, **_texts(command))
        command.add_arguments(own)
        _add_everywhere(own.add_argument_group("options of every command"))
    parser.of_commands = each.choices
    return parser


def _add_everywhere(group):
    """The options that may be before or after the command."""
    group.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        default=argparse.SUPPRESS,  # so that the command's own parser keeps what was before it
        help="print results and errors only: no progress, notes or warnings",
    )
    group.add_argument(
        "--no-color",
        action="store_true",
        default=argparse.SUPPRESS,
        help="no colors in the terminal, as with NO_COLOR in the environment",
    )


def _texts(command):
    return {
        "description": (command.__doc__ or command.HELP).strip(),  # no docstrings under python -OO
        "epilog": "\n\n".join(filter(None, (command.EXAMPLES, _origins(command.EXAMPLES)))),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _origins(examples):
    """Where the files in examples come from."""
    return "\n".join(text for part, text in _ORIGINS.items() if part in examples)


_ORIGINS = {
    "npgrad-demo": "npgrad-demo is made by `npgrad demo`.",
    "homework/": "homework is made by `npgrad notebooks homework`.",
    "--weights squeezenet1_1": "squeezenet1_1 is downloaded by `npgrad weights get squeezenet1_1`.",
    "b8a52dc0": "squeezenet1_1-b8a52dc0.pth is at https://download.pytorch.org/models/.",
    " your-": "your-photo.jpg and the like stand for files of yours.",
}
