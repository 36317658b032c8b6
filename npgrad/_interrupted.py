"""Ctrl-C while the `npgrad` command still imports npgrad: one line and exit code 130, as at any later time."""

import os
import sys


def is_the_command() -> bool:
    """Whether this process is the `npgrad` command, or `python -m npgrad`, which Python calls "-m" meanwhile."""
    words = getattr(sys, "argv", None) or [""]
    name = os.path.basename(words[0]).removesuffix(".exe")
    return name == "npgrad" or (name == "-m" and "npgrad" in sys.orig_argv)


def _one_line(kind, error, traceback):
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    os.write(2, b"npgrad: interrupted\n")
    os._exit(130)


if is_the_command() and sys.excepthook is sys.__excepthook__:
    sys.excepthook = _one_line
