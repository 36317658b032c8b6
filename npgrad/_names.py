"""Names in other spellings: taken where exactly one fits, which is then said in one line."""

import re
import unicodedata
import warnings

from npgrad.errors import InputError, is_sign, level_outside, unknown


def plain(name):
    """A name without case, and with one space for every `_`, `-` or white space between its words.

    A `-` or `_` at the beginning, at the end or beside another sign stays, since it may be an operator.

    >>> plain("Great_white-Shark"), plain("-tabby")
    ('great white shark', '-tabby')
    """
    return " ".join(_unjoined(name).casefold().split())


def operators(text):
    """The signs of a text that cannot be left out of a name without changing it, such as the minus of "-tabby".

    >>> operators("lady's_slipper"), operators("tabby - tiger-cat"), operators("-tabby")
    ('', '-', '-')
    """
    return "".join(c for c in _unjoined(text) if unicodedata.category(c)[0] in "PS" and c not in "'\u2019.,")


def _unjoined(text):
    """The text with a space for each hyphen, or row of underscores, between two letters or digits."""

    def space(match):
        around = text[match.start() - 1] + text[match.end()]
        return " " if not is_sign(around[0]) and not is_sign(around[1]) else match[0]

    text = unicodedata.normalize("NFC", text)
    return re.sub(r"(?<=\S)(?:_+|-)(?=\S)", space, text)


def spelled(kind, text, names, short=None):
    """The one of `names` that `text` means, whatever its case, hyphens, underscores and spaces; said if it differs.

    kind: what is named, for messages. short: {abbreviation: name}. Raises UnknownName if no name fits, InputError if
    several do or `text` is no string.

    >>> spelled("layer", "conv1_1", ["conv1_1", "conv1_2"])
    'conv1_1'
    """
    if not isinstance(text, str):
        raise InputError(f"{kind}: expected a name, found {type(text).__name__} {text!r}")
    if text in names:
        return text
    key, short = _closed(text), short or {}
    found = [name for name in names if _closed(name) == key]
    found = found or [name for other, name in short.items() if _closed(other) == key]
    if not found:
        raise unknown(kind, text, names)
    if len(found) > 1:
        raise InputError(f"{kind} {text!r}: expected the exact spelling of one of {', '.join(found)}")
    warnings.warn(f"{kind} {text!r} taken as {found[0]}", stacklevel=level_outside())
    return found[0]


def _closed(name):
    """The plain name without spaces: "Grad-CAM++" is gradcamplusplus, and so is grad_cam_plus_plus."""
    return plain(name.replace("+", "plus")).replace(" ", "")
