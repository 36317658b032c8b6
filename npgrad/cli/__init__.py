"""The `npgrad` command. Results go to stdout, progress and messages to stderr.

Exit codes: 0 success, 1 a check that failed or a result that could not be written (the others are), 2 an error in the
arguments or files, 3 a check without a verdict, 130 interrupted.
A bug in npgrad itself ends in a traceback.
"""

import argparse
import functools
import os
import re
import sys
import warnings

from npgrad import __version__
from npgrad._files import reason
from npgrad.cli import (
    attribute,
    certify,
    classify,
    compare,
    convert,
    demo,
    dream,
    evaluate,
    explore,
    fool,
    gradcheck,
    grade,
    invert,
    layers,
    notebooks,
    report,
    score,
    style,
    visualize,
    weights,
)
from npgrad.cli._common import say, table
from npgrad.errors import InputError, NotWritten, NpgradError, UnknownName, unknown

__all__ = ["main"]

COMMANDS = {
    "demo": demo,
    "classify": classify,
    "attribute": attribute,
    "explore": explore,
    "evaluate": evaluate,
    "report": report,
    "score": score,
    "fool": fool,
    "visualize": visualize,
    "style": style,
    "invert": invert,
    "dream": dream,
    "weights": weights,
    "convert": convert,
    "layers": layers,
    "gradcheck": gradcheck,
    "certify": certify,
    "compare": compare,
    "notebooks": notebooks,
    "grade": grade,
}

EXAMPLES = """commands:
{commands}

examples:
  npgrad demo
  npgrad attribute npgrad-demo/scene.png
  npgrad weights get squeezenet1_1
  npgrad classify your-photo.jpg --weights squeezenet1_1
  npgrad attribute your-photo.jpg --weights squeezenet1_1 --method grad_cam -o grad_cam.png
  npgrad fool your-photo.jpg --weights squeezenet1_1 --target goldfish

`npgrad COMMAND --help` describes each command."""


def main(argv: list[str] | tuple[str, ...] | None = None) -> int:
    """Run the `npgrad` command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the command's name. None: those of the process.

    Returns
    -------
    int
        The exit code: 0, 1, 2, 3 or 130.
    """
    _escape_what_stdout_cannot_encode()
    lost = []
    with warnings.catch_warnings():
        warnings.showwarning = functools.partial(_print_warning, lost)
        try:
            args = _parse(sys.argv[1:] if argv is None else list(argv))
            code = COMMANDS[args.command].run(args) or 0 if args.command else _print_help()
            print(end="", flush=True)  # now, while a full disk behind stdout can still be reported
            return code or (1 if lost else 0)
        except NpgradError as error:
            print(f"npgrad: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("npgrad: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            _close_stdout()  # its reader, such as head, has closed the pipe
            return 0
        except OSError as error:
            if not _stdout_is_full():
                raise
            _close_stdout()
            print(f"npgrad: stdout: cannot be written: {reason(error)}", file=sys.stderr)
            return 2


def _parse(words):
    """The arguments, or an UnknownName with the nearest names for a misspelled command or option."""
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise unknown("command", words[0], COMMANDS)
    parser = _parser()
    args, rest = parser.parse_known_args(_with_negative_targets(words))
    if rest:
        wrong = next((word for word in rest if word.startswith("-")), None)
        sub = _parser_of(args.command) if args.command else parser
        if wrong is not None:
            raise _unknown_option(wrong.partition("=")[0], sub)
        sub.error(f"unexpected {' '.join(map(repr, rest))}")
    return args


def _with_negative_targets(words):
    """The arguments with `--target -tabby` as `--target=-tabby`: argparse takes "-tabby" for an option."""
    joined: list[str] = []
    for word in words:
        if joined[-1:] == ["--target"] and re.match(r"-[^-]", word) and word not in ("-o", "-h"):
            joined[-1] = f"--target={word}"
        else:
            joined.append(word)
    return joined


def _unknown_option(wrong, parser):
    import difflib  # needed only for errors

    known = re.findall(r"--([a-z][\w-]*)", parser.format_usage())
    nearest = difflib.get_close_matches(wrong.lstrip("-"), known, n=3, cutoff=0.6)
    hint = (
        "nearest: " + ", ".join(f"--{name}" for name in nearest)
        if nearest
        else f"`{parser.prog} --help` lists them"
    )
    return UnknownName(f"no option {wrong!r}; {hint}")


def _print_help():
    _parser().print_help()
    return 0


def _escape_what_stdout_cannot_encode():
    """Print characters that stdout's encoding lacks, as cp1252 lacks Japanese, as \\uXXXX; stderr does so already."""
    if getattr(sys.stdout, "errors", None) == "strict" and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _stdout_is_full():
    """Whether an OSError came from stdout, in which case it occurs again."""
    try:
        print(end="", flush=True)
    except OSError:
        return True
    return False


def _close_stdout():
    """Write nothing more to stdout, not even what is buffered until the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
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


def _parser():
    parser = _Parser(
        prog="npgrad",
        usage="npgrad [-h] [--version] COMMAND ...",
        description="Explain what a convolutional network sees, with hand-written backpropagation in NumPy.",
        epilog=EXAMPLES.format(commands=table([[f"  {name}", c.HELP] for name, c in COMMANDS.items()])),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"npgrad {__version__}")
    commands = parser.add_subparsers(prog="npgrad", dest="command", metavar="COMMAND", help=argparse.SUPPRESS)
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, **_texts(command)))
    return parser


def _parser_of(name):
    """The parser of one command."""
    parser = _Parser(prog=f"npgrad {name}", **_texts(COMMANDS[name]))
    COMMANDS[name].add_arguments(parser)
    return parser


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


def _print_warning(lost, message, category, filename, lineno, file=None, line=None):
    say(f"warning: {message}")
    if issubclass(category, NotWritten):
        lost.append(message)
