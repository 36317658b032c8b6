"""Targets: from an index or a name to a class, and from classes to the upstream gradient of their scores."""

import operator
import re
import warnings

import numpy as np

from npgrad._imagenet import imagenet_classes, imagenet_synsets
from npgrad._names import operators, plain
from npgrad.errors import InputError, TargetError, level_outside, unknown, words

MOST_LISTED = 8  # classes in a message
MIDDLE = {
    "probabilities": 0.5,
    "log-probabilities": np.log(0.5),
}  # a single output where both classes are equal


def find_class(text_or_index, classes, wordnet_ids=()):
    """The index of a class that is given by its index or by its name, as an int.

    Tried in order: an index; an exact name; a WordNet id; and, with a warning that says which class it is, the one
    class whose name is the same but for case and `_` or `-` between words, that has the text as another name, or that
    has these words in one of its names. Other names are the parts of a name with commas, and WordNet's for the ids of
    ImageNet's 1,000 classes. A sign that would have to be left out, such as the minus of "-tabby", is refused.

    Parameters
    ----------
    text_or_index : int or str
        The index, as a number or as digits, or the name.
    classes : sequence of str
        The names in the order of the index.
    wordnet_ids : sequence of str
        The classes' WordNet ids in the same order, where they are known.

    Returns
    -------
    int

    Raises
    ------
    TargetError
        For an index out of range, or a text that fits several classes.
    UnknownName
        For a text that fits none; the message lists the nearest names.
    TypeError
        For a value that is neither an integer nor a string.

    Examples
    --------
    >>> find_class("great white shark", ["tench", "goldfish", "great white shark"])
    2
    >>> find_class("1", ["tench", "goldfish", "great white shark"])
    1
    """
    if not isinstance(text_or_index, str):
        return _in_range(_as_index(text_or_index), len(classes))
    text = text_or_index.strip()
    # The exact spelling comes first: Cardigan is a dog, cardigan a garment.
    exact = [index for index, name in enumerate(classes) if name == text_or_index] or [
        index for index, name in enumerate(classes) if name == text
    ]
    # Nine digits are more than any index needs, and int() of a very long string is slow.
    if re.fullmatch("[+-]?[0-9]{1,9}", text):
        return _of_digits(int(text), exact, classes)
    if exact:
        return _only(exact, text)
    ids = _wordnet_ids(classes, wordnet_ids)
    if re.fullmatch(r"n\d{8}", text.casefold()):
        return _by_wordnet_id(text.casefold(), ids)
    if same := [index for index, name in enumerate(classes) if plain(name) == plain(text)]:
        found = _only(same, text)
    else:
        found = _by_other_names(text, classes, ids)
    warnings.warn(f"target {text!r} taken as {classes[found]} ({found})", stacklevel=level_outside())
    return found


def _of_digits(index, named, classes):
    """The index; with a warning where these digits are also the name of another class."""
    if index < 0:
        raise TargetError(
            f"class index: expected 0 to {len(classes) - 1}; found {index}; '- {-index}' asks for minus its score"
        )
    index = _in_range(index, len(classes))
    if named and named != [index]:
        where = ", ".join(map(str, named))
        warnings.warn(
            f"target {index} taken as the index of {classes[index]}, not as the name of class {where}",
            stacklevel=level_outside(),
        )
    return index


def _only(found, text):
    if len(found) > 1:
        count = "two" if len(found) == 2 else len(found)
        indices = ", ".join(map(str, found))
        raise TargetError(f"{text} is {count} classes: {indices}; give the index of one")
    return found[0]


def _as_index(value):
    try:
        if isinstance(value, (bool, np.bool_)):  # taken for 1, and as a target a mistake
            raise TypeError
        return operator.index(value)
    except TypeError:
        found = f"{type(value).__name__} {value!r}"
        raise TypeError(f"class: expected an index (an integer) or a name; found {found}") from None


def _in_range(index, count):
    if not 0 <= index < count:
        raise TargetError(f"class index: expected 0 to {count - 1}; found {index}")
    return index


def _wordnet_ids(classes, wordnet_ids):
    """The WordNet id of each class: those given, ImageNet's, or the first word of the name ("n02123045 tabby")."""
    if isinstance(wordnet_ids, (list, tuple)) and len(wordnet_ids) == len(classes):
        return list(map(str, wordnet_ids))  # from a weights file, which may hold anything
    if len(classes) == 1000 and tuple(classes) == imagenet_classes():
        return [synset[0] for synset in imagenet_synsets()]
    return [plain(name).partition(" ")[0] for name in classes]


def _by_wordnet_id(key, ids):
    if key in ids:
        return ids.index(key)
    if not any(re.fullmatch(r"n\d{8}", one) for one in ids):
        raise TargetError(f"{key!r} is a WordNet id; this network's classes are known by name only")
    raise TargetError(f"no class {key!r}: this network has no class with that WordNet id")


