"""Animations of a run, GIF or WebP: frames are collected during the run, evenly spaced, in constant memory."""

from collections.abc import Callable, Sequence
from pathlib import Path as FilePath

import numpy as np

from npgrad._files import atomic_file, check_suffix
from npgrad._typing import Array, ImageLike, Path
from npgrad._validate import whole_number
from npgrad.errors import ImageError
from npgrad.images.reading import open_image

FORMATS = {".gif": "GIF", ".webp": "WEBP"}
_LONGEST_SIDE = 480  # px; fills a slide, and a GIF of this size already has megabytes
_LENGTH = 6000  # ms, all frames except the last
_HOLD = 2000  # ms, the last frame


class Animation:
    """The frames of a run of unknown length, at most `most` of them.

    At first every frame is kept. When there are too many, every second one is dropped, and from then on only
    every second (fourth, eighth, ...) frame is kept. So the kept frames are always evenly spaced, and start with
    the first.

    Parameters
    ----------
    most : int, default 60
        The largest number of frames to keep, at least 2.

    Raises
    ------
    InputError
        If `most` is not a whole number >= 2.

    Examples
    --------
    >>> animation = Animation(most=4)
    >>> for step in range(10):
    ...     animation.add(lambda step=step: np.full((8, 8, 3), 20 * step, np.uint8))
    >>> [int(frame[0, 0, 0]) for frame in animation.frames]
    [0, 80, 160]
    """

    def __init__(self, most: int = 60) -> None:
        self.most, self.stride, self.count = whole_number(most, "most", 2), 1, 0
        self.frames = []  # uint8 arrays (H, W, 3)

    def add(self, image: Callable[[], ImageLike]) -> None:
        """Add the next frame.

        Parameters
        ----------
        image : callable
            A function without arguments that returns the frame, uint8 (H, W, 3). It is called only if the frame is
            kept.
        """
        if self.count % self.stride == 0:
            if len(self.frames) == self.most:
                self.frames, self.stride = self.frames[::2], 2 * self.stride
            if self.count % self.stride == 0:
                self.frames.append(_small(image()))
        self.count += 1

    def save(self, path: Path, last: ImageLike) -> None:
        """Write the frames, followed by `last`, to a file.

        Parameters
        ----------
        path : str or path
            The file, .gif or .webp. An existing file is replaced whole or not at all.
        last : ndarray (H, W, 3), uint8
            The last frame, shown for two seconds. All frames are resized to its size.

        Raises
        ------
        ImageError
            If the suffix is neither .gif nor .webp.
        InputError
            If the file cannot be written.
        """
        check_suffix(path, "an animation", FORMATS, ImageError)
        last = _small(last)
        frames = self.frames
        if frames and np.array_equal(frames[-1], last):
            frames = frames[:-1]
        write(path, [*frames, last])


def write(path: Path, frames: Sequence[Array]) -> None:
    """Write images as an animation that loops forever, resized to the size of the last one.

    All frames together take six seconds, but each takes at least 40 ms and at most 400 ms; the last is shown for two
    seconds.

    Parameters
    ----------
    path : str or path
        The file, .gif or .webp. An existing file is replaced whole or not at all.
    frames : sequence of ndarray (H, W, 3), uint8
        The images.

    Raises
    ------
    ImageError
        If the suffix is neither .gif nor .webp.
    InputError
        If the file cannot be written.
    """
    check_suffix(path, "an animation", FORMATS, ImageError)
    kind = FORMATS[FilePath(path).suffix.lower()]
    size = frames[-1].shape[1::-1]
    duration = round(min(max(_LENGTH / max(len(frames) - 1, 1), 40), 400), -1)  # GIF counts in 10 ms
    images = (_resized(frame, size) for frame in frames)  # one at a time
    if kind == "GIF":
        palette = _palette(frames)
        images = (image.quantize(palette=palette) for image in images)
    options = {"optimize": False} if kind == "GIF" else {"quality": 85, "method": 4}
    with atomic_file(path) as file:
        next(images).save(
            file,
            kind,
            save_all=True,
            append_images=images,
            duration=[*[int(duration)] * (len(frames) - 1), _HOLD],
            loop=0,
            **options,
        )


def _palette(frames):
    """An image with a palette of 256 colors for all frames: with one palette per frame, colors would flicker.

    It is computed from a subset of pixels of up to eight frames. The last frame, which is shown longest, counts three
    times.
    """
    from PIL import Image

    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(len(frames), 8)).round().astype(int)]
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in [*chosen, frames[-1], frames[-1]]])
    some = pixels[:: 1 + len(pixels) // 60_000]
    return Image.fromarray(some[None]).quantize(256, Image.Quantize.MEDIANCUT, kmeans=1)


def _small(frame):
    """The frame as an array whose longer side has at most _LONGEST_SIDE pixels."""
    image = open_image(frame)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return np.asarray(image)


def _resized(frame, size):
    from PIL import Image

    image = Image.fromarray(frame)
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
