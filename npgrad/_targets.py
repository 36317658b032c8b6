"""Class names: the 1,000 of ImageNet, and finding a class by index or by name."""

import operator
import re
import warnings

import numpy as np

from npgrad.errors import InputError, TargetError, level_outside, unknown


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
    # As it is spelled first: Cardigan is a dog and cardigan a garment.
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


def resolve_targets(model, logits, target=None):
    """The class asked about for each image: an integer array (N,).

    logits: (N, classes). target: None for each image's top class; an index or a name for all images; or
    a sequence of N of them. TargetError (an IndexError) names the range, TypeError says what is no class.
    """
    n, count = logits.shape
    target = target_list(target, n)
    if target is None:
        return logits.argmax(axis=1)
    names = model.classes or [f"class {i}" for i in range(count)]
    indices = np.array([find_class(t, names) for t in target])
    if indices.max() >= count:
        raise TargetError(f"target: expected 0 to {count - 1}; found {indices.max()}")
    return indices


def target_list(target, n):
    """The `target` argument as a list of n, one an image, or None."""
    if target is None:
        return None
    if isinstance(target, (str, bytes)) or np.ndim(target) == 0:
        return [target] * n
    if len(target) != n or np.ndim(target) != 1:
        raise InputError(f"target: expected one class, or {n}, one an image; found shape {np.shape(target)}")
    return list(target)


def scores(logits, targets):
    """The score of each image's target: (N,)."""
    return logits[np.arange(len(logits)), targets]


def one_hot(logits, targets):
    """The seed for backward from the targets' scores: 1 at [i, target i] of an array like logits, else 0.

    One score per image, so every image's gradient is its own.
    """
    seed = np.zeros_like(logits)
    seed[np.arange(len(logits)), targets] = 1
    return seed


def warn_if_dead(model, logits, targets):
    """One warning where a score is exactly 0, shut off by a final ReLU: then it has no gradient at all."""
    dead = np.flatnonzero(scores(logits, targets) == 0)
    if len(dead):
        names = ", ".join(model.class_name(targets[i]) for i in dead[:3])
        warnings.warn(
            f"the score of {names} is exactly 0 (the network's final ReLU is shut), so its gradient is 0 everywhere",
            stacklevel=level_outside(),
        )
