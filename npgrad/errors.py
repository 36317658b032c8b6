"""The exceptions that npgrad raises for a user's mistake, each with a message of one line.

Every message names the thing (a file, an argument, a layer), what was expected of it and what was found. The `npgrad`
command prints that line and exits with status 2; every other exception is a bug in npgrad and keeps its traceback.
"""

import sys
from collections.abc import Iterable

LONGEST = 800  # the most characters in a message


class NpgradError(ValueError):
    """Base class of all exceptions for invalid input; the message says in one line what is wrong."""

    def __str__(self) -> str:
        return one_line(ValueError.__str__(self))  # not the next class's: KeyError would print it quoted


class WeightsError(NpgradError):
    """A weights file is damaged, hostile, in an unknown format, or does not fit its network."""


class ImageError(NpgradError):
    """An image cannot be read or used."""


class DownloadError(NpgradError):
    """A file could not be downloaded, or is not the expected one."""


class InputError(NpgradError):
    """An array or an argument is invalid."""


class TooSmall(InputError):
    """An image is smaller than a kernel or pooling window of the network."""


class TargetError(NpgradError, IndexError):
    """A target matches no class of the network, or more than one."""


class UnknownName(NpgradError, KeyError):
    """No layer, network or file has this name; the message lists the nearest names."""


class NotWritten(UserWarning):
    """An intermediate result, such as a checkpoint, could not be written; the run goes on without it."""


def one_line(text: str) -> str:
    """Return a text as one printable line: names in a file may be very long, or contain line breaks or escape codes.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
        At most `LONGEST` characters, with unprintable characters escaped.

    Examples
    --------
    >>> one_line("two\\nlines")
    'two\\\\nlines'
    """
    spelled_out = "".join(c if c.isprintable() else repr(c)[1:-1] for c in _cut(text))
    return _cut(spelled_out)


def _cut(text):
    """`text`, or its beginning and end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 205]} ... {text[-200:]}"


def level_outside() -> int:
    """Return the `stacklevel` for warnings.warn at which the first caller outside npgrad is shown.

    Returns
    -------
    int
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("npgrad."):
        level, frame = level + 1, frame.f_back
    return level


def unknown(kind: str, name: object, known: Iterable[str]) -> UnknownName:
    """Create the UnknownName exception for a name, listing the nearest known names.

    Parameters
    ----------
    kind : str
        The kind of thing that is named, such as "layer".
    name : str
        The unknown name.
    known : iterable of str
        The known names.

    Returns
    -------
    UnknownName

    Examples
    --------
    >>> str(unknown("layer", "fier2", ["fire2", "fire3", "conv1"]))
    "no layer 'fier2'; nearest: fire2, fire3"
    """
    import difflib  # needed only for errors

    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=4, cutoff=0.5)
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    hint = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(known[:20])}{more}"
    return UnknownName(f"no {kind} {str(name)!r}; {hint}")
