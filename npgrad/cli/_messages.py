"""What a command says on stderr: errors, warnings, notes and progress bars. --quiet leaves the errors only."""

import os
import sys
from contextlib import contextmanager, nullcontext

STYLES = {"error": "31", "warning": "33", "command": "1"}  # ANSI: red, yellow, bold
_chosen = {"quiet": False, "color": True}


@contextmanager
def own_settings():
    """--quiet and --no-color hold for one run of the command only."""
    before = dict(_chosen)
    try:
        yield
    finally:
        _chosen.update(before)


def choose(quiet, color):
    """Take the settings of a run."""
    _chosen.update(quiet=quiet, color=color)


def is_quiet():
    """Whether only errors are said."""
    return _chosen["quiet"]


def styled(text, style, stream=None):
    """The text in one of STYLES if the stream (default stdout) is a terminal with colors, and they are wanted."""
    stream = stream or sys.stdout
    plain = not _chosen["color"] or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if plain or os.name == "nt" or not (stream and stream.isatty()):
        return text
    return f"\033[{STYLES[style]}m{text}\033[0m"


def say(line):
    """Print a note."""
    if not is_quiet():
        _print(f"npgrad: {line}")


def warn(line):
    """Print a warning: the work goes on."""
    if not is_quiet():
        _print(f"npgrad: {styled('warning:', 'warning', sys.stderr)} {line}")


def fail(error):
    """Print an error, also under --quiet."""
    _print(f"{styled('npgrad:', 'error', sys.stderr)} {error}")


def _print(line):
    """Print a line above the progress bars."""
    bars = sys.modules.get("tqdm.std")
    with bars.tqdm.external_write_mode(file=sys.stderr) if bars else nullcontext():
        print(line, file=sys.stderr, flush=True)


def bar(disable=False, **options):
    """A progress bar (tqdm) that is cleared at its end. disable: as for tqdm."""
    from tqdm import tqdm

    return tqdm(leave=False, disable=is_quiet() or disable, **options)


def progress_bar(title, unit="B"):
    """A callback (done, total) that draws a progress bar from its first call on, and its `close`."""
    drawn = None

    def update(done, total):
        nonlocal drawn
        if drawn is None:
            drawn = bar(desc=title, unit=unit, unit_scale=unit == "B")
        drawn.total = total
        drawn.update(done - drawn.n)

    def close():
        if drawn is not None:
            drawn.close()

    update.close = close
    return update
