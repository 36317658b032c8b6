"""Convert images to a network's input, and back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from npgrad._typing import Array, ImageLike
from npgrad._validate import is_number, is_whole
from npgrad.errors import ImageError, InputError
from npgrad.images.reading import open_image


@dataclass(frozen=True)
class Preprocessing:
    """How images become a network's input: resize, center crop, and normalize to (v / 255 - mean) / std.

    Parameters
    ----------
    mean, std : tuple of 3 floats
        Mean and standard deviation of red, green and blue on the scale 0..1. Default: ImageNet's.
    resize : int, default 256
        The length of the shorter side after resizing, in pixels.
    crop : int, default 224
        The side of the square that is then cropped from the center, in pixels.

    Raises
    ------
    InputError
        If a value has another type or is out of range.

    Examples
    --------
    >>> image = np.full((60, 80, 3), 255, np.uint8)
    >>> Preprocessing(resize=32, crop=24).apply(image).shape
    (1, 3, 24, 24)
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    resize: int = 256
    crop: int = 224

    def __post_init__(self) -> None:
        # Bounds that hold for any real network and rule out overflow and division by zero in float32.
        object.__setattr__(self, "mean", _three_numbers("mean", self.mean, -1e6, 1e6))
        object.__setattr__(self, "std", _three_numbers("std", self.std, 1e-6, 1e6))
        for name in ("resize", "crop"):
            value = getattr(self, name)
            if not is_whole(value):
                raise InputError(f"preprocessing: {name}: expected an integer; found {value!r}")
            object.__setattr__(self, name, int(value))
        if not 1 <= self.crop <= self.resize <= 4096:
            raise InputError(
                "preprocessing: expected 1 <= crop <= resize <= 4096; "
                f"found crop {self.crop}, resize {self.resize}"
            )

    def apply(self, images: ImageLike | Sequence[ImageLike], resize: bool = True) -> Array:
        """Convert images to a network's input.

        With ``resize=True`` this equals torchvision's Resize, CenterCrop, ToTensor and Normalize, except that the
        longer side is rounded to the nearest pixel, where torchvision rounds down.

        Parameters
        ----------
        images : ImageLike or sequence of them, or ndarray (N, H, W, 3), uint8
            A path, a PIL image or a uint8 array as for `open_image`, or several of them.
        resize : bool, default True
            False: keep the images at their size, which must be the same for all.

        Returns
        -------
        ndarray (N, 3, H, W), float32
            Channels-last in memory.

        Raises
        ------
        ImageError
            If an image cannot be read, there is none, or sizes differ without resizing.
        """
        several = isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4)
        sources = images if several else [images]
        if len(sources) == 0:
            raise ImageError("images: expected at least one; found none")
        batch = None
        for i, source in enumerate(sources):
            image = open_image(source)
            if resize:
                image = self._resized_crop(image)
            pixels = np.asarray(image)
            if batch is None:
                batch = np.empty((len(sources), *pixels.shape), np.float32)
            elif pixels.shape != batch.shape[1:]:
                height, width = batch.shape[1:3]
                raise ImageError(
                    f"images: without resizing, all must have the same size; the first is {width} x {height}, "
                    f"number {i + 1} is {image.width} x {image.height}"
                )
            batch[i] = pixels
        batch /= 255
        batch -= np.array(self.mean, np.float32)
        batch /= np.array(self.std, np.float32)
        return batch.transpose(0, 3, 1, 2)

    def _resized_crop(self, image):
        """Resize the shorter side and crop the center, without computing the rest of the resized image.

        Pillow's box is the region that ends up in the crop; pixels around it still count in the interpolation at its
        edges. Horizontally first, then vertically, as Pillow does without a box: with a box it may choose the other
        order, and the rounding after the first pass then changes a quarter of all pixels.
        """
        from PIL import Image

        width, height = image.size
        # Rounded to nearest: torchvision rounds down, which distorts the image by up to a pixel.
        new_width = round(self.resize * width / min(image.size))
        new_height = round(self.resize * height / min(image.size))
        left = round((new_width - self.crop) / 2)
        top = round((new_height - self.crop) / 2)
        across = (left * width / new_width, 0, (left + self.crop) * width / new_width, height)
        down = (0, top * height / new_height, self.crop, (top + self.crop) * height / new_height)
        image = image.resize((self.crop, height), Image.Resampling.BILINEAR, box=across)
        return image.resize((self.crop, self.crop), Image.Resampling.BILINEAR, box=down)

    def invert(self, x: Array) -> Array:
        """Convert a network's input back to images: x * std + mean, clipped and rounded to nearest.

        Parameters
        ----------
        x : ndarray (N, 3, H, W)
            Preprocessed images.

        Returns
        -------
        ndarray (N, H, W, 3), uint8

        Raises
        ------
        InputError
            If x has another shape or is not finite.
        """
        x = np.asarray(x)
        if x.ndim != 4 or x.shape[1] != 3 or x.dtype.kind not in "fiu":
            raise InputError(f"x: expected real numbers (N, 3, H, W); found {x.dtype} of shape {x.shape}")
        bad = np.sum(~np.isfinite(x))
        if bad:
            raise InputError(f"x: expected finite values; {bad} of {x.size} are NaN or infinite")
        colors = x.transpose(0, 2, 3, 1) * np.array(self.std) + np.array(self.mean)
        return np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain lists and numbers, which is stored with the weights.

        Returns
        -------
        dict
        """
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, stored: Any) -> "Preprocessing":
        """Create the Preprocessing from what `to_json` returned.

        Parameters
        ----------
        stored : dict
            Values by name.

        Returns
        -------
        Preprocessing

        Raises
        ------
        InputError
            If `stored` is anything else.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(stored, dict) or sorted(map(str, stored)) != sorted(names):
            found = ", ".join(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__
            raise InputError(f"preprocessing: expected {', '.join(names)}; found {found or 'nothing'}")
        return cls(**stored)


def _three_numbers(name, values, low, high):
    """Three numbers from low to high as a tuple of floats."""
    values = values.tolist() if isinstance(values, np.ndarray) else values
    is_three = isinstance(values, (list, tuple)) and len(values) == 3
    if not is_three or not all(is_number(value) and low <= value <= high for value in values):
        expected = f"three finite numbers from {low:g} to {high:g}"
        raise InputError(f"preprocessing: {name}: expected {expected}; found {str(values):.80}")
    return tuple(float(value) for value in values)
