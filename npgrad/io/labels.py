"""Class names: the 1,000 of ImageNet, and those of a text file."""

import functools
import re
from pathlib import Path

from npgrad._files import shown, weights_folder
from npgrad.errors import WeightsError


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


def read_labels(path, count):
    """Class names from a text file, one a line in the order of the index.

    A WordNet id at the beginning and further names after a comma are left out, as in synset_words.txt.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WeightsError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"{shown(path)}: expected class names in UTF-8 text: {error.reason}") from None
    lines = [re.sub(r"^n\d{8}\s+", "", line.strip()) for line in text.splitlines() if line.strip()]
    names = [line.split(",")[0].strip() for line in lines]
    if len(names) != count or not all(names):
        raise WeightsError(f"{shown(path)}: expected {count} class names, one a line; found {len(names)}")
    return names


def read_wordnet_ids(path):
    """The WordNet ids (n02123045) at the beginning of each line of a labels file; empty unless every line has one."""
    lines = [line for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    found = [re.match(r"(n\d{8})\s+\S", line.strip()) for line in lines]
    return [match[1] for match in found] if all(found) else []
