"""ImageNet's 1,000 classes: their names, WordNet ids and synonyms."""

import functools

from npgrad._files import weights_folder
from npgrad.errors import WeightsError


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """Return torchvision's names of ImageNet's 1,000 classes, in the order of the index.

    They are the first names in WordNet, but for 134 "crane bird" (517 is "crane") and 639 "maillot tank suit" (638 is
    "maillot"), and so no two are equal.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> imagenet_classes()[:2]
    ('tench', 'goldfish')
    """
    return _lines("imagenet_classes.txt")


@functools.cache
def imagenet_synsets() -> tuple[tuple[str, ...], ...]:
    """Return (WordNet id, other names ...) of each class, in the order of the index.

    Returns
    -------
    tuple of tuple of str

    Examples
    --------
    >>> imagenet_synsets()[281]
    ('n02123045', 'tabby cat')
    """
    return tuple(tuple(line.split(" | ")) for line in _lines("imagenet_synsets.txt"))


def _lines(name):
    path = weights_folder() / name
    lines = tuple(path.read_text(encoding="utf-8").splitlines())
    if len(lines) != 1000:
        raise WeightsError(f"{path.name}: expected 1000 class names, one per line; found {len(lines)}")
    return lines
