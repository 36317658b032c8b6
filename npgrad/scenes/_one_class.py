"""Scenes of one class."""

from npgrad._typing import Array
from npgrad._validate import one_of, whole_number
from npgrad.scenes._composing import CLASSES, drawn_label, generator_of, scene


def of_class(name: str, n: int, seed: int = 0, size: int = 224) -> list[Array]:
    """Draw the first scenes of one class, for example as examples of a concept.

    Parameters
    ----------
    name : str
        The class, one of `CLASSES`, such as "striped".
    n : int
        How many scenes.
    seed : int, default 0
        The seed of the data set, >= 0.
    size : int, default 224
        The side of the images in pixels, >= 32.

    Returns
    -------
    list of ndarray of uint8 (size, size, 3)
        The images, RGB.

    Raises
    ------
    InputError
        There is no such class, or an argument is not a whole number or too small.

    Examples
    --------
    >>> [image.shape for image in of_class("striped", 2, size=64)]
    [(64, 64, 3), (64, 64, 3)]
    """
    label, n = CLASSES.index(one_of(name, "name", CLASSES)), whole_number(n, "n")
    found, index = [], 0
    while len(found) < n:
        if drawn_label(generator_of(index, seed, 1)) == label:
            found.append(scene(index, seed, size)[0])
        index += 1
    return found