def _by_other_names(text, classes, ids):
    """The one class that has `text` as another name or, if there is none, these words in one of its names."""
    if signs := operators(text):
        raise unknown("class", text, classes, f": a target is one class; {signs[0]!r} cannot be left out")
    synonyms = {key: others for key, *others in imagenet_synsets()}
    names = [[name, *name.split(","), *synonyms.get(one, ())] for name, one in zip(classes, ids, strict=True)]
    asked, parts = words(text), {plain(part) for part in text.split(",")}
    if not asked:
        raise unknown("class", text, classes)
    found = [i for i, own in enumerate(names) if parts <= set(map(plain, own))]
    found = found or [i for i, own in enumerate(names) if any(words(name) == asked for name in own)]
    found = found or [i for i, own in enumerate(names) if any(_contains(words(name), asked) for name in own)]
    if not found:
        raise unknown("class", text, classes)
    if len(found) > 1:
        listed = ", ".join(f"{classes[index]} ({index})" for index in found[:MOST_LISTED])
        more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
        which = "this word" if len(asked) == 1 else "these words"
        raise TargetError(f"no class {text!r}; classes with {which} in a name: {listed}{more}")
    return found[0]


def _contains(words, part):
    return any(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))


def resolve_targets(model, outputs, target=None):
    """The index of each image's target: an integer array (N,).

    outputs: (N, outputs), the model's. target: None for each image's top class; an index or a name for all images; or
    a sequence of N of them. A TargetError (an IndexError) names the valid range, a TypeError what is not a class.
    """
    count, target = class_count(model, outputs), target_list(target, len(outputs))
    if target is None and not model.has_classes and count > 1:
        kind = "features" if model.outputs == "features" else "values"
        raise InputError(
            f"target: expected one of the network's {count} outputs, which are {kind}, found None"
        )
    if target is None:
        return class_logits(model, outputs).argmax(axis=1)
    names = [model.class_name(i) for i in range(count)]
    return np.array([find_class(t, names) for t in named_targets(model, target)])


def class_count(model, outputs):
    """The number of classes (or values) that the outputs are of; they must be (N, C) or (N, C, 1, 1)."""
    outputs = flat(outputs)
    if outputs.ndim != 2:
        kind = "maps" if outputs.ndim == 4 else "an array"
        found = f"found {kind} of shape {outputs.shape}"
        raise InputError(f"outputs: expected (N, classes), one score per class, {found}")
    count = 2 if outputs.shape[1] == 1 and model.has_classes else outputs.shape[1]
    if model.classes and len(model.classes) != count:
        raise InputError(f"classes: expected {count} names, one per class, found {len(model.classes)}")
    return count


def flat(outputs):
    """Maps of one pixel, (N, C, 1, 1), as (N, C); anything else as it is."""
    return (
        outputs.reshape(outputs.shape[:2]) if outputs.ndim == 4 and outputs.shape[2:] == (1, 1) else outputs
    )


def class_logits(model, outputs):
    """One column per class, the top class having the highest.

    A single output s, of two classes, becomes (-s/2, s/2): their softmax is the sigmoid of -s and of s.
    """
    if class_count(model, outputs) == outputs.shape[1]:
        return flat(outputs)
    s = flat(outputs) - MIDDLE.get(model.output_kind, 0)
    return np.concatenate([-s, s], axis=1) / 2


def class_logits_backward(dlogits, outputs):
    """The gradient with respect to the outputs, given that with respect to `class_logits`."""
    pair = dlogits.shape[1] != outputs.shape[1]
    return ((dlogits[:, 1:] - dlogits[:, :1]) / 2 if pair else dlogits).reshape(outputs.shape)


def named_targets(model, target):
    """A list of targets with the model's class names replaced by indices; each name gives one warning at most."""
    if target is None or not model.classes:
        return target
    by_name = {
        name: model.class_index(name) for name in dict.fromkeys(t for t in target if isinstance(t, str))
    }
    return [by_name[t] if isinstance(t, str) else t for t in target]


def target_list(target, n):
    """The `target` argument as a list of n, one per image, or None."""
    if target is None:
        return None
    if isinstance(target, (str, bytes)) or np.ndim(target) == 0:
        return [target] * n
    if len(target) != n or np.ndim(target) != 1:
        raise InputError(f"target: expected one class, or {n}, one per image; found shape {np.shape(target)}")
    return list(target)


def scores(model, outputs, targets):
    """The score of each image's target: (N,). Of a single output s, class 1 has the score s, and class 0 has -s."""
    column, sign = _columns(model, outputs, targets)
    return sign * flat(outputs)[np.arange(len(outputs)), column]


def one_hot(model, outputs, targets):
    """The upstream gradient of the targets' scores: 1 (or -1, see `scores`) at one output of each image, else 0.

    The scores are summed over the batch; no image's score depends on another image, so each gradient is its own.
    """
    column, sign = _columns(model, outputs, targets)
    dy = np.zeros_like(flat(outputs))
    dy[np.arange(len(outputs)), column] = sign
    return dy.reshape(outputs.shape)


def _columns(model, outputs, targets):
    """(the output that belongs to each target, the sign of its score)."""
    targets = np.asarray(targets)
    if outputs.shape[1] == 1 and model.has_classes:
        return 0, np.where(targets == 1, 1, -1).astype(outputs.real.dtype)
    return targets, outputs.real.dtype.type(1)


def warn_if_dead(model, logits, targets):
    """One warning for scores that are exactly 0 because of a final ReLU: their gradient is 0."""
    dead = np.flatnonzero(scores(model, logits, targets) == 0)
    if len(dead):
        names = ", ".join(model.class_name(targets[i]) for i in dead[:3])
        warnings.warn(
            f"the score of {names} is exactly 0 (the network's final ReLU is inactive), and so is its gradient",
            stacklevel=level_outside(),
        )
