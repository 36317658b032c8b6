"""Class names: the 1,000 of ImageNet, and those of a text file."""

import re
from pathlib import Path as FilePath

from npgrad._files import shown
from npgrad._imagenet import imagenet_classes
from npgrad._typing import Path
from npgrad.errors import WeightsError

__all__ = ["imagenet_classes", "read_labels", "read_wordnet_ids"]


def read_labels(path: Path, count: int) -> list[str]:
    """Read class names from a text file, one per line in the order of the index.

    A leading WordNet id and further names after a comma, as in synset_words.txt, are removed.

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
        If the file cannot be read or has a different number of names.
    """
    try:
        text = FilePath(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WeightsError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"{shown(path)}: expected class names in UTF-8 text: {error.reason}") from None
    lines = [re.sub(r"^n\d{8}\s+", "", line.strip()) for line in text.splitlines() if line.strip()]
    names = [line.split(",")[0].strip() for line in lines]
    if len(names) != count or not all(names):
        raise WeightsError(f"{shown(path)}: expected {count} class names, one per line; found {len(names)}")
    return names


def read_wordnet_ids(path: Path) -> list[str]:
    """Read the WordNet ids, such as n02123045, at the beginning of each line of a labels file.

    Parameters
    ----------
    path : str or path
        The text file, in UTF-8.

    Returns
    -------
    list of str
        Empty unless every line begins with an id.
    """
    lines = [line for line in FilePath(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    found = [re.match(r"(n\d{8})\s+\S", line.strip()) for line in lines]
    return [match[1] for match in found] if all(found) else []
