"""The `npgrad` command. Results go to stdout, progress and messages to stderr.

Exit codes: 0 success, 1 a check that failed or a result that could not be written (the others are), 2 an error in the
arguments or files, 3 a check without a verdict, 130 interrupted.
A bug in npgrad itself ends in a traceback.
"""

import functools
import os
import sys
import warnings

from npgrad import __version__
from npgrad._files import reason
from npgrad.cli import _images as images
from npgrad.cli import (
    attribute,
    certify,
    classify,
    compare,
    completion,
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
from npgrad.cli._messages import fail, own_settings, styled, warn
from npgrad.cli._parsing import parse, parser_of
from npgrad.cli._streams import streams
from npgrad.errors import NotWritten, NpgradError

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
    "completion": completion,
}

GREETING = """npgrad {version}: convolutional networks in NumPy, with a backward pass written by hand.

Three steps from here:

  {demo}
      see what it does: a page of images that gradients make, with a network that comes with it
  {explore}
      walk a forward and a backward pass of one of these images, layer by layer, in a browser
  {get} && \\
  {own}
      ask a network for ImageNet's classes about a photo of yours: where is the evidence for them?

`npgrad --help` lists all commands, `npgrad COMMAND --help` describes one."""


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
    with warnings.catch_warnings(), own_settings():
        warnings.showwarning = functools.partial(_print_warning, lost)
        try:
            code = _run(sys.argv[1:] if argv is None else list(argv))
            print(end="", flush=True)  # now, while a full disk behind stdout can still be reported
            return code or (1 if lost else 0)
        except NpgradError as error:
            fail(error)
            return 2
        except KeyboardInterrupt:
            fail("interrupted")
            return 130
        except BrokenPipeError:
            _close_stdout()  # its reader, such as head, has closed the pipe
            return 0
        except OSError as error:
            if not _stdout_is_full():
                raise
            _close_stdout()
            fail(f"stdout: cannot be written: {reason(error)}")
            return 2


def _run(words):
    try:
        args = parse(words, COMMANDS)
    except SystemExit as done:  # argparse's own, after --help and --version; stdout is still to be flushed
        return done.code or 0
    if not args.command:
        return _greet()
    with streams(args.actions, args):
        return images.run(COMMANDS[args.command], args) or 0


def _greet():
    steps = {
        "demo": "npgrad demo",
        "explore": "npgrad explore npgrad-demo/scene.png",
        "get": "npgrad weights get squeezenet1_1",
        "own": "npgrad attribute your-photo.jpg --weights squeezenet1_1 --method grad_cam",
    }
    steps = {name: styled(command, "command") for name, command in steps.items()}
    print(GREETING.format(version=__version__, **steps))
    return 0


def _parser():
    return parser_of(COMMANDS)


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


def _print_warning(lost, message, category, filename, lineno, file=None, line=None):
    if issubclass(category, NotWritten):
        lost.append(message)
        fail(f"warning: {message}")
    else:
        warn(message)
