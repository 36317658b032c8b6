"""Class names: the 1,000 of ImageNet, and finding a class by index or by name."""

import functools
import operator
import re

from npgrad.errors import TargetError, WeightsError, unknown
from npgrad.files import weights_folder


@functools.cache
def imagenet_classes():
    """The short names of ImageNet's 1,000 classes, in the order of the index (a tuple).

    Two names stand there twice: crane (the bird, 134, and the machine, 517) and maillot (638, 639).
    """
    path = weights_folder() / "imagenet_classes.txt"
    names = tuple(path.read_text(encoding="utf-8").splitlines())
    if len(names) != 1000:
        raise WeightsError(f"{path.name}: expected 1000 class names, one a line; found {len(names)}")
    return names


def find_class(text_or_index, classes):
    """The index of a class that is given by its index or by its name, as an int.

    text_or_index   an integer, a string of digits, or a name: upper or lower case, `_` or `-` for a space
    classes         the names in the order of the index

    >>> find_class("great_white_shark", imagenet_classes()), find_class("281", imagenet_classes())
    (2, 281)

    Raises TargetError for an index out of range or a name that several classes share, UnknownName for
    one that none has, and TypeError for what is neither an integer nor a string.
    """
    if not isinstance(text_or_index, str):
        return _checked(_as_index(text_or_index), len(classes))
    # Nine digits are more than any index needs, and int() of a very long string is slow.
    if re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", text_or_index):
        return _checked(int(text_or_index), len(classes))
    # As it is spelt first: Cardigan is a dog and cardigan a garment.
    found = [index for index, name in enumerate(classes) if name == text_or_index]
    if not found:
        key = _plain(text_or_index)
        found = [index for index, name in enumerate(classes) if _plain(name) == key]
    if not found:
        raise unknown("class", key, dict.fromkeys(classes))
    if len(found) > 1:
        count = "two" if len(found) == 2 else len(found)
        indices = ", ".join(map(str, found))
        raise TargetError(f"{text_or_index} is {count} classes: {indices}; give the index of one")
    return found[0]


def _as_index(value):
    try:
        if isinstance(value, bool):  # operator.index takes True for 1; as a target it is a slip
            raise TypeError
        return operator.index(value)
    except TypeError:
        found = f"{type(value).__name__} {value!r}"
        raise TypeError(f"class: expected an index (an integer) or a name; found {found}") from None


def _checked(index, count):
    if not 0 <= index < count:
        raise TargetError(f"class index: expected 0 to {count - 1}; found {index}")
    return index


def _plain(name):
    return " ".join(re.sub("[_-]", " ", name).casefold().split())
