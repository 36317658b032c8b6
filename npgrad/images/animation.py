"""Animated images of a run, GIF or WebP: frames kept while it goes on, evenly spaced, in constant memory."""

from pathlib import Path

import numpy as np

from npgrad._files import atomic_file, shown
from npgrad.errors import ImageError, InputError
from npgrad.images.reading import open_image

FORMATS = {".gif": "GIF", ".webp": "WEBP"}
_LONGEST_SIDE = 480  # px; more than a browser or a slide shows, and a GIF of it has megabytes already
_LENGTH = 6000  # ms, of all frames but the last
_HOLD = 2000  # ms, of the last frame


class Animation:
    """The frames of a run of unknown length, of which at most `most` are kept.

    At first every frame is kept. When there are too many, every second one goes, and from then on half as
    many are taken: so those that are kept are always evenly spaced, from the first one on.
    """

    def __init__(self, most=60):
        if isinstance(most, bool) or not isinstance(most, int) or most < 2:
            raise InputError(f"most: expected a whole number >= 2, found {most!r}")
        self.most, self.stride, self.count = most, 1, 0
        self.frames = []  # uint8 arrays (H, W, 3)

    def add(self, image):
        """The next frame. image: a function that gives it as uint8 (H, W, 3), called only if it is kept."""
        if self.count % self.stride == 0:
            if len(self.frames) == self.most:
                self.frames, self.stride = self.frames[::2], 2 * self.stride
            if self.count % self.stride == 0:
                self.frames.append(_small(image()))
        self.count += 1

    def save(self, path, last):
        """Write the frames and then `last`, uint8 (H, W, 3), whose size all get; it is held for two seconds."""
        check_suffix(path)
        last = _small(last)
        frames = self.frames
        if frames and np.array_equal(frames[-1], last):
            frames = frames[:-1]
        write(path, [*frames, last])


def check_suffix(path):
    """ImageError unless the name ends in one of FORMATS."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ImageError(
            f"{shown(path)}: expected an animation's suffix ({', '.join(FORMATS)}); found {suffix or 'none'!r}"
        )


def write(path, frames):
    """Write images, uint8 (H, W, 3), as an animation that goes round for ever; all get the last one's size.

    Together they take six seconds, but no frame less than 40 ms or more than 400; the last is held for two seconds.
    An existing file is replaced whole or not at all.
    """
    check_suffix(path)
    kind = FORMATS[Path(path).suffix.lower()]
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
    """An image with the 256 colors that suit all frames: one palette, lest colors flicker from frame to frame.

    Chosen by some pixels of some frames; the last one, which is looked at longest, counts three times.
    """
    from PIL import Image

    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(len(frames), 8)).round().astype(int)]
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in [*chosen, frames[-1], frames[-1]]])
    some = pixels[:: 1 + len(pixels) // 60_000]
    return Image.fromarray(some[None]).quantize(256, Image.Quantize.MEDIANCUT, kmeans=1)


def _small(frame):
    """The frame as an array, its longer side brought down to _LONGEST_SIDE."""
    image = open_image(frame)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return np.asarray(image)


def _resized(frame, size):
    from PIL import Image

    image = Image.fromarray(frame)
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
