"""Class names: the 1,000 of ImageNet, and those of a labels file in any of the usual forms."""

import ast
import json
import re
import warnings
from collections import Counter

from npgrad._files import reason, shown
from npgrad._imagenet import imagenet_classes, imagenet_synsets
from npgrad._typing import Path
from npgrad.errors import WeightsError, level_outside

__all__ = ["imagenet_classes", "read_labels", "read_wordnet_ids"]

LONGEST = 1 << 24  # characters of a labels file

# What stands between an index and a name. A space may also be part of the name, as in "7 up".
_SURE = r"(?: *[,;:=|\t]\s*|[.)]\s+)"
_UNSURE = r"\s+"
_ID = re.compile(r"(n\d{8})(?:[,;:\s]\s*(.+))?")
_COLUMN = re.compile(r".*[,;\t]\s*(?:\d+|n\d{8})")  # something else after a name


def read_labels(path: Path, count: int) -> list[str]:
    """Read class names from a text file, in the order of the index.

    One name per line; or with its index in front or behind, separated by a comma, semicolon, colon, tab or spaces; or a
    JSON or Python list, ``{index: name}`` or ``{name: index}``. A name is never cut at a comma, and loses its quotes.
    The exception is a file with a WordNet id in front of every name, as synset_words.txt: there the names after a comma
    are synonyms, and the first one is the class's, unless several classes have it. What can be read in several ways is
    refused, or read with a warning that says how.

    Parameters
    ----------
    path : str or path
        The text file, in UTF-8.
    count : int
        The expected number of classes.

    Returns
    -------
    list of str

    Raises
    ------
    WeightsError
        If the file cannot be read, has a different number of names, or is in no known form.
    """
    names, _ = _read(path)
    if len(names) != count:
        raise WeightsError(f"{shown(path)}: expected {count} class names, one per line; found {len(names)}")
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        where = ", ".join(str(index) for index, name in enumerate(names) if name == twice[0])
        more = f", and {len(twice) - 1} more names" if len(twice) > 1 else ""
        _say(path, f"several classes are named {twice[0]!r} ({where}){more}")
    return names


def read_wordnet_ids(path: Path) -> list[str]:
    """Read the WordNet ids, such as n02123045, in front of the names of a labels file.

    Parameters
    ----------
    path : str or path
        The text file, in UTF-8.

    Returns
    -------
    list of str
        In the order of the index. Empty unless every name has an id.

    Raises
    ------
    WeightsError
        As for `read_labels`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `read_labels` says them
        return _read(path)[1]


def _read(path):
    """The names in the order of the index, and their WordNet ids, if all have one."""
    text = _text(path)
    try:
        names = _structured(text)
        if lines := names is None:
            names = _without_index(_lines(text), path)
        ids, names = _without_ids(names)
        names = _without_quotes(names) if lines else names
        if not names:
            raise _Unclear("expected class names, found none")
        if lines and (all(map(_COLUMN.fullmatch, names)) or (ids and _without_index(names, path) != names)):
            raise _Unclear(f"expected a name, found more columns: {names[0]!r}")
        for name in names:
            if not name or not name.isprintable():
                raise _Unclear(f"expected a printable name for every class, found {name!r}")
    except _Unclear as error:
        raise WeightsError(f"{shown(path)}: {error}; a JSON list of names is always understood") from None
    return (_first_names(ids, names) if ids else names), ids


class _Unclear(Exception):
    """A labels file that is in no known form, or in several."""


def _text(path):
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise WeightsError(f"{shown(path)}: cannot be read: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"{shown(path)}: expected class names in UTF-8 text: {error.reason}") from None
    if len(text) > LONGEST:
        raise WeightsError(f"{shown(path)}: expected class names, at most {LONGEST:,} characters; found more")
    return text


def _lines(text):
    """The lines that are not blank, without the comma or the YAML dash that all of them have."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if all(line.startswith("- ") for line in lines):
        lines = [line[2:].strip() for line in lines]
    if all(line.endswith(",") for line in lines[:-1]):
        lines = [line.removesuffix(",").rstrip() for line in lines]
    if bad := [line for line in lines if line.endswith(",")]:
        raise _Unclear(f"expected a comma after every name or none, found one after {bad[0]!r}")
    return lines


def _structured(text):
    """The names in JSON or a Python literal: a list, {index: name}, {index: [id, name]} or {name: index}; else None."""
    text = text.strip()
    if text[:1] not in ("[", "{") and not re.fullmatch(r"\(\s*['\"].*\)", text, re.DOTALL):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        value = _literal(text)
    if not isinstance(value, _Pairs):
        return [_name(item) for item in value]
    if all(type(item) is int for _, item in value):
        return _in_order([(index, key) for key, index in value])
    return _in_order(value)


