"""From images to a network's input, and back."""

from dataclasses import asdict, dataclass, fields

import numpy as np

from npgrad.errors import ImageError, InputError
from npgrad.images.reading import open_image


@dataclass(frozen=True)
class Preprocessing:
    """How images become a network's input: resize, crop, and scale to (v / 255 - mean) / std.

    mean, std   three numbers each, RGB on the scale 0..1
    resize      the length that the shorter side is brought to, in pixels
    crop        the side of the square then cut from the middle
    """

    mean: tuple = (0.485, 0.456, 0.406)
    std: tuple = (0.229, 0.224, 0.225)
    resize: int = 256
    crop: int = 224

    def __post_init__(self):
        # Bounds that any real network keeps, so that float32 neither overflows nor divides by zero.
        object.__setattr__(self, "mean", _three_numbers("mean", self.mean, -1e6, 1e6))
        object.__setattr__(self, "std", _three_numbers("std", self.std, 1e-6, 1e6))
        for name in ("resize", "crop"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise InputError(f"preprocessing: {name}: expected an integer; found {value!r}")
            object.__setattr__(self, name, int(value))
        if not 1 <= self.crop <= self.resize <= 4096:
            raise InputError(
                "preprocessing: expected 1 <= crop <= resize <= 4096; "
                f"found crop {self.crop}, resize {self.resize}"
            )

    def apply(self, images, resize=True):
        """Images as a network's input, float32 (N, 3, H, W), channels last in memory.

        images   anything that open_image takes, a list of such, or a uint8 array (N, H, W, 3)
        resize   False takes the images at the size they have, which must be the same for all

        With resize=True these are torchvision's Resize, CenterCrop, ToTensor and Normalize, but for one
        thing: a long side that comes out as 313.7 pixels is made 314, where torchvision makes it 313.
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
                    f"images: without resizing all must have one size; the first is {width} x {height}, "
                    f"number {i + 1} is {image.width} x {image.height}"
                )
            batch[i] = pixels
        batch /= 255
        batch -= np.array(self.mean, np.float32)
        batch /= np.array(self.std, np.float32)
        return batch.transpose(0, 3, 1, 2)

    def _resized_crop(self, image):
        """Resize the shorter side, then crop the middle, without ever making the whole resized image.

        Pillow's box names the part of the image that ends up in the crop; pixels around it still count
        for the interpolation at its edge. Across first, then down, as Pillow does without a box: with one
        it may choose the other order, and the rounding between the two shows in a quarter of all pixels.
        """
        from PIL import Image

        width, height = image.size
        # Rounded: torchvision cuts the long side's fraction off, which squeezes the image by up to a pixel.
        new_width = round(self.resize * width / min(image.size))
        new_height = round(self.resize * height / min(image.size))
        left = round((new_width - self.crop) / 2)
        top = round((new_height - self.crop) / 2)
        across = (left * width / new_width, 0, (left + self.crop) * width / new_width, height)
        down = (0, top * height / new_height, self.crop, (top + self.crop) * height / new_height)
        image = image.resize((self.crop, height), Image.Resampling.BILINEAR, box=across)
        return image.resize((self.crop, self.crop), Image.Resampling.BILINEAR, box=down)

    def invert(self, x):
        """The images of an input x (N, 3, H, W): uint8 (N, H, W, 3), clipped and rounded to nearest."""
        x = np.asarray(x)
        if x.ndim != 4 or x.shape[1] != 3 or x.dtype.kind not in "fiu":
            raise InputError(f"x: expected real numbers (N, 3, H, W); found {x.dtype} of shape {x.shape}")
        bad = np.sum(~np.isfinite(x))
        if bad:
            raise InputError(f"x: expected finite values; {bad} of {x.size} are NaN or infinite")
        colors = x.transpose(0, 2, 3, 1) * np.array(self.std) + np.array(self.mean)
        return np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8)

    def to_json(self):
        """A dict of plain lists and numbers, to be stored with the weights."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, stored):
        """The Preprocessing that `to_json` wrote down; InputError for anything else."""
        names = [field.name for field in fields(cls)]
        if not isinstance(stored, dict) or sorted(map(str, stored)) != sorted(names):
            found = ", ".join(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__
            raise InputError(f"preprocessing: expected {', '.join(names)}; found {found or 'nothing'}")
        return cls(**stored)


def _three_numbers(name, values, low, high):
    """Three numbers from low to high as a tuple of floats."""
    values = values.tolist() if isinstance(values, np.ndarray) else values
    is_three = isinstance(values, (list, tuple)) and len(values) == 3
    if not is_three or not all(_is_number(value) and low <= value <= high for value in values):
        expected = f"three finite numbers from {low:g} to {high:g}"
        raise InputError(f"preprocessing: {name}: expected {expected}; found {str(values):.80}")
    return tuple(float(value) for value in values)


def _is_number(value):
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
