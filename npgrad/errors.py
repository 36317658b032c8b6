"""What npgrad raises for a user's mistake: one family, one clear line each.

Every message names the thing (a file, an argument, a layer), what was expected of it and what was found.
The command prints that line and exits with 2; anything outside this family is a bug of npgrad's and
keeps its traceback.
"""

import sys

LONGEST = 800  # characters of a message


class NpgradError(ValueError):
    """The family: something that was handed in cannot be used, and the message says why, in one line."""

    def __str__(self):
        return one_line(ValueError.__str__(self))  # not the next class's: KeyError would print it quoted


class WeightsError(NpgradError):
    """A weights file is damaged, hostile, of an unknown kind, or does not fit its network."""


class ImageError(NpgradError):
    """An image cannot be read or used."""


class DownloadError(NpgradError):
    """A file could not be fetched, or what came is not what was asked for."""


class InputError(NpgradError):
    """An array or an argument cannot be used as it is."""


class TooSmall(InputError):
    """An image is smaller than a window that must fit into it."""


class TargetError(NpgradError, IndexError):
    """A target names no class of the network, or more than one."""


class UnknownName(NpgradError, KeyError):
    """No layer, network or file goes by this name; the message lists the nearest ones."""


def one_line(text):
    """`text` as one printable line: names in a file may be endless, break the line, or command a terminal.

    >>> one_line("two\\nlines")
    'two\\\\nlines'
    """
    spelled_out = "".join(c if c.isprintable() else repr(c)[1:-1] for c in _cut(text))
    return _cut(spelled_out)


def _cut(text):
    """`text`, or its beginning and end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 205]} ... {text[-200:]}"


def level_outside():
    """For warnings.warn: the stacklevel of the first caller outside npgrad, the line that the warning is about."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("npgrad."):
        level, frame = level + 1, frame.f_back
    return level


def unknown(kind, name, known):
    """The UnknownName for `name`, with the nearest of the `known` names.

    >>> str(unknown("layer", "fier2", ["fire2", "fire3", "conv1"]))
    "no layer 'fier2'; nearest: fire2, fire3"
    """
    import difflib  # only a mistake needs it

    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=4, cutoff=0.5)
    hint = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(known[:12])}"
    return UnknownName(f"no {kind} {str(name)!r}; {hint}")
