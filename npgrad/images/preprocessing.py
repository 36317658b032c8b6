"""Convert images to a network's input, and back."""

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npgrad._typing import Array, ImageLike
from npgrad.errors import ImageError, InputError, level_outside
from npgrad.images._fitting import fit, layout
from npgrad.images._normalization import IMAGENET, NEUTRAL, checked, described, doubts, expect
from npgrad.images.reading import open_image

__all__ = ["IMAGENET", "Preprocessing", "doubts"]

FIRST_VERSION = ("mean", "std", "resize", "crop")  # what the first version of npgrad's files stores

_said: set[str] = set()  # what this process has warned of


@dataclass(frozen=True)
class Preprocessing:
    """How images become a network's input: resize, center crop, and normalize to (v * scale - mean) / std.

    v is a value from 0 to 255. If none of mean, std and scale is given, images in color are normalized with ImageNet's
    mean and std, as by torchvision; if only some are given, the others are 0, 1 and 1/255.

    Parameters
    ----------
    mean, std : tuple of float, or float
        Mean and standard deviation of each channel, in the order of `channels` and on the scale of v * scale; one
        number for all channels.
    resize : int or None
        The length of the shorter side after resizing, in pixels, with the longer side rounded down. If `crop` is not
        square, the image covers the rectangle that is larger than it in the same proportion. None: crop / 0.875, which
        is 256 for 224; below 128 px crop itself, so that the whole image is seen.
    crop : int or (int, int), default 224
        The size (H, W) of what is then cropped from the center, in pixels; one number for a square. Where the resized
        image is smaller, it is padded with black.
    channels : {"RGB", "BGR", "gray"}, default "RGB"
        The network's channels.
    scale : float
        The factor from values 0..255: 1/255 for a network that takes values 0..1, 1 for one that takes 0..255.
    interpolation : {"bilinear", "bicubic", "nearest"}, default "bilinear"
        How images are resized, by Pillow.
    pad : bool, default False
        Resize the whole image to fit into `crop`, and pad it with black, instead of cropping; `resize` is not used.
    assumed : bool, default False
        Nothing says that these values are the network's; the first image is converted with a warning.

    Raises
    ------
    InputError
        If a value has another type or is out of range.

    Examples
    --------
    >>> image = np.full((60, 80, 3), 255, np.uint8)
    >>> Preprocessing(resize=32, crop=24).apply(image).shape
    (1, 3, 24, 24)
    >>> Preprocessing(mean=(104, 117, 123), scale=1, channels="BGR").apply(image)[0, :, 0, 0].tolist()
    [151.0, 138.0, 132.0]
    """

    mean: tuple[float, ...] = None  # type: ignore[assignment]
    std: tuple[float, ...] = None  # type: ignore[assignment]
    resize: int = None  # type: ignore[assignment]
    crop: int | tuple[int, int] = 224
    channels: str = "RGB"
    scale: float = None  # type: ignore[assignment]
    interpolation: str = "bilinear"
    pad: bool = False
    assumed: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in checked(self).items():
            object.__setattr__(self, name, value)

    @property
    def size(self) -> tuple[int, int]:
        """The height and width that the network takes, (H, W)."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        """The mean of each of the network's channels on the scale where 0 is black and 1 white."""
        return tuple(value / (255 * self.scale) for value in self.mean)

    @property
    def pixel_std(self) -> tuple[float, ...]:
        """The standard deviation of each channel on that scale: the factor from the network's units to pixel values."""
        return tuple(value / (255 * self.scale) for value in self.std)

    def changed(self, **changes: Any) -> "Preprocessing":
        """Return a copy with other values, which count as known.

        Parameters
        ----------
        **changes
            Any parameters. Mean, std and scale belong together: of these, what is not given becomes 0, 1 and 1/255. If
            only the channels change, mean and std follow their order. A new crop keeps its share of a known `resize`.

        Returns
        -------
        Preprocessing

        Raises
        ------
        InputError
            If a value has another type or is out of range.
        """
        channels = changes.get("channels", self.channels)
        if not changes.keys().isdisjoint(NEUTRAL):
            changes = dict.fromkeys(NEUTRAL) | changes
        elif {channels, self.channels} == {"RGB", "BGR"}:
            changes |= {"mean": self.mean[::-1], "std": self.std[::-1]}
        elif channels != self.channels:
            changes |= dict.fromkeys(NEUTRAL)
        if "crop" in changes and "resize" not in changes:
            same = dataclasses.replace(self, crop=changes["crop"], resize=None)  # type: ignore[arg-type]  # checks the crop
            scaled = self.resize * min(same.size) / min(self.size)
            changes["resize"] = same.resize if self.assumed else max(1, round(scaled))
        return dataclasses.replace(self, **({"assumed": False} | changes))

    def apply(self, images: ImageLike | Sequence[ImageLike], resize: bool = True) -> Array:
        """Convert images to a network's input.

        With ``resize=True`` this equals torchvision's Resize, CenterCrop, ToTensor and Normalize on a PIL image.

        Parameters
        ----------
        images : ImageLike or sequence of them, or ndarray (N, H, W, 3), uint8
            A path, a PIL image or a uint8 array as for `open_image`, or several of them.
        resize : bool, default True
            False: keep the images at their size, which must be the same for all.

        Returns
        -------
        ndarray (N, C, H, W), float32
            Channels-last in memory.

        Raises
        ------
        ImageError
            If an image cannot be read, there is none, or sizes differ without resizing.
        """
        self.say_doubts()
        several = isinstance(images, (list, tuple)) or (isinstance(images, np.ndarray) and images.ndim == 4)
        sources = images if several else [images]
        if len(sources) == 0:
            raise ImageError("images: expected at least one; found none")
        batch = None
        for i, source in enumerate(sources):
            pixels = self._pixels(source, resize)
            if batch is None:
                batch = np.empty((len(sources), *pixels.shape), np.float32)
            elif pixels.shape != batch.shape[1:]:
                (height, width), (rows, columns) = batch.shape[1:3], pixels.shape[:2]
                raise ImageError(
                    f"images: without resizing, all must have the same size; the first is {width} x {height}, "
                    f"number {i + 1} is {columns} x {rows}"
                )
            batch[i] = pixels
        batch /= np.float32(1 / self.scale)  # 255, by which torchvision divides
        batch -= np.array(self.mean, np.float32)
        batch /= np.array(self.std, np.float32)
        return batch.transpose(0, 3, 1, 2)

    def view(self, source: ImageLike, zoom: int = 1) -> Array:
        """Return the part of an image that the network sees, for people.

        Parameters
        ----------
        source : ImageLike
            The image, as for `open_image`.
        zoom : int, default 1
            A multiple of the network's resolution.

        Returns
        -------
        ndarray (zoom * H, zoom * W, 3), uint8
            In RGB; gray for a network of one channel.

        Raises
        ------
        ImageError
            If the image cannot be read.
        """
        return self._in_rgb(self._pixels(source, zoom=zoom))

    def layout(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size to which an image is resized, and where in it the part that the network sees begins.

        Parameters
        ----------
        size : (int, int)
            The image's width and height.

        Returns
        -------
        (int, int), (int, int)
            The new width and height; the left column and top row, negative where the image is padded.
        """
        return layout(size, self.size, None if self.pad else self.resize)

    def _pixels(self, source, resize=True, zoom=1):
        """The pixels of one image with the network's channels: uint8 (H, W, C)."""
        image = open_image(source)
        image = image.convert("L") if self.channels == "gray" else image
        if resize:
            window = tuple(zoom * side for side in self.size)
            image = fit(image, window, None if self.pad else zoom * self.resize, self.interpolation)
        pixels = np.atleast_3d(np.asarray(image))
        return pixels[:, :, ::-1] if self.channels == "BGR" else pixels

    def _in_rgb(self, pixels):
        """Pixels (..., C) with the network's channels, as RGB."""
        if self.channels == "gray":
            return pixels.repeat(3, axis=-1)
        return pixels[..., ::-1] if self.channels == "BGR" else pixels

    def invert(self, x: Array) -> Array:
        """Convert a network's input back to images: (x * std + mean) / scale, clipped and rounded to nearest.

        Parameters
        ----------
        x : ndarray (N, C, H, W)
            Preprocessed images.

        Returns
        -------
        ndarray (N, H, W, 3), uint8
            In RGB.

        Raises
        ------
        InputError
            If x has another shape or is not finite.
        """
        self.say_doubts()
        x, count = np.asarray(x), len(self.mean)
        if x.ndim != 4 or x.shape[1] != count or x.dtype.kind not in "fiu":
            raise InputError(
                f"x: expected real numbers (N, {count}, H, W); found {x.dtype} of shape {x.shape}"
            )
        bad = np.sum(~np.isfinite(x))
        if bad:
            raise InputError(f"x: expected finite values; {bad} of {x.size} are NaN or infinite")
        colors = x.transpose(0, 2, 3, 1) * np.array(self.pixel_std) + np.array(self.pixel_mean)
        return self._in_rgb(np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8))

    def say_doubts(self) -> None:
        """Warn, once in a process, if the values are assumed or not plausible, as `apply` and `invert` do."""
        for doubt in doubts(self):
            if doubt not in _said:
                _said.add(doubt)
                warnings.warn(doubt, stacklevel=level_outside())

    def __str__(self) -> str:
        return described(self)

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain lists and numbers, which is stored with the weights.

        Returns
        -------
        dict
        """
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, stored: Any) -> "Preprocessing":
        """Create the Preprocessing from what `to_json` returned, also in the first version of npgrad's files.

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
        names = [one.name for one in dataclasses.fields(cls)]
        found = list(map(str, stored)) if isinstance(stored, dict) else [type(stored).__name__]
        if not isinstance(stored, dict) or sorted(found) not in (sorted(names), sorted(FIRST_VERSION)):
            raise InputError(
                f"preprocessing: expected {', '.join(names)}; found {', '.join(found) or 'nothing'}"
            )
        for name, value in stored.items():
            expect(value is not None, name, "a value", value)
        return cls(**{"scale": 1 / 255, **stored})