class _Pairs(list):
    """The items of a dict: a key that occurs twice would otherwise lose its first name without a word."""


def _literal(text):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an unknown escape, as in '\\d'
            node = ast.parse(text, mode="eval").body
        if isinstance(node, ast.Dict):
            values = zip(node.keys, node.values, strict=True)
            return _Pairs((ast.literal_eval(key), ast.literal_eval(value)) for key, value in values)
        return list(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _Unclear("expected a list or dict of JSON or Python, since it begins like one") from None


def _name(value):
    """A name, or the "n01440764 tench" of imagenet_class_index.json's ["n01440764", "tench"]."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and _ID.fullmatch(str(value[0])):
        value = f"{value[0]} {_name(value[1])}"
    if not isinstance(value, str):
        raise _Unclear(f"expected names as text, found {str(value)[:60]!r}")
    return value.strip()


def _in_order(pairs):
    """The names of (index, name) pairs, whose indices have to be 0 to count - 1."""
    try:
        found = [int(index) if isinstance(index, str) else index for index, _ in pairs]
    except ValueError:
        found = [index for index, _ in pairs]
    if not all(type(index) is int for index in found) or sorted(found) != list(range(len(found))):
        some = ", ".join(str(index)[:20] for index in found[:4])
        raise _Unclear(f"expected every index from 0 to {len(found) - 1} once, found {some}, ...")
    return [_name(name) for _, name in sorted(zip(found, (name for _, name in pairs), strict=True))]


def _without_index(lines, path):
    """The lines without their indices, in the order of these."""
    for pattern, swap in ((rf'"?(\d{{1,9}})"?{_SURE}(.*)', 1), (rf'(.*?){_SURE}"?(\d{{1,9}})"?', -1)):
        found = [re.fullmatch(pattern, line) for line in lines]
        if any(found):
            if not all(found):
                have, lack = (
                    next(i for i, match in enumerate(found) if bool(match) is b) for b in (True, False)
                )
                raise _Unclear(f"{lines[have]!r} has an index, {lines[lack]!r} has none")
            return _in_order([match.groups()[::swap] for match in found])
    for pattern, swap in ((rf"(\d{{1,9}}){_UNSURE}(.*)", 1), (rf"(.*?){_UNSURE}(\d{{1,9}})", -1)):
        pairs = [match.groups()[::swap] for line in lines if (match := re.fullmatch(pattern, line))]
        # "7 up" among other names is a whole name, and so are "digit 0", "digit 1", ...
        if len(pairs) == len(lines) and len(rest := {name for _, name in pairs}) > 1:
            first = min(int(number) for number, _ in pairs)
            if sorted(int(number) - first for number, _ in pairs) == list(range(len(lines))) and first < 2:
                if len(rest) < len(lines):
                    raise _Unclear(f"the number in {lines[0]!r} may be an index or part of the name")
                names = _in_order(pairs)
                _say(path, f"the number in {lines[0]!r} and in all other lines is taken as the index")
                return names
    return lines


def _without_ids(lines):
    """The WordNet ids in front of the names, if all have one, and the names without them."""
    found = [_ID.fullmatch(line) for line in lines]
    if not any(match and match[2] for match in found):
        return [], lines
    if bad := [line for line, match in zip(lines, found, strict=True) if not match or not match[2]]:
        raise _Unclear(f"expected a WordNet id and a name for every class, found {bad[0]!r}")
    return [match[1] for match in found], [match[2].strip() for match in found]


def _first_names(ids, names):
    """Of synonyms with commas the first, unless several classes have it: these have torchvision's name, or all."""
    first = [name.split(",")[0].strip() for name in names]
    often = Counter(first)
    known = dict(zip((key for key, *_ in imagenet_synsets()), imagenet_classes(), strict=True))
    return [
        short if often[short] == 1 else known.get(key, name)
        for key, short, name in zip(ids, first, names, strict=True)
    ]


def _without_quotes(names):
    """The names without the quotes of CSV or of Python, if these are all around them."""
    every = all(re.fullmatch(r"'.*'|\".*\"", name) for name in names)
    return [_unquoted(name, every) for name in names]


def _unquoted(name, every):
    mark = name[:1]
    if mark != '"' and not (every and mark == "'"):
        return name
    inner = name[1:-1]
    if len(name) < 2 or name[-1] != mark or mark in inner.replace('""', "") or "\\" in inner:
        raise _Unclear(f"expected a name in quotes, found {name!r}")
    return inner.replace('""', '"') if mark == '"' else inner


def _say(path, text):
    warnings.warn(f"{shown(path)}: {text}", stacklevel=level_outside())
