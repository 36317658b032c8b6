"""The `npgrad` command. Results go to stdout, progress and complaints to stderr.

Exit codes: 0 done, 1 checked and found wrong, 2 a mistake in what was asked for or handed in, 130 interrupted.
A bug of npgrad's own keeps its traceback.
"""

import argparse
import os
import sys
import warnings

from npgrad import __version__
from npgrad._files import reason
from npgrad.cli import (
    attribute,
    classify,
    demo,
    dream,
    evaluate,
    fool,
    gradcheck,
    grade,
    invert,
    layers,
    score,
    style,
    visualize,
    weights,
)
from npgrad.errors import NpgradError

COMMANDS = {
    "demo": demo,
    "classify": classify,
    "attribute": attribute,
    "evaluate": evaluate,
    "score": score,
    "fool": fool,
    "visualize": visualize,
    "style": style,
    "invert": invert,
    "dream": dream,
    "layers": layers,
    "grade": grade,
    "gradcheck": gradcheck,
    "weights": weights,
}

EXAMPLES = """examples:
  npgrad demo
  npgrad weights get squeezenet1_1
  npgrad classify cat.jpg --weights squeezenet1_1
  npgrad attribute cat.jpg --weights squeezenet1_1 -o cat-saliency.png
  npgrad fool cat.jpg --target goldfish --weights squeezenet1_1 -o fish.png
  npgrad visualize flamingo --weights squeezenet1_1 -o flamingo.png
  npgrad style town.jpg painting.jpg --preset starry_night --weights squeezenet1_1 -o town-by-night.png
  npgrad invert cat.jpg --layer fire4 --weights squeezenet1_1 -o cat-remembered.png
  npgrad grade notebooks/student/NetworkVisualization.ipynb
  npgrad layers --arch squeezenet1_0

`npgrad COMMAND --help` tells more about each command."""


def main(argv=None):
    """Run the command with these arguments (None: the shell's) and return its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.command:
        parser.print_help()
        return 0
    with warnings.catch_warnings():
        warnings.showwarning = _one_line
        try:
            code = COMMANDS[args.command].run(args) or 0
            print(end="", flush=True)  # now, while a full disk behind stdout can still be told of
            return code
        except NpgradError as error:
            print(f"npgrad: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("npgrad: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            _close_stdout()  # whoever reads it (head, say) has enough
            return 0
        except OSError as error:
            if not _stdout_is_full():
                raise
            _close_stdout()
            print(f"npgrad: stdout: cannot be written: {reason(error)}", file=sys.stderr)
            return 2


def _stdout_is_full():
    """Whether it was stdout that an OSError came from: then it comes again."""
    try:
        print(end="", flush=True)
    except OSError:
        return True
    return False


def _close_stdout():
    """Nothing more is written to it, not even what is left at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser():
    parser = argparse.ArgumentParser(
        prog="npgrad",
        description="Explain what a convolutional network sees, by hand-written backprop in NumPy.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"npgrad {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description=command.__doc__.strip(),
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
    return parser


def _one_line(message, category, filename, lineno, file=None, line=None):
    print(f"npgrad: warning: {message}", file=sys.stderr)
