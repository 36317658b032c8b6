"""Other programs that need the cores while something is measured."""

import contextlib
import subprocess
import sys


@contextlib.contextmanager
def taken(cores):
    """Keep as many cores busy as this for the length of a block."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(cores)]
    try:
        yield others
    finally:
        for other in others:
            other.kill()
            other.wait()
