"""What npgrad raises for a user's mistake: one family, one clear line each.

Every message names the thing (a file, an argument, a layer), what was expected of it and what was found.
The command prints that line and exits with 2; anything outside this family is a bug of npgrad's and
keeps its traceback.
"""


class NpgradError(ValueError):
    """The family: something that was handed in cannot be used, and the message says why."""


class WeightsError(NpgradError):
    """A weights file is damaged, hostile, of an unknown kind, or does not fit its network."""


class ImageError(NpgradError):
    """A picture cannot be read or used."""


class DownloadError(NpgradError):
    """A file could not be fetched, or what came is not what was asked for."""


class InputError(NpgradError):
    """An array or an argument cannot be used as it is."""


class TooSmall(InputError):
    """A picture is smaller than a window that must fit into it."""


class TargetError(NpgradError, IndexError):
    """A target names no class of the network, or more than one."""


class UnknownName(NpgradError, KeyError):
    """No layer, network or file goes by this name; the message lists the nearest ones."""

    __str__ = ValueError.__str__  # KeyError would print the message quoted


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
