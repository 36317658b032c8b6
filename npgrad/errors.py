"""The exceptions that npgrad raises for a user's mistake, each with a message of one line.

Every message names the thing (a file, an argument, a layer), what was expected of it and what was found. The `npgrad`
command prints that line and exits with status 2; every other exception is a bug in npgrad and keeps its traceback.
"""

import sys
import unicodedata
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


def unknown(kind: str, name: object, known: Iterable[str], why: str = "") -> UnknownName:
    """Create the UnknownName exception for a name, listing the nearest known names.

    The nearest names are those that share a word with it, or a word that is spelled much like one of its words, and
    those whose whole spelling is similar.

    Parameters
    ----------
    kind : str
        The kind of thing that is named, such as "layer".
    name : str
        The unknown name.
    known : iterable of str
        The known names.
    why : str, default ""
        What is said between the name and the nearest ones.

    Returns
    -------
    UnknownName

    Examples
    --------
    >>> str(unknown("layer", "fier2", ["fire2", "fire3", "conv1"]))
    "no layer 'fier2'; nearest: fire2, fire3"
    """
    known = list(dict.fromkeys(map(str, known)))
    nearest = _nearest(str(name), known)
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    hint = f"nearest: {', '.join(nearest)}" if nearest else f"known: {', '.join(known[:20])}{more}"
    return UnknownName(f"no {kind} {str(name)!r}{why}; {hint}")


def words(text: str) -> list[str]:
    """Return the words of a name, without case and punctuation.

    Parameters
    ----------
    text : str
        The name.

    Returns
    -------
    list of str

    Examples
    --------
    >>> words("Yellow lady's-slipper")
    ['yellow', 'lady', 's', 'slipper']
    """
    return "".join(" " if is_sign(c) else c for c in text.casefold()).split()


def is_sign(character: str) -> bool:
    """Return whether a character is no letter, digit or accent: it separates words.

    Parameters
    ----------
    character : str
        One character.

    Returns
    -------
    bool
    """
    return unicodedata.category(character)[0] not in "LNM"


def _nearest(name, known):
    """At most four names each that share a word with `name`, are like it, or have a word like one of its words."""
    import difflib  # needed only for errors

    def sharing(asked):
        fitting = [key for key in known if own[key] & asked]
        return sorted(fitting, key=lambda key: (len(own[key] & asked), likeness(key)), reverse=True)[:4]

    def likeness(key):
        return difflib.SequenceMatcher(None, name.casefold(), key.casefold()).ratio()

    own, asked = {key: set(words(key)) for key in known}, set(words(name[:LONGEST]))
    every = sorted(set().union(*own.values()))
    similar = {near for word in asked for near in difflib.get_close_matches(word, every, n=2, cutoff=0.75)}
    folded = {key.casefold(): key for key in reversed(known)}
    alike = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=4, cutoff=0.5)]
    return list(dict.fromkeys([*sharing(asked), *alike, *sharing(similar - asked)]))[:8]
