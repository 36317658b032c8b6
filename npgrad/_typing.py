"""The types of public signatures."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array; shapes and dtypes are given in the docstrings."""

Rng: TypeAlias = "np.random.Generator | int | None"  # quoted: NumPy loads numpy.random when it is first used
"""A random generator, or the seed of one."""

Question: TypeAlias = Callable[[Any], tuple[Any, Any]]
"""A function of the outputs, outputs -> (value, gradient), as `npgrad.targets` has them."""

Neuron: TypeAlias = int | slice | Sequence[int | slice] | Question
"""An element of a layer's output of one image, the sum of several, or a function of the output."""

Target: TypeAlias = int | str | Question | Sequence[int | str | Question] | None
"""A class, by index or name, or another question, for all images; one for each; or None, each image's top class."""

Layers: TypeAlias = str | Sequence[str]
"""The name of a layer, or several."""

Progress: TypeAlias = Callable[[int, int], object] | None
"""Called with (done, total)."""

Rules: TypeAlias = Mapping[Any, Callable[..., Any]] | None
"""{layer type or layer name: rule}."""

Path: TypeAlias = str | os.PathLike[str]

ImageLike: TypeAlias = Union[str, os.PathLike[str], Array, "Image"]
"""A path, a uint8 array (H, W, 3), (H, W) or (H, W, 4), or a PIL image."""

Cache: TypeAlias = Any
"""What a layer's backward needs of its forward pass; only the layer knows its form."""

Window: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""(size, stride, padding), each (height, width); the padding is that at the top and left."""

Pair: TypeAlias = int | tuple[int, int]
"""Height and width, or one number for both."""

Border: TypeAlias = Pair | tuple[int, int, int, int]
"""Pixels of padding: one number for all sides, (height, width), or (top, bottom, left, right)."""
